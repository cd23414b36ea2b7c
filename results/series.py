"""A run second by second, over all endpoints: what a plot draws and `seconds.csv` lists.

Pure: one pass over the timeline's reports, seconds in order, with the numbers of one second in
memory at a time. Each number is that of a window of the same one second (results.statistic), and a
test holds it to that. This module must not judge anything, and must not know plots or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.errors import TimelineError
from results.histogram import EncodedHistogram, Histogram
from results.second import LATEST_S, EndpointSecond
from results.timeline import Plan, Timeline
from results.windows import run_window

QUANTILES = (0.5, 0.99, 1.0)

Figures = tuple[float | None, ...]
"""One for each second; None where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class LatencySeries:
    """Median, 99th percentile and maximum of the requests that ended in each second."""

    p50_ms: Figures
    p99_ms: Figures
    max_ms: Figures


@dataclass(frozen=True, slots=True)
class ArrivalSeries:
    """An open load, all user classes together, by the second of the intended start."""

    planned: tuple[int, ...]
    started: tuple[int, ...]
    unsent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Every tuple has one entry for each second from `first_s` on.

    `ended` and `failed` count by end (without cancelled requests), `started` by start, `errors` by
    outcome. `planned_starts` is what the plan expects of the users' cycles. `users` are those that
    ran, as last told in that second. `corrected` is None when no request had an intended start,
    `arrivals` when nothing of the load is open.
    """

    first_s: int
    ended: tuple[int, ...]
    started: tuple[int, ...]
    planned_starts: Figures
    failed: tuple[int, ...]
    errors: Mapping[str, tuple[int, ...]]
    raw: LatencySeries
    excess: LatencySeries
    corrected: LatencySeries | None
    users: tuple[int | None, ...]
    planned_users: tuple[int | None, ...]
    arrivals: ArrivalSeries | None

    @property
    def seconds(self) -> range:
        return range(self.first_s, self.first_s + len(self.ended))


def series(timeline: Timeline) -> Series:
    """Of every second of the window `run`.

    Raises HistogramError when a histogram is damaged, TimelineError when a second lies so far off
    that no run can have had it.
    """
    (seconds,) = run_window(timeline).seconds()
    if not -LATEST_S <= seconds.start < seconds.stop <= LATEST_S + 1:
        raise TimelineError(
            f"the timeline's seconds reach from {seconds.start:,} to {seconds.stop:,}: no run may "
            f"be longer than {LATEST_S:,} s, so one of its lines is wrong"
        )
    ended: dict[int, list[EndpointSecond]] = {}
    for report in timeline.reports:
        ended.setdefault(report.second, []).extend(report.endpoints.values())
    by_second = [ended.get(second, []) for second in seconds]
    errors = _errors(by_second)
    return Series(
        seconds.start,
        tuple(sum(each.ended for each in endpoints) for endpoints in by_second),
        _started(timeline, seconds),
        _planned_starts(timeline.plan, seconds),
        tuple(sum(sum(each.errors.values()) for each in endpoints) for endpoints in by_second),
        errors,
        *_latencies(by_second),
        *_users(timeline, seconds),
        _arrivals(timeline, seconds),
    )


def _errors(by_second: Sequence[Sequence[EndpointSecond]]) -> dict[str, tuple[int, ...]]:
    counts: dict[str, list[int]] = {}
    for n, endpoints in enumerate(by_second):
        for each in endpoints:
            for kind, count in each.errors.items():
                counts.setdefault(kind, [0] * len(by_second))[n] += count
    return {kind: tuple(counts[kind]) for kind in sorted(counts)}


def _started(timeline: Timeline, seconds: range) -> tuple[int, ...]:
    started = dict.fromkeys(seconds, 0)
    for report in timeline.reports:
        for endpoint in report.endpoints.values():
            for second, count in endpoint.started.items():
                started[second] += count
    return tuple(started.values())


def _planned_starts(plan: Plan | None, seconds: range) -> Figures:
    if plan is None or not plan.mean_cycle_s:
        return (None,) * len(seconds)
    cycle_s, user_s = plan.mean_cycle_s, plan.user_seconds
    planned = {second: each / cycle_s for second, each in enumerate(user_s)}
    return tuple(planned.get(second, 0.0) for second in seconds)


class _Column:
    """One series of latencies while its seconds are added."""

    def __init__(self) -> None:
        self.rows: list[tuple[float | None, ...]] = []
        self.count = 0

    def add(self, encoded: Iterable[EncodedHistogram | None]) -> None:
        merged = Histogram()
        for each in encoded:
            if each is not None:
                merged.merge(each)
        self.count += merged.count
        values_us = merged.quantiles_us(QUANTILES)
        self.rows.append(tuple(None if v is None else v / 1000 for v in values_us))

    def series(self) -> LatencySeries:
        return LatencySeries(*(tuple(row[n] for row in self.rows) for n in range(len(QUANTILES))))


def _latencies(
    by_second: Sequence[Sequence[EndpointSecond]],
) -> tuple[LatencySeries, LatencySeries, LatencySeries | None]:
    """Raw, excess and corrected."""
    raw, excess, corrected = _Column(), _Column(), _Column()
    for endpoints in by_second:
        raw.add(each.raw for each in endpoints)
        if all(each.excess == each.raw for each in endpoints):
            excess.rows.append(raw.rows[-1])
        else:
            excess.add(each.excess for each in endpoints)
        corrected.add(each.corrected for each in endpoints)
    return raw.series(), excess.series(), corrected.series() if corrected.count else None


def _users(
    timeline: Timeline, seconds: range
) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """Those that ran and those that the shape had planned, each as last told in its second."""
    told = {math.floor(each.t_s): each for each in timeline.progress}
    found = [told.get(second) for second in seconds]
    return (
        tuple(None if each is None else each.users for each in found),
        tuple(None if each is None else each.planned for each in found),
    )


def _arrivals(timeline: Timeline, seconds: range) -> ArrivalSeries | None:
    counts = timeline.plan.arrivals.values() if timeline.plan is not None else ()
    planned = dict.fromkeys(seconds, 0)
    for each in counts:
        for second, count in zip(range(seconds.stop), each, strict=False):
            planned[second] += count
    started = dict.fromkeys(seconds, 0)
    unsent = dict.fromkeys(seconds, 0)
    is_open = bool(counts)
    for report in timeline.reports:
        for arrived in report.arrivals.values():
            is_open = True
            started[report.second] += arrived.started
            unsent[report.second] += sum(arrived.unsent.values())
    if not is_open:
        return None
    return ArrivalSeries(tuple(planned.values()), tuple(started.values()), tuple(unsent.values()))
