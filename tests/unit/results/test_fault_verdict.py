"""Faults in the verdict: its document, its doubts, and checks that ask for recovery."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from results.check import Check, error_rate, of_faults
from results.fault import FAULT_REFUSED
from results.grammar import check
from results.judging.check_result import Status
from results.measure import Measure
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.statistic import cut
from results.timeline import Annotation, Fault, Plan, PlannedPhase
from results.verdict import Judgement, Verdict, as_document
from results.windows import standard_windows
from tests.unit.results.builder import HEALTHY, request, timeline

PLAN = Plan(20.0, (PlannedPhase("all", 0, 20),), (5,) * 20, (5.0,) * 20, 0.5)
KILL = Fault("kill-1", "kill", "n1", 5.0, 8.0)
SOON = of_faults(Measure.RECOVERY, below_s=5)


def judged(
    *faults: Fault,
    bad: range = range(5, 8),
    checks: tuple[Check, ...] = (error_rate(below=0.5),),
    notes: tuple[Annotation, ...] = (),
    plan: Plan = PLAN,
) -> Judgement:
    samples = [
        request(second + n / 11, outcome=Outcome.HTTP_5XX if second in bad else Outcome.OK)
        for second in range(20)
        for n in range(10)
    ]
    health = tuple(replace(HEALTHY[0], t_s=float(second)) for second in range(20))
    made = timeline(samples, plan=plan, faults=faults, checks=checks, health=health)
    return judge_timeline(replace(made, annotations=notes))


def test_the_document_has_each_fault_with_what_it_did() -> None:
    document = json.loads(json.dumps(as_document(judged(KILL)), allow_nan=False))
    assert document["faults"] == [
        {
            "id": "kill-1",
            "kind": "kill",
            "node": "n1",
            "began_s": 5.0,
            "healed_s": 8.0,
            "windows": ["fault:kill-1", "recovery:kill-1"],
            "detect_s": 0.0,
            "recover_s": 0.0,
            "budget_burnt": 0.3,
            "requests_lost": 0.0,
            "detect_least_s": 0.0,
            "recover_least_s": 0.0,
        }
    ]
    names = [window["name"] for window in document["windows"]]
    assert names == ["run", "phase:all", "baseline", "fault:kill-1", "recovery:kill-1"]
    (fault,) = (w for w in document["windows"] if w["name"] == "fault:kill-1")
    assert fault["total"]["errors_by_status"] == {"200": 30}
    assert judged(KILL).verdict is Verdict.PASS


def test_a_run_without_faults_has_no_word_of_them() -> None:
    assert "faults" not in as_document(judged())
    assert "faults" in as_document(judged(KILL)), "the control"


def test_a_fault_that_nobody_saw_healed_leaves_a_doubt() -> None:
    found = judged(replace(KILL, healed_s=None))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "fault kill-1 was never seen healed" in found.reasons[0]
    document = as_document(found)
    faults = document["faults"]
    assert isinstance(faults, list) and faults[0]["windows"] == ["fault:kill-1"]


def test_a_fault_that_could_not_be_recorded_leaves_a_doubt() -> None:
    note = Annotation(3.0, FAULT_REFUSED, "fault 'a' began twice")
    found = judged(notes=(note,))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons == ("a fault could not be recorded: fault 'a' began twice",)


@pytest.mark.parametrize(
    ("bad", "verdict"),
    [
        (range(5, 8), Verdict.PASS),
        (range(5, 12), Verdict.PASS),
        (range(5, 13), Verdict.FAIL),
    ],
)
def test_recovery_is_held_against_its_limit(bad: range, verdict: Verdict) -> None:
    found = judged(KILL, bad=bad, checks=(error_rate(below=0.5), SOON))
    assert found.verdict is verdict, found.reasons


@pytest.mark.parametrize(
    ("faults", "bad"),
    [
        ((replace(KILL, began_s=15.0, healed_s=19.9),), range(15, 20)),
        ((replace(KILL, began_s=15.0, healed_s=17.0),), range(15, 20)),
        ((KILL, Fault("kill-2", "kill", "n1", 8.2, 10.0)), range(5, 10)),
    ],
)
def test_a_fault_after_which_nobody_could_look_has_not_failed(
    faults: tuple[Fault, ...], bad: range
) -> None:
    """It healed right before the plan's end or the next fault."""
    found = judged(*faults, bad=bad, checks=(error_rate(below=0.99), SOON))
    result = found.results[1]
    assert result.status is Status.INCONCLUSIVE, result.reason
    assert "kill-1: too few seconds were left after its healing" in result.reason
    assert found.impacts[0].recover_s is None
    assert found.impacts[0].recover_least_s is not None
    strict = of_faults(Measure.RECOVERY, below_s=0.9)
    late = judged(*faults, bad=bad, checks=(error_rate(below=0.99), strict)).results[1]
    is_over = faults[0].healed_s == 17.0
    assert late.status is (Status.FAIL if is_over else Status.INCONCLUSIVE), "three seconds broke"


def test_a_target_that_stays_down_while_there_is_time_to_look_has_failed() -> None:
    found = judged(KILL, bad=range(5, 20), checks=(error_rate(below=0.99), SOON))
    assert found.results[1].status is Status.FAIL
    assert "the checks did not hold again after it was healed at 8.0 s" in found.results[1].reason


def test_recovery_without_a_check_of_errors_or_latency_proves_nothing() -> None:
    found = judged(KILL, checks=(SOON,))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("no check says" in reason for reason in found.reasons)


@pytest.mark.parametrize("teller", ["errors < 1% in phase:steady", "errors <= 10000"])
def test_a_target_that_never_came_back_does_not_pass_because_nobody_looked(teller: str) -> None:
    """A burst in which every request failed from the fault on."""
    phases = (PlannedPhase("steady", 0, 5), PlannedPhase("burst", 5, 20))
    plan = replace(PLAN, phases=phases)
    soon = (check("recovery < 15s"), check("detection < 15s"))
    found = judged(KILL, bad=range(5, 20), checks=(check(teller), *soon), plan=plan)
    assert found.verdict is Verdict.INCONCLUSIVE
    recovery, detection = found.results[1:]
    assert recovery.status is detection.status is Status.INCONCLUSIVE
    assert "kill-1: no check says how the target was from 0 s after its healing" in recovery.reason
    seen = judged(
        KILL, bad=range(5, 20), checks=(check("errors < 1% in phase:burst"), *soon), plan=plan
    )
    assert seen.results[1].status is Status.FAIL, "the control"


def test_what_failed_is_told_by_status_the_most_first() -> None:
    def failed(count: int, outcome: Outcome, status: int) -> list[Sample]:
        return [request(1, outcome=outcome)._replace(status=status)] * count

    samples = [
        *failed(2, Outcome.HTTP_5XX, 500),
        *failed(12, Outcome.HTTP_5XX, 503),
        *failed(3, Outcome.TIMEOUT, 0),
        *failed(1, Outcome.CHECK, 200),
        *failed(4, Outcome.HTTP_4XX, 404),
    ]
    made = timeline(samples)
    total = cut(made, standard_windows(made))["run"].total
    assert total.failures == "12 x 503, 4 x 404, 3 x timeout, 2 x 500, 1 x check"
    assert total.statuses == {200: 1, 404: 4, 500: 2, 503: 12}
    of_before = replace(total, statuses={})
    assert of_before.failures == "14 x http_5xx, 4 x http_4xx, 3 x timeout, 1 x check"
