"""Spells: the worst of many values, and how long a limit was broken on end.

`Worst` judges a check `over` some seconds, `Breach` one `for` some seconds; both take values in
order of time, each with the seconds that it speaks for. This module must not know what is measured.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from results.measure import Bound


@dataclass(frozen=True, slots=True)
class Spell:
    """`value` speaks for the seconds from `first_s` up to, and without, `end_s`."""

    first_s: int
    end_s: int
    value: float

    @property
    def length_s(self) -> int:
        return self.end_s - self.first_s


@dataclass(frozen=True, slots=True)
class Limit:
    bound: Bound
    value: float

    def holds(self, value: float) -> bool:
        return self.bound.holds(value, self.value)

    def badness(self, value: float) -> float:
        """The larger, the worse."""
        if self.bound is Bound.EQUAL:
            return abs(value - self.value)
        return -value if self.bound.is_lower else value


class Worst:
    """Every value must hold. `found` is the first of the worst."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self.found: Spell | None = None

    @property
    def fails(self) -> bool:
        return self.found is not None and not self._limit.holds(self.found.value)

    def take(self, spell: Spell) -> None:
        worse = self._limit.badness
        if self.found is None or worse(spell.value) > worse(self.found.value):
            self.found = spell

    def interrupt(self) -> None:
        """The next value is not of the time right after the latest: nothing is carried over."""


class Breach:
    """It fails when every value breaks the limit for `length` seconds on end. Seconds of which
    there is no value are left out, and neither end a breach nor begin one.

    `found` is the longest breach of at least that length, with its mildest value; where there is
    none, the worst of all times of that length, each with its mildest value.
    """

    def __init__(self, limit: Limit, length: int) -> None:
        self._limit = limit
        self._length = length
        self._breach: Spell | None = None
        self._longest: Spell | None = None
        self._calm = Worst(limit)
        self._begun: deque[int] = deque()
        self._mildest: deque[tuple[int, float]] = deque()

    @property
    def fails(self) -> bool:
        return self._longest is not None

    @property
    def found(self) -> Spell | None:
        return self._longest or self._calm.found

    def take(self, spell: Spell) -> None:
        """The value of one second."""
        second, value = spell.first_s, spell.value
        self._note_calm(second, value)
        if self._limit.holds(value):
            self._breach = None
            return
        breach = self._breach
        if breach is None:
            breach = Spell(second, second + 1, value)
        else:
            breach = Spell(breach.first_s, second + 1, self._milder(breach.value, value))
        self._breach = breach
        longest_s = self._length - 1 if self._longest is None else self._longest.length_s
        if breach.length_s > longest_s:
            self._longest = breach

    def interrupt(self) -> None:
        """The next value is not of the time right after the latest: no breach goes on."""
        self._breach = None
        self._begun.clear()
        self._mildest.clear()

    def _milder(self, one: float, other: float) -> float:
        return min(one, other, key=self._limit.badness)

    def _note_calm(self, second: int, value: float) -> None:
        """Of each time that begins with a value and ends with the first one that makes it long
        enough. `_mildest` holds those that may still become the mildest, in order of time."""
        badness = self._limit.badness
        self._begun.append(second)
        while self._mildest and badness(self._mildest[-1][1]) >= badness(value):
            self._mildest.pop()
        self._mildest.append((second, value))
        while self._begun and second - self._begun[0] + 1 >= self._length:
            first_s = self._begun.popleft()
            while self._mildest[0][0] < first_s:
                self._mildest.popleft()
            self._calm.take(Spell(first_s, second + 1, self._mildest[0][1]))
