"""Checks that end the run: when they do, and that the verdict does not take it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from results.check import (
    EACH_PHASE,
    Check,
    achieved,
    availability,
    error_rate,
    errors,
    latency,
    mean_latency,
    of_faults,
    of_writes,
    rate,
    requests,
    unsent,
)
from results.grammar import check
from results.health import RECORDER_FAILURES
from results.judging.abort import (
    CHECK_ABORTED,
    Aborts,
    Broken,
    aborts_of,
    require_abortable,
    settled,
)
from results.judging.check_result import CheckResult, Status
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.timeline import Annotation, End, EndReason, Health, Plan, Timeline
from results.verdict import ExitCode, Verdict
from tests.unit.results.builder import PLAN, reports, request, timeline

ERRORS = replace(error_rate(below=0.1), abort_after_s=0.0)


def second(number: int, *, failed: int = 0, fine: int = 10, took_ms: float = 10.0) -> list[Sample]:
    outcomes = [Outcome.HTTP_5XX] * failed + [Outcome.OK] * fine
    return [request(number + 0.5, took_ms, outcome=outcome) for outcome in outcomes]


def seconds(first: int, end: int, *, failed: int = 0, fine: int = 10) -> list[Sample]:
    return [one for n in range(first, end) for one in second(n, failed=failed, fine=fine)]


def stepped(aborts: Aborts, sent: Sequence[Sample], until_s: int, source: str = "w1") -> list[int]:
    """The seconds at whose end it said that a check is broken; reports come a second late."""
    waiting = {report.second: report for report in reports(sent, source)}
    found = []
    for now_s in range(1, until_s + 1):
        if now_s - 1 in waiting:
            aborts.take(waiting[now_s - 1])
        if aborts.step(now_s + 0.75) is not None:
            found.append(now_s)
    return found


def of(*checks: Check, plan: Plan | None = PLAN, ad_hoc: bool = False) -> Aborts:
    return aborts_of(checks, plan, ad_hoc=ad_hoc)


def test_a_check_that_breaks_says_so_with_the_value_of_the_complete_seconds() -> None:
    aborts = of(ERRORS)
    for report in reports([*second(0), *second(1, failed=10, fine=0), *second(2)]):
        aborts.take(report)
    broken = aborts.step(2.75)
    assert broken is not None
    assert (broken.value, broken.before_s) == (0.5, 2)
    assert "error_rate is broken, 50 % after 2 s" in broken.text


def test_a_check_that_holds_or_says_nothing_of_abort_never_ends_a_run() -> None:
    sent = seconds(0, 6, failed=1, fine=9)
    assert stepped(of(replace(ERRORS, limit=0.2)), sent, 6) == []
    assert stepped(of(error_rate(below=0.01)), sent, 6) == []
    assert stepped(of(ERRORS), sent, 6) != [], "the control"


def test_it_waits_from_its_windows_beginning_on() -> None:
    sent = seconds(0, 6, failed=5, fine=5)
    assert min(stepped(of(replace(ERRORS, abort_after_s=3.0)), sent, 6)) == 3
    in_burst = replace(ERRORS, window="phase:burst", abort_after_s=1.0)
    assert min(stepped(of(in_burst), sent, 6)) == 3, "it begins in second 2"


def test_a_window_that_is_over_ends_nothing_later_and_nothing_before_it_counts() -> None:
    sent = [*seconds(0, 2, failed=9, fine=1), *seconds(2, 6)]
    assert stepped(of(replace(ERRORS, window="phase:burst")), sent, 6) == []
    assert stepped(of(replace(ERRORS, window="2s..4s")), sent, 6) == []
    assert stepped(of(replace(ERRORS, window="0s..4s")), sent, 6) != [], "the control"


def test_each_occurrence_of_a_phase_is_watched_for_itself() -> None:
    each = replace(error_rate(below=0.1, window=EACH_PHASE), abort_after_s=0.0)
    aborts = of(each)
    for report in reports([*seconds(0, 4), *seconds(4, 6, failed=9, fine=1)]):
        aborts.take(report)
    broken = aborts.step(6.75)
    assert broken is not None
    assert broken.check.id == "error_rate@phase:steady#2"


def test_a_second_counts_when_every_source_has_told_of_it() -> None:
    aborts = of(ERRORS)
    fine, bad = reports(seconds(0, 6), "w1"), reports(seconds(0, 6, failed=9, fine=1), "w2")
    aborts.take(fine[0])
    aborts.take(bad[0])
    assert aborts.step(1.5) is not None
    aborts = of(ERRORS)
    aborts.take(fine[0])
    aborts.take(fine[1])
    aborts.take(bad[0])
    broken = aborts.step(2.75)
    assert broken is not None and broken.before_s == 1, "second 1 lacks one of the two"


def test_a_silent_source_is_awaited_no_longer_than_a_few_seconds() -> None:
    aborts = of(ERRORS)
    aborts.take(reports(second(0), "w2")[0])
    for report in reports(seconds(0, 6, failed=9, fine=1), "w1"):
        aborts.take(report)
    broken = aborts.step(6.0)
    assert broken is not None and broken.before_s == 3


def test_what_comes_late_for_a_complete_second_counts_only_in_the_end() -> None:
    aborts = of(ERRORS)
    for report in reports(seconds(0, 3), "w1"):
        aborts.take(report)
    assert aborts.step(3.5) is None
    for report in reports(seconds(0, 2, failed=90), "w2"):
        aborts.take(report)
    assert aborts.step(3.75) is None


def test_a_breach_for_some_seconds_ends_the_run_when_it_is_long_enough() -> None:
    check = replace(error_rate(below=0.1), for_s=3.0, abort_after_s=0.0)
    sent = [*seconds(0, 1), *seconds(1, 3, failed=9), *seconds(3, 4), *seconds(4, 9, failed=9)]
    plan = replace(PLAN, duration_s=12.0)
    assert min(stepped(of(check, plan=plan), sent, 9)) == 7


def test_any_interval_that_breaks_ends_the_run() -> None:
    check = replace(latency(quantile=0.9, below_ms=50), over_s=2.0, abort_after_s=0.0)
    sent = [*seconds(0, 3), *second(3, took_ms=90), *seconds(4, 6)]
    assert min(stepped(of(check), sent, 6)) == 4


def test_a_target_that_never_answers_has_no_availability() -> None:
    check = replace(availability(above=0.9), abort_after_s=0.0)
    found = min(stepped(of(check), [], 9))
    assert found == 7, "certain in the fourth second, and three are allowed for reports"
    assert stepped(of(check, plan=None), [], 9) == [], "nobody knows whether there was load"
    unknown = replace(PLAN, mean_cycle_s=None)
    assert stepped(of(check, plan=unknown), [], 9) == [], "nor how often users ask"
    of_one = replace(availability(above=0.9, endpoint="GET /a"), abort_after_s=0.0)
    assert stepped(of(of_one), [], 9) == [], "the plan says nothing of one endpoint"


def test_a_rate_over_some_seconds_is_asked_only_while_the_plan_lasts() -> None:
    check = replace(rate(above=5), over_s=2.0, abort_after_s=0.0)
    ahead = request(-0.6)
    assert stepped(of(check), [ahead, *seconds(0, 6)], 12) == []
    assert min(stepped(of(check), [*seconds(0, 2), *seconds(4, 6)], 6)) == 5, "the control"


def test_without_a_plan_the_run_is_watched_for_as_long_as_it_goes_on() -> None:
    sent = [*seconds(0, 50), *seconds(50, 60, failed=90, fine=1)]
    assert min(stepped(of(ERRORS, plan=None), sent, 60)) == 51


def test_an_ad_hoc_run_leaves_out_what_needs_a_plan() -> None:
    in_burst = replace(ERRORS, window="phase:burst", id="burst")
    assert of(in_burst, ad_hoc=True, plan=None).step(9.0) is None
    sent = seconds(0, 6, failed=9)
    assert stepped(of(ERRORS, in_burst, ad_hoc=True, plan=None), sent, 6) != []


@pytest.mark.parametrize(
    "odd",
    [
        requests(above=5),
        achieved(at_least=0.9),
        unsent(at_most=0.1),
        of_writes("lost"),
        of_faults("recovery", below_s=15),
        rate(above=5),
        error_rate(below=0.1, window="fault:*"),
        error_rate(below=0.1, window="recovery:kill-1"),
        error_rate(below=0.1, window="baseline"),
    ],
)
def test_what_could_never_end_a_run_is_refused_with_what_to_do(odd: Check) -> None:
    require_abortable(odd)
    with pytest.raises(ValueError, match=r"cannot end a run that goes on: .*(use|leave|say)"):
        require_abortable(replace(odd, abort_after_s=5.0))


@pytest.mark.parametrize(
    "check",
    [
        errors(at_most=5),
        mean_latency(below_ms=5, series="excess"),
        replace(rate(above=5), for_s=3.0),
        replace(rate(above=5), over_s=3.0),
        error_rate(below=0.1, window="phase:burst#1"),
        error_rate(below=0.1, window="3s..9s"),
    ],
)
def test_what_requests_tell_as_they_end_may_end_a_run(check: Check) -> None:
    require_abortable(replace(check, abort_after_s=5.0))


# The verdict of such a run.


def ended_by(check: Check, value: float = 0.5, before_s: int = 3) -> Annotation:
    return Annotation(3.75, CHECK_ABORTED, Broken(check, value, before_s).annotation_text)


def stopped(sent: Sequence[Sample], note: Annotation, *checks: Check) -> Timeline:
    made = timeline(sent, checks=checks)
    end = End(5.0, EndReason.COMPLETED, "", {"w1": len(made.reports)}, plan_ends_s=4.0)
    return replace(made, annotations=(note,), end=end)


def test_the_check_that_ended_the_run_fails_it_whatever_follows() -> None:
    sent = [*second(0, failed=10), *second(1, fine=16), *second(2, fine=40), *second(3, fine=400)]
    made = stopped(sent, ended_by(ERRORS), ERRORS)
    alone = judge_timeline(replace(made, annotations=()))
    assert alone.results[0].status is Status.PASS, "the control: in the end it would hold"
    judgement = judge_timeline(made)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.FAIL, ExitCode.FAIL)
    (result,) = judgement.results
    assert (result.status, result.value) == (Status.FAIL, 0.5)
    assert "50 % in window run before second 3" in judgement.reasons[0]
    assert judgement.reasons[0].endswith("the run was stopped there, since the check says abort")
    assert [stats.window.name for stats in judgement.windows][:2] == ["run", "phase:steady"]


def test_a_generator_that_was_not_fit_softens_it() -> None:
    # Nodes' own errors would stay.
    timed_out = [one._replace(outcome=Outcome.TIMEOUT) for one in seconds(0, 4)]
    made = stopped(timed_out, ended_by(ERRORS), ERRORS)
    sick = replace(made, health=(*made.health, Health(3.0, "w1", {RECORDER_FAILURES: 1.0})))
    assert judge_timeline(sick).verdict is Verdict.INCONCLUSIVE
    assert judge_timeline(made).verdict is Verdict.FAIL


def test_the_first_occurrence_of_a_phase_is_its_only_one_when_the_plan_ended_in_it() -> None:
    each = replace(error_rate(below=0.1, window=EACH_PHASE), abort_after_s=0.0)
    aborts = of(each)
    for report in reports(seconds(0, 2, failed=9)):
        aborts.take(report)
    broken = aborts.step(2.0)
    assert broken is not None and broken.check.id == "error_rate@phase:steady#1"
    note = Annotation(2.0, CHECK_ABORTED, broken.annotation_text)
    made = replace(
        stopped(seconds(0, 2, failed=9), note, each),
        end=End(3.0, EndReason.COMPLETED, "", {"w1": 2}, plan_ends_s=2.0),
    )
    found = {result.check.id: result for result in judge_timeline(made).results}
    assert found["error_rate@phase:steady"].reason.endswith("since the check says abort")


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "error_rate: nan before second 3, asked for errors < 10%",
        "error_rate: much before second 3, asked for errors < 10%",
        "error_rate: 0.5 before second, asked for errors < 10%",
        "errors: 0.5 before second 3, asked for errors < 10%",
        "error_rate#2: 0.5 before second 3, asked for errors < 10%",
    ],
)
def test_an_annotation_that_fits_no_check_is_a_doubt(text: str) -> None:
    judgement = judge_timeline(stopped(seconds(0, 4), Annotation(3.0, CHECK_ABORTED, text), ERRORS))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert any("holds none that could have" in reason for reason in judgement.reasons)


def test_a_check_that_does_not_say_abort_has_ended_no_run() -> None:
    check = error_rate(below=0.1)
    judgement = judge_timeline(stopped(seconds(0, 4), ended_by(check), check))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.results[0].status is Status.PASS


def test_results_without_such_an_annotation_stay_as_they_are() -> None:
    result = CheckResult(ERRORS, Status.PASS, 0.0, 10, "fine")
    other = Annotation(1.0, "note", ended_by(ERRORS).text)
    assert settled([result], [other]).results == [result]
    assert settled([result], [other]).doubts == []


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1.7e308, 250.00000000000003])
def test_the_value_is_read_back_as_it_was(value: float) -> None:
    result = CheckResult(ERRORS, Status.PASS, 0.0, 10, "fine")
    assert settled([result], [ended_by(ERRORS, value)]).results[0].value == value


def test_a_breach_does_not_go_on_from_one_occurrence_of_a_phase_to_the_next() -> None:
    check = replace(error_rate(below=0.1, window="phase:steady"), for_s=3.0, abort_after_s=0.0)
    sent = [*seconds(0, 2, failed=9), *seconds(2, 4), *seconds(4, 6, failed=9)]
    assert stepped(of(check), sent, 6) == [], "two seconds and two are not three on end"
    assert stepped(of(replace(check, for_s=2.0)), sent, 6) != [], "the control"


def test_the_pages_checks_that_end_the_run_are_real() -> None:
    page = Path(__file__).parents[4] / "docs" / "checks.md"
    section = page.read_text().partition("## Checks that end the run")[2]
    lines = section.partition("```text\n")[2].partition("```")[0].splitlines()
    assert len(lines) == 3
    for line in lines:
        made = check(line)
        assert made.abort_after_s is not None
        require_abortable(made)
