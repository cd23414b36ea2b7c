"""Checks over time: what they say, and of which seconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from results.check import Check, availability, error_rate, errors, latency, rate
from results.criterion import named
from results.judging.check_result import CheckResult, Status
from results.judging.rolling import LONGEST_WINDOW_S, evaluate_rolling, why_too_short
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.timeline import Plan, PlannedPhase
from results.verdict import Verdict
from results.windows import RUN, Window, interval, phase_windows
from tests.unit.results.builder import PLAN, planned_requests, request, timeline

TEN = interval(RUN, 0, 10)
OVER = replace(error_rate(below=0.5), id="over", over_s=3.0)
FOR = replace(error_rate(below=0.5), id="for", for_s=3.0)


def sent(fine: Sequence[int], failed: Sequence[int] = ()) -> list[Sample]:
    """One request in each of the seconds."""
    good = [request(second + 0.2) for second in fine]
    return good + [request(second + 0.4, outcome=Outcome.TIMEOUT) for second in failed]


def rolled(
    check: Check, samples: Sequence[Sample], window: Window = TEN, plan: Plan | None = None
) -> CheckResult:
    check = replace(check, window=window.name)
    return evaluate_rolling([check], {window.name: window}, timeline(samples, plan=plan))[check.id]


def test_every_interval_must_hold_and_the_worst_is_named() -> None:
    result = rolled(OVER, sent(range(10), [4, 5, 6]))
    assert (result.status, result.value, result.samples) == (Status.FAIL, 0.5, 13)
    assert result.reason == (
        "over: 50 % from 4 to 7 s, the worst 3 s, in window run (13 samples), "
        "asked for errors < 50% over 3s"
    )


def test_a_run_whose_whole_would_hold_breaks_in_its_worst_interval() -> None:
    samples = sent(range(10), [4, 5, 6])
    whole = judge_timeline(timeline(samples, plan=None, checks=[replace(OVER, over_s=None)]))
    assert whole.results[0].status is Status.PASS, "the control"
    over = judge_timeline(timeline(samples, plan=None, checks=[OVER]))
    assert over.results[0].status is Status.FAIL


def test_a_breach_is_told_with_its_length_and_place() -> None:
    result = rolled(FOR, sent([0, 1, 7, 8, 9], [2, 3, 4, 5]))
    assert (result.status, result.value) == (Status.FAIL, 1.0)
    assert "100 % or worse for 4 s on end, from 2 to 6 s, in window run" in result.reason


def test_a_breach_that_is_too_short_passes_within_the_limit() -> None:
    result = rolled(FOR, sent([0, 1, 4, 5, 6], [2, 3]))
    assert (result.status, result.value) == (Status.PASS, 0.0)
    assert "0 % or better in some second of every 3 s in window run" in result.reason


@pytest.mark.parametrize("check", [OVER, FOR])
def test_a_window_that_is_shorter_proves_nothing(check: Check) -> None:
    result = rolled(check, sent(range(10)), interval("phase:one", 2, 4))
    assert result.status is Status.INCONCLUSIVE
    assert "window phase:one is shorter than 3 s" in result.reason
    pieces = Window("phase:two", ((0, 2), (4, 6)))
    assert rolled(check, sent(range(10)), pieces).status is Status.INCONCLUSIVE


PHASES = (interval(RUN, 0, 6), *phase_windows(PLAN))


@pytest.mark.parametrize(
    ("window", "span_s", "held"),
    [
        (RUN, 6.0, None),
        (RUN, 7.0, "and run has no more than 6 s"),
        ("phase:burst", 2.0, None),
        ("phase:burst", 3.0, "and phase:burst has no more than 2 s"),
        ("phase:*", 3.0, "and phase:steady#1 has no more than 2 s"),
        ("phase:steady", 4.0, "and phase:steady has no more than 2 s"),
        ("fault:kill-1", 99.0, None),
        ("phase:none", 99.0, None),
    ],
)
def test_a_plan_that_is_too_short_is_found_ahead(
    window: str, span_s: float, held: str | None
) -> None:
    for check in (replace(OVER, over_s=span_s), replace(FOR, for_s=span_s)):
        why = why_too_short(named(replace(check, window=window)), PHASES)
        assert (why is None) if held is None else (why is not None and held in why)
    assert why_too_short(replace(OVER, over_s=None, window=window), PHASES) is None


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (OVER, "no request ended"),
        (FOR, "no request ended"),
        (replace(latency(quantile=0.5, below_ms=9), over_s=2.0), "no request has a raw latency"),
        (replace(availability(above=0.5), over_s=2.0), "no request ended"),
    ],
)
def test_without_requests_nothing_passes(check: Check, why: str) -> None:
    result = rolled(check, [])
    assert (result.status, result.value) == (Status.INCONCLUSIVE, None)
    assert why in result.reason


def test_a_breach_needs_requests_for_that_long() -> None:
    result = rolled(FOR, sent([4, 5]))
    assert result.status is Status.INCONCLUSIVE
    assert "no requests ended for 3 s on end" in result.reason


def test_an_interval_does_not_reach_over_the_gap_between_two_occurrences() -> None:
    pieces = Window("phase:steady", ((0, 4), (6, 10)))
    check = replace(errors(at_most=2), over_s=4.0)
    assert rolled(check, sent([0, 9], [2, 3, 6, 7]), pieces).value == 2
    whole = rolled(replace(check, over_s=6.0), sent([0, 9], [2, 3, 6, 7]))
    assert whole.value == 4, "the control"


def test_a_frozen_target_has_no_availability_while_requests_hung_that_failed() -> None:
    hung = request(2.0, 5500, outcome=Outcome.TIMEOUT)
    check = replace(availability(above=0.9), over_s=3.0)
    result = rolled(check, [*sent([0, 1]), hung, *sent([8, 9])])
    assert (result.status, result.value) == (Status.FAIL, 0.0)
    assert "from 2 to 5 s" in result.reason
    quiet = rolled(check, [*sent([0, 1]), *sent([8, 9])])
    assert quiet.status is Status.PASS, "nobody asked"


def test_requests_that_take_long_and_succeed_are_available() -> None:
    slow = [request(second + 0.5, 15_000) for second in range(60)]
    plan = constant_plan(60, users=40, mean_cycle_s=1.0)
    for check in (availability(above=0.99), replace(availability(above=0.99), for_s=5.0)):
        check = check if check.for_s else replace(check, over_s=10.0)
        result = rolled(check, slow, interval("phase:one", 0, 60), plan)
        assert (result.status, result.value) == (Status.PASS, 1.0)
    served_later = interval("phase:one", 2, 14)
    result = rolled(replace(availability(above=0.99), over_s=10.0), slow, served_later, plan)
    assert result.status is Status.INCONCLUSIVE, "nothing ended in it"


def test_a_silence_says_nothing_of_errors_and_latencies() -> None:
    plan = constant_plan(20, users=40, mean_cycle_s=0.5)
    few = sent([0, 1])
    for check in (replace(errors(at_most=0), for_s=9.0), replace(error_rate(below=0.1), for_s=9.0)):
        assert rolled(check, few, interval(RUN, 0, 20), plan).status is Status.INCONCLUSIVE
    down = rolled(replace(availability(above=0.5), for_s=9.0), few, interval(RUN, 0, 20), plan)
    assert down.status is Status.FAIL, "the control"


def constant_plan(duration_s: int, *, users: float, mean_cycle_s: float | None) -> Plan:
    phases = (PlannedPhase("one", 0, duration_s),)
    users_of = (round(users),) * duration_s
    return Plan(float(duration_s), phases, users_of, (users,) * duration_s, mean_cycle_s)


@pytest.mark.parametrize("per_10_s", [2.5, 5.0, 7.5, 15.0])
@pytest.mark.parametrize("cycle_s", [None, 4.0])
def test_pauses_by_chance_are_no_outage(per_10_s: float, cycle_s: float | None) -> None:
    """Five minutes of requests that come by chance and are all answered; and a dead target."""
    users = per_10_s / 10 * (cycle_s or 4.0)
    plan = constant_plan(300, users=users, mean_cycle_s=cycle_s)
    window = interval(RUN, 0, 300)
    asked = [
        replace(availability(above=0.99), over_s=10.0),
        replace(availability(above=0.99), for_s=2.0),
        replace(rate(above=0.01), for_s=30.0),
    ]
    for seed in range(10):
        chance, now_s, samples = random.Random(seed), 0.0, []
        while (now_s := now_s + chance.expovariate(per_10_s / 10)) < 299:
            samples.append(request(now_s, 30))
        for check in asked:
            result = rolled(check, samples, window, plan)
            assert result.status is Status.PASS, (seed, result.reason)
    for check in asked if cycle_s else ():
        dead = rolled(check, [s for s in samples if s.end_us < 100e6], window, plan)
        assert (dead.status, dead.value) == (Status.FAIL, 0.0)


def test_users_that_wait_in_step_have_pauses_and_no_outage() -> None:
    """Two users, a request each every six seconds, all of them answered."""
    samples = [request(second + n / 2) for second in (0, 6, 12) for n in range(2)]
    for cycle_s in (None, 6.0):
        plan = constant_plan(18, users=2, mean_cycle_s=cycle_s)
        for check in (availability(above=0.9), rate(above=0.1)):
            result = rolled(replace(check, over_s=3.0), samples, interval(RUN, 0, 18), plan)
            assert result.status is Status.PASS, result.reason


@pytest.mark.parametrize("load", ["users", "arrivals"])
def test_a_silence_counts_from_its_beginning_once_it_is_certain(load: str) -> None:
    """At 10/s it is certain in its fourth second."""
    plan = constant_plan(20, users=10, mean_cycle_s=1.0)
    if load == "arrivals":
        plan = replace(plan, mean_cycle_s=None, arrivals={"Buyer": (10,) * 20})
    check = replace(availability(above=0.9), for_s=5.0)
    window = interval(RUN, 0, 20)
    for silent_s, status in ((4, Status.PASS), (5, Status.FAIL)):
        fine = [s for s in range(20) if not 4 <= s < 4 + silent_s]
        assert rolled(check, sent(fine), window, plan).status is status
    brief = constant_plan(20, users=4, mean_cycle_s=1.0)
    assert rolled(check, sent([0, 1, 2, 3, 9]), interval(RUN, 0, 10), brief).status is Status.PASS


def test_the_rate_of_a_run_is_asked_while_the_plan_lasts() -> None:
    check = replace(rate(above=3), over_s=2.0)
    drained = [*planned_requests(), request(6.5, 3000)]
    result = rolled(check, drained, TEN, PLAN)
    assert (result.status, result.value) == (Status.PASS, 4.0), "as in its first two seconds"
    later = rolled(check, drained, interval("4s..10s", 4, 10), PLAN)
    assert later.status is Status.FAIL, "the control: whoever names the seconds means them"


def test_without_a_plan_the_rate_is_asked_up_to_the_last_request_that_began() -> None:
    check = replace(rate(above=0.9), over_s=2.0)
    assert rolled(check, [*sent(range(6)), request(5.5, 4000)]).value == 1.0
    gap = rolled(check, [*sent([0, 1, 4, 5, 6]), request(1.9, 2500)])
    assert gap.value == 0.0, "the control: a gap in which one hung"


@pytest.mark.parametrize("check", [OVER, FOR, replace(availability(above=0.5), over_s=2.0)])
def test_what_nodes_alone_have_caused_is_firm(check: Check) -> None:
    answered = [request(s + 0.5, outcome=Outcome.HTTP_5XX) for s in range(4)]
    late = [request(s + 0.5, outcome=Outcome.TIMEOUT) for s in range(4)]
    assert rolled(check, answered).firm
    assert rolled(check, late).status is Status.FAIL
    assert not rolled(check, late).firm
    assert not rolled(check, sent(range(4))).firm


def test_a_window_of_weeks_is_not_gone_through() -> None:
    result = rolled(OVER, sent(range(9)), interval(RUN, 0, LONGEST_WINDOW_S + 1))
    assert result.status is Status.INCONCLUSIVE
    assert "longer than" in result.reason


def test_checks_of_whole_windows_are_left_to_others() -> None:
    made = timeline(sent(range(5)))
    assert evaluate_rolling([error_rate(below=0.1)], {RUN: TEN}, made) == {}
    assert evaluate_rolling([OVER], {}, made) == {}


def test_a_missing_window_is_said() -> None:
    check = replace(OVER, window="phase:none")
    judged = judge_timeline(timeline(sent(range(6)), checks=[check]))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "there is no window 'phase:none'" in judged.results[0].reason


def test_each_occurrence_of_a_phase_is_evaluated_by_itself() -> None:
    check = replace(OVER, window="phase:*", id="over@phase:*", over_s=2.0)
    samples = sent(range(6), [2, 3])
    found = {
        r.check.id: r.status for r in judge_timeline(timeline(samples, checks=[check])).results
    }
    assert found == {
        "over@phase:steady#1": Status.PASS,
        "over@phase:burst": Status.FAIL,
        "over@phase:steady#2": Status.PASS,
    }
