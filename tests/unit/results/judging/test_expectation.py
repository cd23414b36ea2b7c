"""How many requests seconds would have had, one by one and together."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from results.judging.expectation import Expectation
from results.timeline import Fault, Header, Plan
from tests.unit.results.builder import PLAN, planned_requests, timeline

FAULT = Fault("k1", "kill", "n1", 2.0, 3.0)
UNPLANNED = Header("run-1", "test", 0, unplanned=True)


@pytest.mark.parametrize("plan", [PLAN, None, replace(PLAN, arrivals={"Visitor": (1, 2, 3)})])
@pytest.mark.parametrize("seconds", [range(6), range(-3, 2), range(4, 90), range(50, 60)])
def test_all_seconds_together_are_the_sum_of_each(plan: Plan | None, seconds: range) -> None:
    made = timeline(planned_requests(), plan=plan, header=UNPLANNED, faults=(FAULT,))
    expectation = Expectation(made, {0: 4, 1: 5})
    each = [expectation.at(second) for second in seconds]
    assert expectation.over(seconds) == math.fsum(value for value in each if value is not None)
    assert None not in each


def test_of_no_second_nothing_is_expected_and_without_a_measure_nobody_knows() -> None:
    unknown = Expectation(timeline([], plan=None, header=UNPLANNED), {})
    assert unknown.over(range(5, 5)) == 0.0
    assert unknown.over(range(5, 6)) is None


def test_what_nobody_planned_costs_nothing() -> None:
    made = timeline(planned_requests(), faults=(FAULT,))
    expectation = Expectation(made, {0: 4, 1: 4})
    assert expectation.over(range(10**15)) == 56.0
