"""Checks while a run goes on: one window that grows, report by report, and what it says so far.

At the end of a run `statistic.cut` makes every number from the whole timeline. That is too slow to
be done each second, so here a report is merged when it arrives, and only what one check needs of
it: counts for an error rate, one histogram of an endpoint for a latency. A test holds the numbers
to those of `cut`. Pure: time comes in as an argument. This module must not decide what follows
from a check that does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from results.check import EACH_PHASE, Check
from results.evaluation import CheckResult, Status, evaluate
from results.histogram import EncodedHistogram, Histogram
from results.measure import Measure, Series
from results.second import EndpointSecond, SecondReport
from results.statistic import EndpointStats, Latency, WindowStats, latency_of
from results.windows import RUN, Window

LIVE_MEASURES = (Measure.ERROR_RATE, Measure.ERRORS, Measure.LATENCY, Measure.MEAN_LATENCY)
"""What requests that ended can tell. Starts are reported when they end, so that *achieved* lags;
counts are never reached before the end."""

GRACE_S = 3.0
"""A source that says nothing of a second for so long has nothing to say of it: reports come about
a second after theirs. Then nobody waits for it any more."""


def require_live(check: Check) -> None:
    """Raises ValueError for a check that only a whole run can be held to."""
    if check.measure not in LIVE_MEASURES:
        names = ", ".join(measure.value for measure in LIVE_MEASURES)
        raise ValueError(
            f"{check.expression} cannot be held against a run that goes on: use one of {names}"
        )
    if check.window != RUN:
        hint = f", not {check.window!r}" if check.window != EACH_PHASE else ""
        raise ValueError(
            f"{check.expression} is held against each phase in turn: leave window= out{hint}"
        )


class LiveCheck:
    """`check` over `window`, whatever window the check itself names. Raises ValueError for a check
    that `require_live` refuses.
    """

    def __init__(self, check: Check, window: Window) -> None:
        require_live(check)
        self.window = window
        self._check = replace(check, window=window.name)
        self._spans = window.seconds()
        self._errors: dict[str, int] = {}
        self._histogram: Histogram | None = None
        self._ended: dict[int, int] = {}
        self._failed: dict[int, int] = {}

    @property
    def first_s(self) -> int:
        """The first whole second."""
        return self._spans[0].start

    @property
    def end_s(self) -> int:
        """The whole second after the last."""
        return self._spans[-1].stop

    def add(self, report: SecondReport) -> None:
        """Merge a report of any second; those outside of the window are left out.

        About 0.2 ms for each endpoint, of a latency check; else next to nothing.
        """
        second = report.second
        if not any(second in span for span in self._spans):
            return
        for name, endpoint in report.endpoints.items():
            if self._is_about(name):
                self._add(second, endpoint)

    def _is_about(self, name: str) -> bool:
        pattern = self._check.endpoint
        return pattern is None or name == pattern or fnmatchcase(name, pattern)

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

    def _evaluated(self, histogram: Histogram | None, further: int) -> CheckResult:
        """As of `further` requests more than have come, of which `histogram` holds the latency."""
        name = self.window.name
        stats = self._stats(histogram, further)
        endpoint = self._check.endpoint
        selections = {} if endpoint is None else {endpoint: stats}
        window = WindowStats(
            self.window, sum(map(len, self._spans)), None, None, stats, {}, selections
        )
        return evaluate(self._check, {name: window})

    def _stats(self, histogram: Histogram | None, further: int) -> EndpointStats:
        asked, none = latency_of(histogram), Latency(0, None, {})
        series = self._check.series
        return EndpointStats(
            ended=sum(self._ended.values()) + further,
            started=0,
            cancelled=0,
            errors=self._errors,
            bytes_received=0,
            raw=asked if series is Series.RAW else none,
            excess=asked if series is Series.EXCESS else none,
            corrected=asked if series is Series.CORRECTED and histogram is not None else None,
        )


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
