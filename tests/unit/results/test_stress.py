"""Load that goes up until a check breaks: which stair breaks, when that is known, what is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from results.arrival import Unsent
from results.check import Check, error_rate, errors, figure, latency, requests
from results.errors import TimelineError
from results.figure import Figure
from results.judging.evaluation import Status
from results.recorder import Recorder
from results.replay import judge_timeline, replay
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.stress import LIMIT_FOUND, LIMIT_NOT_FOUND, Found, Stair, Stress
from results.timeline import Annotation, End, EndReason, Plan, PlannedPhase, Timeline
from results.timeline_reader import read_timeline
from results.verdict import Judgement, Verdict
from results.windows import interval
from tests.unit.results.builder import HEALTHY, reports, request, timeline, write

P99 = latency(quantile=0.99, below_ms=100)
STAIRS = [
    Stair(interval(f"phase:stress {n + 1}", 10 * n, 10 * n + 10), 100.0 * (n + 1), "users")
    for n in range(3)
]


def stress(until: Check = P99, stairs: list[Stair] = STAIRS) -> Stress:
    return Stress(until, stairs)


def steps(made: Stress, samples: list[Sample], *, until_s: int) -> list[Found | None]:
    """What each second says, with every report there a second after its own."""
    by_second = {report.second: report for report in reports(samples)}
    found = []
    for now in range(until_s):
        if now - 1 in by_second:
            made.take(by_second[now - 1])
        found.append(made.step(now + 0.75))
    return found


def each_second(
    first: int, last: int, took_ms: float = 10.0, outcome: Outcome = Outcome.OK
) -> list[Sample]:
    """100 requests that end in each of the seconds first to last."""
    return [
        request(second + (n + 0.5) / 100 - took_ms / 1000, took_ms, outcome=outcome)
        for second in range(first, last + 1)
        for n in range(100)
    ]


def first_found(found: list[Found | None]) -> tuple[int, Found]:
    return next((second, one) for second, one in enumerate(found) if one is not None)


def test_the_stair_at_which_the_check_breaks_is_found_and_the_one_before_it_held() -> None:
    samples = [*each_second(0, 9), *each_second(10, 29, 500.0)]
    second, found = first_found(steps(stress(), samples, until_s=30))
    # Three seconds of the second stair are complete, of which none can be mended by seven more.
    assert second == 13
    assert (found.broke, found.capacity, found.label) == (True, 100.0, LIMIT_FOUND)
    assert found.text == (
        "the check p99 < 100ms held up to 100 users (p99 10.0 ms) and broke at 200 users "
        "(p99 500.0 ms after 3 of 10 s)"
    )


def test_a_stair_that_is_only_just_missed_breaks_at_its_end() -> None:
    # Two seconds of ten are slow: too many for the p90, which further ones might have mended.
    until = latency(quantile=0.9, below_ms=100)
    samples = [*each_second(0, 17), *each_second(18, 19, 500.0), *each_second(20, 29)]
    second, found = first_found(steps(stress(until), samples, until_s=30))
    assert second == 20, "its last second was reported in second 20"
    assert found.text.endswith("and broke at 200 users (p90 500.0 ms)")


def test_the_first_stair_that_breaks_leaves_no_capacity() -> None:
    _, found = first_found(steps(stress(), each_second(0, 29, 500.0), until_s=30))
    assert (found.capacity, found.broke) == (0.0, True)
    assert "broke at the first level, 100 users (p99 500.0 ms after 3 of 10 s)" in found.text


def test_quick_failures_break_a_stair_whatever_the_latency() -> None:
    refused = each_second(10, 29, 1.0, Outcome.REFUSED)
    samples = [*each_second(0, 9), *refused]
    second, found = first_found(steps(stress(), samples, until_s=30))
    assert second == 13
    assert found.text.endswith(
        "broke at 200 users (more than 50% of the requests failed for 3 s, after 3 of 10 s)"
    )


def test_two_seconds_of_failures_break_no_check_of_latency() -> None:
    refused = each_second(12, 13, 1.0, Outcome.REFUSED)
    samples = [*each_second(0, 11), *refused, *each_second(14, 29)]
    assert steps(stress(), samples, until_s=31) == [None] * 31


def test_a_target_that_answers_nothing_breaks_after_three_seconds_of_it() -> None:
    second, found = first_found(steps(stress(), each_second(0, 9), until_s=30))
    assert second == 16, "the reports that never come are awaited for three seconds"
    assert found.text.endswith("broke at 200 users (no request ended for 3 s, after 3 of 10 s)")


def test_a_target_that_never_answered_breaks_at_the_first_stairs_end() -> None:
    """Nobody knows before it whether its users have begun to ask."""
    second, found = first_found(steps(stress(), [], until_s=30))
    assert second == 13
    assert found.text.endswith("broke at the first level, 100 users (no raw latency)")
    _, found = first_found(steps(stress(errors()), [], until_s=30))
    assert found.text.endswith("broke at the first level, 100 users (no request ended)")


def test_a_hang_in_the_midst_of_a_stair_breaks_it_though_what_ended_before_was_good() -> None:
    second, found = first_found(steps(stress(), each_second(0, 24), until_s=40))
    assert second == 31, "28 is complete after the grace"
    assert (found.capacity, found.broke) == (200.0, True)
    assert "broke at 300 users (no request ended for 3 s, after 8 of 10 s)" in found.text


def test_a_check_that_allows_for_longer_answers_awaits_them() -> None:
    patient = latency(quantile=0.99, below_ms=6_000)
    second, found = first_found(steps(stress(patient), each_second(0, 12), until_s=40))
    assert second == 13 + 6 + 3, "and the grace"
    assert "no request ended for 6 s" in found.text


def hung(count: int, begun_s: float, took_ms: float, outcome: Outcome) -> list[Sample]:
    return [request(begun_s, took_ms, outcome=outcome) for _ in range(count)]


@pytest.mark.parametrize("until", [P99, error_rate(below=0.01), errors()])
def test_timeouts_after_the_plans_end_break_the_stair_in_which_they_began(until: Check) -> None:
    made = stress(until)
    samples = [*each_second(0, 27), *hung(30, 28.0, 8_000, Outcome.TIMEOUT)]
    assert steps(made, samples, until_s=31) == [None] * 31, "nobody knows of them yet"
    for report in reports(hung(30, 28.0, 8_000, Outcome.TIMEOUT)):
        made.take(report)
    found = made.close(37.0)
    assert (found.capacity, found.broke) == (200.0, True)
    assert "broke at 300 users (" in found.text
    assert found.text.endswith(
        "with 30 requests that began in it and failed or were slow after its end)"
    )


def test_answers_that_were_held_back_into_the_next_stair_break_their_own() -> None:
    late = hung(20, 17.5, 4_000, Outcome.OK)
    samples = [*each_second(0, 17), *late, *each_second(21, 29)]
    second, found = first_found(steps(stress(), samples, until_s=31))
    assert second == 22, "they ended in second 21"
    assert found.capacity == 100.0
    assert "broke at 200 users (p99 3,0" in found.text


def test_an_earlier_stair_is_found_to_have_broken_after_a_later_one() -> None:
    made = stress()
    second, found = first_found(steps(made, each_second(0, 17), until_s=40))
    assert "broke at 300 users (no request ended for 3 s" in found.text, "so far"
    assert found.capacity == 200.0
    for report in reports(hung(50, 18.0, 8_000, Outcome.TIMEOUT)):
        made.take(report)
    found = made.close(second + 8.0)
    assert found.capacity == 100.0
    assert "and broke at 200 users (" in found.text


def test_what_was_under_way_when_the_next_stair_began_is_held_against_that_one() -> None:
    made = stress()
    overloaded = hung(30, 19.5, 8_000, Outcome.TIMEOUT)
    samples = [*each_second(0, 19), *each_second(20, 26, 500.0), *overloaded]
    _, found = first_found(steps(made, samples, until_s=30))
    assert found.capacity == 200.0
    for report in reports(overloaded):
        made.take(report)
    assert made.close(32.0).capacity == 200.0


def test_a_stair_whose_requests_were_cut_off_has_not_surely_held_nor_broken() -> None:
    made = stress()
    steps(made, each_second(0, 27), until_s=30)
    for report in reports(hung(30, 28.0, 5_000, Outcome.CANCELLED)):
        made.take(report)
    found = made.close(34.0)
    assert (found.capacity, found.label) == (200.0, LIMIT_NOT_FOUND)


@pytest.mark.parametrize("until", [P99, errors()])
def test_users_cut_off_in_a_quick_request_change_nothing(until: Check) -> None:
    """As those are that a plan's end takes away without a stop timeout."""
    made = stress(until)
    steps(made, each_second(0, 29), until_s=31)
    for report in reports(hung(300, 29.99, 20, Outcome.CANCELLED)):
        made.take(report)
    assert made.close(31.0).capacity == 300.0


def test_fewer_users_may_be_silent_for_longer_than_more() -> None:
    down = [replace(stair, level=500.0 - stair.level) for stair in STAIRS]
    samples = [*each_second(0, 9), request(18.0), request(19.0)]
    assert steps(stress(stairs=down), samples, until_s=21) == [None] * 21


def test_a_limit_that_is_never_reached_is_not_found() -> None:
    made = stress()
    assert steps(made, each_second(0, 28), until_s=30) == [None] * 30
    made.take(reports(each_second(29, 29))[0])
    found = made.close(31.0)
    assert (found.capacity, found.broke, found.label) == (300.0, False, LIMIT_NOT_FOUND)
    assert found.text == (
        "the check p99 < 100ms held up to 300 users (p99 10.0 ms); its limit was not found"
    )


def test_the_last_stair_may_break_when_everything_has_arrived() -> None:
    made = stress()
    steps(made, each_second(0, 26), until_s=28)
    for report in reports(each_second(27, 29, 500.0)):
        made.take(report)
    found = made.close(31.0)
    assert (found.capacity, found.broke) == (200.0, True)


def test_a_report_that_comes_after_its_stair_was_over_counts_in_the_end() -> None:
    made = stress()
    assert steps(made, each_second(0, 28), until_s=35) == [None] * 35
    made.take(reports(each_second(29, 29, 500.0), "w2")[0])
    found = made.close(36.0)
    assert (found.capacity, found.broke) == (200.0, True)


def test_a_run_that_was_stopped_says_what_had_held_and_no_more() -> None:
    made = stress()
    steps(made, each_second(0, 14), until_s=16)
    assert made.close(15.2).text.endswith("up to 100 users (p99 10.0 ms); its limit was not found")
    early = stress()
    steps(early, each_second(0, 4), until_s=6)
    assert early.close(5.2) == Found(
        0.0, False, "stopped before the end of the first level: no limit was found"
    )


def test_the_highest_level_that_held_counts_whatever_its_turn() -> None:
    down = [replace(stair, level=500.0 - stair.level) for stair in STAIRS]
    _, found = first_found(
        steps(stress(stairs=down), [*each_second(0, 19), *each_second(20, 29, 500.0)], until_s=30)
    )
    assert found.capacity == 400.0
    assert "held up to 400 users" in found.text and "broke at 200 users" in found.text


def test_rates_are_told_as_rates_and_shares_as_shares() -> None:
    open_stairs = [replace(stair, level=stair.level / 8, unit="arrivals/s") for stair in STAIRS]
    failed = each_second(10, 19, outcome=Outcome.HTTP_5XX)
    made = stress(error_rate(below=0.01), open_stairs)
    _, found = first_found(steps(made, [*each_second(0, 9), *failed], until_s=30))
    assert found.text == (
        "the check errors < 1% held up to 12.5 arrivals/s (error rate 0 %) and broke at "
        "25 arrivals/s (error rate 100 % after 3 of 10 s)"
    )


OPEN = [
    replace(stair, unit="arrivals/s", arrivals=1000 * (n + 1)) for n, stair in enumerate(STAIRS)
]


def arriving(
    made: Stress, started: dict[int, int], unsent: dict[int, int], *, until_s: int
) -> list[Found | None]:
    """Arrivals of each second, as their process reports them, all answered at once."""
    found = []
    for now in range(until_s):
        if now:
            recorder = Recorder(source="w", origin_us=0)
            for _ in range(started.get(now - 1, 0)):
                recorder.arrival("Buyer", (now - 1) * 1_000_000)
                recorder.record(request(now - 1, 5.0))
            for _ in range(unsent.get(now - 1, 0)):
                recorder.arrival("Buyer", (now - 1) * 1_000_000, unsent=Unsent.NO_SESSION)
            recorder.close()
            for report in recorder.reports():
                if report is not None:
                    made.take(report)
        found.append(made.step(now + 0.75))
    return found


def test_a_stair_whose_arrivals_were_not_started_does_not_hold_however_quick_the_others() -> None:
    started = {second: 100 for second in range(10)} | {second: 190 for second in range(10, 20)}
    second, found = first_found(
        arriving(stress(stairs=OPEN), started, {second: 10 for second in range(10, 20)}, until_s=30)
    )
    assert second == 13, "30 of 2,000 are more than 1 %"
    assert found.text.endswith(
        "and broke at 200 arrivals/s (30 of 2,000 arrivals were not started, after 3 of 10 s)"
    )
    assert found.capacity == 100


def test_arrivals_that_nobody_offered_are_missing_two_seconds_after_the_stair() -> None:
    """As those of a worker that is gone."""
    started = {second: 100 for second in range(10)} | {second: 150 for second in range(10, 20)}
    started |= {second: 300 for second in range(20, 30)}
    second, found = first_found(arriving(stress(stairs=OPEN), started, {}, until_s=30))
    assert second == 22
    assert found.text.endswith("200 arrivals/s (500 of 2,000 arrivals were not started)")


def test_arrivals_that_are_started_a_second_late_are_not_missing() -> None:
    """They are told of in their own second, by an increment that comes with the next one's."""
    made = stress(stairs=OPEN)
    found = []
    for now in range(1, 24):
        recorder = Recorder(source="w", origin_us=0)
        second = now - 1
        for n in range(100 * (second // 10 + 1)):
            late = second in (9, 19) and n % 4 == 0
            recorder.record(request(second, 5.0))
            if not late:
                recorder.arrival("Buyer", second * 1_000_000)
        if second in (10, 20):
            for _ in range(25 * (second // 10)):
                recorder.arrival("Buyer", (second - 1) * 1_000_000)
        recorder.close()
        told = [one for one in recorder.reports() if one is not None]
        # The frontier knows of the stair's last second before the increment is there.
        for report in sorted(told, key=lambda one: -one.second):
            found.append(made.step(now + 0.75))
            made.take(report)
        found.append(made.step(now + 0.75))
    assert found == [None] * len(found)


def test_a_stair_may_lack_one_arrival_in_a_hundred() -> None:
    started = {second: 100 * (second // 10 + 1) for second in range(30)}
    started[15] -= 20
    assert arriving(stress(stairs=OPEN), started, {15: 20}, until_s=31) == [None] * 31


def test_a_check_of_a_whole_run_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be held against a run that goes on"):
        stress(requests(above=1))


# The verdict of a timeline in which a stress was recorded

PLAN = Plan(
    duration_s=9.0,
    phases=tuple(PlannedPhase(f"stress {n + 1}", 3 * n, 3 * n + 3) for n in range(3)),
    users=(1, 1, 1, 2, 2, 2, 3, 3, 3),
    user_seconds=(1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0),
    mean_cycle_s=0.5,
)


def stressed(found: Found, checks: list[Check], *, plan_ends_s: float | None) -> Timeline:
    """Requests of the first six seconds, and what a stress of them has found."""
    samples = [
        request(second + n / (2 * users))
        for second, users in enumerate(PLAN.users[:6])
        for n in range(2 * users)
    ]
    made = timeline(samples, checks=checks, plan=PLAN, health=HEALTHY)
    own: SecondReport = found.report(5)
    sent = {"w1": len(made.reports), "owner": 1}
    return replace(
        made,
        reports=(*made.reports, own),
        annotations=(Annotation(5.75, found.label, found.text),),
        end=End(6.5, EndReason.COMPLETED, "", sent, plan_ends_s),
    )


BROKE = Found(2.0, True, "held up to 2 users and broke at 3 users")
HELD = Found(2.0, False, "held up to 2 users; its limit was not found")


def capacity(**limit: float) -> Check:
    return figure(
        "capacity",
        "most",
        above=limit.get("above"),
        at_least=limit.get("at_least"),
        below=limit.get("below"),
        at_most=limit.get("at_most"),
    )


def judged(tmp_path: Path, made: Timeline) -> Judgement:
    """By the file, as every verdict is."""
    path = write(tmp_path / "timeline.jsonl", made)
    assert read_timeline(path).end == made.end
    judgement = replay(path)
    assert judgement.reasons == judge_timeline(made).reasons
    return judgement


def test_capacity_is_a_figure_that_a_check_may_ask_for(tmp_path: Path) -> None:
    made = stressed(BROKE, [capacity(at_least=2)], plan_ends_s=6.0)
    judgement = judged(tmp_path, made)
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    assert judgement.reasons[-1] == BROKE.text


@pytest.mark.parametrize(
    ("found", "limit", "status"),
    [
        (BROKE, {"at_least": 3}, Status.FAIL),
        (BROKE, {"at_most": 1}, Status.FAIL),
        (BROKE, {"at_most": 2}, Status.PASS),
        (HELD, {"at_least": 2}, Status.PASS),
        (HELD, {"above": 1}, Status.PASS),
        (HELD, {"at_least": 3}, Status.INCONCLUSIVE),
        (HELD, {"at_most": 5}, Status.INCONCLUSIVE),
        (HELD, {"below": 1}, Status.INCONCLUSIVE),
    ],
)
def test_what_held_without_a_limit_is_a_lower_bound_and_no_more(
    found: Found, limit: dict[str, float], status: Status
) -> None:
    judgement = judge_timeline(stressed(found, [capacity(**limit)], plan_ends_s=6.0))
    (result,) = judgement.results
    assert result.status is status, result.reason


def test_nobody_but_the_owner_says_what_the_capacity_is(tmp_path: Path) -> None:
    made = stressed(BROKE, [capacity(at_least=3)], plan_ends_s=6.0)
    false = replace(made.reports[0], figures={"capacity": Figure(1, 500.0, 500.0, 500.0)})
    made = replace(made, reports=(false, *made.reports[1:]))
    judgement = judged(tmp_path, made)
    assert [(one.status, one.value) for one in judgement.results] == [(Status.FAIL, 2.0)]
    assert judgement.windows[0].figures["capacity"].count == 1

    without = replace(made, reports=made.reports[:-1])
    assert judge_timeline(without).results[0].value == 500.0, "the control: no stress, anyone's"


def test_only_checks_of_the_capacity_are_qualified() -> None:
    made = stressed(HELD, [errors(), capacity(at_least=2)], plan_ends_s=6.0)
    assert [one.status for one in judge_timeline(made).results] == [Status.PASS, Status.PASS]


def test_the_plan_ends_where_the_check_broke(tmp_path: Path) -> None:
    check = error_rate(below=0.1, window="phase:*")
    judgement = judged(tmp_path, stressed(BROKE, [check, capacity(above=1)], plan_ends_s=6.0))
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    windows = {stats.window.name: stats for stats in judgement.windows}
    assert list(windows) == ["run", "phase:stress 1", "phase:stress 2"]
    assert windows["run"].achieved(None) == 1.0, "against the plan as far as it went"
    assert windows["run"].window.intervals == ((0, 6),)


def test_without_that_moment_the_rest_of_the_plan_is_missed() -> None:
    """The control of the test above."""
    check = error_rate(below=0.1, window="phase:*")
    judgement = judge_timeline(stressed(BROKE, [check, capacity(above=1)], plan_ends_s=None))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.windows[0].achieved(None) == pytest.approx(0.5)


def test_a_plan_that_ends_within_a_second_keeps_that_share_of_it() -> None:
    cut = PLAN.ending(4.25)
    assert cut.duration_s == 4.25
    assert [(p.name, p.start_s, p.end_s) for p in cut.phases] == [
        ("stress 1", 0, 3),
        ("stress 2", 3, 4.25),
    ]
    assert (cut.users, cut.user_seconds) == ((1, 1, 1, 2, 2), (1.0, 1.0, 1.0, 2.0, 0.5))
    assert PLAN.ending(9.0) == PLAN.ending(50.0) == PLAN


@pytest.mark.parametrize("bad", ["0", "-1", '"6"', "true", "1e999"])
def test_a_plan_that_ends_at_no_moment_is_refused(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "t.jsonl", stressed(BROKE, [], plan_ends_s=6.0))
    text = path.read_text()
    assert '"plan_ends_s":6.0' in text
    path.write_text(text.replace('"plan_ends_s":6.0', f'"plan_ends_s":{bad}'))
    with pytest.raises(TimelineError, match="plan_ends_s"):
        read_timeline(path)
