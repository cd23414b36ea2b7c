"""Checks: one criterion each, as data, and their evaluation as pure functions.

A check names a measure, a limit, a window and perhaps an endpoint; being data it is written to the
timeline, so that a verdict can be computed again from the run's folder alone. Evaluating gives
PASS, FAIL or INCONCLUSIVE; no samples, a missing window or a value that is not a number are never
a pass. This module must not know how windows are cut or what a verdict is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from results.field import Fields
from results.statistic import QUANTILES, EndpointStats, WindowStats
from results.windows import RUN

EACH_PHASE = "phase:*"
"""As a check's window: one check for each occurrence of each phase."""

SHORTEST_ACHIEVED_S = 5.0
"""Occurrences of a phase that are shorter get no `achieved` of their own from `EACH_PHASE`. A step
of users takes a second at either edge, and starts vary by chance: phases of 3 s and less were seen
between 91 and 158 % of their plan while the target kept up. The whole run's share covers them."""


class Measure(StrEnum):
    """What is compared, in the unit of the limit."""

    ERROR_RATE = "error_rate"  # share of ended requests, 0 to 1
    REQUESTS = "requests"  # ended requests
    ACHIEVED = "achieved"  # started over planned starts
    LATENCY = "latency"  # milliseconds


class Series(StrEnum):
    """Which latency: response time, less the emulated part, or from the intended start."""

    RAW = "raw"
    EXCESS = "excess"
    CORRECTED = "corrected"


class Status(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Check:
    """One criterion. Made by `error_rate`, `requests`, `achieved` and `latency` below."""

    id: str
    measure: Measure
    limit: float
    window: str
    endpoint: str | None = None
    series: Series | None = None
    quantile: float | None = None
    mean_cycle_s: float | None = None

    @property
    def expression(self) -> str:
        """As people write it: `error_rate < 0.1 %`."""
        limit = formatted(self.measure, self.limit)
        match self.measure:
            case Measure.ERROR_RATE:
                return f"error_rate < {limit}"
            case Measure.REQUESTS:
                return f"requests > {limit}"
            case Measure.ACHIEVED:
                return f"achieved >= {limit}"
            case Measure.LATENCY:
                return f"{self.series} {quantile_name(self.quantile or 1.0)} < {limit}"
            case _:
                assert_never(self.measure)

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "measure": self.measure.value,
            "limit": self.limit,
            "window": self.window,
            "endpoint": self.endpoint,
            "series": None if self.series is None else self.series.value,
            "quantile": self.quantile,
            "mean_cycle_s": self.mean_cycle_s,
        }

    @classmethod
    def from_dict(cls, data: object) -> Check:
        """Raises ValueError that names the field."""
        fields = Fields(data, "check")
        series = fields.optional_text("series")
        check = cls(
            id=fields.text("id"),
            measure=Measure(fields.text("measure")),
            limit=fields.number("limit"),
            window=fields.text("window"),
            endpoint=fields.optional_text("endpoint"),
            series=None if series is None else Series(series),
            quantile=fields.optional_number("quantile"),
            mean_cycle_s=fields.optional_number("mean_cycle_s"),
        )
        fields.end()
        if check.measure is Measure.LATENCY and (
            check.series is None or check.quantile not in QUANTILES
        ):
            raise ValueError(f"check {check.id!r}: a latency needs a series and a known quantile")
        return check


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


def error_rate(*, below: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """Failed over ended requests, a share: 0.001 is 0.1 %. CANCELLED requests count in neither."""
    _within("below", below, 0, 1)
    return _check(Measure.ERROR_RATE, "error_rate", below, window, endpoint)


def requests(*, above: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """More than `above` requests ended, at full length and load: see `scaled_counts`."""
    if not (math.isfinite(above) and above >= 0):
        raise ValueError(f"above must be a finite number of 0 or more, not {above}")
    return _check(Measure.REQUESTS, "requests", above, window, endpoint)


def achieved(
    *,
    at_least: float,
    mean_cycle_s: float | None = None,
    window: str = RUN,
    endpoint: str | None = None,
) -> Check:
    """Requests started over those planned: the plan's user-seconds over the mean cycle.

    `mean_cycle_s` defaults to the scenario's (0.4474 s for P1-14). Starts count, not completions.
    """
    _within("at_least", at_least, 0, math.inf)
    if mean_cycle_s is not None:
        _within("mean_cycle_s", mean_cycle_s, 0, math.inf)
    check = _check(Measure.ACHIEVED, "achieved", at_least, window, endpoint)
    return replace(check, mean_cycle_s=mean_cycle_s)


def latency(
    *,
    quantile: float,
    below_ms: float,
    series: Series | str = Series.RAW,
    window: str = RUN,
    endpoint: str | None = None,
) -> Check:
    """A quantile of `results.statistic.QUANTILES` (1.0 is the maximum) below a limit."""
    _within("below_ms", below_ms, 0, math.inf)
    if quantile not in QUANTILES:
        raise ValueError(f"quantile {quantile} is not computed, use one of {QUANTILES}")
    try:
        kind = Series(series)
    except ValueError as error:
        raise ValueError(f"series {series!r}: use one of {[s.value for s in Series]}") from error
    name = f"{kind}_{quantile_name(quantile)}"
    check = _check(Measure.LATENCY, name, below_ms, window, endpoint)
    return replace(check, series=kind, quantile=quantile)


def scaled_counts(checks: Iterable[Check], count_scale: float) -> tuple[Check, ...]:
    """Count criteria times `count_scale` (time scale times load scale); others never scale."""
    _within("count_scale", count_scale, 0, math.inf)
    return tuple(
        replace(check, limit=check.limit * count_scale)
        if check.measure is Measure.REQUESTS
        else check
        for check in checks
    )


def expanded(
    checks: Iterable[Check], windows: Sequence[str], *, short: Collection[str] = ()
) -> tuple[Check, ...]:
    """`EACH_PHASE` becomes one check per phase occurrence among the window names.

    `short` names the windows below `SHORTEST_ACHIEVED_S`. Raises ValueError when two checks have
    the same id.
    """
    found: list[Check] = []
    for check in checks:
        if check.window != EACH_PHASE:
            found.append(check)
            continue
        for name in windows:
            union = any(other.startswith(f"{name}#") for other in windows)
            too_short = check.measure is Measure.ACHIEVED and name in short
            if name.startswith("phase:") and not union and not too_short:
                found.append(replace(check, window=name, id=check.id.replace(EACH_PHASE, name)))
    ids = [check.id for check in found]
    for one in ids:
        if ids.count(one) > 1:
            raise ValueError(f"two checks have the id {one!r}: remove one of them")
    return tuple(found)


def unknown_windows(checks: Iterable[Check], windows: Sequence[str]) -> tuple[str, ...]:
    """Windows that checks name and the plan does not have: bad configuration, before any load."""
    wanted = {check.window for check in checks} - {EACH_PHASE, RUN}
    return tuple(sorted(wanted - set(windows)))


def evaluate(check: Check, windows: Mapping[str, WindowStats]) -> CheckResult:
    """The check against the window that it names."""
    stats = windows.get(check.window)
    if stats is None:
        known = ", ".join(windows)
        return _inconclusive(check, f"there is no window {check.window!r}; there are {known}")
    endpoint = stats.of(check.endpoint)
    match check.measure:
        case Measure.ERROR_RATE:
            return _error_rate(check, endpoint)
        case Measure.REQUESTS:
            return _compared(check, endpoint.ended, endpoint.ended, endpoint.ended > check.limit)
        case Measure.ACHIEVED:
            value = stats.achieved(check.endpoint, check.mean_cycle_s)
            if value is None:
                return _inconclusive(check, "nothing was planned, or no mean cycle is declared")
            return _compared(check, value, endpoint.started, value >= check.limit)
        case Measure.LATENCY:
            return _latency(check, endpoint)
        case _:
            assert_never(check.measure)


def _error_rate(check: Check, stats: EndpointStats) -> CheckResult:
    rate = stats.error_rate
    if rate is None:
        return _inconclusive(check, "no request ended")
    result = _compared(check, rate, stats.ended, rate < check.limit)
    firm = stats.node_made_errors / stats.ended >= check.limit
    return replace(result, firm=firm and result.status is Status.FAIL)


def _latency(check: Check, stats: EndpointStats) -> CheckResult:
    assert check.series is not None and check.quantile is not None
    series = {
        Series.RAW: stats.raw,
        Series.EXCESS: stats.excess,
        Series.CORRECTED: stats.corrected,
    }[check.series]
    value = None if series is None else series.quantile_ms(check.quantile)
    if series is None or value is None:
        return _inconclusive(check, f"no request has a {check.series} latency")
    return _compared(check, value, series.count, value < check.limit)


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


def formatted(measure: Measure, value: float | None) -> str:
    """A value or limit with its unit, for people."""
    if value is None:
        return "-"
    match measure:
        case Measure.ERROR_RATE:
            return f"{value * 100:.4g} %"
        case Measure.ACHIEVED:
            return f"{value * 100:.2f} %"
        case Measure.REQUESTS:
            return f"{value:,.0f}"
        case Measure.LATENCY:
            return f"{value:,.1f} ms" if value < 1000 else f"{value:,.0f} ms"
        case _:
            assert_never(measure)


def quantile_name(quantile: float) -> str:
    """0.99 is p99, 0.999 is p99.9, 1.0 is max."""
    return "max" if quantile == 1.0 else f"p{quantile * 100:g}"


def _check(measure: Measure, name: str, limit: float, window: str, endpoint: str | None) -> Check:
    if not window:
        raise ValueError(f"{name}: the window must be named, such as {RUN!r} or 'phase:burst'")
    where = (f"[{endpoint}]" if endpoint else "") + (f"@{window}" if window != RUN else "")
    return Check(name + where, measure, float(limit), window, endpoint)


def _within(name: str, value: float, above: float, most: float) -> None:
    if not (math.isfinite(value) and above < value <= most):
        upper = "" if math.isinf(most) else f" and at most {most}"
        raise ValueError(f"{name} must be a finite number above {above}{upper}, not {value}")
