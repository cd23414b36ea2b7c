"""How sure a share is: the interval, when it is told, and what would settle it."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.check import availability, error_rate, errors
from results.judging.check_result import Status, compared
from results.judging.confidence import Z, near_its_limit, needed, wilson
from results.judging.evaluation import evaluate
from results.sample import Outcome
from results.statistic import cut
from results.windows import standard_windows
from tests.unit.results.builder import planned_requests, request, timeline

PAGE = Path(__file__).parents[4] / "docs/checks.md"


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # Agresti and Coull 1998, Newcombe 1998 (method 3): published values.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert list(wilson(hits, total)) == pytest.approx([low, high], abs=5e-5)


@given(st.integers(1, 10**9), st.data())
def test_the_interval_holds_the_share_and_narrows_with_more(
    total: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, total))
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1
    wide_low, wide_high = wilson(hits, total)
    low10, high10 = wilson(hits * 10, total * 10)
    assert high10 - low10 < wide_high - wide_low


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_true_share_is_in_nineteen_of_twenty_intervals(share: float) -> None:
    total = 400
    exact = Fraction(share)
    covered = sum(
        math.comb(total, hits) * exact**hits * (1 - exact) ** (total - hits)
        for hits in range(total + 1)
        if wilson(hits, total)[0] <= share <= wilson(hits, total)[1]
    )
    assert 0.93 < float(covered) < 0.975


@given(st.integers(100, 10**6), st.floats(0.0005, 0.5), st.data())
def test_so_many_requests_settle_it_and_fewer_do_not(
    total: int, limit: float, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, total))
    share = hits / total
    count = needed(share, limit)
    if count is None or count > 10**9 or abs(share - limit) < 1e-6:
        return

    def settles(requests: int) -> bool:
        return abs(share - limit) > Z * math.sqrt(limit * (1 - limit) / requests) * (1 - 1e-12)

    assert settles(count)
    assert count <= 2 or not settles(count - 2)


def test_a_share_on_its_limit_is_never_settled() -> None:
    assert needed(0.01, 0.01) is None


def of(
    failed: int, total: int, limit: float = 0.01
) -> tuple[Status, tuple[float, float] | None, str]:
    check = error_rate(below=limit)
    result = near_its_limit(compared(check, failed / total, total), failed, total)
    return result.status, result.interval, result.reason


def test_a_limit_within_the_interval_is_told_and_changes_no_status() -> None:
    status, interval, reason = of(12, 1000)
    assert status is Status.FAIL
    assert interval == wilson(12, 1000)
    assert "within the 95 % interval of 1,000, 0.6878 % to 2.086 %: 8,508 more" in reason
    status, interval, _ = of(8, 1000)
    assert (status, interval) == (Status.PASS, wilson(8, 1000))
    status, _, reason = of(10, 1000)
    assert status is Status.FAIL and "no number of further requests" in reason


def test_a_limit_outside_of_the_interval_is_no_matter_of_chance() -> None:
    assert of(0, 10_000)[1] is None
    assert of(300, 1000)[1] is None
    assert "interval" not in of(300, 1000)[2]


def test_a_limit_of_nothing_at_all_is_not_a_matter_of_chance() -> None:
    exact = replace(error_rate(below=0.5), limit=0.0)
    assert near_its_limit(compared(exact, 0.0, 5), 0, 5).interval is None
    assert near_its_limit(compared(error_rate(below=0.5), 0.0, 0), 0, 0).interval is None


def test_error_rates_and_availability_tell_theirs_and_counts_do_not() -> None:
    samples = [*planned_requests(), request(3, outcome=Outcome.TIMEOUT)]
    made = timeline(samples)
    windows = cut(made, standard_windows(made))
    told = evaluate(error_rate(below=0.02), windows)
    assert told.interval == wilson(1, len(samples))
    low, high = wilson(len(samples) - 1, len(samples))
    assert evaluate(availability(above=0.97), windows).interval == (low, high)
    assert evaluate(error_rate(below=0.5), windows).interval is None
    assert evaluate(errors(at_most=1), windows).interval is None


def test_the_page_has_what_the_formula_gives() -> None:
    page = PAGE.read_text()
    for hits, total in ((0, 3_000), (0, 50_000), (12, 10_000)):
        low, high = (f"{end * 100:.4g} %" for end in wilson(hits, total))
        assert f"| {hits} of {total:,} | {hits / total * 100:.4g} % | {low} to {high} |" in page
    for hits, total in ((0, 3_000), (12, 10_000)):
        count = needed(hits / total, 0.001)
        assert count is not None and f"| {count - total:,} more" in page
