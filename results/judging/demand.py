"""Demand: which seconds had load, whether anything came back or not.

A second in which nothing ends says nothing of errors or latency; but where requests were under way,
or were planned, it may be what a target that does not answer looks like. This module must not
judge.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from results.sample import Outcome
from results.second import EndpointSecond, SecondReport
from results.selection import is_about
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
        self._failing, self._served = _Times(), _Times()
        self._second = 0

    def note(self, report: SecondReport) -> None:
        """A request was under way from the second in which it began to the one before it ended."""
        for name, endpoint in report.endpoints.items():
            first_s = min(endpoint.started, default=report.second)
            if first_s < report.second and is_about(self._selection, name):
                self._note(endpoint, first_s, report.second)

    def _note(self, endpoint: EndpointSecond, first_s: int, end_s: int) -> None:
        """It is not told which of those that ended failed: timeouts and those that were cut off
        began first, having waited longest. Others failed where none of the endpoint ended well."""
        cut_off = endpoint.errors.get(Outcome.TIMEOUT, 0) + endpoint.cancelled
        all_failed = endpoint.ended <= sum(endpoint.errors.values())
        if cut_off or all_failed:
            self._failing.add(first_s, end_s)
        if all_failed:
            return
        for begun_s, count in sorted(endpoint.started.items()):
            cut_off -= count
            if cut_off < 0:
                self._served.add(begun_s, end_s)
                return

    def advance(self, second: int) -> None:
        self._failing.advance(second)
        self._served.advance(second)
        self._second = second

    @property
    def is_failing(self) -> bool:
        """Whether a request began by the second's end and failed after it, as far as is known."""
        return self._failing.until > self._second

    @property
    def is_served(self) -> bool:
        """Whether a request began by the second's end and ended well after it."""
        return self._served.until > self._second

    @property
    def planned_starts(self) -> float:
        """By users, in the second; 0 without a mean cycle: nobody knows how long they wait."""
        plan, second = self._plan, self._second
        if plan is None or not plan.mean_cycle_s or not 0 <= second < len(plan.user_seconds):
            return 0.0
        return plan.user_seconds[second] / plan.mean_cycle_s

    @property
    def planned_arrivals(self) -> int:
        """In the second."""
        plan, second = self._plan, self._second
        if plan is None or second < 0 or not self._counts_arrivals:
            return 0
        return sum(counts[second] for counts in plan.arrivals.values() if second < len(counts))

    @property
    def mean_cycle_s(self) -> float:
        """Of users; 0 where none is known."""
        return 0.0 if self._plan is None else self._plan.mean_cycle_s or 0.0


class _Times:
    """Times that overlap, each from a second up to, and without, another. `until` is the end of the
    longest that began by the second to which they advanced."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int]] = []
        self.until = -math.inf

    def add(self, first_s: int, end_s: int) -> None:
        if first_s < end_s:
            heappush(self._waiting, (first_s, end_s))

    def advance(self, second: int) -> None:
        while self._waiting and self._waiting[0][0] <= second:
            self.until = max(self.until, heappop(self._waiting)[1])
