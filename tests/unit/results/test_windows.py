"""Windows and what is cut by them: midpoints, unions, planned load, exact sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from results.errors import HistogramError
from results.sample import Outcome
from results.statistic import cut
from results.timeline import Plan, PlannedPhase
from results.windows import Window, interval, phase_windows, run_window, standard_windows
from tests.unit.results.builder import PLAN, planned_requests, request, timeline


def test_a_phase_that_occurs_twice_has_a_window_each_and_their_union() -> None:
    assert phase_windows(PLAN) == (
        interval("phase:steady#1", 0, 2),
        interval("phase:burst", 2, 4),
        interval("phase:steady#2", 4, 6),
        Window("phase:steady", ((0, 2), (4, 6)), is_union=True),
    )


def test_every_second_belongs_to_exactly_one_phase() -> None:
    edges = [0, 1.5, 4.5, 13.49, 15]
    plan = Plan(
        15,
        tuple(PlannedPhase(f"p{n}", a, b) for n, (a, b) in enumerate(pairwise(edges))),
        (),
        (),
    )
    seconds = [s for w in phase_windows(plan) for span in w.seconds() for s in span]
    assert sorted(seconds) == list(range(15))
    assert list(phase_windows(plan)[1].seconds()[0]) == [1, 2, 3], "midpoints 1.5 to 3.5"


@pytest.mark.parametrize(
    "make",
    [
        lambda: interval("x", 2, 2),
        lambda: interval("x", 3, 2),
        lambda: interval("x", math.nan, 2),
        lambda: interval("x", 0, math.inf),
        lambda: Window("x", ((0, 5), (4, 6))),
    ],
)
def test_windows_that_are_none_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="window 'x'"):
        make()


def test_the_run_holds_everything_that_was_recorded() -> None:
    made = timeline([request(-2.5), request(3), request(8.9, 300)])
    assert run_window(made) == interval("run", -3, 10)
    assert cut(made, [run_window(made)])["run"].total.ended == 3
    assert run_window(timeline([])) == interval("run", 0, 6)
    assert run_window(timeline([], plan=None)) == interval("run", 0, 1)


def test_phases_partition_the_run_and_the_union_is_the_sum_of_its_parts() -> None:
    made = timeline([*planned_requests(), request(0.5, name="GET /b", outcome=Outcome.RESET)])
    stats = cut(made, standard_windows(made))
    parts = [stats[name] for name in ("phase:steady#1", "phase:burst", "phase:steady#2")]
    run, union = stats["run"], stats["phase:steady"]
    assert sum(part.total.ended for part in parts) == run.total.ended == 57
    assert sum(part.total.started for part in parts) == run.total.started
    assert union.total.ended == parts[0].total.ended + parts[2].total.ended
    assert union.covered_s == 4
    assert union.planned_user_s == 8
    assert run.planned_user_s == 28
    assert run.endpoints["GET /b"].errors == {"reset": 1}
    assert run.total.errors == {"reset": 1}


def test_planned_starts_and_achieved_count_starts_never_completions() -> None:
    made = timeline([request(s / 10, 60_000) for s in range(60)])
    stats = cut(made, standard_windows(made))
    burst = stats["phase:burst"]
    assert (burst.total.ended, burst.total.started) == (0, 20)
    assert burst.planned_starts() == 40
    assert burst.achieved(None) == 0.5
    assert burst.achieved(None, mean_cycle_s=1.0) == 1.0
    assert burst.of("GET /a").started == 20


def test_a_fractional_phase_compares_starts_with_the_plan_of_the_same_seconds() -> None:
    # The burst begins at 1.5 s: second 1 holds half of it, and its midpoint belongs to the burst.
    plan = Plan(
        3.0,
        (PlannedPhase("low", 0, 1.5), PlannedPhase("high", 1.5, 3.0)),
        (10, 20, 20),
        (10.0, 15.0, 20.0),
        1.0,
    )
    made = timeline([], plan=plan)
    stats = cut(made, standard_windows(made))
    assert stats["phase:low"].planned_user_s == 10.0
    assert stats["phase:high"].planned_user_s == 35.0


def test_a_phase_without_a_whole_second_has_no_numbers_rather_than_wrong_ones() -> None:
    plan = Plan(0.4, (PlannedPhase("blink", 0, 0.4),), (5,), (2.0,), 1.0)
    made = timeline([request(0.1)], plan=plan)
    stats = cut(made, standard_windows(made))
    blink = stats["phase:blink"]
    assert (blink.covered_s, blink.total.ended, blink.rate, blink.planned_users) == (
        0,
        0,
        None,
        None,
    )
    assert blink.achieved(None) is None
    assert stats["run"].total.ended == 1


def test_latencies_are_cut_per_endpoint_series_and_window() -> None:
    made = timeline(
        [request(0.1 + n / 1000, took_ms=n + 1, name="a", emulated_ms=n) for n in range(100)]
        + [request(3, took_ms=500, name="b")]
    )
    run = cut(made, standard_windows(made))["run"]
    raw = run.of("a").raw
    assert raw.count == 100
    assert raw.mean_ms == pytest.approx(50.5)
    assert raw.quantile_ms(0.99) == pytest.approx(99, rel=1e-3)
    assert raw.quantile_ms(1.0) == 100
    assert run.of("a").excess.quantile_ms(1.0) == 1.0
    assert run.total.raw.quantile_ms(1.0) == 500
    assert run.total.corrected is None
    nothing = run.of("never")
    assert (nothing.ended, nothing.error_rate, nothing.raw.quantile_ms(0.5)) == (0, None, None)


def test_a_pattern_selects_endpoints_as_one() -> None:
    made = timeline(
        [request(0, name="POST /x/{a}"), request(0, name="POST /x/b"), request(0, name="GET /y")]
    )
    run = cut(made, standard_windows(made), ["POST /x/*", "nothing*"])["run"]
    assert run.of("POST /x/*").ended == 2
    assert run.of("nothing*").ended == 0
    assert run.of("POST /x/{a}").ended == 1


def test_many_windows_give_the_same_as_one_at_a_time() -> None:
    made = timeline(planned_requests())
    windows = [interval(f"w{n}", n / 4, n / 4 + 1) for n in range(20)]
    together = cut(made, windows)
    assert len(together) == 20
    for window in windows:
        assert cut(made, [window])[window.name] == together[window.name]


def test_cancelled_requests_are_started_and_nothing_else() -> None:
    made = timeline([request(1), request(1, outcome=Outcome.CANCELLED)])
    total = cut(made, standard_windows(made))["run"].total
    assert (total.ended, total.started, total.cancelled, total.failed) == (1, 2, 1, 0)


def test_a_damaged_histogram_is_found_while_cutting() -> None:
    made = timeline([request(1)])
    report = made.reports[0]
    endpoint = report.endpoints["GET /a"]
    broken = replace(endpoint, raw=replace(endpoint.raw, data="AAAA"))
    made = replace(made, reports=(replace(report, endpoints={"GET /a": broken}),))
    with pytest.raises(HistogramError, match="damaged"):
        cut(made, standard_windows(made))
