"""Holds a check against the window that it names: PASS, FAIL or INCONCLUSIVE.

Pure functions of a check and the statistics. No samples, a missing window or a value that is not
a number are never a pass. This module must not know how windows are cut or what a verdict is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from results.arrival import ArrivalStats
from results.audit import Audit
from results.check import Check
from results.criterion import FigureCriterion
from results.figure import UNMET, Statistic
from results.impact import Impact
from results.measure import Bound, Measure, Series, formatted
from results.statistic import EndpointStats, Latency, WindowStats


class Status(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`samples` is what the value rests on. `reason` says in plain words how the status came about.

    `firm` marks a FAIL that a slow generator cannot have caused (D15).
    """

    check: Check
    status: Status
    value: float | None
    samples: int
    reason: str
    firm: bool = False


def evaluate(
    check: Check,
    windows: Mapping[str, WindowStats],
    *,
    audit: Audit | None = None,
    impacts: Sequence[Impact] = (),
) -> CheckResult:
    """The check against the window that it names; `audit` and `impacts` are for those about writes
    and faults."""
    stats = windows.get(check.window)
    if stats is None:
        return _no_window(check, check.window, windows)
    endpoint = stats.of(check.endpoint)
    match check.measure:
        case Measure.ERROR_RATE:
            return _error_rate(check, endpoint)
        case Measure.ERRORS:
            return _errors(check, endpoint)
        case Measure.REQUESTS:
            return _compared(check, endpoint.ended, endpoint.ended, endpoint.ended > check.limit)
        case Measure.ACHIEVED:
            return _achieved(check, stats)
        case Measure.UNSENT:
            return _unsent(check, stats)
        case Measure.LATENCY:
            return _latency(check, endpoint)
        case Measure.MEAN_LATENCY:
            return _mean_latency(check, endpoint)
        case Measure.FIGURE:
            return _figure(check, stats)
        case Measure.RATIO:
            return _ratio(check, stats, windows)
        case _:
            assert_never(check.measure)


def _achieved(check: Check, stats: WindowStats) -> CheckResult:
    value = stats.achieved(check.endpoint, check.mean_cycle_s)
    if value is None:
        return _inconclusive(check, "nothing was planned, or no mean cycle is declared")
    arrived = stats.all_arrivals
    if arrived is None or not arrived.planned or value != arrived.started / arrived.planned:
        return _compared(check, value, stats.started(check.endpoint), value >= check.limit)
    result = _compared(check, value, arrived.planned, value >= check.limit)
    without = (arrived.started + arrived.made_by_generator) / arrived.planned
    return _excused(result, arrived, without >= check.limit)


def _unsent(check: Check, stats: WindowStats) -> CheckResult:
    """Samples are the planned arrivals: a run that started none has failed, not shown nothing."""
    arrived = stats.all_arrivals
    share = None if arrived is None else arrived.missing_share
    if arrived is None or share is None:
        return _inconclusive(check, "no arrival was planned")
    result = _compared(check, share, arrived.planned, share <= check.limit)
    without = (arrived.missing - arrived.made_by_generator) / arrived.planned
    return _excused(result, arrived, without <= check.limit)


def _excused(result: CheckResult, arrived: ArrivalStats, holds_without: bool) -> CheckResult:
    """A breach says what was missing and why; one that the generator made proves nothing."""
    if result.status is not Status.FAIL:
        return result
    reason = f"{result.reason}: {arrived.explained()}"
    status = Status.INCONCLUSIVE if holds_without else Status.FAIL
    return replace(result, status=status, reason=reason)


def _error_rate(check: Check, stats: EndpointStats) -> CheckResult:
    rate = stats.error_rate
    if rate is None:
        return _inconclusive(check, "no request ended")
    result = _compared(check, rate, stats.ended, rate < check.limit)
    firm = stats.node_made_errors / stats.ended >= check.limit
    return replace(result, firm=firm and result.status is Status.FAIL)


def _errors(check: Check, stats: EndpointStats) -> CheckResult:
    if not stats.ended:
        return _inconclusive(check, "no request ended")
    result = _compared(check, stats.failed, stats.ended, stats.failed <= check.limit)
    firm = stats.node_made_errors > check.limit
    return replace(result, firm=firm and result.status is Status.FAIL)


def _latency(check: Check, stats: EndpointStats) -> CheckResult:
    assert check.quantile is not None
    series = _series(check, stats)
    value = None if series is None else series.quantile_ms(check.quantile)
    return _latency_compared(check, series, value)


def _mean_latency(check: Check, stats: EndpointStats) -> CheckResult:
    series = _series(check, stats)
    return _latency_compared(check, series, None if series is None else series.mean_ms)


def _series(check: Check, stats: EndpointStats) -> Latency | None:
    assert check.series is not None
    return {
        Series.RAW: stats.raw,
        Series.EXCESS: stats.excess,
        Series.CORRECTED: stats.corrected,
    }[check.series]


def _latency_compared(check: Check, series: Latency | None, value: float | None) -> CheckResult:
    if series is None or value is None:
        return _inconclusive(check, f"no request has a {check.series} latency")
    return _compared(check, value, series.count, value < check.limit)


def _figure(check: Check, stats: WindowStats) -> CheckResult:
    criterion = check.figure
    assert criterion is not None
    seen = stats.figures.get(criterion.name)
    if seen is None:
        return _nobody_observed(check, criterion.name, check.window)
    value = seen.of(criterion.statistic)
    result = _compared(check, value, seen.count, criterion.bound.holds(value, check.limit))
    firm = _is_of_wrong_content(criterion)
    return replace(result, firm=firm and result.status is Status.FAIL)


def _is_of_wrong_content(criterion: FigureCriterion) -> bool:
    """Whether the figure is over its limit only by wrong answers, which no slow generator makes.

    How often users looked (`count`) is up to the generator.
    """
    upper = criterion.bound in (Bound.AT_MOST, Bound.BELOW)
    return criterion.name == UNMET and upper and criterion.statistic is not Statistic.COUNT


def _ratio(check: Check, stats: WindowStats, windows: Mapping[str, WindowStats]) -> CheckResult:
    criterion = check.figure
    assert criterion is not None and criterion.over is not None
    other = windows.get(criterion.over)
    if other is None:
        return _no_window(check, criterion.over, windows)
    upper, lower = stats.figures.get(criterion.name), other.figures.get(criterion.name)
    if upper is None:
        return _nobody_observed(check, criterion.name, check.window)
    if lower is None:
        return _nobody_observed(check, criterion.name, criterion.over)
    divisor = lower.of(criterion.statistic)
    if divisor == 0:
        return _inconclusive(
            check,
            f"the figure {criterion.name!r} has a {criterion.statistic} of 0 in window "
            f"{criterion.over}, which nothing can be divided by",
        )
    value = upper.of(criterion.statistic) / divisor
    return _compared(check, value, upper.count, criterion.bound.holds(value, check.limit))


def _compared(check: Check, value: float, samples: int, holds: bool) -> CheckResult:
    if samples == 0:
        return _inconclusive(check, "no samples")
    if not (math.isfinite(value) and math.isfinite(check.limit)):
        return _inconclusive(check, f"the value {value} or the limit {check.limit} is no number")
    shown = formatted(check.measure, value)
    status = Status.PASS if holds else Status.FAIL
    where = f" of {check.endpoint}" if check.endpoint else ""
    reason = (
        f"{check.id}: {shown}{where} in window {check.window} ({samples:,} samples), "
        f"asked for {check.expression}"
    )
    return CheckResult(check, status, value, samples, reason)


def _inconclusive(check: Check, why: str) -> CheckResult:
    return CheckResult(check, Status.INCONCLUSIVE, None, 0, f"{check.id}: {why}")


def _no_window(check: Check, name: str, windows: Mapping[str, WindowStats]) -> CheckResult:
    return _inconclusive(check, f"there is no window {name!r}; there are {', '.join(windows)}")


def _nobody_observed(check: Check, figure: str, window: str) -> CheckResult:
    return _inconclusive(check, f"nobody observed the figure {figure!r} in window {window}")
