"""How many requests a second would have had, had nothing happened: planned load, as it was met.

    expected(s) = planned(s) * ended in the baseline / planned in the baseline

`planned(s)` is the plan's user-seconds of second s over the mean cycle, and its arrivals; without a
plan every second counts the same. So a cycle of several requests, and users beside the plan, are in
it. This module must not judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from results.timeline import Timeline
from results.windows import baseline_window


class Expectation:
    """`ended` are the requests that ended in each second."""

    def __init__(self, timeline: Timeline, ended: Mapping[int, int]) -> None:
        self._plan = timeline.plan
        self._share = self._share_met(timeline, ended)

    def _share_met(self, timeline: Timeline, ended: Mapping[int, int]) -> float | None:
        """None: nobody knows."""
        baseline = baseline_window(timeline)
        seconds = [] if baseline is None else [s for span in baseline.seconds() for s in span]
        planned = sum(map(self._planned, seconds))
        if planned:
            return sum(ended.get(second, 0) for second in seconds) / planned
        plan = self._plan
        # A fault from the first second on: the plan is all that there is.
        has_starts = plan is not None and (plan.mean_cycle_s is not None or bool(plan.arrivals))
        return 1.0 if has_starts else None

    def _planned(self, second: int) -> float:
        plan = self._plan
        if plan is None:
            return 1.0
        if second < 0:
            return 0.0
        users = plan.user_seconds[second] if second < len(plan.user_seconds) else 0.0
        arrivals = sum(n[second] for n in plan.arrivals.values() if second < len(n))
        return users / (plan.mean_cycle_s or 1.0) + arrivals

    @property
    def stop(self) -> int:
        """The second from which on nothing is planned."""
        if self._plan is None:
            return 0
        return max(len(self._plan.user_seconds), *map(len, self._plan.arrivals.values()), 0)

    def at(self, second: int) -> float | None:
        """None where neither a baseline nor the plan says how many."""
        return None if self._share is None else self._planned(second) * self._share

    def over(self, seconds: range) -> float | None:
        """Of all of them; what is not planned is not gone through."""
        if not seconds:
            return 0.0
        if self._share is None:
            return None
        if self._plan is None:
            return len(seconds) * self._share
        planned = range(max(0, seconds.start), min(seconds.stop, self.stop))
        return math.fsum(self._planned(second) * self._share for second in planned)
