"""What a fault did, on made-up runs whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from results.check import (
    Check,
    availability,
    error_rate,
    errors,
    latency,
    mean_latency,
    requests,
)
from results.grammar import check as text
from results.impact import Impact, impacts
from results.sample import Outcome, Sample
from results.timeline import End, EndReason, Fault, Plan, PlannedPhase, Timeline
from tests.unit.results.builder import request, timeline

PLAN = Plan(60.0, (PlannedPhase("all", 0, 60),), (10,) * 60, (10.0,) * 60, 0.5)
"""Ten users with a cycle of half a second: 20 starts a second."""

ERRORS, QUICK = error_rate(below=0.1), latency(quantile=0.99, below_ms=100)
KILL = Fault("kill-1", "kill", "n1", 20.0, 30.0)

ENDED = End(60.0, EndReason.COMPLETED)

Second = Callable[[int], list[Sample]]


def good(second: int, count: int = 20) -> list[Sample]:
    return [request(second + n / (count + 1)) for n in range(count)]


def failing(second: int) -> list[Sample]:
    return [request(second + n / 21, outcome=Outcome.HTTP_5XX) for n in range(20)]


def slow(second: int) -> list[Sample]:
    return [request(second + n / 100, 500.0) for n in range(20)]


def silent(second: int) -> list[Sample]:
    return []


def run(
    odd: Mapping[range, Second],
    *faults: Fault,
    checks: tuple[Check, ...] = (ERRORS, QUICK),
    plan: Plan | None = PLAN,
) -> tuple[Impact, ...]:
    """Good seconds, but for the odd ones."""
    samples: list[Sample] = []
    for second in range(60):
        make = next((made for span, made in odd.items() if second in span), good)
        samples += make(second)
    made = timeline(samples, plan=plan, faults=faults or (KILL,), checks=checks, end=ENDED)
    return impacts(made, checks)


def of(odd: Mapping[range, Second], *faults: Fault, **more: object) -> Impact:
    (found,) = run(odd, *faults, **more)  # type: ignore[arg-type]
    return found


def test_a_run_without_faults_has_no_impacts() -> None:
    assert impacts(timeline([], plan=PLAN), (ERRORS,)) == ()


def test_a_frozen_target_is_seen_at_once_though_nothing_failed_and_nothing_was_slow() -> None:
    assert of({range(20, 30): silent}) == Impact(
        KILL,
        detect_s=0.0,
        recover_s=0.0,
        budget_burnt=0.0,
        requests_lost=200.0,
        detect_least_s=0.0,
        recover_least_s=0.0,
    )


def test_errors_that_begin_late_and_outlast_the_fault_are_counted_to_their_end() -> None:
    found = of({range(22, 33): failing})
    assert (found.detect_s, found.recover_s, found.requests_lost) == (2.0, 3.0, 0.0)
    # 220 errors; 10 % of 1,200 requests may fail.
    assert found.budget_burnt == pytest.approx(220 / 120)


@pytest.mark.parametrize("check", [QUICK, mean_latency(below_ms=100)])
def test_slowness_counts_as_errors_do(check: Check) -> None:
    found = of({range(20, 40): slow}, checks=(check,))
    assert (found.detect_s, found.recover_s) == (0.0, 10.0)
    assert found.budget_burnt is None, "no check allows errors"


def test_a_fault_that_nobody_felt_has_nothing_to_detect_and_nothing_to_recover_from() -> None:
    assert of({}) == Impact(KILL, None, 0.0, 0.0, 0.0, None, 0.0)


def test_a_target_that_never_comes_back_has_no_time_of_recovery() -> None:
    found = of({range(20, 60): failing})
    assert (found.detect_s, found.recover_s) == (0.0, None)


def test_a_fault_that_was_never_healed_has_no_time_of_recovery() -> None:
    found = of({range(25, 60): silent}, replace(KILL, healed_s=None))
    assert (found.detect_s, found.recover_s, found.requests_lost) == (5.0, None, 700.0)


def test_a_run_that_was_cut_off_lost_nothing_from_there_on() -> None:
    samples = [one for second in range(40) for one in ([] if 20 <= second < 35 else good(second))]
    fault = replace(KILL, healed_s=None)
    for end in (End(40.4, EndReason.ABORTED, "", {}), None):
        made = replace(timeline(samples, plan=PLAN, faults=(fault,)), end=end)
        (found,) = impacts(made, (ERRORS,))
        assert (found.detect_s, found.recover_s, found.requests_lost) == (0.0, None, 300.0)


def test_one_good_second_is_no_recovery() -> None:
    flapping = {range(31, 32): failing, range(33, 34): slow, range(37, 38): silent}
    assert of({range(20, 30): failing, **flapping}).recover_s == 8.0
    assert of({range(20, 30): failing, range(35, 36): failing}).recover_s == 0.0


def test_where_the_plan_ends_sooner_fewer_seconds_must_hold_but_one_at_least() -> None:
    late = replace(KILL, began_s=50.0, healed_s=56.0)
    assert of({range(50, 57): failing}, late).recover_s == 1.0
    assert of({range(50, 60): failing}, late).recover_s is None
    to_the_end = replace(KILL, began_s=50.0, healed_s=60.0)
    assert of({range(50, 60): failing}, to_the_end).recover_s is None
    assert of({}, to_the_end).recover_s == 0.0, "it broke nothing"


def test_a_recovery_takes_longer_than_its_window_when_it_does() -> None:
    plan = replace(PLAN, duration_s=200.0, users=(10,) * 200, user_seconds=(10.0,) * 200)
    samples = [
        one
        for second in range(200)
        for one in (failing(second) if 20 <= second < 120 else good(second))
    ]
    made = timeline(samples, plan=plan, faults=(KILL,))
    (found,) = impacts(made, (ERRORS,))
    assert found.recover_s == 90.0


def test_the_next_fault_ends_the_time_to_recover() -> None:
    first, second = run(
        {range(20, 45): failing},
        Fault("a", "kill", "", 20.0, 25.0),
        Fault("b", "kill", "", 35.0, 40.0),
    )
    assert (first.recover_s, second.recover_s) == (None, 5.0)


def test_faults_that_overlap_recover_together() -> None:
    first, second = run(
        {range(20, 43): failing},
        Fault("a", "kill", "", 20.0, 40.0),
        Fault("b", "pause", "", 25.0, 30.0),
    )
    assert (first.recover_s, second.recover_s) == (3.0, 3.0)
    assert (first.detect_s, second.detect_s) == (0.0, 0.0)


def test_a_fault_within_a_second_is_felt_in_that_second() -> None:
    found = of({range(20, 21): failing}, replace(KILL, began_s=20.6, healed_s=20.7))
    assert (found.detect_s, found.recover_s) == (0.0, 0.0)
    assert found.budget_burnt == pytest.approx(20 / 120)


def test_what_was_expected_follows_the_plan_as_it_was_met_before_the_fault() -> None:
    def half(second: int) -> list[Sample]:
        return good(second, 10)

    doubled = replace(PLAN, user_seconds=(10.0,) * 20 + (20.0,) * 40, users=(10,) * 20 + (20,) * 40)
    found = of({range(20): half, range(20, 30): silent}, plan=doubled)
    # Half of the planned 20/s were met before; 40/s are planned then, so 20/s are expected.
    assert found.requests_lost == pytest.approx(200)
    arrivals = replace(
        PLAN, users=(), user_seconds=(0.0,) * 60, mean_cycle_s=None, arrivals={"A": (10,) * 60}
    )
    found = of({range(20, 30): silent}, plan=arrivals)
    assert found.requests_lost == pytest.approx(200), "each arrival makes two requests"


def test_without_a_baseline_the_plan_is_expected_and_without_a_plan_the_baseline() -> None:
    from_the_start = replace(KILL, began_s=0.0, healed_s=10.0)
    assert of({range(10): silent}, from_the_start).requests_lost == 200
    unknown = replace(PLAN, mean_cycle_s=None)
    assert of({range(10): silent}, from_the_start, plan=unknown).requests_lost is None
    assert of({range(20, 30): silent}, plan=None).requests_lost == 200
    assert of({range(20, 30): silent}, plan=unknown).requests_lost == pytest.approx(200)


def test_a_silence_in_which_little_was_expected_is_none() -> None:
    rare = replace(PLAN, user_seconds=(0.1,) * 60)

    def seldom(second: int) -> list[Sample]:
        return good(second, 1) if second % 5 == 0 else []

    odd = {range(60): seldom}
    assert of(odd, plan=rare).detect_s is None
    longer = {range(20): seldom, range(20, 46): silent, range(46, 60): seldom}
    assert of(longer, plan=rare).detect_s == 0.0, "five were expected in 26 s"


def test_a_check_of_a_phase_is_asked_in_that_phase_alone() -> None:
    phases = (PlannedPhase("low", 0, 25), PlannedPhase("high", 25, 60))
    plan = replace(PLAN, phases=phases)
    strict = error_rate(below=0.1, window="phase:high")
    assert of({range(20, 30): failing}, checks=(strict,), plan=plan).detect_s == 5.0
    unknown = error_rate(below=0.1, window="phase:none")
    assert of({range(20, 30): failing}, checks=(unknown,), plan=plan).detect_s is None


@pytest.mark.parametrize(
    "check",
    [
        replace(ERRORS, over_s=10.0),
        replace(ERRORS, for_s=10.0),
        requests(above=50_000),
        error_rate(below=0.1, window="fault:kill-1"),
        error_rate(below=0.1, endpoint="GET /other"),
    ],
)
def test_checks_that_a_second_cannot_tell_of_are_left_out(check: Check) -> None:
    assert of({range(20, 30): failing}, checks=(check,)).detect_s is None
    assert of({range(20, 30): failing}, checks=(check, ERRORS)).detect_s == 0.0, "the control"


def test_the_budget_is_that_of_the_strictest_check_of_the_run() -> None:
    odd: Mapping[range, Second] = {range(20, 30): failing}
    strict = (ERRORS, errors(at_most=50), availability(above=0.5))
    found = of(odd, checks=strict)
    assert found.budget_burnt == pytest.approx(4.0), "200 errors of 50"
    assert of(odd, checks=(errors(at_most=0),)).budget_burnt is None


LOW_THEN_HIGH = replace(PLAN, phases=(PlannedPhase("low", 0, 30), PlannedPhase("high", 30, 60)))
LOW, HIGH = (error_rate(below=0.1, window=f"phase:{name}") for name in ("low", "high"))
LATE = Fault("kill-1", "kill", "n1", 40.0, 45.0)


def recovery_of(odd: Mapping[range, Second], fault: Fault, *checks: Check) -> tuple[object, object]:
    """At the least, and as it was seen."""
    found = of(odd, fault, checks=checks, plan=LOW_THEN_HIGH)
    return found.recover_least_s, found.recover_s


@pytest.mark.parametrize(
    "check",
    [
        LOW,
        errors(at_most=10_000),
        errors(at_most=1),
        error_rate(below=0.1, endpoint="GET /other"),
        replace(ERRORS, over_s=10.0),
        requests(above=1),
        QUICK,
    ],
)
def test_nobody_knows_of_a_recovery_that_no_check_looks_at(check: Check) -> None:
    broken: Mapping[range, Second] = {range(40, 60): failing}
    assert recovery_of(broken, LATE, check) == (0.0, None)
    for telling in (HIGH, errors(at_most=0), text("errors < 1"), availability(above=0.5)):
        assert recovery_of(broken, LATE, check, telling) == (None, None), "the control"
        well = recovery_of({range(40, 47): failing}, LATE, check, telling)
        assert well == (2.0, 2.0), "the control"


def test_answers_that_all_failed_are_not_quick_and_slow_ones_are_not_well() -> None:
    assert recovery_of({range(40, 60): failing}, LATE, QUICK) == (0.0, None)
    assert recovery_of({range(40, 60): slow}, LATE, QUICK) == (None, None)

    def half(second: int) -> list[Sample]:
        return [*failing(second)[:10], *good(second, 10)]

    assert recovery_of({range(40, 60): half}, LATE, QUICK) == (0.0, 0.0), "it asks no more"


def test_where_checks_stop_looking_a_recovery_has_a_least_and_no_end() -> None:
    early = replace(LATE, began_s=20.0, healed_s=25.0)
    assert recovery_of({range(20, 28): failing}, early, LOW) == (3.0, None)
    assert recovery_of({range(20, 30): failing}, early, LOW) == (5.0, None)
    assert recovery_of({range(20, 25): failing}, early, LOW) == (0.0, 0.0)
    assert recovery_of({range(20, 28): failing}, early, LOW, HIGH) == (3.0, 3.0)


def test_where_checks_begin_to_look_late_times_lie_between_two_bounds() -> None:
    early = replace(LATE, began_s=20.0, healed_s=25.0)
    assert recovery_of({range(20, 25): failing}, early, HIGH) == (0.0, 5.0)
    # Five seconds until it looks: it may have come back, and gone again.
    assert recovery_of({range(20, 33): failing}, early, HIGH) == (0.0, 8.0)
    assert recovery_of({range(20, 60): failing}, early, HIGH) == (0.0, None)
    later = replace(early, healed_s=26.0)
    assert recovery_of({range(20, 33): failing}, later, HIGH) == (7.0, 7.0)
    assert recovery_of({range(20, 60): failing}, later, HIGH) == (None, None)
    found = of({range(20, 33): failing}, early, checks=(HIGH,), plan=LOW_THEN_HIGH)
    assert (found.detect_least_s, found.detect_s) == (0.0, 10.0)
    found = of({range(22, 33): failing}, early, checks=(ERRORS,), plan=LOW_THEN_HIGH)
    assert (found.detect_least_s, found.detect_s) == (2.0, 2.0)


def test_seconds_in_which_nothing_ended_are_well_only_beside_one_that_tells() -> None:
    rare = replace(PLAN, user_seconds=(0.1,) * 60)

    def seldom(second: int) -> list[Sample]:
        return good(second, 1) if second % 10 == 3 else []

    found = of({range(60): seldom}, plan=rare)
    assert (found.recover_least_s, found.recover_s) == (0.0, 0.0)
    found = of({range(31): seldom, range(31, 60): silent}, plan=rare)
    assert (found.recover_least_s, found.recover_s) == (0.0, None)


def test_a_fault_to_the_end_that_broke_nothing_was_looked_at_or_nobody_knows() -> None:
    to_the_end = replace(KILL, began_s=50.0, healed_s=60.0)
    assert recovery_of({}, to_the_end, HIGH) == (0.0, 0.0)
    assert recovery_of({}, to_the_end, LOW) == (0.0, None)
    after = replace(KILL, began_s=60.0, healed_s=60.0)
    assert recovery_of({}, after, HIGH) == (0.0, None), "no second is left to look at"


def test_hostile_times_cost_no_hours() -> None:
    far = Fault("far", "kill", "", -9_999_999.0, 9_999_999.0)
    made: Timeline = timeline(good(1), plan=PLAN, faults=(far,))
    (found,) = impacts(made, (ERRORS,))
    assert found.recover_s is None
