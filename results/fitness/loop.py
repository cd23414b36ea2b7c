"""Did each process's loop keep up, and did anybody look?

A loop that is late sends late and times late: what it measures of the target is its own. This
module must not know checks or the target.
"""

from __future__ import annotations

from itertools import pairwise

from results.finding import Finding, Mark
from results.fitness.cause import cause
from results.health import (
    LAG_LIMIT_MS,
    LAG_P99_MS,
    LAG_SPAN_S,
    LATENESS_LIMIT_MS,
    LATENESS_P99_MS,
    LATENESS_SPAN_S,
    WATCH_GAP_S,
    readings_by_source,
)
from results.judging.stretch import long_stretches, longest
from results.timeline import OWNER, Timeline


def lag(timeline: Timeline) -> list[Finding]:
    """The loop's lag p99 over its limit."""
    return _late(
        timeline, "generator_lag", LAG_P99_MS, "the loop's lag p99 was", LAG_LIMIT_MS, LAG_SPAN_S
    )


def lateness(timeline: Timeline) -> list[Finding]:
    """Arrivals of the open model that started too late."""
    return _late(
        timeline,
        "arrivals_late",
        LATENESS_P99_MS,
        "arrivals started late, with a p99",
        LATENESS_LIMIT_MS,
        LATENESS_SPAN_S,
    )


def _late(
    timeline: Timeline, code: str, name: str, what: str, limit_ms: float, span_s: float
) -> list[Finding]:
    """Stretches of successive lines of one source that are over the limit.

    A second in which no arrival was due tells of no lateness: it ends a stretch.
    """
    absent = 0.0 if name == LATENESS_P99_MS else None
    found = []
    readings = readings_by_source(timeline.health, name, absent=absent)
    for source, values in sorted(readings.items()):
        over = long_stretches(values, over=limit_ms, least_s=span_s)
        if not over:
            continue
        worst_ms = max(one.worst for one in over)
        marks = tuple(Mark(source, one.from_s, one.to_s) for one in over)
        text = (
            f"{source}: {what} over {limit_ms:.0f} ms for {longest(over).length_s:.0f} s "
            f"(worst {worst_ms:,.0f} ms): {cause(timeline.health, marks)}"
        )
        found.append(Finding(code, text, marks))
    return found


def unwatched(timeline: Timeline) -> list[Finding]:
    """Each source from its first second to its last; without any report, the run as a whole."""
    measured = readings_by_source(timeline.health, LAG_P99_MS)
    seconds: dict[str, list[int]] = {}
    for report in timeline.reports:
        if report.source != OWNER:
            seconds.setdefault(report.source, []).append(report.second)
    if not seconds and not measured:
        return [
            Finding(
                "unwatched",
                "the generator's loop lag was never measured, so nobody knows whether it kept up",
            )
        ]
    found = []
    for source, reported in sorted(seconds.items()):
        times_s = [t_s for t_s, _ in measured.get(source, [])]
        gaps = _gaps(source, times_s, reported)
        if times_s and not gaps:
            continue
        seen = "never measured"
        if times_s:
            worst_s = max(gap.length_s for gap in gaps)
            seen = f"not measured for {worst_s:.0f} s at a stretch"
        text = (
            f"{source}: the loop's lag was {seen}, so nobody knows whether it kept up: see its log"
        )
        found.append(Finding("unwatched", text, tuple(gaps)))
    return found


def _gaps(source: str, times_s: list[float], seconds: list[int]) -> list[Mark]:
    """Those too long between two lines, from the first second to the first line, and from the last
    line to the last second; without any line all of it.
    """
    known = [*times_s, *seconds]
    first_s, last_s = min(known), max(known)
    if not times_s:
        return [Mark(source, first_s, last_s + 1.0)]
    moments = [first_s, *sorted(times_s), last_s]
    return [Mark(source, a, b) for a, b in pairwise(moments) if b - a > WATCH_GAP_S]
