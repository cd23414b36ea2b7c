"""Checks while a run goes on: one window that grows, report by report, and what it says so far.

At the end of a run `statistic.cut` makes every number from the whole timeline. That is too slow to
be done each second, so here a report is merged when it arrives, and only what one check needs of
it: counts for an error rate, one histogram of an endpoint for a latency. A test holds the numbers
to those of `cut`. What began in the window and ended after it is kept beside
them (overhang.py). Pure: time comes in as an argument. This module must not decide what follows
from a check that does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from results.check import EACH_PHASE, Check
from results.histogram import EncodedHistogram, Histogram
from results.judging.evaluation import CheckResult, Status, evaluate
from results.judging.overhang import Overhang
from results.measure import Measure, Series
from results.second import EndpointSecond, SecondReport
from results.selection import is_about
from results.statistic import EndpointStats, Latency, WindowStats, latency_of
from results.windows import RUN, Window

LIVE_MEASURES = (Measure.ERROR_RATE, Measure.ERRORS, Measure.LATENCY, Measure.MEAN_LATENCY)
"""What requests that ended can tell. Starts are reported when they end, so that *achieved* lags;
counts are never reached before the end."""

GRACE_S = 3.0
"""A source that says nothing of a second for so long has nothing to say of it: reports come about
a second after theirs. Then nobody waits for it any more."""


FLOW_S = 3
LEAST_FLOW = 10
"""Ten in three seconds: by chance none ends in the next three once in twenty thousand times."""

LATER = "after the window"
"""Kind of the failures of an overhang: they are counted, their outcomes are not."""


def require_live(check: Check) -> None:
    """Raises ValueError for a check that only a whole run can be held to."""
    if check.measure not in LIVE_MEASURES:
        names = ", ".join(measure.value for measure in LIVE_MEASURES)
        raise ValueError(
            f"{check.expression} cannot be held against a run that goes on: use one of {names}"
        )
    if check.over_s is not None or check.for_s is not None:
        raise ValueError(
            f"{check.expression} is held against the whole of a phase: leave 'over' and 'for' out"
        )
    if check.window != RUN:
        hint = f", not {check.window!r}" if check.window != EACH_PHASE else ""
        raise ValueError(
            f"{check.expression} is held against each phase in turn: leave window= out{hint}"
        )


class LiveCheck:
    """`check` over `window`, whatever window the check itself names. Raises ValueError for a check
    that `require_live` refuses.

    Of requests that end after the window, those count as its overhang that began in it, and before
    second `begun_before_s` where one is given.
    """

    def __init__(self, check: Check, window: Window, *, begun_before_s: int | None = None) -> None:
        require_live(check)
        self.window = window
        self._check = replace(check, window=window.name)
        self._spans = window.seconds()
        self._errors: dict[str, int] = {}
        self._histogram: Histogram | None = None
        self._ended: dict[int, int] = {}
        self._failed: dict[int, int] = {}
        begun = range(self.first_s, self.end_s if begun_before_s is None else begun_before_s)
        self._overhang = Overhang(begun, self.end_s, check.series)

    @property
    def first_s(self) -> int:
        """The first whole second."""
        return self._spans[0].start

    @property
    def end_s(self) -> int:
        """The whole second after the last."""
        return self._spans[-1].stop

    def add(self, report: SecondReport) -> None:
        """Merge a report of any second; of those after the window the overhang alone.

        About 20 us for each endpoint, of a latency check; else next to nothing.
        """
        second = report.second
        if second >= self.end_s:
            for name, endpoint in report.endpoints.items():
                if self.is_about(name):
                    self._overhang.add(second, endpoint)
        if not any(second in span for span in self._spans):
            return
        for name, endpoint in report.endpoints.items():
            if self.is_about(name):
                self._add(second, endpoint)

    def is_about(self, name: str) -> bool:
        """Whether the check is about the endpoint of that name."""
        return is_about(self._check.endpoint, name)

    def _add(self, second: int, endpoint: EndpointSecond) -> None:
        failed = sum(endpoint.errors.values())
        self._ended[second] = self._ended.get(second, 0) + endpoint.ended
        self._failed[second] = self._failed.get(second, 0) + failed
        for kind, count in endpoint.errors.items():
            self._errors[kind] = self._errors.get(kind, 0) + count
        encoded = self._series_of(endpoint)
        if encoded is not None and encoded.count:
            self._histogram = self._histogram or Histogram()
            self._histogram.merge(encoded)

    def _series_of(self, endpoint: EndpointSecond) -> EncodedHistogram | None:
        match self._check.series:
            case Series.RAW:
                return endpoint.raw
            case Series.EXCESS:
                return endpoint.excess
            case Series.CORRECTED:
                return endpoint.corrected
            case None:
                return None

    def result(self) -> CheckResult:
        """The check against what has arrived."""
        return self._evaluated(self._histogram, 0)

    def whole_result(self, *, cancelled_failed: bool = False) -> CheckResult:
        """With its overhang; `cancelled_failed` takes what was cut off in it for failures too."""
        histogram = None
        if self._histogram is not None:
            histogram = Histogram()
            histogram.add(self._histogram)
            self._overhang.add_latencies(histogram, cancelled_failed=cancelled_failed)
        failed = self._overhang.failed(cancelled_failed=cancelled_failed)
        further = self._overhang.ended + (self._overhang.cancelled if cancelled_failed else 0)
        errors = {**self._errors, LATER: failed} if failed else self._errors
        return self._evaluated(histogram, further, errors)

    @property
    def overhanging(self) -> int:
        """Requests that began in the window, and failed or were slow after it."""
        return self._overhang.conspicuous

    def is_lost(self, complete_s: int) -> bool:
        """Whether it can hold no more, when the seconds before `complete_s` are complete.

        So it is when it would not hold though every second that is left ended as many requests as
        the best so far, all of them without error and in no time.
        """
        if self.result().status is not Status.FAIL:
            return False
        left = sum(len(range(max(span.start, complete_s), span.stop)) for span in self._spans)
        further = left * max(self._ended.values(), default=0)
        histogram = None
        if self._histogram is not None:
            histogram = Histogram()
            histogram.add(self._histogram)
            histogram.repeat(0, further)
        return self._evaluated(histogram, further).status is Status.FAIL

    def error_shares(self, seconds: Sequence[int]) -> list[float]:
        """Failed over ended requests of each of the seconds; 0 where none ended."""
        return [
            self._failed.get(s, 0) / ended if (ended := self._ended.get(s, 0)) else 0.0
            for s in seconds
        ]

    def _evaluated(
        self, histogram: Histogram | None, further: int, errors: Mapping[str, int] | None = None
    ) -> CheckResult:
        """As of `further` requests more than have come, of which `histogram` holds the latency."""
        name = self.window.name
        stats = self._stats(histogram, further, self._errors if errors is None else errors)
        endpoint = self._check.endpoint
        selections = {} if endpoint is None else {endpoint: stats}
        window = WindowStats(
            self.window, sum(map(len, self._spans)), None, None, stats, {}, selections
        )
        return evaluate(self._check, {name: window})

    def _stats(
        self, histogram: Histogram | None, further: int, errors: Mapping[str, int]
    ) -> EndpointStats:
        asked, none = latency_of(histogram), Latency(0, None, {})
        series = self._check.series
        return EndpointStats(
            ended=sum(self._ended.values()) + further,
            started=0,
            cancelled=0,
            errors=errors,
            bytes_received=0,
            raw=asked if series is Series.RAW else none,
            excess=asked if series is Series.EXCESS else none,
            corrected=asked if series is Series.CORRECTED and histogram is not None else None,
        )


class Pulse:
    """Of each second whether requests ended that a check is about: a target may stop answering."""

    def __init__(self) -> None:
        self._ended: dict[int, int] = {}

    def add(self, second: int, count: int) -> None:
        """`count` requests ended in that second."""
        if count:
            self._ended[second] = self._ended.get(second, 0) + count

    def is_lost(self, complete_s: int, *, from_s: int, flow_from_s: int, least_s: int) -> bool:
        """Whether none ended for `least_s` seconds before `complete_s`, all at or after `from_s`,
        though there is no doubt that some were under way.

        There is none after a flow: `FLOW_S` seconds, each with a request and `LEAST_FLOW` of them
        in all, not before `flow_from_s`. Users that wait in step make pauses of their own, so that
        it must also be twice as long as any silence before.
        """
        since_s = complete_s
        while since_s - 1 not in self._ended and since_s > flow_from_s:
            since_s -= 1
        silent_s = complete_s - max(since_s, from_s)
        flow = [self._ended.get(s, 0) for s in range(since_s - FLOW_S, since_s)]
        is_flow = since_s - FLOW_S >= flow_from_s and min(flow) > 0 and sum(flow) >= LEAST_FLOW
        if silent_s < least_s or not is_flow:
            return False
        seconds = sorted(s for s in self._ended if s < since_s)
        longest = max((b - a - 1 for a, b in pairwise(seconds)), default=0)
        return silent_s >= 2 * longest


class Frontier:
    """Up to which second all reports are in."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def note(self, report: SecondReport) -> None:
        """A source ships its seconds in order, each of them whole."""
        self._told[report.source] = max(report.second, self._told.get(report.source, 0))

    def complete_s(self, elapsed_s: float) -> int:
        """Seconds before this one are complete: every source that has reported told of that second
        or a later one, or it is `GRACE_S` ago.
        """
        surely = math.floor(elapsed_s - GRACE_S)
        told = min(self._told.values(), default=surely - 1) + 1
        return max(surely, min(told, math.floor(elapsed_s)))
