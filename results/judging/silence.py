"""Silence: seconds on end in which nothing ended, and whether a target that answers could make it.

Load is planned as a mean. By chance, or since users wait in step, a healthy target has pauses too:
what is planned counts only when so much of it is missing that no chance explains it. This module
must not judge.
"""

from __future__ import annotations

from results.judging.demand import Demand

CERTAIN_STARTS = 25.0
"""Of requests that come by chance, so many stay away together once in 7e10 times (exp(-25)): in a
day of 100/s, which has nine million beginnings of a silence, once in eight thousand days."""

LEAST_CYCLES = 2
"""Users that started together wait together: all of them may be silent for nearly one cycle."""


class Silence:
    """Up to the latest second. Life cycle: `take` each second in order, `clear` at a gap.

    What is planned in the latest second may well end after it, and does not count yet.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._length_s = 0
        self._starts = self._arrivals = 0.0
        self._cycle_s = 0.0
        self._latest = (0.0, 0)

    def take(self, ended: int, demand: Demand) -> None:
        """The second to which `demand` has advanced, in which so many requests ended."""
        if ended:
            self.clear()
            return
        starts, arrivals = self._latest
        self._starts += starts
        self._arrivals += arrivals
        self._latest = demand.planned_starts, demand.planned_arrivals
        self._length_s += demand.planned_starts > 0
        self._cycle_s = demand.mean_cycle_s

    @property
    def is_certain(self) -> bool:
        """Whether a target that answers is out of the question."""
        in_step = self._length_s < LEAST_CYCLES * self._cycle_s
        return (0.0 if in_step else self._starts) + self._arrivals >= CERTAIN_STARTS
