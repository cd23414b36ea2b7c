"""Checks: one criterion each, as data.

A check names a measure, a limit, a window and perhaps an endpoint or a figure; being data it is
written to the timeline, so that a verdict can be computed again from the run's folder alone. This
module must not know statistics: `evaluation.py` holds a check against a window.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import assert_never

from results.criterion import COUNTS, FigureCriterion
from results.field import Fields
from results.figure import Statistic, validated_name
from results.measure import Bound, Measure, Scales, Series, formatted, quantile_name
from results.statistic import QUANTILES
from results.windows import RUN

EACH_PHASE = "phase:*"
"""As a check's window: one check for each occurrence of each phase."""

SHORTEST_ACHIEVED_S = 5.0
"""Occurrences of a phase that are shorter get no `achieved` of their own from `EACH_PHASE`. A step
of users takes a second at either edge, and starts vary by chance: phases of 3 s and less were seen
between 91 and 158 % of their plan while the target kept up. The whole run's share covers them."""


@dataclass(frozen=True, slots=True)
class Check:
    """One criterion. Made by `error_rate`, `errors`, `requests`, `achieved`, `unsent`,
    `latency`, `mean_latency`, `figure` and `ratio` below.
    """

    id: str
    measure: Measure
    limit: float
    window: str
    endpoint: str | None = None
    series: Series | None = None
    quantile: float | None = None
    mean_cycle_s: float | None = None
    figure: FigureCriterion | None = None

    @property
    def expression(self) -> str:
        """As people write it: `error_rate < 0.1 %`."""
        limit = formatted(self.measure, self.limit)
        match self.measure:
            case Measure.ERROR_RATE:
                return f"error_rate < {limit}"
            case Measure.ERRORS:
                return f"errors <= {limit}"
            case Measure.REQUESTS:
                return f"requests > {limit}"
            case Measure.ACHIEVED:
                return f"achieved >= {limit}"
            case Measure.UNSENT:
                return f"unsent <= {limit}"
            case Measure.LATENCY:
                return f"{self.series} {quantile_name(self.quantile or 1.0)} < {limit}"
            case Measure.MEAN_LATENCY:
                return f"{self.series} mean < {limit}"
            case Measure.FIGURE | Measure.RATIO:
                assert self.figure is not None
                over = f" over {self.figure.over}" if self.figure.over else ""
                sign = self.figure.bound.sign
                return f"{self.figure.name} {self.figure.statistic}{over} {sign} {limit}"
            case _:
                assert_never(self.measure)

    @property
    def scales(self) -> Scales | None:
        """What the limit is scaled by; None: never."""
        if self.measure is Measure.REQUESTS:
            return Scales.BOTH
        return None if self.figure is None else self.figure.scales

    def as_dict(self) -> dict[str, object]:
        figure = {} if self.figure is None else {"figure": self.figure.as_dict()}
        return {
            "id": self.id,
            "measure": self.measure.value,
            "limit": self.limit,
            "window": self.window,
            "endpoint": self.endpoint,
            "series": None if self.series is None else self.series.value,
            "quantile": self.quantile,
            "mean_cycle_s": self.mean_cycle_s,
            # Absent without one, as in every timeline from before there were figures.
            **figure,
        }

    @classmethod
    def from_dict(cls, data: object) -> Check:
        """Raises ValueError that names the field."""
        fields = Fields(data, "check")
        series = fields.optional_text("series")
        figure = None
        if fields.has("figure"):
            figure = FigureCriterion.from_dict(fields.table("figure"))
        check = cls(
            id=fields.text("id"),
            measure=Measure(fields.text("measure")),
            limit=fields.number("limit"),
            window=fields.text("window"),
            endpoint=fields.optional_text("endpoint"),
            series=None if series is None else Series(series),
            quantile=fields.optional_number("quantile"),
            mean_cycle_s=fields.optional_number("mean_cycle_s"),
            figure=figure,
        )
        fields.end()
        check._hold_together()
        return check

    def _hold_together(self) -> None:
        """Raises ValueError when a part is missing that the measure needs, or is too many."""
        if self.measure is Measure.LATENCY and (
            self.series is None or self.quantile not in QUANTILES
        ):
            raise ValueError(f"check {self.id!r}: a latency needs a series and a known quantile")
        if self.measure is Measure.MEAN_LATENCY and self.series is None:
            raise ValueError(f"check {self.id!r}: a mean latency needs a series")
        about_figure = self.measure in {Measure.FIGURE, Measure.RATIO}
        if about_figure is (self.figure is None):
            raise ValueError(f"check {self.id!r}: {self.measure} and its 'figure' do not fit")
        over = None if self.figure is None else self.figure.over
        if (self.measure is Measure.RATIO) is (over is None):
            raise ValueError(f"check {self.id!r}: {self.measure} and its 'over' do not fit")


def error_rate(*, below: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """Failed over ended requests, a share: 0.001 is 0.1 %. CANCELLED requests count in neither."""
    _within("below", below, 0, 1)
    return _check(Measure.ERROR_RATE, "error_rate", below, window, endpoint)


def errors(*, at_most: float = 0, window: str = RUN, endpoint: str | None = None) -> Check:
    """At most so many failed requests, whatever the run's length and load: it never scales."""
    _finite("at_most", at_most, least=0)
    return _check(Measure.ERRORS, "errors", at_most, window, endpoint)


def requests(*, above: float, window: str = RUN, endpoint: str | None = None) -> Check:
    """More than `above` requests ended, at full length and load: see `scaled_counts`."""
    _finite("above", above, least=0)
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
    Of an open load, arrivals started over those planned, which needs no cycle; where the plan has
    users and arrivals, the smaller share counts.
    """
    _within("at_least", at_least, 0, math.inf)
    if mean_cycle_s is not None:
        _within("mean_cycle_s", mean_cycle_s, 0, math.inf)
    check = _check(Measure.ACHIEVED, "achieved", at_least, window, endpoint)
    return replace(check, mean_cycle_s=mean_cycle_s)


def unsent(*, at_most: float, window: str = RUN) -> Check:
    """Planned arrivals that were not started, a share of the planned: 0.01 is 1 %.

    Whatever the reason (no session free, the generator late, a worker gone). A breach that the
    generator made is INCONCLUSIVE; one that is left without it is a FAIL of the target.
    """
    _finite("at_most", at_most, least=0)
    if at_most >= 1:
        raise ValueError(f"at_most is a share below 1, such as 0.01 for 1 %, not {at_most}")
    return _check(Measure.UNSENT, "unsent", at_most, window, None)


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
    kind = _series(series)
    name = f"{kind}_{quantile_name(quantile)}"
    check = _check(Measure.LATENCY, name, below_ms, window, endpoint)
    return replace(check, series=kind, quantile=quantile)


def mean_latency(
    *,
    below_ms: float,
    series: Series | str = Series.RAW,
    window: str = RUN,
    endpoint: str | None = None,
) -> Check:
    """The mean of a series below a limit (F2-6). A mean hides tails: check a quantile as well."""
    _within("below_ms", below_ms, 0, math.inf)
    kind = _series(series)
    check = _check(Measure.MEAN_LATENCY, f"{kind}_mean", below_ms, window, endpoint)
    return replace(check, series=kind)


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
    criterion = FigureCriterion(validated_name(name), kind, bound, _scales(scales, kind))
    check = _check(Measure.FIGURE, f"{name}_{kind}_{bound}", limit, window, None)
    return replace(check, figure=criterion)


def ratio(
    name: str, statistic: Statistic | str, *, over: str, at_least: float, window: str = RUN
) -> Check:
    """A figure's statistic in `window` over the same in the window `over` (F3-8)."""
    _finite("at_least", at_least)
    kind = _statistic(statistic)
    if not over or over == EACH_PHASE:
        raise ValueError(f"over: one window must be named, such as 'phase:single', not {over!r}")
    criterion = FigureCriterion(validated_name(name), kind, Bound.AT_LEAST, over=over)
    check = _check(Measure.RATIO, f"{name}_{kind}_over_{over}", at_least, window, None)
    return replace(check, figure=criterion)


def scaled_counts(
    checks: Iterable[Check], *, time_scale: float, load_scale: float
) -> tuple[Check, ...]:
    """Count criteria times the scales that make counts smaller; others never scale."""
    _within("time_scale", time_scale, 0, math.inf)
    _within("load_scale", load_scale, 0, math.inf)
    return tuple(
        check
        if check.scales is None
        else replace(check, limit=check.limit * check.scales.factor(time_scale, load_scale))
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
    wanted: set[str] = set()
    for check in checks:
        wanted.add(check.window)
        if check.figure is not None and check.figure.over is not None:
            wanted.add(check.figure.over)
    return tuple(sorted(wanted - {EACH_PHASE, RUN} - set(windows)))


def _check(measure: Measure, name: str, limit: float, window: str, endpoint: str | None) -> Check:
    if not window:
        raise ValueError(f"{name}: the window must be named, such as {RUN!r} or 'phase:burst'")
    where = (f"[{endpoint}]" if endpoint else "") + (f"@{window}" if window != RUN else "")
    return Check(name + where, measure, float(limit), window, endpoint)


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
