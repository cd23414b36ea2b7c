"""Requests that began in a window and ended after it: what a target that hangs leaves of it.

Windows count requests by their end, so that those which a target held on to are missing where it
hung, and turn up as slow or failed in a later one. Reports tell how many requests of a second began
when, not which of them failed or how long each took. So no more is held against a window than is
certain, or nearly so:

- a request that began in second *b* and ended in second *e* took more than e - b - 1 seconds;
- timeouts, then cancelled requests, are those of a second that began first: they waited longest;
- of other failures as many are the window's as cannot be anybody else's.

Pure. This module must not know what follows for a check.
"""

from __future__ import annotations

from results.encoding import HIGHEST_US
from results.histogram import Histogram
from results.measure import Series
from results.sample import Outcome
from results.second import EndpointSecond

SLOW_S = 2
"""Seconds between begin and end from which on the former tells that a request took above one."""


class Overhang:
    """Of requests that began in `begun` and ended in second `end_s` or later.

    `series` is the latency that is asked for. `ended`, `failed` and `cancelled` count them, the
    last only those that had been under way for more than a second.
    """

    def __init__(self, begun: range, end_s: int, series: Series | None) -> None:
        self._begun = begun
        self._end_s = end_s
        self._series = series
        self._failed = 0
        self._slow_us: dict[int, int] = {}
        self._cancelled_us: dict[int, int] = {}
        self.ended = 0
        self.cancelled = 0

    def add(self, second: int, endpoint: EndpointSecond) -> None:
        """Merge an endpoint of a second after the window; next to nothing where none hangs over."""
        if second < self._end_s or not any(s in self._begun for s in endpoint.started):
            return
        timeouts = endpoint.errors.get(Outcome.TIMEOUT, 0)
        others = sum(endpoint.errors.values()) - timeouts
        mine = left = 0
        cancelled = endpoint.cancelled
        for begun_s, count in sorted(endpoint.started.items()):
            timed_out = min(timeouts, count)
            timeouts -= timed_out
            cut_off = min(cancelled, count - timed_out)
            cancelled -= cut_off
            rest = count - timed_out - cut_off
            left += rest
            if begun_s not in self._begun:
                continue
            mine += rest
            self._note(second - begun_s, timed_out, cut_off, rest)
        self._failed += max(0, mine + others - left)

    def _note(self, after_s: int, timed_out: int, cut_off: int, rest: int) -> None:
        self.ended += timed_out + rest
        self._failed += timed_out
        if after_s < SLOW_S:
            return
        least_us = min(HIGHEST_US, (after_s - 1) * 1_000_000)
        # What a node declared as emulated is no excess, and how much it was is not known here.
        slow = timed_out + (0 if self._series is Series.EXCESS else rest)
        if slow:
            self._slow_us[least_us] = self._slow_us.get(least_us, 0) + slow
        if cut_off:
            self.cancelled += cut_off
            self._cancelled_us[least_us] = self._cancelled_us.get(least_us, 0) + cut_off

    def failed(self, *, cancelled_failed: bool = False) -> int:
        """Those that failed; with those that were cut off after more than a second, if asked."""
        return self._failed + (self.cancelled if cancelled_failed else 0)

    @property
    def conspicuous(self) -> int:
        """Those that failed, or took more than a second, whichever are more."""
        return max(self._failed, sum(self._slow_us.values()))

    def add_latencies(self, histogram: Histogram, *, cancelled_failed: bool = False) -> None:
        """What they took at least, of those that took more than a second."""
        for least_us, count in self._slow_us.items():
            histogram.repeat(least_us, count)
        if cancelled_failed:
            for least_us, count in self._cancelled_us.items():
                histogram.repeat(least_us, count)
