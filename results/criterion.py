"""A check as data: what is compared, with which limit, in which window and of which endpoint.

Being data it is written to the timeline, so that a verdict can be computed again from the run's
folder alone. `check.py` and `grammar.py` make checks, `evaluation.py` holds them against windows.
This module must not know statistics, or how figures are added up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from results.field import Fields
from results.figure import Statistic, validated_name
from results.measure import (
    OF_WRITES,
    ROLLING,
    USUAL_BOUND,
    Bound,
    Measure,
    Scales,
    Series,
    bounds,
    quantile_name,
)
from results.statistic import QUANTILES
from results.text.notation import duration_text, endpoint_text, figure_text, limit_text, window_text
from results.windows import RUN

COUNTS = frozenset({Statistic.SUM, Statistic.COUNT})
"""Statistics that a shorter run or fewer users make smaller."""

LONGEST_S = 86_400
"""Of `over` and `for`: a day."""


@dataclass(frozen=True, slots=True)
class FigureCriterion:
    """What a check asks of a figure. `over` is the window to divide by, of a ratio alone.

    `scales` says what the limit of a count is scaled by; None: never.
    """

    name: str
    statistic: Statistic
    scales: Scales | None = None
    over: str | None = None

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "statistic": self.statistic.value,
            "scales": None if self.scales is None else self.scales.value,
            "over": self.over,
        }

    @classmethod
    def from_dict(cls, data: object) -> tuple[FigureCriterion, Bound | None]:
        """With the bound that timelines from before checks had one hold here."""
        fields = Fields(data, "check, figure")
        scales = fields.optional_text("scales")
        criterion = cls(
            validated_name(fields.text("name")),
            Statistic(fields.text("statistic")),
            None if scales is None else Scales(scales),
            fields.optional_text("over"),
        )
        bound = Bound(fields.text("bound")) if fields.has("bound") else None
        fields.end()
        if criterion.scales is not None and criterion.statistic not in COUNTS:
            raise ValueError(f"check, figure: a {criterion.statistic} does not scale")
        return criterion, bound


@dataclass(frozen=True, slots=True)
class Check:
    """One criterion. Made by the functions of `check.py`, or from text by `grammar.check`.

    `over_s`: every so many seconds of the window must hold. `for_s`: it fails only when no second
    holds for so many on end. `abort_after_s`: a breach ends the run, from so many seconds after the
    window's beginning on; None: it does not.
    """

    id: str
    measure: Measure
    bound: Bound
    limit: float
    window: str = RUN
    endpoint: str | None = None
    series: Series | None = None
    quantile: float | None = None
    mean_cycle_s: float | None = None
    figure: FigureCriterion | None = None
    over_s: float | None = None
    for_s: float | None = None
    abort_after_s: float | None = None

    @property
    def expression(self) -> str:
        """The whole check as people write it, and as `grammar.check` reads it:
        `p99 < 250ms of GET /a in phase:burst over 10s`."""
        of = "" if self.endpoint is None else f" of {endpoint_text(self.endpoint)}"
        where = "" if self.window == RUN else f" in {window_text(self.window)}"
        abort = ""
        if self.abort_after_s is not None:
            abort = f", abort after {duration_text(self.abort_after_s)}"
        return f"{self._asked}{of}{where}{self._clause}{abort}"

    @property
    def comparison(self) -> str:
        """What is asked, without endpoint and window: `p99 < 250ms over 10s`."""
        return f"{self._asked}{self._clause}"

    @property
    def _asked(self) -> str:
        return f"{self._subject} {self.bound.sign} {limit_text(self.measure.unit, self.limit)}"

    @property
    def _clause(self) -> str:
        if self.over_s is not None:
            return f" over {duration_text(self.over_s)}"
        return "" if self.for_s is None else f" for {duration_text(self.for_s)}"

    @property
    def _subject(self) -> str:
        """What is left of the sign."""
        match self.measure:
            case Measure.ERROR_RATE | Measure.ERRORS:
                return "errors"
            case Measure.LATENCY | Measure.MEAN_LATENCY:
                is_mean = self.measure is Measure.MEAN_LATENCY
                name = "mean" if is_mean else quantile_name(self.quantile or 1.0)
                return name if self.series in (None, Series.RAW) else f"{name}({self.series})"
            case Measure.FIGURE | Measure.RATIO:
                assert self.figure is not None
                name = f"{self.figure.statistic}({figure_text(self.figure.name)})"
                over = self.figure.over
                return name if over is None else f"{name} / {window_text(over)}"
            case _:
                return self.measure.value

    @property
    def scales(self) -> Scales | None:
        """What the limit is scaled by; None: never, as where something must be equal to it: which
        part of it a shorter run comes to nobody knows."""
        if self.bound is Bound.EQUAL:
            return None
        if self.measure is Measure.REQUESTS:
            return Scales.BOTH
        if self.measure is Measure.RATE:
            return Scales.LOAD
        return None if self.figure is None else self.figure.scales

    def as_dict(self) -> dict[str, object]:
        figure = {} if self.figure is None else {"figure": self.figure.as_dict()}
        spans = {name: getattr(self, name) for name in _SPANS if getattr(self, name) is not None}
        return {
            "id": self.id,
            "measure": self.measure.value,
            "bound": self.bound.value,
            "limit": self.limit,
            "window": self.window,
            "endpoint": self.endpoint,
            "series": None if self.series is None else self.series.value,
            "quantile": self.quantile,
            "mean_cycle_s": self.mean_cycle_s,
            # Absent where there is none, as in timelines from before there were any.
            **figure,
            **spans,
        }

    @classmethod
    def from_dict(cls, data: object) -> Check:
        """Raises ValueError that names the field."""
        fields = Fields(data, "check")
        series = fields.optional_text("series")
        measure = Measure(fields.text("measure"))
        figure, bound = None, None
        if fields.has("figure"):
            figure, bound = FigureCriterion.from_dict(fields.table("figure"))
        if fields.has("bound"):
            bound = Bound(fields.text("bound"))
        spans = {name: fields.number(name) for name in _SPANS if fields.has(name)}
        check = cls(
            id=fields.text("id"),
            measure=measure,
            bound=bound or USUAL_BOUND[measure],
            limit=fields.number("limit"),
            window=fields.text("window"),
            endpoint=fields.optional_text("endpoint"),
            series=None if series is None else Series(series),
            quantile=fields.optional_number("quantile"),
            mean_cycle_s=fields.optional_number("mean_cycle_s"),
            figure=figure,
            **spans,
        )
        fields.end()
        require_sound(check)
        return check


_SPANS = ("over_s", "for_s", "abort_after_s")


def named(check: Check) -> Check:
    """With the id that follows from what it asks: two checks of one id ask the same thing, perhaps
    with another limit. One that ends the run is apart from one that is only asked at the end: its
    limit is another by design, and neither may stand for the other."""
    name = _name(check)
    if check.over_s is not None:
        name += f"_over_{duration_text(check.over_s)}"
    if check.for_s is not None:
        name += f"_for_{duration_text(check.for_s)}"
    if check.abort_after_s is not None:
        name += "_abort"
    where = f"[{check.endpoint}]" if check.endpoint else ""
    return replace(check, id=name + where + (f"@{check.window}" if check.window != RUN else ""))


def _name(check: Check) -> str:
    other_side = check.bound.is_lower is not USUAL_BOUND[check.measure].is_lower
    match check.measure:
        case Measure.LATENCY:
            name = f"{check.series}_{quantile_name(check.quantile or 1.0)}"
        case Measure.MEAN_LATENCY:
            name = f"{check.series}_mean"
        case Measure.FIGURE:
            assert check.figure is not None
            return f"{check.figure.name}_{check.figure.statistic}_{check.bound}"
        case Measure.RATIO:
            assert check.figure is not None
            name = f"{check.figure.name}_{check.figure.statistic}_over_{check.figure.over}"
        case _:
            name = check.measure.value
    return f"{name}_{check.bound}" if other_side else name


def require_sound(check: Check) -> None:
    """Raises ValueError when a part is missing that the measure needs, or is too many."""
    if problem := _problem(check):
        raise ValueError(f"check {check.id!r}: {problem}")


def _problem(check: Check) -> str | None:
    measure = check.measure
    if measure is Measure.LATENCY and (check.series is None or check.quantile not in QUANTILES):
        return "a latency needs a series and a known quantile"
    if measure is Measure.MEAN_LATENCY and check.series is None:
        return "a mean latency needs a series"
    about_figure = measure in {Measure.FIGURE, Measure.RATIO}
    if about_figure is (check.figure is None):
        return f"{measure} and its 'figure' do not fit"
    over = None if check.figure is None else check.figure.over
    if (measure is Measure.RATIO) is (over is None):
        return f"{measure} and its 'over' do not fit"
    if check.bound not in bounds(measure):
        signs = ", ".join(bound.sign for bound in bounds(measure))
        return f"{measure} cannot be {check.bound.sign} a limit, use one of {signs}"
    return why_no_spans(check)


def why_no_spans(check: Check) -> str | None:
    """What is wrong with its `over`, `for` and `abort`; None: nothing."""
    if check.over_s is not None and check.for_s is not None:
        return "'over' and 'for' exclude each other: use one of them"
    for name, span_s in (("over", check.over_s), ("for", check.for_s)):
        if span_s is None:
            continue
        if check.measure not in ROLLING:
            return why_not_rolling(check.measure, name)
        if not (1 <= span_s <= LONGEST_S and span_s == int(span_s)):
            return f"{name!r} takes whole seconds from 1s to a day, not {duration_text(span_s)}"
    if check.abort_after_s is not None and not 0 <= check.abort_after_s <= LONGEST_S:
        return f"'abort after' takes 0s to a day, not {duration_text(check.abort_after_s)}"
    return None


def why_not_rolling(measure: Measure, clause: str) -> str:
    """In words that end with what to do."""
    names = "errors, availability, rate and latencies"
    if measure in OF_WRITES:
        why = "writes are audited once, when the run is over"
    elif measure in (Measure.REQUESTS, Measure.ACHIEVED, Measure.UNSENT):
        why = "it is of the whole window"
    elif measure in (Measure.RECOVERY, Measure.DETECTION):
        why = "it is one time of each fault"
    else:
        why = "a figure is of the whole window"
    return f"{measure} has no {clause!r}, since {why}: only {names} have one"
