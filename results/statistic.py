"""Statistics: what happened in each window, cut from the timeline.

`cut` is the only place where statistics are made: checks, summary and report all read its numbers.
Plans are integrated over the same whole seconds that a window's requests are taken from, so that
planned and started compare. This module must not judge the numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from results.arrival import ArrivalStats, ArrivalTally, together
from results.figure import FigureStats, FigureSums
from results.histogram import EncodedHistogram, Histogram, decode
from results.sample import Outcome
from results.second import EndpointSecond, SecondReport
from results.selection import is_about
from results.timeline import Plan, Timeline
from results.windows import Window

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
"""What is computed of every window. A check may name one of these; 1.0 is the maximum."""

NODE_MADE = frozenset({Outcome.HTTP_5XX.value, Outcome.CHECK.value})
"""Errors that a slow generator cannot cause (D15): the node answered, and wrongly."""


@dataclass(frozen=True, slots=True)
class Latency:
    """One series of one window. Without samples everything but `count` is None.

    Quantiles are nearest ranks, at most 0.1 % too high; maximum and mean are exact.
    """

    count: int
    mean_ms: float | None
    quantiles_ms: Mapping[float, float | None]

    def quantile_ms(self, quantile: float) -> float | None:
        """For one of `QUANTILES`."""
        return self.quantiles_ms[quantile]


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint in one window (or several together). `started` counts by start, the rest by end.

    `corrected` is None when no request had an intended start. `statuses` counts failed answers by
    their status.
    """

    ended: int
    started: int
    cancelled: int
    errors: Mapping[str, int]
    bytes_received: int
    raw: Latency
    excess: Latency
    corrected: Latency | None
    statuses: Mapping[int, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def failures(self) -> str:
        """What failed, the most first: `12 x 503, 3 x timeout`."""
        by_status = {str(status): n for status, n in self.statuses.items() if status >= 400}
        answered = (Outcome.HTTP_4XX, Outcome.HTTP_5XX) if by_status else ()
        by_kind = {kind: n for kind, n in self.errors.items() if kind not in answered}
        found = sorted((by_status | by_kind).items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{count:,} x {what}" for what, count in found)

    @property
    def node_made_errors(self) -> int:
        return sum(count for kind, count in self.errors.items() if kind in NODE_MADE)

    @property
    def error_rate(self) -> float | None:
        """Share of the ended requests that failed; None when none ended."""
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class WindowStats:
    """A window's statistics: `total`, each endpoint, and each selection that was asked for.

    `covered_s` is the number of whole seconds that the window holds; `planned_user_s` the plan's
    integral over them, None without a plan. `planned_users` is their mean. `planned_endpoint` is
    what the plan is about: only such requests count as achieved. `figures` holds those that were
    observed in the window, `arrivals` an open load's by user class.
    """

    window: Window
    covered_s: int
    planned_user_s: float | None
    mean_cycle_s: float | None
    total: EndpointStats
    endpoints: Mapping[str, EndpointStats]
    selections: Mapping[str, EndpointStats]
    planned_endpoint: str | None = None
    figures: Mapping[str, FigureStats] = field(default_factory=dict)
    arrivals: Mapping[str, ArrivalStats] = field(default_factory=dict)

    def of(self, endpoint: str | None) -> EndpointStats:
        """None is the total; a name or pattern that nothing matched has no requests."""
        if endpoint is None:
            return self.total
        found = self.selections.get(endpoint) or self.endpoints.get(endpoint)
        return found or _Sums().stats()

    @property
    def planned_users(self) -> float | None:
        if self.planned_user_s is None or not self.covered_s:
            return None
        return self.planned_user_s / self.covered_s

    @property
    def rate(self) -> float | None:
        """Ended requests per second."""
        return self.total.ended / self.covered_s if self.covered_s else None

    @property
    def all_arrivals(self) -> ArrivalStats | None:
        """Over all user classes; None where nothing of the load is open."""
        return together(self.arrivals.values()) if self.arrivals else None

    def planned_starts(self, mean_cycle_s: float | None = None) -> float | None:
        """Starts that the plan expects: its user-seconds over the mean cycle; None without one."""
        cycle_s = mean_cycle_s if mean_cycle_s is not None else self.mean_cycle_s
        if self.planned_user_s is None or not cycle_s:
            return None
        return self.planned_user_s / cycle_s

    def started(self, endpoint: str | None) -> int:
        """Starts of an endpoint; None means what the plan is about."""
        return self.of(endpoint if endpoint is not None else self.planned_endpoint).started

    def achieved(self, endpoint: str | None, mean_cycle_s: float | None = None) -> float | None:
        """Starts over planned starts (never completions); None when nothing was planned.

        Of an open load, started over planned arrivals. Where users and arrivals are planned, the
        smaller of both shares, so that neither hides what is missing of the other; an endpoint or a
        cycle of its own asks for that of the users.
        """
        planned = self.planned_starts(mean_cycle_s)
        of_users = self.started(endpoint) / planned if planned else None
        arrived = self.all_arrivals
        if arrived is None or not arrived.planned or endpoint or mean_cycle_s is not None:
            return of_users
        of_arrivals = arrived.started / arrived.planned
        return of_arrivals if of_users is None else min(of_users, of_arrivals)


class _Sums:
    """Sums of one endpoint in one window while it is cut."""

    def __init__(self) -> None:
        self.ended = self.started = self.cancelled = self.bytes = 0
        self.errors: dict[str, int] = {}
        self.statuses: dict[int, int] = {}
        self.raw: Histogram | None = None
        self.excess: Histogram | None = None
        self.corrected: Histogram | None = None

    def add_second(self, second: EndpointSecond) -> None:
        self._count(second.ended, second.cancelled, second.bytes_received)
        self._count_errors(second.errors, second.statuses)
        raw = _decoded(second.raw)
        excess = raw if second.excess is second.raw else _decoded(second.excess)
        self.raw = _joined(self.raw, raw)
        self.excess = _joined(self.excess, excess)
        self.corrected = _joined(self.corrected, _decoded(second.corrected))

    def _count(self, ended: int, cancelled: int, size: int) -> None:
        self.ended += ended
        self.cancelled += cancelled
        self.bytes += size

    def _count_errors(self, errors: Mapping[str, int], statuses: Mapping[int, int]) -> None:
        for kind, count in errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + count
        for status, count in statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count

    def add(self, other: _Sums) -> None:
        self._count(other.ended, other.cancelled, other.bytes)
        self._count_errors(other.errors, other.statuses)
        self.started += other.started
        self.raw = _joined(self.raw, other.raw)
        self.excess = _joined(self.excess, other.excess)
        self.corrected = _joined(self.corrected, other.corrected)

    def stats(self) -> EndpointStats:
        return EndpointStats(
            self.ended,
            self.started,
            self.cancelled,
            dict(sorted(self.errors.items())),
            self.bytes,
            latency_of(self.raw),
            latency_of(self.excess),
            None if self.corrected is None else latency_of(self.corrected),
            dict(sorted(self.statuses.items())),
        )


class _Atom:
    """Sums of all seconds that the same windows hold, or of one whole window."""

    def __init__(self) -> None:
        self.endpoints: dict[str, _Sums] = {}
        self.figures: dict[str, FigureSums] = {}
        self.arrivals: dict[str, ArrivalTally] = {}

    def endpoint(self, name: str) -> _Sums:
        return self.endpoints.setdefault(name, _Sums())

    def add_ended(self, report: SecondReport) -> None:
        for name, endpoint in report.endpoints.items():
            self.endpoint(name).add_second(endpoint)
        for name, figure in report.figures.items():
            self.figures.setdefault(name, FigureSums()).add(figure)
        for name, arrived in report.arrivals.items():
            self.arrivals.setdefault(name, ArrivalTally()).add(arrived)

    def join(self, other: _Atom) -> None:
        for name, sums in other.endpoints.items():
            self.endpoint(name).add(sums)
        for name, figures in other.figures.items():
            self.figures.setdefault(name, FigureSums()).join(figures)
        for name, tally in other.arrivals.items():
            self.arrivals.setdefault(name, ArrivalTally()).add(tally)


def cut(
    timeline: Timeline, windows: Sequence[Window], selections: Iterable[str] = ()
) -> dict[str, WindowStats]:
    """Statistics of each window by its name.

    `selections` are endpoint patterns (`*`, `?`) that are wanted as one; what the plan is about is
    always among them. Raises HistogramError when a histogram is damaged. Costs about 25 us a
    second, endpoint and source, whatever the number of windows. Memory is that of the windows that
    overlap: until its last second is added, each takes up to three histograms of 0.05 MB an
    endpoint.
    """
    plan = timeline.plan
    planned = () if plan is None or plan.endpoint is None else (plan.endpoint,)
    patterns = tuple(dict.fromkeys((*selections, *planned)))
    spans = [window.seconds() for window in windows]
    edges = sorted(
        {edge for ranges in spans for each in ranges for edge in (each.start, each.stop)}
    )
    held = [_held(edges, ranges) for ranges in spans]
    holders: list[list[int]] = [[] for _ in edges]
    for n, stretches in enumerate(held):
        for stretch in stretches:
            holders[stretch].append(n)
    growing: dict[int, _Atom] = {}
    found: dict[int, WindowStats] = {}
    for stretch, atom in enumerate(_atoms(timeline, edges)):
        for n in holders[stretch]:
            growing.setdefault(n, _Atom()).join(atom)
            if stretch == held[n][-1]:
                found[n] = _window_stats(plan, windows[n], growing.pop(n), patterns)
    return {
        window.name: found.get(n) or _window_stats(plan, window, _Atom(), patterns)
        for n, window in enumerate(windows)
    }


def _held(edges: Sequence[int], ranges: Sequence[range]) -> list[int]:
    """The stretches between two edges that a window holds, by index."""
    return [
        stretch
        for span in ranges
        for stretch in range(bisect_left(edges, span.start), bisect_left(edges, span.stop))
    ]


def _atoms(timeline: Timeline, edges: Sequence[int]) -> Iterator[_Atom]:
    """Sums of the seconds between each two edges, in order of time.

    So every histogram is decoded and added once, whatever the number of windows that hold it.
    """
    # The last one, of what follows the last edge, takes what lies before the first as well.
    atoms = [_Atom() for _ in edges]
    for report in timeline.reports if edges else ():
        for name, endpoint in report.endpoints.items():
            for second, count in endpoint.started.items():
                atoms[bisect_right(edges, second) - 1].endpoint(name).started += count
    reports = deque(sorted(timeline.reports, key=lambda report: report.second))
    for n, (start, stop) in enumerate(pairwise(edges)):
        while reports and reports[0].second < stop:
            report = reports.popleft()
            if report.second >= start:
                atoms[n].add_ended(report)
        yield atoms[n]
        atoms[n] = _Atom()


def _window_stats(
    plan: Plan | None, window: Window, whole: _Atom, patterns: Sequence[str]
) -> WindowStats:
    sums = whole.endpoints
    total = _Sums()
    for entry in sums.values():
        total.add(entry)
    selections = {}
    for pattern in patterns:
        selected = _Sums()
        for name, entry in sums.items():
            if is_about(pattern, name):
                selected.add(entry)
        selections[pattern] = selected.stats()
    ranges = window.seconds()
    covered_s = sum(len(span) for span in ranges)
    return WindowStats(
        window,
        covered_s,
        None if plan is None else sum(_planned_user_s(plan, span) for span in ranges),
        None if plan is None else plan.mean_cycle_s,
        total.stats(),
        {name: sums[name].stats() for name in sorted(sums)},
        selections,
        None if plan is None else plan.endpoint,
        {name: whole.figures[name].stats(covered_s) for name in sorted(whole.figures)},
        _arrivals(plan, ranges, whole.arrivals),
    )


def _arrivals(
    plan: Plan | None, ranges: Sequence[range], seen: Mapping[str, ArrivalTally]
) -> dict[str, ArrivalStats]:
    """Of every class that the plan names, also where none came, and of others that came."""
    planned = {} if plan is None else plan.arrivals
    found = {}
    for name in sorted(planned.keys() | seen.keys()):
        counts = planned.get(name, ())
        expected = sum(sum(counts[max(0, span.start) : max(0, span.stop)]) for span in ranges)
        tally = seen.get(name, ArrivalTally())
        found[name] = ArrivalStats(
            expected, tally.started, tally.completed, dict(sorted(tally.unsent.items()))
        )
    return found


def _planned_user_s(plan: Plan, span: range) -> float:
    return math.fsum(plan.user_seconds[max(0, span.start) : max(0, span.stop)])


def _decoded(encoded: EncodedHistogram | None) -> Histogram | None:
    return decode(encoded) if encoded is not None and encoded.count else None


def _joined(into: Histogram | None, other: Histogram | None) -> Histogram | None:
    """Never `other` itself, which goes into several windows."""
    if other is None:
        return into
    into = into or Histogram()
    into.add(other)
    return into


def latency_of(histogram: Histogram | None) -> Latency:
    """Every quantile of `QUANTILES`; None is a histogram without samples."""
    if histogram is None:
        return Latency(0, None, dict.fromkeys(QUANTILES))
    mean_us = histogram.mean_us
    values_us = histogram.quantiles_us(QUANTILES)
    return Latency(
        histogram.count,
        None if mean_us is None else mean_us / 1000,
        {q: None if v is None else v / 1000 for q, v in zip(QUANTILES, values_us, strict=True)},
    )
