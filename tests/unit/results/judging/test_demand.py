"""Which seconds had load, whether anything came back or not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.judging.demand import Demand
from results.sample import Outcome, Sample
from results.timeline import Plan
from tests.unit.results.builder import PLAN, reports, request


def under_way(demand: Demand, seconds: range) -> list[int]:
    found = []
    for second in seconds:
        demand.advance(second)
        assert not demand.is_failing
        if demand.is_served:
            found.append(second)
    return found


def noted(*times: tuple[float, float], selection: str | None = None) -> Demand:
    """Of requests that begin and last so many seconds."""
    demand = Demand(None, selection)
    for report in reports([request(start_s, took_s * 1000) for start_s, took_s in times]):
        demand.note(report)
    return demand


def test_a_request_is_under_way_until_the_second_before_the_one_in_which_it_ends() -> None:
    assert under_way(noted((2.5, 3.0)), range(9)) == [2, 3, 4]
    assert under_way(noted((2.5, 0.1)), range(9)) == []
    assert under_way(noted((1.5, 1.0), (4.9, 0.2)), range(9)) == [1, 4]


def test_the_longest_of_those_that_end_together_counts() -> None:
    assert under_way(noted((5.0, 0.1), (1.0, 4.1), (3.0, 2.1)), range(9)) == [1, 2, 3, 4]


def test_other_endpoints_are_not_under_way() -> None:
    assert under_way(noted((2.5, 3.0), selection="GET /b"), range(9)) == []
    assert under_way(noted((2.5, 3.0), selection="GET /*"), range(9)) == [2, 3, 4]


def test_a_request_that_claims_to_have_begun_before_time_costs_nothing() -> None:
    demand = Demand(None, None)
    for report in reports([request(5.0, 100)]):
        for name, endpoint in report.endpoints.items():
            ancient = {name: replace(endpoint, started={-(10**12): 1})}
            demand.note(replace(report, endpoints=ancient))
    assert under_way(demand, range(9)) == [0, 1, 2, 3, 4]


def seen(*samples: Sample) -> tuple[bool, bool]:
    """Of second 2: whether what was under way failed, and whether it was served."""
    demand = Demand(None, None)
    for report in reports(samples):
        demand.note(report)
    demand.advance(2)
    return demand.is_failing, demand.is_served


def hung(outcome: Outcome, start_s: float = 1.0) -> Sample:
    """Until second 5."""
    return request(start_s, (5.5 - start_s) * 1000, outcome=outcome)


def test_what_became_of_those_that_were_under_way_is_told() -> None:
    assert seen(hung(Outcome.OK)) == (False, True)
    assert seen(hung(Outcome.TIMEOUT)) == (True, False)
    assert seen(hung(Outcome.CANCELLED)) == (True, False)
    assert seen(hung(Outcome.RESET), hung(Outcome.RESET)) == (True, False)
    assert seen(hung(Outcome.OK), hung(Outcome.TIMEOUT)) == (True, True)


def test_timeouts_began_first_and_of_other_failures_nobody_knows() -> None:
    assert seen(hung(Outcome.TIMEOUT), request(5.1)) == (True, False)
    assert seen(hung(Outcome.RESET), request(5.1)) == (False, True)


def planned(plan: Plan | None, selection: str | None, second: int) -> float:
    demand = Demand(plan, selection)
    demand.advance(second)
    return demand.planned_starts + demand.planned_arrivals


@pytest.mark.parametrize(("second", "starts"), [(-1, 0), (0, 4), (2, 20), (5, 4), (6, 0)])
def test_a_plan_expects_its_users_over_their_cycle(second: int, starts: float) -> None:
    assert planned(PLAN, None, second) == starts
    assert planned(None, None, second) == 0


def test_of_users_without_a_cycle_nothing_is_expected() -> None:
    assert planned(replace(PLAN, mean_cycle_s=None), None, 2) == 0


def test_arrivals_are_planned_of_all_endpoints_together() -> None:
    plan = replace(PLAN, arrivals={"Buyer": (3, 0, 5), "Guest": (1,)})
    assert planned(plan, None, 0) == 4 + 4
    assert planned(plan, None, 2) == 20 + 5


def test_of_one_endpoint_the_plan_says_something_only_where_it_is_about_that() -> None:
    assert planned(PLAN, "GET /a", 2) == 0
    about = replace(PLAN, endpoint="GET /a", arrivals={"Buyer": (9, 9, 9)})
    assert planned(about, "GET /a", 2) == 20, "arrivals are of user classes"
    assert planned(about, "GET /b", 2) == 0
    assert planned(about, None, 2) == 29
