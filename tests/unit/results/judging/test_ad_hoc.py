"""Runs without a plan: which checks stay, what the verdict says, and that it replays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from results.audit.audit import Audit, Fate, Place
from results.check import (
    EACH_PHASE,
    Check,
    achieved,
    availability,
    error_rate,
    errors,
    figure,
    latency,
    mean_latency,
    of_writes,
    rate,
    ratio,
    requests,
)
from results.errors import TimelineError
from results.replay import judge_timeline, replay
from results.sample import Outcome, Sample
from results.timeline import Header, Progress, Timeline
from results.timeline_reader import read_timeline
from results.verdict import ExitCode, Judgement, as_document
from tests.unit.results.builder import HEADER, PLAN, Observation, request, timeline, write

AD_HOC = replace(HEADER, ad_hoc=True)
OF_ANSWERS = (
    error_rate(below=0.01),
    errors(at_most=0),
    availability(above=0.99),
    replace(availability(above=0.9), id="availability over", over_s=2.0),
    latency(quantile=0.99, below_ms=100),
    mean_latency(below_ms=100),
    error_rate(below=0.01, endpoint="GET /a"),
)
OF_A_PLAN = (
    requests(above=10**6),
    rate(above=1),
    achieved(at_least=0.95),
    error_rate(below=0.01, window=EACH_PHASE),
    latency(quantile=0.5, below_ms=1, window="phase:burst"),
    figure("jobs", "sum", above=100),
    ratio("rate", "mean", window="phase:burst", over="phase:steady", at_least=1.0),
)
NEVER = figure("unmet", "sum", at_most=0)
ANSWERED = [request(second + 0.5) for second in range(6)]


def run_by_hand(
    samples: list[Sample] | None = None,
    *,
    checks: tuple[Check, ...] = OF_ANSWERS + OF_A_PLAN,
    observed: tuple[Observation, ...] = (),
) -> Timeline:
    found = ANSWERED if samples is None else samples
    return timeline(found, checks=checks, plan=None, observed=observed, header=AD_HOC)


def judged(made: Timeline) -> Judgement:
    return judge_timeline(made)


def test_only_what_is_said_of_the_answers_is_judged_and_the_rest_is_named() -> None:
    done = judged(run_by_hand())
    assert done.exit_code is ExitCode.PASS, done.reasons
    assert [result.check.id for result in done.results] == [check.id for check in OF_ANSWERS]
    held, said = done.reasons
    assert held == f"all {len(OF_ANSWERS)} checks hold and the generator was fit"
    assert said.startswith("ad hoc: ")
    assert said.endswith(": " + ", ".join(check.id for check in OF_A_PLAN))


def test_errors_fail_an_ad_hoc_run_too() -> None:
    done = judged(run_by_hand([*ANSWERED, request(3, outcome=Outcome.HTTP_5XX)]))
    assert done.exit_code is ExitCode.FAIL
    assert done.reasons[-1].startswith("ad hoc: ")


def test_what_must_never_happen_is_judged_when_it_was_looked_for() -> None:
    checks = (*OF_ANSWERS, NEVER)
    breach = run_by_hand(checks=checks, observed=(("unmet", 1.0, 2.0),))
    assert judged(breach).exit_code is ExitCode.FAIL
    kept = run_by_hand(checks=checks, observed=(("unmet", 0.0, 2.0),))
    assert judged(kept).exit_code is ExitCode.PASS
    unseen = judged(run_by_hand(checks=checks))
    assert unseen.exit_code is ExitCode.PASS
    assert unseen.reasons[-1].endswith("left out: " + NEVER.id)


def test_without_any_check_that_applies_nothing_was_judged() -> None:
    done = judged(run_by_hand(checks=OF_A_PLAN))
    assert done.exit_code is ExitCode.INCONCLUSIVE
    assert done.reasons[0] == f"all {len(OF_A_PLAN)} checks were left out, so nothing was judged"
    one = judged(run_by_hand(checks=OF_A_PLAN[:1]))
    assert one.reasons[0] == "the only declared check was left out, so nothing was judged"
    none = judged(run_by_hand(checks=()))
    assert none.reasons[0] == "no checks were declared, so nothing was judged"


def test_a_run_that_sent_nothing_is_inconclusive_also_without_a_plan() -> None:
    assert judged(run_by_hand([])).exit_code is ExitCode.INCONCLUSIVE


def test_requests_that_were_killed_unanswered_put_it_in_doubt() -> None:
    hung = [request(5.5, outcome=Outcome.CANCELLED) for _ in range(3)]
    made = replace(
        run_by_hand([*ANSWERED, *hung]), progress=tuple(Progress(float(t), 3) for t in range(6))
    )
    done = judged(made)
    assert done.exit_code is ExitCode.INCONCLUSIVE
    assert "still unanswered" in done.reasons[0]


def test_it_has_no_planned_figures() -> None:
    done = judged(run_by_hand())
    (run,) = done.windows
    assert (run.planned_users, run.planned_starts(0.5), run.achieved(None, 0.5)) == (None,) * 3
    document = as_document(done)
    windows = document["windows"]
    assert isinstance(windows, list)
    assert windows[0]["planned_users"] is None


def test_the_file_replays_to_the_same_verdict(tmp_path: Path) -> None:
    made = run_by_hand()
    path = write(tmp_path / "timeline.jsonl", made)
    assert read_timeline(path).header == AD_HOC
    assert as_document(replay(path)) == as_document(judged(made))


def test_a_timeline_that_lost_its_plan_is_not_taken_for_ad_hoc() -> None:
    lost = replace(run_by_hand(checks=OF_ANSWERS), header=HEADER)
    done = judged(lost)
    assert done.exit_code is ExitCode.INCONCLUSIVE
    assert any("holds no plan" in reason for reason in done.reasons)


def test_a_plan_in_an_ad_hoc_timeline_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "timeline.jsonl", replace(run_by_hand(), plan=PLAN))
    with pytest.raises(TimelineError, match="follows no plan"):
        read_timeline(path)


@pytest.mark.parametrize("value", ['"yes"', "1", "null"])
def test_ad_hoc_is_true_or_false(tmp_path: Path, value: str) -> None:
    path = tmp_path / "timeline.jsonl"
    line = '{"kind":"header","version":1,"run_id":"r","scenario":"s","origin_us":0,"ad_hoc":%s}\n'
    path.write_text(line % value)
    with pytest.raises(TimelineError, match="'ad_hoc' must be true or false"):
        read_timeline(path)
    path.write_text(line % "false")
    assert read_timeline(path).header == Header("r", "s", 0)


def test_checks_of_writes_stay_where_users_that_write_ran() -> None:
    checks = (error_rate(below=0.01), of_writes("lost"))
    made = run_by_hand(checks=checks)
    assert [result.check.id for result in judge_timeline(made).results] == ["error_rate"]
    audit = Audit({Place("n", 0): {Fate.PRESENT: 1}})
    ids = [result.check.id for result in judge_timeline(made, audit).results]
    assert ids[:2] == ["error_rate", "lost"]
