"""What hangs when the plan is over fails after its last phase: somebody must have asked for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.check import Check, availability, error_rate, errors, latency
from results.judging.abort import CHECK_ABORTED
from results.judging.leftover import leftover_doubts
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.stress import LIMIT_FOUND, LIMIT_NOT_FOUND
from results.timeline import Annotation
from results.verdict import ExitCode, Verdict
from tests.unit.results.builder import HEADER, planned_requests, request, timeline

PHASES = error_rate(below=0.01, window="phase:*")
QUICK = latency(quantile=0.99, below_ms=500, window="phase:*")


def hanging(count: int, start_s: float = 5.2) -> list[Sample]:
    """Requests that time out after 3 s, by default when PLAN is over."""
    return [request(start_s, 3000, outcome=Outcome.TIMEOUT) for _ in range(count)]


def doubts(samples: list[Sample], *checks: Check) -> list[str]:
    return leftover_doubts(timeline(samples), checks)


def test_a_target_that_dies_late_does_not_pass_by_what_its_phases_saw() -> None:
    died = [*planned_requests(), *hanging(2)]
    judged = judge_timeline(timeline(died, checks=[PHASES, QUICK]))
    assert [str(result.status) for result in judged.results] == ["PASS"] * 6, "the control"
    assert judged.verdict is Verdict.INCONCLUSIVE
    (reason,) = judged.reasons
    assert "2 of 2 requests that were under way when the plan ended failed" in reason
    assert "add error_rate(below=" in reason
    covered = judge_timeline(timeline(died, checks=[PHASES, QUICK, error_rate(below=0.01)]))
    assert covered.exit_code is ExitCode.FAIL


@pytest.mark.parametrize(
    "check", [error_rate(below=0.9), errors(at_most=9), availability(above=0.1)]
)
def test_a_check_of_the_runs_failures_has_asked(check: Check) -> None:
    assert doubts(hanging(9), check) == []
    assert doubts(hanging(9), replace(check, endpoint="GET /b")) != [], "of some requests only"
    assert doubts(hanging(9), replace(check, window="phase:burst")) != []
    assert doubts(hanging(9), replace(check, for_s=5.0)) != [], "they may all fail in fewer"
    assert doubts(hanging(9), replace(check, over_s=5.0)) == []
    assert doubts(hanging(9), latency(quantile=0.5, below_ms=10)) != [], "of how long, not whether"


def test_what_fails_now_and_then_or_began_after_the_plan_is_no_doubt() -> None:
    late = [request(5.9, 500) for _ in range(95)]
    assert doubts([*late, *hanging(5)]) == [], "5 %"
    assert doubts([*late, *hanging(6)]) != []
    assert doubts(hanging(9, start_s=6.1)) == [], "what users send when they stop is not the plan's"
    assert doubts(hanging(9, start_s=2.5)) == [], "a phase saw it"
    cancelled = [request(5.2, 3000, outcome=Outcome.CANCELLED) for _ in range(9)]
    assert doubts(cancelled) == [], "another doubt"


def test_a_run_without_a_plan_or_of_a_stress_that_broke_its_target_has_no_such_doubt() -> None:
    made = timeline(hanging(9), plan=None, header=replace(HEADER, unplanned=True))
    assert leftover_doubts(made, []) == []
    made = timeline(hanging(9))
    for label, said in ((LIMIT_FOUND, 0), (LIMIT_NOT_FOUND, 1)):
        stressed = replace(made, annotations=(Annotation(6.0, label, "the limit"),))
        assert len(leftover_doubts(stressed, [PHASES])) == said


def test_where_a_check_ended_the_plan_what_was_under_way_is_what_broke() -> None:
    made = timeline(hanging(9))
    note = Annotation(5.5, CHECK_ABORTED, "raw_p99: 3000.0 before second 5, asked for p99 < 1s")
    assert leftover_doubts(made, [QUICK]) != [], "the control"
    assert leftover_doubts(replace(made, annotations=(note,)), [QUICK]) == []
