"""Windows in which nothing ended: a dead target has failed, and a slow or idle one has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from results.grammar import check
from results.judging.check_result import CheckResult, Status
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.timeline import End, EndReason, Plan
from tests.unit.results.builder import PLAN, request, timeline


def judged(text: str, samples: Sequence[Sample] = (), plan: Plan | None = PLAN) -> CheckResult:
    return judge_timeline(timeline(samples, checks=[check(text)], plan=plan)).results[0]


@pytest.mark.parametrize(
    "text",
    [
        "availability > 50%",
        "rate > 1/s",
        "availability > 50% in 0s..4s",
        "availability > 50% over 4s",
    ],
)
def test_a_target_that_answers_nothing_has_no_availability_and_no_rate(text: str) -> None:
    """It was never up, so that the generator is not fit: nothing was sent."""
    result = judged(text)
    assert result.value == 0.0, result.reason
    assert result.status is Status.INCONCLUSIVE
    assert "so this proves nothing" in result.reason


def test_requests_that_hang_and_fail_are_an_outage() -> None:
    hung = [request(1.0, 9_000, outcome=Outcome.CANCELLED) for _ in range(5)]
    result = judged("availability > 50% of GET /a in phase:steady#1", hung)
    assert (result.status, result.value) == (Status.FAIL, 0.0)
    assert "no request ended though there was load" in result.reason
    also = judged("availability > 50% in phase:burst", hung)
    assert (also.status, also.value) == (Status.FAIL, 0.0), "they began before it"


def test_requests_that_end_well_after_the_window_are_none() -> None:
    slow = [request(1.0, 9_000) for _ in range(5)]
    for window in ("phase:steady#1", "phase:burst", "0s..4s"):
        result = judged(f"availability > 50% in {window}", slow)
        assert result.status is Status.INCONCLUSIVE, result.reason
    rate = judged("rate > 1/s in phase:burst", slow)
    assert (rate.status, rate.value) == (Status.FAIL, 0.0)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("availability > 99% in phase:steady#1", PLAN),
        ("rate > 0.1/s in phase:steady#1", PLAN),
        ("availability > 99%", replace(PLAN, mean_cycle_s=None)),
        ("availability > 99%", replace(PLAN, mean_cycle_s=4.0)),
        ("availability > 99% of GET /a", PLAN),
        ("availability > 99%", None),
        ("rate < 5/s", PLAN),
    ],
)
def test_too_little_load_says_nothing(text: str, plan: Plan | None) -> None:
    result = judged(text, plan=plan)
    assert (result.status, result.value) == (Status.INCONCLUSIVE, None), result.reason


def test_a_window_of_weeks_is_not_gone_through() -> None:
    made = timeline([request(2e6)], checks=[check("rate > 1/s in 9s..1500000s")])
    made = replace(made, end=End(2e6, EndReason.COMPLETED, "", {"w1": len(made.reports)}))
    assert judge_timeline(made).results[0].value is None
