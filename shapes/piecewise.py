"""Piecewise profiles: a sum of straight segments with named phases, and what a profile promises.

A profile answers how much load the scenario plans at a moment, and what that part of the run is
called. Shapes and arrivals apply it, windows are cut by it, and *achieved* divides by its integral.
Everything that `shapes.profile` builds is one `Piecewise`, so that integrals are exact:

    target(t) = sum of a + (b - a) * (t - start) / (end - start) over segments start <= t < end

Intervals are half-open everywhere: a step belongs to the moment at which it happens. This module
must not know a clock, Locust or randomness: time comes in as an argument, in seconds since the
profile's start. Builders live elsewhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from shapes.level import Unit, fitting
from shapes.line import Line, LineIndex

LONGEST_S = 1e9
"""31 years. Times are kept to the microsecond, and floats hold no finer ones beyond."""

MOST_PIECES = 1_000_000
"""Segments of one profile: eleven days second by second. A few hundred bytes each."""

_TIME_DIGITS = 6
"""Times are kept to the microsecond: 90 s scaled by 0.7 is 63.0 s, not 62.99999999999999 s."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A named interval of a profile: start_s <= t < end_s."""

    name: str
    start_s: float
    end_s: float


class Profile(Protocol):
    """What shapes and plans ask of a profile. Levels are real numbers: a ramp passes fractions."""

    @property
    def unit(self) -> Unit:
        """What levels count: users (closed) or arrivals per second (open)."""

    @property
    def duration_s(self) -> float: ...

    def target(self, t_s: float) -> float:
        """The planned level at `t_s`; 0 before the start and from `duration_s` on."""

    def peak(self, start_s: float, end_s: float) -> float:
        """The largest target in the closed interval [start_s, end_s], just before steps too."""

    def integral(self, start_s: float, end_s: float) -> float:
        """Planned user-seconds, or arrivals, in [start_s, end_s]."""

    def lines(self) -> tuple[Line, ...]:
        """The target as disjoint lines, in order and without gaps, from 0 to `duration_s`."""

    def phases(self) -> tuple[Phase, ...]:
        """In order of time, without overlaps; a name may occur again after another phase."""

    def scaled(self, *, time: float = 1.0, load: float = 1.0) -> Profile:
        """The same profile, `time` times as long and `load` times as high."""


@dataclass(frozen=True)
class Piecewise:
    """A sum of segments, which may overlap, in one unit. Made by the builders, not by hand.

    Without slots, since the compiled lines are kept in the instance.
    """

    segments: tuple[Line, ...]
    named: tuple[Phase, ...]
    unit: Unit = Unit.USERS

    def __repr__(self) -> str:
        """Short: a recorded trace has a hundred thousand segments."""
        names = ", ".join(dict.fromkeys(phase.name for phase in self.named))
        return f"<profile of {self.unit}: {self.duration_s:g} s of {names}>"

    @cached_property
    def duration_s(self) -> float:
        return max(segment.end_s for segment in self.segments)

    def target(self, t_s: float) -> float:
        """O(log n) in the number of lines, like `peak` and `integral`. Raises ValueError."""
        _finite("t_s", t_s)
        return self._index.target(t_s)

    def peak(self, start_s: float, end_s: float) -> float:
        _ordered(start_s, end_s)
        return self._index.peak(start_s, end_s)

    def integral(self, start_s: float, end_s: float) -> float:
        """Trapezoids: exact, since every segment is a line."""
        _ordered(start_s, end_s)
        return self._index.integral(start_s, end_s)

    def lines(self) -> tuple[Line, ...]:
        """The sum of the segments; where there is none, a line of level 0."""
        return self._lines

    def phases(self) -> tuple[Phase, ...]:
        return self.named

    def scaled(self, *, time: float = 1.0, load: float = 1.0) -> Piecewise:
        """target'(t) = load * target(t / time), each level of users rounded to whole users.

        A level of at least one user keeps at least one; rates are never rounded. Raises ValueError
        for scales that are not positive and finite, that leave a segment shorter than a
        microsecond, or that lead beyond `LONGEST_S` or `LARGEST_LEVEL`.
        """
        check_positive("time", time)
        check_positive("load", load)
        check_end("the scaled profile", self.duration_s * time)
        return Piecewise(
            tuple(
                Line(
                    seconds(s.start_s * time),
                    seconds(s.end_s * time),
                    fitting(self.unit, s.from_level * load),
                    fitting(self.unit, s.to_level * load),
                )
                for s in self._long_enough(time)
            ),
            tuple(
                Phase(p.name, seconds(p.start_s * time), seconds(p.end_s * time))
                for p in self.named
            ),
            self.unit,
        )

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        return tuple(_summed(self.segments))

    @cached_property
    def _index(self) -> LineIndex:
        return LineIndex(self._lines)

    def _long_enough(self, time: float) -> Iterable[Line]:
        for s in self.segments:
            if seconds(s.start_s * time) >= seconds(s.end_s * time):
                raise ValueError(
                    f"a time scale of {time} leaves nothing of the {s.end_s - s.start_s} s from "
                    f"{s.start_s} s on: use a larger time scale"
                )
            yield s


def seconds(value_s: float) -> float:
    """To the microsecond, as all times of profiles are."""
    return round(float(value_s), _TIME_DIGITS)


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless it is a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")


def check_duration(name: str, value_s: float) -> None:
    """Raises ValueError unless it is from a microsecond to `LONGEST_S`."""
    check_positive(name, value_s)
    check_end(name, value_s)
    check_positive(f"{name}, to the microsecond,", seconds(value_s))


def check_end(name: str, end_s: float) -> None:
    """Raises ValueError for a profile that ends later than `LONGEST_S`."""
    if end_s > LONGEST_S:
        raise ValueError(f"{name} must be at most {LONGEST_S:,.0f} seconds long, not {end_s!r}")


def check_pieces(place: str, pieces: float) -> None:
    """Raises ValueError before a builder makes more than `MOST_PIECES` segments."""
    if pieces > MOST_PIECES:
        raise ValueError(
            f"{place} would make {pieces:,.0f} pieces of a profile, the limit is {MOST_PIECES:,}: "
            "take longer intervals, or a shorter profile"
        )


def _summed(segments: Iterable[Line]) -> Iterable[Line]:
    """Between two edges the same segments are in force, and the sum of lines is a line."""
    waiting = sorted(segments, key=lambda s: s.start_s, reverse=True)
    edges = sorted({0.0}.union(*((s.start_s, s.end_s) for s in waiting)))
    active: list[Line] = []
    for start_s, end_s in pairwise(edges):
        active = [s for s in active if s.end_s > start_s]
        while waiting and waiting[-1].start_s == start_s:
            active.append(waiting.pop())
        # fsum: the same to the bit in whatever order an overlay lists its parts.
        yield Line(
            start_s,
            end_s,
            math.fsum(s.value(start_s) for s in active),
            math.fsum(s.value(end_s) for s in active),
        )


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number of seconds, not {value}")


def _ordered(start_s: float, end_s: float) -> None:
    _finite("start_s", start_s)
    _finite("end_s", end_s)
    if start_s > end_s:
        raise ValueError(f"the interval ends ({end_s} s) before it starts ({start_s} s)")
