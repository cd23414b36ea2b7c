"""The grammar of checks: what is written reads back, and any text is read or refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from results.criterion import COUNTS, Check, FigureCriterion, named
from results.errors import CheckError
from results.figure import Statistic
from results.grammar import check
from results.measure import (
    OF_FAULTS,
    OF_WRITES,
    ROLLING,
    Bound,
    Measure,
    Scales,
    Series,
    Unit,
    bounds,
)
from results.statistic import QUANTILES
from results.text.notation import number_text, span_text

WITHOUT_ENDPOINT = OF_WRITES | OF_FAULTS | {Measure.UNSENT, Measure.FIGURE, Measure.RATIO}

names = st.text(min_size=1, max_size=30).filter(lambda name: bool(name.strip()))
printable = st.text(min_size=1, max_size=30).filter(str.isprintable)
times_s = st.floats(0, 86_400).map(lambda value: round(value, 6))


def spans() -> st.SearchStrategy[str]:
    edges = st.tuples(times_s, times_s).filter(lambda edges: edges[0] < edges[1])
    return edges.map(lambda edges: span_text(*edges))


windows = st.one_of(
    st.sampled_from(["run", "baseline", "phase:*", "fault:*", "recovery:*"]),
    st.tuples(st.sampled_from(["phase:", "fault:", "recovery:"]), names).map("".join),
    spans(),
)


def limits(measure: Measure, bound: Bound) -> st.SearchStrategy[float]:
    whole = measure.unit is Unit.COUNT and measure is not Measure.REQUESTS
    if whole:
        counts = st.integers(1 if bound is Bound.BELOW else 0, 2**52)
        return counts.map(float)
    if measure.unit is Unit.OWN:
        return st.floats(-1e18, 1e18, allow_subnormal=False)
    is_share = measure.unit is Unit.SHARE
    # At the very end it could never hold, or never fail, and is refused.
    is_open = bound in (Bound.BELOW, Bound.AT_LEAST) and is_share
    most = 1.0 if is_open else 0.999 if is_share else 1e15
    return st.floats(1e-12, most)


def figures(measure: Measure) -> st.SearchStrategy[FigureCriterion | None]:
    if measure not in (Measure.FIGURE, Measure.RATIO):
        return st.none()
    is_ratio = measure is Measure.RATIO
    over = windows.filter(lambda name: not name.endswith(":*")) if is_ratio else st.none()

    def made(name: str, statistic: Statistic, divisor: str | None) -> FigureCriterion:
        scales = Scales.BOTH if statistic in COUNTS and not is_ratio else None
        return FigureCriterion(name, statistic, scales, divisor)

    return st.builds(made, printable, st.sampled_from(Statistic), over)


@st.composite
def checks(draw: st.DrawFn) -> Check:
    """Any that the grammar can say: a cycle of its own, and how a figure scales, it cannot."""
    measure = draw(st.sampled_from(Measure))
    bound = draw(st.sampled_from(bounds(measure)))
    is_latency = measure in (Measure.LATENCY, Measure.MEAN_LATENCY)
    made = Check(
        "",
        measure,
        bound,
        draw(limits(measure, bound)),
        draw(windows),
        endpoint=None if measure in WITHOUT_ENDPOINT else draw(st.none() | names),
        series=draw(st.sampled_from(Series)) if is_latency else None,
        quantile=draw(st.sampled_from(QUANTILES)) if measure is Measure.LATENCY else None,
        figure=draw(figures(measure)),
        abort_after_s=draw(st.none() | times_s),
    )
    if measure in ROLLING:
        length_s = float(draw(st.integers(1, 86_400)))
        over, for_ = replace(made, over_s=length_s), replace(made, for_s=length_s)
        made = draw(st.sampled_from([made, over, for_]))
    is_count = made.figure is not None and made.figure.statistic is Statistic.COUNT
    if bound is Bound.EQUAL and (is_count or measure is Measure.REQUESTS):
        # No count is equal to anything else.
        made = replace(made, limit=float(round(made.limit)))
    return named(made)


@given(checks())
def test_what_a_check_says_reads_back_as_that_check(made: Check) -> None:
    assert check(made.expression) == made
    assert Check.from_dict(made.as_dict()) == made
    assert made.expression.isprintable()


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3))
def test_a_number_is_written_so_that_no_digit_is_lost(value: float, tens: int) -> None:
    text = number_text(value, tens).replace(",", "")
    assert float(Decimal(text).scaleb(-tens)) == value


@given(st.text(max_size=60))
@example("p99 < 1s in 1s..\ud800")
@example("p99 < 1s of '")
@example("p99(" * 20)
def test_any_text_is_a_check_or_an_error_with_a_place(text: str) -> None:
    try:
        made = check(text)
    except CheckError as error:
        assert "column" in str(error)
    else:
        assert check(made.expression) == made


pieces = st.sampled_from(
    [
        *("p99", "p99.9", "errors", "mean(", "excess", ")", "sum(x)", "/", "<", ">=", "==", "5"),
        *("1,000", "0.1%", "ms", "s", "/s", "of", "GET /a", "in", "phase:x", "run", "1s..2s"),
        *("over", "for", "10s", ",", "abort", "after", '"', "'", "*", "availability", "lost"),
    ]
)


@given(st.lists(pieces, max_size=14), st.sampled_from(["", " "]))
def test_any_order_of_its_words_is_a_check_or_an_error_with_a_place(
    words: list[str], between: str
) -> None:
    try:
        made = check(between.join(words))
    except CheckError as error:
        assert "column" in str(error)
    else:
        assert check(made.expression) == made
