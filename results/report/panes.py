"""Which panes a run has, and what each draws: load, users, latency, errors, target.

A pane without anything to draw is left out. This module must not know the plots' library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from results.document import Document
from results.report.sketch import Band, BandKind, Curve, Mark, Pane, Sketch, Thinning
from results.scrape import COMMIT_MS, CPU_PERCENT, QUEUE_EVENTS
from results.series import ArrivalSeries, LatencySeries, Series
from results.timeline import TargetSample, Timeline
from results.windows import RUN, fault_spans

# Each at least 3 to 1 on a light page and on a dark one.
BLUE, SKY, GREEN, RED = "#3b82f6", "#0891b2", "#16a34a", "#ef4444"
AMBER, VIOLET, GREY, TEAL = "#d97706", "#8b5cf6", "#8492a6", "#0d9488"

NODE_COLOURS = (BLUE, AMBER, GREEN, VIOLET, TEAL, "#db2777", SKY, "#65a30d")

ERROR_COLOURS = {
    "http_5xx": RED,
    "http_4xx": AMBER,
    "timeout": VIOLET,
    "refused": "#db2777",
    "reset": BLUE,
    "malformed": TEAL,
    "check": "#65a30d",
    "local": GREY,
    "other": "#78716c",
}

MOST_NODES = 12
"""A pane: more curves cannot be told apart."""

SMALL_PX = 100


def sketch(timeline: Timeline, series: Series, verdict: Document) -> Sketch:
    """All that is drawn of a run. Of the verdict's document, when the generator was not fit."""
    end_s = float(series.seconds.stop)
    panes = [
        _requests(timeline, series),
        *_users(series),
        *([] if series.arrivals is None else [_arrivals(series.arrivals)]),
        _latency(series),
        *_errors(series),
        *_target(timeline.target, series.seconds),
    ]
    all_bands = (*_phases(timeline), *_faults(timeline), *_unfit(verdict))
    bands = [_clipped(band, end_s) for band in all_bands]
    marks = tuple(
        Mark(one.t_s, f"{one.label}: {one.text}")
        for one in timeline.annotations
        if series.first_s <= one.t_s <= end_s
    )
    return Sketch(series.first_s, end_s, tuple(panes), tuple(filter(None, bands)), marks)


def _requests(timeline: Timeline, series: Series) -> Pane:
    endpoint = timeline.plan.endpoint if timeline.plan is not None else None
    whose = f" ({endpoint})" if endpoint else ""
    curves = [
        Curve("started", series.started, SKY, thinning=Thinning.MEAN, dash="dot"),
        Curve("ended", series.ended, BLUE, thinning=Thinning.MEAN),
    ]
    if any(series.planned_starts):
        planned = Curve(f"planned{whose}", series.planned_starts, GREY, "dash", Thinning.MEAN)
        curves.insert(0, planned)
    return Pane("Requests per second", tuple(curves), "/s", 170)


def _users(series: Series) -> list[Pane]:
    planned = _held(series.planned_users)
    curves = [
        Curve(name, values, colour, dash, Thinning.MEAN)
        for name, values, colour, dash in (
            ("planned", planned, GREY, "dash"),
            ("running", _held(series.users), GREEN, "solid"),
        )
        if any(values)
    ]
    return [Pane("Users", tuple(curves), " users", 120)] if curves else []


def _held(values: Sequence[float | None]) -> list[float | None]:
    """What was last told stands until something else is told, but not beyond the last time."""
    found: list[float | None] = []
    last: float | None = None
    final = max((n for n, value in enumerate(values) if value is not None), default=-1)
    for n, value in enumerate(values):
        last = value if value is not None else last
        found.append(last if n <= final else None)
    return found


def _arrivals(arrivals: ArrivalSeries) -> Pane:
    return Pane(
        "Arrivals per second",
        (
            Curve("planned", arrivals.planned, GREY, "dash", Thinning.MEAN),
            Curve("started", arrivals.started, GREEN, thinning=Thinning.MEAN),
            Curve("unsent", arrivals.unsent, RED),
        ),
        " arrivals/s",
        120,
    )


def _latency(series: Series) -> Pane:
    curves = [
        Curve("p50", series.raw.p50_ms, BLUE),
        Curve("p99", series.raw.p99_ms, AMBER),
        Curve("max", series.raw.max_ms, GREY, hidden=True),
    ]
    if _differ(series.excess, series.raw):
        curves.append(Curve("excess p99", series.excess.p99_ms, GREEN, "dot"))
    if series.corrected is not None:
        curves.append(Curve("corrected p99", series.corrected.p99_ms, VIOLET, "dash"))
    return Pane("Response time in ms", tuple(curves), " ms", 210, logarithmic=True)


def _differ(one: LatencySeries, other: LatencySeries) -> bool:
    return one.p99_ms != other.p99_ms


def _errors(series: Series) -> list[Pane]:
    curves = tuple(
        Curve(kind, counts, ERROR_COLOURS.get(kind, GREY))
        for kind, counts in series.errors.items()
        if any(counts)
    )
    return [Pane("Errors per second", curves, "/s", 120, stacked=True)] if curves else []


def _target(samples: Sequence[TargetSample], seconds: range) -> list[Pane]:
    """A small pane for each value that some node stated."""
    nodes = sorted({sample.node for sample in samples})[:MOST_NODES]
    colours = {node: NODE_COLOURS[n % len(NODE_COLOURS)] for n, node in enumerate(nodes)}
    found = []
    for value, title, unit in (
        (CPU_PERCENT, "Target: CPU in % of a core", " % CPU"),
        (QUEUE_EVENTS, "Target: events in the writer's queue", " in queue"),
        (COMMIT_MS, "Target: commit in ms", " ms commit"),
    ):
        curves = tuple(
            Curve(node, column, colours[node])
            for node, column in _by_node(samples, value, seconds).items()
            if node in colours
        )
        if any(any(curve.values) for curve in curves):
            found.append(Pane(title, curves, unit, SMALL_PX))
    return found


def _by_node(
    samples: Sequence[TargetSample], value: str, seconds: range
) -> Mapping[str, list[float | None]]:
    """A sample speaks for the second before it, as in `results.target`."""
    found: dict[str, list[float | None]] = {}
    for sample in samples:
        n = math.floor(sample.t_s - 0.5) - seconds.start
        if value in sample.values and 0 <= n < len(seconds):
            found.setdefault(sample.node, [None] * len(seconds))[n] = sample.values[value]
    return dict(sorted(found.items()))


def _phases(timeline: Timeline) -> list[Band]:
    phases = timeline.plan.phases if timeline.plan is not None else ()
    return [Band(BandKind.PHASE, p.name, p.start_s, p.end_s) for p in phases]


def _faults(timeline: Timeline) -> list[Band]:
    """Each fault, and once what follows those that overlap."""
    found, recoveries = [], {}
    for span in fault_spans(timeline):
        fault = span.fault
        whom = f" {fault.node}" if fault.node else ""
        name = f"{fault.kind}{whom}"
        band = Band(BandKind.FAULT, name, span.start_s, span.end_s, fault.kind)
        found.append(band)
        if span.recovery is not None:
            recoveries[span.recovery] = Band(
                BandKind.RECOVERY, f"after {name}", *span.recovery, f"after {fault.kind}"
            )
    return [*found, *recoveries.values()]


def _unfit(verdict: Document) -> list[Band]:
    """Of any process for any reason, each second once."""
    windows = (each for each in verdict.rows("windows") if each.text("name") == RUN)
    marks = next(windows, Document()).rows("unfit")
    spans = ((mark.number("from_s"), mark.number("to_s")) for mark in marks)
    found: list[Band] = []
    for start_s, end_s in sorted((a, b) for a, b in spans if a is not None and b is not None):
        if found and start_s <= found[-1].end_s:
            found[-1] = replace(found[-1], end_s=max(end_s, found[-1].end_s))
        else:
            found.append(Band(BandKind.UNFIT, "generator not fit", start_s, end_s, "unfit"))
    return found


def _clipped(band: Band, end_s: float) -> Band | None:
    """The part of it that is drawn; None when there is none."""
    start_s, stop_s = max(0.0, band.start_s), min(band.end_s, end_s)
    return replace(band, start_s=start_s, end_s=stop_s) if start_s < stop_s else None
