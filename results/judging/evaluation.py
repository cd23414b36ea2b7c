"""Holds a check against the window that it names: PASS, FAIL or INCONCLUSIVE.

Pure functions of a check and the statistics. No samples, a missing window or a value that is not
a number are never a pass. This module must not know how windows are cut or what a verdict is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from results.arrival import ArrivalStats
from results.audit.audit import Audit
from results.criterion import Check, FigureCriterion
from results.figure import UNMET, Statistic
from results.impact import Impact
from results.judging.check_result import CheckResult, Status, compared, holds, inconclusive
from results.judging.confidence import near_its_limit
from results.judging.expansion import EACH_PHASE, SHORTEST_ACHIEVED_S
from results.judging.fault_check import NEVER_FIRED, evaluate_faults
from results.judging.write_check import evaluate_writes
from results.measure import OF_FAULTS, OF_WRITES, Bound, Measure, Series
from results.statistic import EndpointStats, Latency, WindowStats

__all__ = ["CheckResult", "Status", "evaluate"]


def evaluate(
    check: Check,
    windows: Mapping[str, WindowStats],
    *,
    audit: Audit | None = None,
    impacts: Sequence[Impact] = (),
) -> CheckResult:
    """The check against the window that it names; `audit` and `impacts` are for those about writes
    and faults."""
    cut = {name: stats.window for name, stats in windows.items()}
    if check.measure in OF_FAULTS:
        return evaluate_faults(check, impacts, cut)
    stats = windows.get(check.window)
    if stats is None:
        return _no_window(check, check.window, windows)
    if check.measure in OF_WRITES:
        return evaluate_writes(check, audit, list(cut.values()))
    return _evaluate_requests(check, stats, windows)


def _evaluate_requests(
    check: Check, stats: WindowStats, windows: Mapping[str, WindowStats]
) -> CheckResult:
    endpoint = stats.of(check.endpoint)
    match check.measure:
        case Measure.ERROR_RATE:
            return _error_rate(check, endpoint)
        case Measure.ERRORS:
            return _errors(check, endpoint)
        case Measure.REQUESTS:
            return compared(check, endpoint.ended, endpoint.ended)
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
        case Measure.RATE:
            return _rate(check, stats)
        case Measure.AVAILABILITY:
            return _availability(check, stats)
        case _:
            raise AssertionError(f"{check.measure} is not about requests")


def _achieved(check: Check, stats: WindowStats) -> CheckResult:
    value = stats.achieved(check.endpoint, check.mean_cycle_s)
    if value is None:
        return inconclusive(check, "nothing was planned, or no mean cycle is declared")
    arrived = stats.all_arrivals
    if arrived is None or not arrived.planned or value != arrived.started / arrived.planned:
        return compared(check, value, stats.started(check.endpoint))
    result = compared(check, value, arrived.planned)
    without = (arrived.started + arrived.made_by_generator) / arrived.planned
    return _excused(result, arrived, holds(check, without))


def _unsent(check: Check, stats: WindowStats) -> CheckResult:
    """Samples are the planned arrivals: a run that started none has failed, not shown nothing."""
    arrived = stats.all_arrivals
    share = None if arrived is None else arrived.missing_share
    if arrived is None or share is None:
        return inconclusive(check, "no arrival was planned")
    result = near_its_limit(
        compared(check, share, arrived.planned), arrived.missing, arrived.planned
    )
    without = (arrived.missing - arrived.made_by_generator) / arrived.planned
    return _excused(result, arrived, holds(check, without))


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
        return inconclusive(check, "no request ended")
    result = compared(check, rate, stats.ended, stats.failures)
    firm = not holds(check, stats.node_made_errors / stats.ended)
    result = replace(result, firm=firm and result.status is Status.FAIL)
    return near_its_limit(result, stats.failed, stats.ended)


def _errors(check: Check, stats: EndpointStats) -> CheckResult:
    if not stats.ended:
        return inconclusive(check, "no request ended")
    result = compared(check, stats.failed, stats.ended, stats.failures)
    firm = not holds(check, stats.node_made_errors)
    return replace(result, firm=firm and result.status is Status.FAIL)


def _rate(check: Check, stats: WindowStats) -> CheckResult:
    ended = stats.of(check.endpoint).ended
    return compared(check, ended / max(1, stats.covered_s), ended)


def _availability(check: Check, stats: WindowStats) -> CheckResult:
    """Of a window in which nothing ended, `unanswered.py` tells what that means."""
    endpoint = stats.of(check.endpoint)
    if not endpoint.ended:
        return inconclusive(check, "no request ended")
    result = compared(check, 1 - endpoint.failed / endpoint.ended, endpoint.ended)
    firm = not holds(check, 1 - endpoint.node_made_errors / endpoint.ended)
    result = replace(result, firm=firm and result.status is Status.FAIL)
    return near_its_limit(result, endpoint.ended - endpoint.failed, endpoint.ended)


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
        return inconclusive(check, f"no request has a {check.series} latency")
    return compared(check, value, series.count)


def _figure(check: Check, stats: WindowStats) -> CheckResult:
    criterion = check.figure
    assert criterion is not None
    seen = stats.figures.get(criterion.name)
    if seen is None:
        return _nobody_observed(check, criterion.name, check.window)
    value = seen.of(criterion.statistic)
    result = compared(check, value, seen.count)
    firm = _is_of_wrong_content(criterion, check.bound)
    return replace(result, firm=firm and result.status is Status.FAIL)


def _is_of_wrong_content(criterion: FigureCriterion, bound: Bound) -> bool:
    """Whether the figure is over its limit only by wrong answers, which no slow generator makes.

    How often users looked (`count`) is up to the generator.
    """
    upper = bound in (Bound.AT_MOST, Bound.BELOW, Bound.EQUAL)
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
        return inconclusive(
            check,
            f"the figure {criterion.name!r} has a {criterion.statistic} of 0 in window "
            f"{criterion.over}, which nothing can be divided by",
        )
    value = upper.of(criterion.statistic) / divisor
    return compared(check, value, upper.count)


def _no_window(check: Check, name: str, windows: Mapping[str, WindowStats]) -> CheckResult:
    prefix, _, what = name.partition(":")
    if prefix in ("fault", "recovery"):
        seen = [one for one in windows if one.startswith("fault:")]
        if not seen:
            return inconclusive(check, NEVER_FIRED)
        if f"fault:{what}" in seen:
            why = "it was never seen healed, or another fault followed at once"
            return inconclusive(check, f"there is no time after the fault {what!r}: {why}")
    if name == EACH_PHASE and any(one.startswith("phase:") for one in windows):
        return inconclusive(
            check,
            f"no phase is {SHORTEST_ACHIEVED_S:g} s long, so that its starts would tell: ask for "
            "those of the run beside it, or use a larger --time-scale",
        )
    return inconclusive(check, f"there is no window {name!r}; there are {', '.join(windows)}")


def _nobody_observed(check: Check, figure: str, window: str) -> CheckResult:
    return inconclusive(check, f"nobody observed the figure {figure!r} in window {window}")
