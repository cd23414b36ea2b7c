"""Checks as Python: a function for each measure; `grammar.check` makes any of them from text.

A check names a measure, a limit, a window and perhaps an endpoint or a figure. What it is as data
is in `criterion.py`, what becomes of patterns in `expansion.py`. This module must not know
statistics: `evaluation.py` holds a check against a window.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import EllipsisType

from results.criterion import COUNTS, Check, FigureCriterion, named
from results.figure import Statistic, validated_name
from results.judging.expansion import (
    EACH_FAULT,
    EACH_PHASE,
    EACH_RECOVERY,
    SHORTEST_ACHIEVED_S,
    expanded,
    interval_windows,
    scaled_counts,
    unknown_windows,
)
from results.measure import (
    OF_FAULTS,
    OF_WRITES,
    USUAL_BOUND,
    Bound,
    Measure,
    Scales,
    Series,
)
from results.statistic import QUANTILES
from results.windows import RUN

__all__ = [
    "EACH_FAULT",
    "EACH_PHASE",
    "EACH_RECOVERY",
    "SHORTEST_ACHIEVED_S",
    "Check",
    "achieved",
    "availability",
    "error_rate",
    "errors",
    "expanded",
    "figure",
    "interval_windows",
    "latency",
    "mean_latency",
    "of_faults",
    "of_writes",
    "rate",
    "ratio",
    "requests",
    "scaled_counts",
    "unknown_windows",
    "unsent",
]


def error_rate(*, below: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """Failed over ended requests, a share: 0.001 is 0.1 %. CANCELLED requests count in neither."""
    _within("below", below, 0, 1)
    return _check(Measure.ERROR_RATE, below, window, endpoint)


def errors(*, at_most: float = 0, window: str = RUN, endpoint: str | None = None) -> Check:
    """At most so many failed requests, whatever the run's length and load: it never scales."""
    _finite("at_most", at_most, least=0)
    return _check(Measure.ERRORS, at_most, window, endpoint)


def requests(*, above: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """More than `above` requests ended, at full length and load: see `scaled_counts`."""
    _finite("above", above, least=0)
    return _check(Measure.REQUESTS, above, window, endpoint)


def achieved(
    *,
    at_least: float,
    mean_cycle_s: float | None = None,
    window: str = RUN,
    endpoint: str | None = None,
) -> Check:
    """Requests started over those planned: the plan's user-seconds over the mean cycle.

    `mean_cycle_s` defaults to the scenario's (0.4474 s for P1-14). Starts count, not completions.
    Of an open load, arrivals started over those planned, which needs no cycle; where the plan has
    users and arrivals, the smaller share counts.
    """
    _within("at_least", at_least, 0, math.inf)
    if mean_cycle_s is not None:
        _within("mean_cycle_s", mean_cycle_s, 0, math.inf)
    check = _check(Measure.ACHIEVED, at_least, window, endpoint)
    return replace(check, mean_cycle_s=mean_cycle_s)


def unsent(*, at_most: float, window: str = RUN) -> Check:
    """Planned arrivals that were not started, a share of the planned: 0.01 is 1 %.

    Whatever the reason (no session free, the generator late, a worker gone). A breach that the
    generator made is INCONCLUSIVE; one that is left without it is a FAIL of the target.
    """
    _finite("at_most", at_most, least=0)
    if at_most >= 1:
        raise ValueError(f"at_most is a share below 1, such as 0.01 for 1 %, not {at_most}")
    return _check(Measure.UNSENT, at_most, window, None)


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
    check = _check(Measure.LATENCY, below_ms, window, endpoint)
    return named(replace(check, series=_series(series), quantile=quantile))


def mean_latency(
    *,
    below_ms: float,
    series: Series | str = Series.RAW,
    window: str = RUN,
    endpoint: str | None = None,
) -> Check:
    """The mean of a series below a limit (F2-6). A mean hides tails: check a quantile as well."""
    _within("below_ms", below_ms, 0, math.inf)
    check = _check(Measure.MEAN_LATENCY, below_ms, window, endpoint)
    return named(replace(check, series=_series(series)))


def figure(
    name: str,
    statistic: Statistic | str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    window: str = RUN,
    scales: Scales | str | EllipsisType | None = ...,
) -> Check:
    """A statistic of a figure that users observe, against exactly one limit.

    A sum or count is meant at full length and load. `scales` says what makes it smaller: both
    scales unless said, "time" alone (users beside the plan), "load" alone, or None for neither.
    """
    limits = {
        Bound.ABOVE: above,
        Bound.AT_LEAST: at_least,
        Bound.BELOW: below,
        Bound.AT_MOST: at_most,
    }
    given = [(bound, limit) for bound, limit in limits.items() if limit is not None]
    if len(given) != 1:
        raise ValueError(
            f"figure {name!r}: give exactly one of above, at_least, below and at_most, "
            f"not {len(given)}"
        )
    bound, limit = given[0]
    _finite(bound.value, limit)
    kind = _statistic(statistic)
    criterion = FigureCriterion(validated_name(name), kind, _scales(scales, kind))
    check = _check(Measure.FIGURE, limit, window, None)
    return named(replace(check, bound=bound, figure=criterion))


def ratio(
    name: str, statistic: Statistic | str, *, over: str, at_least: float, window: str = RUN
) -> Check:
    """A figure's statistic in `window` over the same in the window `over` (F3-8)."""
    _finite("at_least", at_least)
    kind = _statistic(statistic)
    if not over or over == EACH_PHASE:
        raise ValueError(f"over: one window must be named, such as 'phase:single', not {over!r}")
    criterion = FigureCriterion(validated_name(name), kind, over=over)
    check = _check(Measure.RATIO, at_least, window, None)
    return named(replace(check, figure=criterion))


def rate(*, above: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """More than `above` requests end per second, at full load: it scales with `--load-scale`."""
    _finite("above", above, least=0)
    return _check(Measure.RATE, above, window, endpoint)


def availability(*, above: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """Share of the ended requests that succeeded; 0 where none ended though there was load."""
    _finite("above", above, least=0)
    if above >= 1:
        raise ValueError(f"above is a share below 1, such as 0.99 for 99 %, not {above}")
    return _check(Measure.AVAILABILITY, above, window, endpoint)


def of_faults(measure: Measure | str, *, below_s: float, window: str = RUN) -> Check:
    """`recovery` or `detection` of each fault that the window names; of any fault in `run`."""
    kind = Measure(measure)
    if kind not in OF_FAULTS:
        raise ValueError(f"{measure!r}: use one of {sorted(OF_FAULTS)}")
    _within("below_s", below_s, 0, math.inf)
    return _check(kind, below_s, window, None)


def of_writes(measure: Measure | str, *, at_most: float = 0, window: str = RUN) -> Check:
    """At most so many writes of one fate: `lost`, `duplicated`, `altered`, `phantom`,
    `unverified`, `redelivered`. It never scales."""
    kind = Measure(measure)
    if kind not in OF_WRITES:
        raise ValueError(f"{measure!r}: use one of {sorted(OF_WRITES)}")
    _finite("at_most", at_most, least=0)
    check = _check(kind, at_most, window, None)
    return check if at_most == 0 else replace(check, bound=Bound.AT_MOST)


_NAMED_LATER = (Measure.LATENCY, Measure.MEAN_LATENCY, Measure.FIGURE, Measure.RATIO)


def _check(measure: Measure, limit: float, window: str, endpoint: str | None) -> Check:
    if not window:
        raise ValueError(f"{measure}: the window must be named, such as {RUN!r} or 'phase:burst'")
    check = Check("", measure, USUAL_BOUND[measure], float(limit), window, endpoint)
    # Those of a latency or a figure are named when they know theirs.
    return check if measure in _NAMED_LATER else named(check)


def _series(series: Series | str) -> Series:
    try:
        return Series(series)
    except ValueError as error:
        raise ValueError(f"series {series!r}: use one of {[s.value for s in Series]}") from error


def _statistic(statistic: Statistic | str) -> Statistic:
    try:
        return Statistic(statistic)
    except ValueError as error:
        known = [s.value for s in Statistic]
        raise ValueError(f"statistic {statistic!r}: use one of {known}") from error


def _scales(scales: Scales | str | EllipsisType | None, statistic: Statistic) -> Scales | None:
    if isinstance(scales, EllipsisType):
        return Scales.BOTH if statistic in COUNTS else None
    if scales is None:
        return None
    try:
        kind = Scales(scales)
    except ValueError as error:
        known = [s.value for s in Scales]
        raise ValueError(f"scales {scales!r}: use one of {known} or None") from error
    if statistic not in COUNTS:
        raise ValueError(f"scales: a {statistic} does not scale, only a sum or a count does")
    return kind


def _finite(name: str, value: float, *, least: float = -sys.float_info.max) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}")
    if not least <= value <= sys.float_info.max:
        # Also true of NaN.
        lower = "" if least < 0 else f" of {least:g} or more"
        raise ValueError(f"{name} must be a finite number{lower}, not {value}")


def _within(name: str, value: float, above: float, most: float) -> None:
    _finite(name, value)
    if not above < value <= most:
        upper = "" if math.isinf(most) else f" and at most {most}"
        raise ValueError(f"{name} must be a finite number above {above}{upper}, not {value}")
