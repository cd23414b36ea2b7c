"""A run second by second: each number is that of a window of one second."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from results.arrival import Unsent
from results.errors import HistogramError, TimelineError
from results.recorder import Recorder
from results.sample import Outcome
from results.series import QUANTILES, LatencySeries, Series, series
from results.statistic import Latency, cut
from results.timeline import Plan, PlannedPhase, Progress, Timeline
from results.windows import interval
from tests.unit.results.builder import HEADER, PLAN, planned_requests, reports, request, timeline


def busy(*, corrected: bool = False) -> Timeline:
    """Two sources, three endpoints, failures, a silent second, late and overhanging requests."""
    rng = random.Random(4)
    samples = []
    for n in range(600):
        start_s = rng.uniform(0, 5)
        took_ms = rng.lognormvariate(3, 1)
        if 2.9 < start_s + took_ms / 1000 < 4.1:
            continue
        outcome = Outcome.OK if rng.random() < 0.9 else rng.choice(list(Outcome))
        name = f"GET /{n % 3}"
        made = request(start_s, took_ms, name=name, outcome=outcome, emulated_ms=took_ms * (n % 2))
        intended_us = made.start_us - 5_000 if corrected else None
        samples.append(made._replace(intended_us=intended_us))
    both = (*reports(samples[::2], "w1"), *reports(samples[1::2], "w2"))
    return replace(timeline([]), reports=both)


def assert_latency(found: LatencySeries, n: int, wanted: Latency) -> None:
    quantiles = [wanted.quantile_ms(quantile) for quantile in QUANTILES]
    assert [found.p50_ms[n], found.p99_ms[n], found.max_ms[n]] == quantiles


def assert_is_cut(made: Timeline, found: Series) -> None:
    """Every second of the series is what `cut` says of a window of that second."""
    windows = [interval(str(second), second, second + 1) for second in found.seconds]
    for n, stats in enumerate(cut(made, windows).values()):
        total = stats.total
        assert (found.ended[n], found.started[n]) == (total.ended, total.started)
        assert found.failed[n] == total.failed
        assert {kind: each[n] for kind, each in found.errors.items() if each[n]} == total.errors
        assert_latency(found.raw, n, total.raw)
        assert_latency(found.excess, n, total.excess)
        if total.corrected is not None:
            assert found.corrected is not None
            assert_latency(found.corrected, n, total.corrected)


@pytest.mark.parametrize("corrected", [False, True])
def test_every_second_is_the_window_of_that_second(corrected: bool) -> None:
    made = busy(corrected=corrected)
    found = series(made)
    assert_is_cut(made, found)
    assert (found.corrected is not None) is corrected
    assert found.ended[3] == 0 and found.raw.p99_ms[3] is None


def test_the_comparison_notices_a_request_more() -> None:
    made = busy()
    further = replace(made, reports=(*made.reports, *reports([request(1.0)], "w3")))
    with pytest.raises(AssertionError):
        assert_is_cut(further, series(made))


def test_it_begins_with_the_first_second_and_lasts_to_the_last() -> None:
    early = request(-1.5, 100)
    late = request(8.2, 100)
    found = series(timeline([early, late]))
    assert found.seconds == range(-2, 9)
    assert found.started == (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)


def test_planned_starts_are_user_seconds_over_the_cycle() -> None:
    found = series(timeline(planned_requests()))
    assert found.planned_starts == (4.0, 4.0, 20.0, 20.0, 4.0, 4.0)
    assert found.started == (4, 4, 20, 20, 4, 4)
    without = series(timeline([request(0.5)], plan=replace(PLAN, mean_cycle_s=None)))
    assert set(without.planned_starts) == {None}


def test_users_are_those_that_were_told_last_in_a_second() -> None:
    told = (Progress(0.1, 1, 2), Progress(0.9, 2, 2), Progress(2.5, 9))
    found = series(replace(timeline([]), progress=told))
    assert found.users == (2, None, 9, None, None, None)
    assert found.planned_users == (2, None, None, None, None, None)


def test_arrivals_are_summed_over_the_user_classes() -> None:
    plan = Plan(
        3.0,
        (PlannedPhase("a", 0, 3),),
        (0, 0, 0),
        (0.0, 0.0, 0.0),
        arrivals={"A": (2, 1, 0), "B": (1, 1, 1)},
    )
    recorder = Recorder(source="w1", origin_us=0)
    recorder.arrival("A", 100)
    recorder.arrival("A", 200, unsent=Unsent.LATE)
    recorder.arrival("B", 1_000_100)
    recorder.close()
    made = tuple(each for each in recorder.reports() if each is not None)
    found = series(Timeline(HEADER, plan, reports=made)).arrivals
    assert found is not None
    assert (found.planned, found.started, found.unsent) == ((3, 2, 1), (1, 1, 0), (1, 0, 0))
    assert series(timeline([])).arrivals is None


def test_a_run_without_requests_has_seconds_without_figures() -> None:
    found = series(Timeline(HEADER))
    assert found.seconds == range(1)
    assert (found.ended, found.failed, found.errors) == ((0,), (0,), {})
    assert found.raw.max_ms == (None,)


def test_a_damaged_histogram_is_found() -> None:
    made = timeline([request(0.1)])
    (report,) = made.reports
    endpoint = report.endpoints["GET /a"]
    spoilt = replace(endpoint, raw=replace(endpoint.raw, data="AAAA"))
    damaged = replace(made, reports=(replace(report, endpoints={"GET /a": spoilt}),))
    with pytest.raises(HistogramError):
        series(damaged)


def test_a_second_that_no_run_can_have_had_is_refused_before_anything_is_counted() -> None:
    (report,) = reports([request(0.1)])
    far = replace(timeline([]), reports=(replace(report, second=2**60),))
    with pytest.raises(TimelineError, match="one of its lines is wrong"):
        series(far)


def test_planned_arrivals_beyond_the_plans_end_are_left_out() -> None:
    plan = Plan(1.0, (PlannedPhase("a", 0, 1),), (0,), (0.0,), arrivals={"A": (2, 7)})
    found = series(Timeline(HEADER, plan)).arrivals
    assert found is not None
    assert found.planned == (2,)
