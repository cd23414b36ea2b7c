"""How far the master's clock is ahead of a worker's, from the four timestamps of each exchange.

A worker sends at t0 (its clock), the master receives at t1 and answers at t2 (its clock), the
answer comes at t3 (the worker's). Then, as NTP has it (RFC 5905, section 8),

    offset = ((t1 - t0) + (t2 - t3)) / 2        round trip = (t3 - t0) - (t2 - t1)

and the true offset is within half a round trip of it, however unequal the two ways were. Of the
last exchanges the one with the shortest round trip is taken (RFC 5905, section 10, the clock
filter): an answer that waited for a busy loop says little. Its bound grows by 15 ppm of its age,
as fast as RFC 5905 lets any clock wander. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW = 16
"""Exchanges that are remembered: 8 s of beats, twice RFC 5905's eight, since a worker's loop may
be busy for seconds."""

WANDER = 15e-6
"""RFC 5905, section 7.1 (PHI): the most that a working clock gains or loses a second."""

READING_US = 1.0
"""Times are whole microseconds."""


class _Exchange(NamedTuple):
    """`bound_us`: the true offset was within this of `offset_us` at `at_us`, the worker's time."""

    at_us: int
    offset_us: float
    bound_us: float

    def bound_at(self, now_us: int) -> float:
        return self.bound_us + abs(now_us - self.at_us) * WANDER


class ClockOffset:
    """One per worker; it never forgets that it was told something."""

    def __init__(self) -> None:
        self._exchanges: deque[_Exchange] = deque(maxlen=WINDOW)

    def add(self, t0_us: int, t1_us: int, t2_us: int, t3_us: int) -> bool:
        """Take one exchange, in microseconds. False for one that cannot have been: it is dropped.

        One that contradicts an older one by more than both can err shows that a clock was stepped:
        the older one is forgotten.
        """
        round_trip_us = (t3_us - t0_us) - (t2_us - t1_us)
        if t2_us < t1_us or round_trip_us < -READING_US:
            return False
        offset_us = ((t1_us - t0_us) + (t2_us - t3_us)) / 2
        new = _Exchange(t3_us, offset_us, max(round_trip_us, 0) / 2 + READING_US)
        agreeing = [
            old
            for old in self._exchanges
            if abs(old.offset_us - offset_us) <= old.bound_at(t3_us) + new.bound_us
        ]
        self._exchanges = deque([*agreeing, new], maxlen=WINDOW)
        return True

    @property
    def is_known(self) -> bool:
        """Whether any exchange was taken."""
        return bool(self._exchanges)

    @property
    def offset_us(self) -> int:
        """Master's clock minus this one's; 0 while nothing is known."""
        return round(self._best.offset_us) if self._exchanges else 0

    @property
    def uncertainty_us(self) -> int | None:
        """The true offset is within this of `offset_us`; None while nothing is known.

        As of the latest exchange.
        """
        if not self._exchanges:
            return None
        return round(self._best.bound_at(self._exchanges[-1].at_us))

    @property
    def _best(self) -> _Exchange:
        now_us = self._exchanges[-1].at_us
        return min(self._exchanges, key=lambda one: one.bound_at(now_us))
