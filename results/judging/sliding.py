"""Sliding sums: a check's value over the latest seconds, as each second comes and the oldest goes.

Counts are added and taken away; so are the buckets of one merged histogram a second, for quantiles.
This module must not know windows, or hold a value against a limit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from results.criterion import Check
from results.histogram import Histogram
from results.judging.demand import Demand
from results.judging.silence import Silence
from results.judging.tally import NOTHING, Part, Tally
from results.measure import Measure


@dataclass(frozen=True, slots=True)
class _Second:
    part: Part
    latencies: Histogram | None
    is_planned: bool
    is_failing: bool
    is_served: bool


class Sliding:
    """Over the latest `length` seconds; None: over all that were pushed, ever more of them."""

    def __init__(self, check: Check, length: int | None) -> None:
        self._check = check
        self._length = length
        self._quantile = check.quantile
        self.clear()

    def clear(self) -> None:
        """Forget every second, as where the next one is not the one after the latest."""
        self._seconds: deque[_Second] = deque()
        self._latencies = Histogram()
        self._max_us = 0
        self._silence = Silence()
        self._pushed = self._planned = self._failing = self._served = self._under_way = 0
        self._ended = self._failed = self._node_made = self._timed = self._sum_us = 0

    @property
    def is_full(self) -> bool:
        return self._length is not None and len(self._seconds) == self._length

    def push(self, tally: Tally | None, demand: Demand) -> Part:
        """The next second, to which `demand` has advanced; None: nothing ended in it."""
        check = self._check
        part = NOTHING if tally is None else tally.part(check.endpoint, check.series)
        latencies = None
        if tally is not None and part.timed and self._needs_buckets:
            assert check.series is not None
            latencies = tally.latencies(check.endpoint, check.series)
        if self.is_full:
            self._drop()
        self._silence.take(part.ended, demand)
        is_planned = demand.planned_starts > 0 or demand.planned_arrivals > 0
        flags = is_planned, demand.is_failing, demand.is_served
        self._take(_Second(part, latencies, *flags))
        return part

    @property
    def _needs_buckets(self) -> bool:
        """The maximum is told beside them."""
        return self._quantile is not None and self._quantile < 1

    def _take(self, second: _Second) -> None:
        if self._length is not None:
            self._seconds.append(second)
        self._pushed += 1
        self._count(second, 1)
        self._max_us = max(self._max_us, second.part.max_us)
        if second.latencies is not None:
            self._latencies.add(second.latencies)

    def _drop(self) -> None:
        second = self._seconds.popleft()
        self._pushed -= 1
        self._count(second, -1)
        if not second.part.timed:
            return
        self._max_us = max((left.part.max_us for left in self._seconds), default=0)
        if second.latencies is not None:
            self._latencies.subtract(second.latencies, max_us=self._max_us)

    def _count(self, second: _Second, times: int) -> None:
        part = second.part
        self._ended += times * part.ended
        self._failed += times * part.failed
        self._node_made += times * part.node_made
        self._timed += times * part.timed
        self._sum_us += times * part.sum_us
        self._planned += times * second.is_planned
        self._failing += times * second.is_failing
        self._served += times * second.is_served
        self._under_way += times * (second.is_failing or second.is_served)

    def value(self) -> float | None:
        """In the unit of the check's limit; None where the seconds say nothing."""
        match self._check.measure:
            case Measure.ERROR_RATE:
                return self._failed / self._ended if self._ended else None
            case Measure.ERRORS:
                return float(self._failed) if self._ended else None
            case Measure.AVAILABILITY:
                if self._ended:
                    return 1 - self._failed / self._ended
                return 0.0 if self._is_down else None
            case Measure.RATE:
                return self._ended / self._pushed if self._ended or self._is_asked else None
            case Measure.LATENCY | Measure.MEAN_LATENCY:
                return self._latency_ms()
            case other:
                raise AssertionError(f"{other} has no value of some seconds")

    def node_made_value(self) -> float | None:
        """The value if only those requests had failed that a slow generator cannot have failed."""
        if not self._ended:
            return None
        match self._check.measure:
            case Measure.ERROR_RATE:
                return self._node_made / self._ended
            case Measure.ERRORS:
                return float(self._node_made)
            case Measure.AVAILABILITY:
                return 1 - self._node_made / self._ended
            case _:
                return None

    @property
    def is_certain(self) -> bool:
        """Whether nothing ended, for so long that no chance explains it."""
        return not self._ended and self._silence.is_certain and self._planned > 0

    @property
    def may_be_silence(self) -> bool:
        """Whether nothing ended, and a silence that goes on will count these seconds: it says
        nothing of errors and latencies."""
        measure = self._check.measure
        is_about = measure is Measure.RATE or (measure is Measure.AVAILABILITY and not self._served)
        return is_about and not self._ended and self._planned > 0

    @property
    def _is_down(self) -> bool:
        """Where nothing ended: whoever is served late is served, which latencies tell."""
        return not self._served and (self._failing > 0 or self.is_certain)

    @property
    def _is_asked(self) -> bool:
        """Where nothing ended: one that happens to end in the next second was no load."""
        return self._under_way == self._pushed > 0 or self.is_certain

    def _latency_ms(self) -> float | None:
        if not self._timed:
            return None
        if self._quantile is None:
            return self._sum_us / self._timed / 1000
        if self._quantile == 1:
            return self._max_us / 1000
        (value_us,) = self._latencies.quantiles_us([self._quantile])
        return None if value_us is None else value_us / 1000
