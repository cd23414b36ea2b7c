"""Whole windows in which nothing ended: what the silence says of availability and rate.

`evaluation.py` has requests that ended to go by. Here there are none, and the window's seconds are
gone through as checks `over` some seconds are. This module must not judge what was answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from results.criterion import Check
from results.judging.check_result import CheckResult, Status, holds
from results.judging.demand import Demand
from results.judging.sliding import Sliding
from results.measure import Measure, formatted
from results.statistic import WindowStats
from results.timeline import Timeline

LONGEST_S = 1_000_000
"""Of a window: a damaged timeline may claim any second, and each would be looked at."""


def evaluate_unanswered(
    checks: Iterable[Check], windows: Mapping[str, WindowStats], timeline: Timeline
) -> dict[str, CheckResult]:
    """By the check's id, of those that fail since nothing came back. A silence passes nothing."""
    found: dict[str, CheckResult] = {}
    for check in checks:
        stats = windows.get(check.window)
        if stats is None or not _is_asked(check, stats):
            continue
        value = _value(check, stats, timeline)
        if value is not None and not holds(check, value):
            where = f" of {check.endpoint}" if check.endpoint else ""
            reason = (
                f"{check.id}: {formatted(check.measure, value)}{where} in window {check.window} "
                f"(0 samples), asked for {check.comparison}: no request ended though there was load"
            )
            found[check.id] = CheckResult(check, Status.FAIL, value, 0, reason)
    return found


def _is_asked(check: Check, stats: WindowStats) -> bool:
    of_silence = check.measure in (Measure.AVAILABILITY, Measure.RATE)
    has_span = check.over_s is not None or check.for_s is not None
    is_short = 0 < stats.covered_s <= LONGEST_S
    return of_silence and not has_span and is_short and not stats.of(check.endpoint).ended


def _value(check: Check, stats: WindowStats, timeline: Timeline) -> float | None:
    sliding, demand = Sliding(check, None), Demand(timeline.plan, check.endpoint)
    for report in timeline.reports:
        demand.note(report)
    for span in stats.window.seconds():
        for second in span:
            demand.advance(second)
            sliding.push(None, demand)
    return sliding.value()
