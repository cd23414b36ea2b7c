"""Arrivals from the recorder to the verdict: counted once, and none of them missing in silence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.absence import Absence
from results.arrival import ArrivalSecond, ArrivalStats, Unsent, together
from results.check import Check, achieved, error_rate, unsent
from results.errors import TimelineError
from results.judging.evaluation import Status
from results.page.summary import summary
from results.recorder import Recorder
from results.replay import judge_timeline, replay
from results.second import SecondReport
from results.statistic import cut
from results.timeline import End, EndReason, Plan, PlannedPhase, Timeline
from results.timeline_reader import read_timeline
from results.verdict import Judgement, Verdict, as_document
from results.windows import interval
from tests.unit.results.builder import HEALTHY, request, timeline, write

PLAN = Plan(
    duration_s=4.0,
    phases=(PlannedPhase("slow", 0, 2), PlannedPhase("quick", 2, 4)),
    users=(0, 0, 0, 0),
    user_seconds=(0.0, 0.0, 0.0, 0.0),
    arrivals={"Buyer": (2, 2, 10, 10)},
)
"""Two a second, then ten: 24 arrivals."""


def recorded(
    *,
    leave_out: int = 0,
    refused: int = 0,
    why: Unsent = Unsent.NO_SESSION,
    twice: int = 0,
    unfinished: int = 0,
) -> tuple[SecondReport, ...]:
    """PLAN, but the last `leave_out` are not offered, and `refused` before them unsent.

    The first `twice` come two times, and the first `unfinished` never end.
    """
    recorder = Recorder(source="w1", origin_us=0)
    starts = [s + n / count for s, count in enumerate(PLAN.arrivals["Buyer"]) for n in range(count)]
    offered = starts[: len(starts) - leave_out]
    for start_s in starts[:twice]:
        recorder.arrival("Buyer", round(start_s * 1e6))
        recorder.arrival_done("Buyer", round(start_s * 1e6) + 10_000)
    for number, start_s in enumerate(offered):
        start_us = round(start_s * 1e6)
        if number >= len(offered) - refused:
            recorder.arrival("Buyer", start_us, unsent=why)
            continue
        recorder.arrival("Buyer", start_us)
        recorder.record(replace_intended(start_s))
        if number >= unfinished:
            recorder.arrival_done("Buyer", start_us + 10_000)
    recorder.close()
    return tuple(report for report in recorder.reports() if report is not None)


def replace_intended(start_s: float) -> Any:
    return request(start_s)._replace(intended_us=round(start_s * 1e6) - 5_000)


def open_run(checks: Sequence[Check], plan: Plan = PLAN, **faults: Any) -> Timeline:
    made = recorded(**faults)
    end = End(4.0, EndReason.COMPLETED, "", {"w1": len(made)})
    empty = timeline([], checks=checks, plan=plan, end=end, health=HEALTHY[:5])
    return replace(empty, reports=made)


def judged(*checks: Check, **faults: Any) -> Judgement:
    return judge_timeline(open_run((error_rate(below=0.1), *checks), **faults))


def status(judgement: Judgement, check: Check) -> Status:
    return next(r.status for r in judgement.results if r.check.id == check.id)


# Recording


def test_an_arrival_counts_in_the_second_of_its_intended_start_and_of_its_end() -> None:
    recorder = Recorder(source="w1", origin_us=1_000_000)
    recorder.arrival("Buyer", 1_999_999)
    recorder.arrival("Buyer", 1_500_000, unsent=Unsent.LATE)
    recorder.arrival_done("Buyer", 4_000_000)
    recorder.close()
    found = {r.second: r.arrivals["Buyer"] for r in recorder.reports() if r is not None}
    assert found == {
        0: ArrivalSecond(started=1, unsent={"late": 1}),
        3: ArrivalSecond(completed=1),
    }
    assert found[0].offered == 2


def test_arrivals_of_a_second_that_was_shipped_come_in_another_increment() -> None:
    recorder = Recorder(source="w1", origin_us=0)
    recorder.arrival("Buyer", 500_000)
    recorder.close(2_000_000)
    first = [report for report in recorder.reports() if report is not None]
    recorder.arrival("Buyer", 900_000, unsent=Unsent.LATE)
    recorder.close()
    second = [report for report in recorder.reports() if report is not None]
    assert [r.second for r in first + second] == [0, 0]
    assert [r.sequence for r in first + second] == [0, 1]
    assert sum(r.arrivals["Buyer"].offered for r in first + second) == 2


def test_reports_carry_arrivals_through_json_and_leave_them_out_without_any() -> None:
    for report in recorded(refused=3):
        assert SecondReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report
    recorder = Recorder(source="w1", origin_us=0)
    recorder.record(request(0.5))
    recorder.close()
    (plain,) = (report for report in recorder.reports() if report is not None)
    assert "arrivals" not in plain.as_dict()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"offered": 9}, "9 offered"),
        ({"started": -1}, "started"),
        ({"completed": 1.5}, "completed"),
        ({"unsent": {"bored": 1}}, "bored"),
        ({"unsent": {"late": "1"}}, "late"),
        ({"more": 1}, "more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_a_report_whose_arrivals_do_not_add_up_is_refused(
    change: dict[str, object], says: str
) -> None:
    good: dict[str, object] = {"offered": 2, "started": 1, "unsent": {"late": 1}, "completed": 0}
    ArrivalSecond.from_dict(good, "Buyer")
    with pytest.raises(ValueError, match=says):
        ArrivalSecond.from_dict(good | change, "Buyer")


# Plan and windows


def test_the_plan_keeps_its_arrivals_on_the_way_through_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "timeline.jsonl", open_run([unsent(at_most=0)]))
    assert read_timeline(path).plan == PLAN
    assert replay(path).verdict is Verdict.PASS


def test_planned_arrivals_below_zero_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "timeline.jsonl", open_run([]))
    path.write_text(path.read_text().replace('"Buyer":[2,', '"Buyer":[-2,'))
    with pytest.raises(TimelineError, match="at least 0, not -2"):
        read_timeline(path)


def test_windows_hold_the_planned_arrivals_of_their_seconds_and_what_became_of_them() -> None:
    made = open_run([], refused=4)
    stats = cut(made, [interval("slow", 0, 2), interval("quick", 2, 4)])
    assert stats["slow"].arrivals == {"Buyer": ArrivalStats(4, 4, 4, {})}
    quick = stats["quick"].arrivals["Buyer"]
    assert quick == ArrivalStats(20, 16, 16, {"no_session": 4})
    assert (quick.offered, quick.missing, quick.never_offered) == (20, 4, 0)


def test_a_class_that_was_planned_and_never_came_is_missing() -> None:
    plan = replace(PLAN, arrivals={**PLAN.arrivals, "Absent": (1, 1, 1, 1)})
    run = judge_timeline(open_run([], plan=plan)).windows[0]
    assert run.arrivals["Absent"] == ArrivalStats(4, 0, 0, {})
    assert run.all_arrivals == ArrivalStats(28, 24, 24, {})


def test_a_plan_that_is_ended_early_has_no_arrivals_after_its_end() -> None:
    assert PLAN.ending(2.55).arrivals == {"Buyer": (2, 2, 5)}
    assert PLAN.ending(3.0).arrivals == {"Buyer": (2, 2, 10)}
    assert PLAN.ending(9.0).arrivals == PLAN.arrivals


def test_sums_over_classes_add_every_reason() -> None:
    parts = [ArrivalStats(10, 7, 6, {"late": 3}), ArrivalStats(5, 3, 3, {"late": 1})]
    assert together(parts) == ArrivalStats(15, 10, 9, {"late": 4})


# Judging


def test_an_open_load_that_was_started_whole_achieves_its_plan_without_a_mean_cycle() -> None:
    check = achieved(at_least=1.0)
    judgement = judged(check)
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    (result,) = [r for r in judgement.results if r.check.id == check.id]
    assert (result.value, result.samples) == (1.0, 24)


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (Unsent.NO_SESSION, "3 found no session free"),
        (Unsent.SESSION_LATE, "3 had a session that was not ready in time"),
    ],
)
def test_arrivals_that_the_target_kept_from_starting_fail_it(why: Unsent, says: str) -> None:
    for check in (achieved(at_least=0.95), unsent(at_most=0.05)):
        judgement = judged(check, refused=3, why=why)
        assert judgement.verdict is Verdict.FAIL
        assert any(says in reason for reason in judgement.reasons)


def test_every_reason_has_its_words() -> None:
    for why in Unsent:
        assert ArrivalStats(9, 2, 2, {why.value: 7}).explained().startswith("7 ")


@pytest.mark.parametrize("why", [Unsent.LATE, Unsent.SESSION_FAILED, Unsent.STOPPED])
def test_arrivals_that_the_generator_missed_prove_nothing(why: Unsent) -> None:
    for check in (achieved(at_least=0.95), unsent(at_most=0.05)):
        judgement = judged(check, refused=3, why=why)
        assert status(judgement, check) is Status.INCONCLUSIVE
        assert judgement.verdict is Verdict.INCONCLUSIVE


def test_arrivals_of_a_worker_that_was_gone_prove_nothing() -> None:
    for check in (achieved(at_least=0.95), unsent(at_most=0.05)):
        judgement = judged(check, leave_out=3)
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert any("3 belonged to a worker that was gone" in one for one in judgement.reasons)


def test_the_generators_part_excuses_no_more_than_itself() -> None:
    check = unsent(at_most=0.05)
    mixed = open_run([check], refused=4, leave_out=1)
    judgement = judge_timeline(mixed)
    assert judgement.verdict is Verdict.FAIL, "4 of 24 found no session: 17 % without the worker's"


def test_what_is_within_the_limit_passes() -> None:
    assert judged(unsent(at_most=0.13), refused=3).verdict is Verdict.PASS
    assert judged(achieved(at_least=0.87), refused=3).verdict is Verdict.PASS


@pytest.mark.parametrize("faults", [{"refused": 1}, {"leave_out": 1}], ids=["unsent", "gone"])
def test_missing_arrivals_that_no_check_asks_for_are_no_silent_pass(faults: dict[str, int]) -> None:
    judgement = judged(**faults)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    (reason,) = [one for one in judgement.reasons if "no check says" in one]
    assert reason.startswith("1 of 24 planned arrivals were not started (1 ")
    assert judged().verdict is Verdict.PASS, "the control: nothing is missing"


def test_a_check_of_one_phase_or_of_an_endpoint_does_not_cover_the_run() -> None:
    for check in (
        unsent(at_most=0.5, window="phase:slow"),
        achieved(at_least=0.5, window="phase:slow"),
    ):
        assert judged(check, refused=1).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("make", [unsent, achieved], ids=lambda make: make.__name__)
def test_checks_of_every_phase_cover_the_run_and_those_of_some_do_not(make: Any) -> None:
    def verdict_of(*windows: str, plan: Plan = PLAN) -> Judgement:
        limit: Any = {"at_most": 0.5} if make is unsent else {"at_least": 0.5}
        checks = [make(**limit, window=window) for window in windows]
        return judge_timeline(open_run([error_rate(below=0.1), *checks], plan=plan, refused=1))

    assert verdict_of("phase:slow", "phase:quick").verdict is Verdict.PASS
    one = verdict_of("phase:quick")
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("how many may be missing in all of the run" in reason for reason in one.reasons)
    if make is unsent:
        assert verdict_of("phase:*").verdict is Verdict.PASS
    gap = replace(PLAN, phases=(PlannedPhase("slow", 0, 1), PlannedPhase("quick", 2, 4)))
    assert verdict_of("phase:*", plan=gap).verdict is Verdict.INCONCLUSIVE, "second 1 is in none"


def test_arrivals_that_were_sent_twice_are_not_hidden_by_others_that_are_missing() -> None:
    judgement = judged(unsent(at_most=0.5), twice=2, leave_out=2)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    (reason,) = [one for one in judgement.reasons if "beyond the plan" in one]
    assert reason.startswith("2 arrival(s) of Buyer") and "second 0 (4, planned 2)" in reason
    assert any(
        "2 planned arrival(s) of Buyer were offered by nobody" in one for one in judgement.reasons
    )


def test_arrivals_beyond_the_plan_are_told_also_where_a_worker_was_lost() -> None:
    away = Absence("w2", heard_s=1, taken_s=3, share=0.5, others=1, unreported_s=1).lines()
    made = open_run([unsent(at_most=0.5)], twice=1, leave_out=1)
    judgement = judge_timeline(replace(made, health=(*made.health, *away)))
    told = "\n".join(judgement.reasons)
    assert "beyond the plan" in told
    assert "offered by nobody" not in told, "the worker's finding says so"


def test_a_plan_that_a_check_has_ended_is_compared_as_far_as_it_went() -> None:
    made = open_run([unsent(at_most=0.5)], leave_out=6)
    assert made.end is not None
    ended = replace(made, end=replace(made.end, plan_ends_s=3.5))
    assert judge_timeline(ended).verdict is Verdict.PASS, "of a cut second little is known"
    early = replace(made, end=replace(made.end, plan_ends_s=3.0))
    assert judge_timeline(early).verdict is Verdict.PASS, "those after it were on their way"


def test_a_started_arrival_that_never_ends_is_no_silent_pass() -> None:
    judgement = judged(unsent(at_most=0), unfinished=3)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reasons[0].startswith("3 of 24 started arrivals never completed")


def test_no_arrival_planned_is_no_pass_of_unsent() -> None:
    judgement = judge_timeline(timeline([request(1)], checks=[unsent(at_most=0.5)]))
    assert judgement.results[0].status is Status.INCONCLUSIVE


def test_of_users_and_arrivals_the_smaller_share_is_achieved() -> None:
    """Users: 4 user-seconds of a cycle of 0.1 s are 40 starts, of which there were 24 at most."""
    users = replace(PLAN, users=(1, 1, 1, 1), user_seconds=(1.0, 1.0, 1.0, 1.0), endpoint="GET /a")
    poor_users = replace(users, mean_cycle_s=0.1)
    run = judge_timeline(open_run([], plan=poor_users)).windows[0]
    assert run.achieved(None) == 24 / 40
    rich_users = replace(users, mean_cycle_s=1.0)
    run = judge_timeline(open_run([], plan=rich_users, refused=6)).windows[0]
    assert run.achieved(None) == 18 / 24
    assert run.achieved("GET /a") == 18 / 4, "an endpoint asks for the users' share"


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan"), "0.1", True, None])
def test_limits_that_are_no_share_are_refused(share: Any) -> None:
    with pytest.raises(ValueError, match="at_most"):
        unsent(at_most=share)


# What people read


def test_the_verdicts_document_has_the_arrivals_of_each_window() -> None:
    document: Any = as_document(judged(unsent(at_most=0.2), refused=3))
    run = document["windows"][0]
    expected = {
        "planned": 24,
        "offered": 24,
        "started": 21,
        "unsent": 3,
        "unsent_by_reason": {"no_session": 3},
        "completed": 21,
    }
    assert run["arrivals"] == {"Buyer": expected}
    assert run["arrivals_total"] == expected
    assert run["total"]["corrected_ms"]["p50"] == pytest.approx(15, rel=0.001)
    closed: Any = as_document(judge_timeline(timeline([request(1)])))
    assert "arrivals" not in closed["windows"][0]


def test_the_summary_shows_arrivals_and_corrected_latencies_where_there_are_any() -> None:
    text = summary(judged(unsent(at_most=0.2), refused=3), folder="x")
    rows = [line.split() for line in text.splitlines()]
    assert ["Buyer", "run", "24", "24", "21", "3", "21"] in rows
    assert ["Buyer", "phase:slow", "4", "4", "4", "0", "4"] in rows
    assert "raw          corrected" in text and "corrected: from the intended start." in text
    assert "unsent <= 20%" in text
    closed = summary(judge_timeline(timeline([request(1)])), folder="x")
    assert "corrected" not in closed and "arrivals" not in closed
