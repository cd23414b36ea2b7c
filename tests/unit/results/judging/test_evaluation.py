"""Checks of rates, availability, writes and faults: each holds, breaks on a seeded bug, and is
never a pass where nothing was seen. Those of errors, latency and counts are in test_check.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from results.audit.audit import MEANING, Audit, Fate, Place
from results.check import Check, expanded, interval_windows, unknown_windows
from results.errors import TimelineError
from results.grammar import check
from results.impact import Impact
from results.judging.evaluation import CheckResult, Status, evaluate
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.statistic import cut
from results.timeline import Fault, Timeline
from results.windows import interval, standard_windows
from tests.unit.results.builder import PLAN, planned_requests, request, timeline

A, B = "http://127.0.0.1:8001", "http://127.0.0.1:8002"
GOOD = planned_requests()
KILL = Fault("kill-1", "kill", A, 1.0, 2.0)
PAUSE = Fault("pause-1", "pause", B, 3.0, 4.0)


def result_of(
    text: str,
    samples: Sequence[Sample] = GOOD,
    *,
    audit: Audit | None = None,
    impacts: Sequence[Impact] = (),
    faults: tuple[Fault, ...] = (),
) -> CheckResult:
    made = timeline(samples, faults=faults)
    return of(check(text), made, audit, impacts)


def of(
    asked: Check, made: Timeline, audit: Audit | None = None, impacts: Sequence[Impact] = ()
) -> CheckResult:
    windows = standard_windows(made)
    names = [window.name for window in windows]
    (found,) = expanded([asked], names, faults=made.faults)
    windows = (*windows, *interval_windows([found]))
    selections = [] if found.endpoint is None else [found.endpoint]
    return evaluate(found, cut(made, windows, selections), audit=audit, impacts=impacts)


FAILING = [*GOOD, *(request(2.5, outcome=Outcome.TIMEOUT) for _ in range(9))]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rate > 9/s", GOOD[:40]),
        ("rate >= 20/s in phase:burst", GOOD[:-20]),
        ("rate < 12/s", GOOD + GOOD),
        ("rate > 9/s of GET /*", GOOD[:40]),
        ("availability > 99%", FAILING),
        ("availability >= 100% in phase:burst", FAILING),
        ("availability > 99% of GET /a", FAILING),
        ("errors == 0", FAILING),
        ("errors <= 1%", FAILING),
        ("errors < 1% in 2s..4s", FAILING),
        ("requests == 56", GOOD[:-1]),
        ("requests <= 56", [*GOOD, request(3)]),
        ("p99 <= 100ms", [*GOOD, *(request(3.0, took_ms=900) for _ in range(3))]),
    ],
)
def test_a_check_holds_on_good_data_and_fails_on_a_seeded_bug(
    text: str, fault: list[Sample]
) -> None:
    good = result_of(text)
    assert good.status is Status.PASS, good.reason
    bad = result_of(text, fault)
    assert bad.status is Status.FAIL, bad.reason
    assert bad.check.comparison in bad.reason


@pytest.mark.parametrize(
    "text",
    [
        "rate > 0/s of GET /never",
        "rate < 5/s of GET /never",
        "availability > 1% of GET /never",
        "rate > 0/s in phase:nowhere",
        "availability > 1% in fault:*",
        "errors < 99% in recovery:*",
        "errors < 99% in baseline",
        "recovery < 1h",
        "recovery < 1h in fault:*",
        "detection < 1h",
        "lost == 0",
        "phantom == 0 in phase:burst",
        "unverified <= 100",
    ],
)
def test_nothing_seen_is_never_a_pass(text: str) -> None:
    result = result_of(text)
    assert result.status is Status.INCONCLUSIVE, result.reason
    assert (result.value, result.firm) == (None, False)


@pytest.mark.parametrize(("outcome", "firm"), [(Outcome.HTTP_5XX, True), (Outcome.TIMEOUT, False)])
def test_availability_that_the_nodes_own_answers_cost_is_firm(outcome: Outcome, firm: bool) -> None:
    result = result_of("availability > 90%", [*GOOD, *(request(3, outcome=outcome),) * 20])
    assert (result.status, result.firm) == (Status.FAIL, firm)


# Writes


def audit(counts: Mapping[tuple[str, int], Mapping[Fate, int]], **rest: object) -> Audit:
    places = {Place(*place): fates for place, fates in counts.items()}
    made = Audit(places, compared={place: sum(fates.values()) for place, fates in places.items()})
    return replace(made, **rest)  # type: ignore[arg-type]


CLEAN = audit({(A, 0): {Fate.PRESENT: 90}, (B, 3): {Fate.PRESENT: 9, Fate.REFUSED: 1}})
OF_FATES = {
    "lost": Fate.LOST,
    "altered": Fate.ALTERED,
    "duplicated": Fate.DUPLICATED,
    "phantom": Fate.PHANTOM,
    "redelivered": Fate.REDELIVERED,
    "unverified": Fate.UNVERIFIED,
}


@pytest.mark.parametrize("measure", OF_FATES)
def test_one_write_of_a_fate_breaks_its_check_alone_and_in_its_window(measure: str) -> None:
    fate = OF_FATES[measure]
    bad = audit({(A, 0): {Fate.PRESENT: 90}, (B, 3): {Fate.PRESENT: 9, fate: 2}})
    for other in OF_FATES:
        assert result_of(f"{other} == 0", audit=CLEAN).status is Status.PASS
        result = result_of(f"{other} == 0", audit=bad)
        expected = Status.FAIL if other == measure else Status.PASS
        if measure == "unverified" and other in ("lost", "altered", "duplicated"):
            expected = Status.INCONCLUSIVE
        assert result.status is expected, result.reason
        assert result_of(f"{other} == 0 in phase:steady#1", audit=bad).status is Status.PASS
    result = result_of(f"{measure} == 0", audit=bad)
    assert "2 " in result.reason and f"all in phase:burst, all on {B}" in result.reason
    assert result.firm is (measure in ("lost", "altered", "duplicated", "phantom"))
    in_burst = result_of(f"{measure} == 0 in phase:burst", audit=bad)
    assert in_burst.status is Status.FAIL
    assert in_burst.reason.endswith(f"all on {B}")
    assert result_of(f"{measure} <= 2", audit=bad).status is not Status.FAIL


def test_losses_in_several_places_are_told_by_place() -> None:
    bad = audit(
        {
            (A, 0): {Fate.LOST: 3, Fate.PRESENT: 5},
            (B, 2): {Fate.LOST: 4},
            (A, 3): {Fate.LOST: 1},
        }
    )
    reason = result_of("lost == 0", audit=bad, faults=(PAUSE,)).reason
    assert f"asked for lost == 0: {MEANING[Fate.LOST]}; 5 in" in reason
    places = "5 in phase:burst, 3 in phase:steady#1, 1 in fault:pause-1"
    assert reason.endswith(f"{places}, 4 on {A}, 4 on {B}")


def test_an_unverified_write_keeps_lost_from_passing_where_it_could_matter() -> None:
    doubtful = audit(
        {(A, 0): {Fate.PRESENT: 9}, (B, 3): {Fate.UNVERIFIED: 2}},
        unread_nodes={B: "it answered 500"},
    )
    result = result_of("lost == 0", audit=doubtful)
    assert result.status is Status.INCONCLUSIVE
    assert "2 more cannot be ruled out, as not every read succeeded" in result.reason
    assert f"{B}: it answered 500" in result.reason
    assert result_of("lost == 0 in phase:steady#1", audit=doubtful).status is Status.PASS
    assert result_of("lost <= 2", audit=doubtful).status is Status.PASS
    assert result_of("lost <= 1", audit=doubtful).status is Status.INCONCLUSIVE
    assert result_of("phantom == 0", audit=doubtful).status is Status.PASS, "none was refused"
    assert result_of("unverified == 0", audit=doubtful).status is Status.FAIL


@pytest.mark.parametrize("measure", ["altered", "duplicated", "phantom"])
def test_what_an_unread_node_may_hide_keeps_its_check_from_passing(measure: str) -> None:
    hidden = {Place(B, 3): {Fate(measure): 2}}
    doubtful = replace(audit({(A, 0): {Fate.PRESENT: 9}, (B, 3): {Fate.PRESENT: 2}}), unseen=hidden)
    for other in OF_FATES:
        expected = Status.INCONCLUSIVE if other == measure else Status.PASS
        assert result_of(f"{other} == 0", audit=doubtful).status is expected
    assert result_of(f"{measure} == 0 in phase:steady#1", audit=doubtful).status is Status.PASS
    assert result_of(f"{measure} <= 2", audit=doubtful).status is Status.PASS


def test_an_audit_that_was_not_made_says_why() -> None:
    result = result_of("lost == 0", audit=Audit({}, not_made="the disk is full"))
    assert result.status is Status.INCONCLUSIVE
    assert "the writes were not audited: the disk is full" in result.reason


def test_a_window_without_writes_shows_nothing() -> None:
    result = result_of("lost == 0 in phase:steady#2", audit=CLEAN)
    assert result.status is Status.INCONCLUSIVE
    assert "no acknowledged write ended in window phase:steady#2" in result.reason


# Faults


def impact(fault: Fault, detect_s: float | None, recover_s: float | None) -> Impact:
    return Impact(fault, detect_s, recover_s, None, None, detect_s, recover_s)


BOTH = (impact(KILL, 1.0, 3.0), impact(PAUSE, 2.0, 8.0))


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("recovery < 9s", 8.0, Status.PASS),
        ("recovery < 8s", 8.0, Status.FAIL),
        ("recovery <= 8s", 8.0, Status.PASS),
        ("recovery < 5s in fault:kill-1", 3.0, Status.PASS),
        ("recovery < 5s in fault:kill", 3.0, Status.PASS),
        ("recovery < 5s in recovery:pause", 8.0, Status.FAIL),
        ("recovery < 5s in phase:steady#1", 3.0, Status.PASS),
        ("recovery < 5s in phase:burst", 8.0, Status.FAIL),
        ("recovery < 5s in 0s..2s", 3.0, Status.PASS),
        ("detection < 3s", 2.0, Status.PASS),
        ("detection < 2s", 2.0, Status.FAIL),
    ],
)
def test_times_of_faults_are_the_longest_of_those_that_the_window_names(
    text: str, value: float, status: Status
) -> None:
    result = result_of(text, impacts=BOTH, faults=(KILL, PAUSE))
    assert (result.value, result.status) == (value, status), result.reason
    longest = "pause-1" if value in (8.0, 2.0) else "kill-1"
    assert f"the longest is that of {longest}" in result.reason


def test_a_fault_that_never_healed_or_never_got_well_is_a_failure() -> None:
    forever = replace(KILL, healed_s=None)
    result = result_of("recovery < 1h", impacts=[impact(forever, 1.0, None)], faults=(forever,))
    assert (result.status, result.value) == (Status.FAIL, None)
    assert "no recovery from kill-1: it was never seen healed" in result.reason
    result = result_of("recovery < 1h", impacts=[impact(KILL, 1.0, None)], faults=(KILL,))
    assert result.status is Status.FAIL
    assert "the checks did not hold again after it was healed at 2.0 s" in result.reason


def test_a_fault_that_broke_nothing_had_nothing_to_detect() -> None:
    result = result_of("detection < 1h", impacts=[impact(KILL, None, 0.0)], faults=(KILL,))
    assert result.status is Status.INCONCLUSIVE
    assert "kill-1 broke no check" in result.reason
    both = [impact(KILL, None, 0.0), impact(PAUSE, 2.0, 0.0)]
    result = result_of("detection < 5s", impacts=both, faults=(KILL, PAUSE))
    assert (result.status, result.value, result.samples) == (Status.PASS, 2.0, 1)
    assert "that of pause-1; kill-1 broke no check" in result.reason


@pytest.mark.parametrize(
    ("least_s", "most_s", "status"),
    [
        (0.0, None, Status.INCONCLUSIVE),
        (5.0, None, Status.FAIL),
        (0.0, 4.9, Status.PASS),
        (4.0, 9.0, Status.INCONCLUSIVE),
        (5.0, 9.0, Status.FAIL),
        (3.0, 3.0, Status.PASS),
        (8.0, 8.0, Status.FAIL),
    ],
)
def test_a_recovery_that_nobody_looked_at_is_judged_by_what_it_was_at_the_least_and_at_the_most(
    least_s: float, most_s: float | None, status: Status
) -> None:
    unseen = replace(impact(PAUSE, None, most_s), recover_least_s=least_s)
    for both in ((unseen, impact(KILL, 1.0, 2.0)), (impact(KILL, 1.0, 2.0), unseen)):
        result = result_of("recovery < 5s", impacts=both, faults=(KILL, PAUSE))
        assert result.status is status, result.reason
        assert "pause-1" in result.reason or least_s == 0.0


def test_a_detection_that_may_have_been_sooner_than_it_was_seen_is_no_failure() -> None:
    late = replace(impact(KILL, 9.0, 0.0), detect_least_s=1.0)
    result = result_of("detection < 5s", impacts=[late], faults=(KILL,))
    assert result.status is Status.INCONCLUSIVE
    assert "no check says how the target was from 1 s to 9 s after its beginning" in result.reason
    result = result_of("detection < 10s", impacts=[late], faults=(KILL,))
    assert (result.status, result.value) == (Status.PASS, 9.0)


def test_no_fault_of_the_window_is_not_a_pass() -> None:
    result = result_of("recovery < 1h in phase:steady#2", impacts=BOTH, faults=(KILL, PAUSE))
    assert result.status is Status.INCONCLUSIVE
    assert "there were: kill-1, pause-1" in result.reason


# Windows


def test_each_fault_and_each_recovery_become_a_check() -> None:
    made = timeline(GOOD, faults=(KILL, PAUSE))
    names = [window.name for window in standard_windows(made)]
    asked = [check("errors < 1% in fault:*"), check("errors < 1% in recovery:*")]
    found = expanded(asked, names, faults=made.faults)
    assert [one.id for one in found] == [
        "error_rate@fault:kill-1",
        "error_rate@fault:pause-1",
        "error_rate@recovery:kill-1",
        "error_rate@recovery:pause-1",
    ]
    (only,) = expanded([check("errors < 1% in fault:kill")], names, faults=made.faults)
    assert (only.window, only.id) == ("fault:kill-1", "error_rate@fault:kill")


def test_each_of_several_checks_has_its_own_id_though_somebody_chose_one() -> None:
    made = timeline(GOOD, faults=(KILL, PAUSE))
    names = [window.name for window in standard_windows(made)]
    chosen = replace(check("errors < 1% in fault:*"), id="mine")
    found = expanded([chosen], names, faults=made.faults)
    assert [one.id for one in found] == ["mine@fault:kill-1", "mine@fault:pause-1"]


def test_a_check_that_names_its_window_takes_the_place_of_the_patterns() -> None:
    made = timeline(GOOD, faults=(KILL, PAUSE))
    names = [window.name for window in standard_windows(made)]
    texts = ["p99 < 1s in fault:*", "p99 < 9s in fault:kill-1", "p99 < 1s in phase:*"]
    asked = [check(text) for text in (*texts, "p99 < 9s in phase:burst")]
    found = expanded(asked, names, faults=made.faults)
    assert {one.id: one.limit for one in found} == {
        "raw_p99@fault:kill-1": 9_000.0,
        "raw_p99@fault:pause-1": 1_000.0,
        "raw_p99@phase:steady#1": 1_000.0,
        "raw_p99@phase:steady#2": 1_000.0,
        "raw_p99@phase:burst": 9_000.0,
    }
    with pytest.raises(ValueError, match="two checks"):
        expanded([asked[0], asked[0]], names, faults=made.faults)


def test_a_fault_without_a_recovery_has_a_check_of_it_that_says_so() -> None:
    """The second fault followed at once."""
    made = timeline(GOOD, faults=(KILL, replace(PAUSE, began_s=2.2)), checks=RECOVERIES)
    found = {r.check.id: r for r in judge_timeline(made).results}
    assert [found[f"raw_p99@recovery:{id}"].status for id in ("kill-1", "pause-1")] == [
        Status.INCONCLUSIVE,
        Status.PASS,
    ]
    reason = found["raw_p99@recovery:kill-1"].reason
    assert "there is no time after the fault 'kill-1'" in reason


RECOVERIES = [check("p99 < 1s in recovery:*")]


def test_a_pattern_of_faults_stays_when_there_was_none_and_says_so() -> None:
    for text in ("errors < 1% in fault:*", "errors < 1% in recovery:*", "lost == 0 in fault:kill"):
        result = result_of(text, audit=CLEAN)
        assert result.status is Status.INCONCLUSIVE
        assert "no fault was injected in this run" in result.reason


def test_a_fault_that_was_not_healed_has_no_recovery_to_look_at() -> None:
    forever = replace(PAUSE, healed_s=None)
    result = result_of("errors < 1% in recovery:pause-1", faults=(forever,))
    assert result.status is Status.INCONCLUSIVE
    assert "never seen healed" in result.reason


def test_intervals_are_windows_of_their_own() -> None:
    asked = [check("errors < 1% in 1.5s..3s"), check("p99 < 1s in 1.5s..3s"), check("lost == 0")]
    assert interval_windows(asked) == (interval("1.5s..3s", 1.5, 3.0),)
    assert unknown_windows(asked, ["run"]) == ()
    made = timeline(GOOD, checks=asked[:2])
    judgement = judge_timeline(made)
    assert [result.status for result in judgement.results] == [Status.PASS] * 2
    assert judgement.windows[-1].window.name == "1.5s..3s"


def test_an_interval_that_makes_none_is_a_damaged_timeline() -> None:
    bad = replace(check("errors < 1% in 1s..3s"), window="3s..1s")
    with pytest.raises(TimelineError, match="checks cannot be read"):
        judge_timeline(timeline(GOOD, checks=[bad]))
    far = replace(bad, window="0s..99999999999999999999s")
    assert judge_timeline(timeline(GOOD, checks=[far])).results[0].status is Status.INCONCLUSIVE


def judged(text: str, samples: Sequence[Sample] = GOOD) -> CheckResult:
    made = timeline(samples, checks=[check(text)], plan=replace(PLAN, duration_s=6.0))
    return judge_timeline(made).results[0]


def test_an_interval_that_the_run_did_not_get_to_the_end_of_does_not_pass() -> None:
    result = judged("errors < 1% in 4s..30s")
    assert result.status is Status.INCONCLUSIVE
    assert "the run ended at 6 s, before the window did" in result.reason
    assert judged("errors < 1% in 4s..6s").status is Status.PASS
    assert judged("rate > 100/s in 4s..30s").status is Status.INCONCLUSIVE
    assert judged("errors < 1% in 2s..30s", FAILING).status is Status.FAIL


def test_an_endpoint_that_nobody_asked_names_the_nearest_that_there_was() -> None:
    result = judged("errors < 1% of GET /b")
    assert result.status is Status.INCONCLUSIVE
    assert "no request of the run was of 'GET /b': did you mean 'GET /a'?" in result.reason
    result = judged("p99 < 1s of zzzzzz for 2s")
    assert result.status is Status.INCONCLUSIVE
    assert "there are 'GET /a'" in result.reason
    # Of an endpoint that was asked elsewhere nothing is said.
    only_early = [request(0.5)]
    assert "did you mean" not in judged("errors < 1% of GET /a in phase:burst", only_early).reason
