"""Sums over the latest seconds: what comes is added, and what goes is taken away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.check import (
    Check,
    availability,
    error_rate,
    errors,
    latency,
    mean_latency,
    rate,
    requests,
)
from results.judging.demand import Demand
from results.judging.sliding import Sliding
from results.judging.tally import Tally
from results.sample import Outcome
from results.timeline import Plan
from tests.unit.results.builder import PLAN, reports, request


def second_of(*took_ms: float, failed: int = 0) -> Tally:
    samples = [request(0.0, each) for each in took_ms]
    samples += [request(0.0, 1.0, outcome=Outcome.HTTP_5XX) for _ in range(failed)]
    made = Tally()
    for report in reports(samples):
        made.add(report.endpoints)
    return made


def values(
    check: Check, length: int | None, *seconds: Tally | None, plan: Plan | None = None
) -> list[float | None]:
    sliding, demand = Sliding(check, length), Demand(plan, check.endpoint)
    found = []
    for second, tally in enumerate(seconds):
        demand.advance(second)
        sliding.push(tally, demand)
        found.append(sliding.value())
    return found


def test_the_maximum_goes_with_its_second() -> None:
    check = latency(quantile=1.0, below_ms=5)
    slow, quick = second_of(90, 10), second_of(20)
    assert values(check, 2, quick, slow, quick, quick, quick) == [20, 90, 90, 20, 20]
    assert values(check, None, quick, slow, quick, quick) == [20, 90, 90, 90]


def test_a_quantile_forgets_the_seconds_that_went() -> None:
    check = latency(quantile=0.5, below_ms=5)
    slow, quick = second_of(90, 90, 90), second_of(20)
    found = values(check, 2, slow, quick, quick, None, None, slow)
    assert found[4] is None, "the last of them went"
    assert [None if one is None else round(one) for one in found] == [90, 90, 20, 20, None, 90]


def test_a_mean_is_of_all_requests_and_not_of_the_seconds() -> None:
    check = mean_latency(below_ms=5)
    assert values(check, 2, second_of(10, 10, 10), second_of(30), None) == [10, 15, 30]


def test_errors_are_a_share_or_a_number() -> None:
    bad, fine = second_of(1, failed=3), second_of(1, 1)
    assert values(error_rate(below=0.1), 2, bad, fine, fine) == [0.75, 0.5, 0]
    assert values(errors(at_most=0), 2, bad, fine, fine) == [3, 3, 0]
    assert values(availability(above=0.1), 2, bad, fine, fine) == [0.25, 0.5, 1]
    assert values(error_rate(below=0.1), 2, None, bad, None, None) == [None, 0.75, 0.75, None]


def test_a_rate_is_of_the_seconds_that_there_were() -> None:
    assert values(rate(above=1), 2, second_of(1, 1), None, None, None) == [2, 1, None, None]
    assert values(rate(above=1), None, second_of(1, 1), None, None, None)[-1] == 0.5


def test_what_is_planned_counts_when_no_chance_explains_the_silence() -> None:
    """PLAN has 4, 4 and 20 starts in its first seconds; those of the latest may end after it."""
    assert values(rate(above=1), 2, *[None] * 6, plan=PLAN) == [None, None, None, 0, 0, 0]
    assert values(availability(above=0.5), None, *[None] * 5, plan=PLAN)[-2:] == [0, 0]
    ended = [None, None, None, second_of(1), None, None]
    assert values(availability(above=0.5), 2, *ended, plan=PLAN) == [None] * 3 + [1, 1, None]
    arriving = replace(PLAN, mean_cycle_s=None, arrivals={"Buyer": (24, 1, 1)})
    assert values(rate(above=1), 1, *[None] * 4, plan=arriving) == [None, None, 0, None]


def test_users_that_wait_in_step_make_pauses_of_nearly_a_cycle() -> None:
    plan = replace(PLAN, user_seconds=(100.0,) * 20, mean_cycle_s=6.0)
    found = values(availability(above=0.5), 2, second_of(1), *[None] * 13, plan=plan)
    assert found == [1, 1, *[None] * 10, 0, 0]


def test_nothing_is_left_when_it_is_cleared() -> None:
    sliding, demand = Sliding(latency(quantile=0.5, below_ms=5), 3), Demand(None, None)
    sliding.push(second_of(90), demand)
    sliding.clear()
    assert sliding.value() is None
    sliding.push(second_of(10), demand)
    assert sliding.value() == pytest.approx(10, rel=0.001)
    assert not sliding.is_full


def test_only_what_nodes_have_caused_counts_beside_it() -> None:
    sliding, demand = Sliding(error_rate(below=0.5), 1), Demand(None, None)
    sliding.push(second_of(1, failed=3), demand)
    assert sliding.node_made_value() == 0.75
    slow = Sliding(latency(quantile=0.5, below_ms=5), 1)
    slow.push(second_of(1), demand)
    assert slow.node_made_value() is None, "a slow generator makes latencies"


def test_a_measure_of_whole_windows_has_no_value_here() -> None:
    with pytest.raises(AssertionError, match="no value of some seconds"):
        Sliding(requests(above=1), 1).value()
