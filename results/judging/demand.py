"""Demand: which seconds had load, whether anything came back or not.

A second in which nothing ends says nothing of errors or latency; but where requests were under way,
or were planned, it is what a target that does not answer looks like. This module must not judge.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from results.judging.tally import is_about
from results.second import SecondReport
from results.timeline import Plan


class Demand:
    """Of one selection of endpoints. Seconds are asked for in order of time.

    Life cycle: `note` every report, `advance` to a second, then ask about it. Reports may follow:
    what they tell of seconds that were asked for no longer counts.
    """

    def __init__(self, plan: Plan | None, selection: str | None) -> None:
        is_planned = plan is not None and selection in (None, plan.endpoint)
        self._plan = plan if is_planned else None
        self._counts_arrivals = selection is None
        self._selection = selection
        self._waiting: list[tuple[int, int]] = []
        self._until = -math.inf
        self._second = 0

    def note(self, report: SecondReport) -> None:
        """A request was under way from the second in which it began to the one before it ended."""
        for name, endpoint in report.endpoints.items():
            first_s = min(endpoint.started, default=report.second)
            if first_s < report.second and is_about(self._selection, name):
                heappush(self._waiting, (first_s, report.second))

    def advance(self, second: int) -> None:
        while self._waiting and self._waiting[0][0] <= second:
            self._until = max(self._until, heappop(self._waiting)[1])
        self._second = second

    @property
    def is_under_way(self) -> bool:
        """Whether a request began by the second's end and ended after it, as far as is known."""
        return self._until > self._second

    @property
    def planned(self) -> float:
        """Starts that the plan expects in the second; users without a mean cycle count as one."""
        plan, second = self._plan, self._second
        if plan is None or second < 0:
            return 0.0
        user_s = plan.user_seconds[second] if second < len(plan.user_seconds) else 0.0
        starts = user_s / plan.mean_cycle_s if plan.mean_cycle_s else float(user_s >= 1)
        if self._counts_arrivals:
            starts += sum(
                counts[second] for counts in plan.arrivals.values() if second < len(counts)
            )
        return starts
