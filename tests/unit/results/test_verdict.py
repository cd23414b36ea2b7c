"""Verdicts: precedence, what an unfit generator voids, and the document that is kept."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.check import EACH_PHASE, Check, achieved, error_rate, figure, latency, requests
from results.errors import TimelineError
from results.generator import assess
from results.judging.evaluation import Status
from results.replay import judge_timeline, replay
from results.sample import Outcome, Sample
from results.timeline import (
    Annotation,
    End,
    EndReason,
    Health,
    Plan,
    PlannedPhase,
    Progress,
    Timeline,
)
from results.verdict import (
    PRECEDENCE,
    ExitCode,
    Judgement,
    Verdict,
    as_document,
    is_keyed_by_data,
    worst,
)
from shapes.load import Load, Part
from shapes.phased import planned_user_seconds, planned_users
from tests.unit.results.builder import (
    HEALTHY,
    PLAN,
    planned_requests,
    reports,
    request,
    timeline,
    write,
)
from tests.unit.results.report.stormy_run import (
    ENDPOINTS,
    NODES,
    stormy_judgement,
    stormy_timeline,
)
from tests.unit.shapes.test_profile import p1_profile

CHECKS = (error_rate(below=0.01), requests(above=10), achieved(at_least=0.95))
LAGGING = tuple(Health(float(t), "w1", {"lag_p99_ms": 400.0}) for t in range(6))


def judged(
    samples: list[Sample],
    *,
    checks: tuple[Check, ...] = CHECKS,
    health: tuple[Health, ...] = HEALTHY,
) -> Judgement:
    return judge_timeline(timeline(samples, checks=checks, health=health))


def with_errors(outcome: Outcome) -> list[Sample]:
    return [*planned_requests(), *(request(3, outcome=outcome) for _ in range(5))]


def test_a_good_run_passes_and_says_so_in_one_sentence() -> None:
    good = judged(planned_requests())
    assert (good.verdict, good.exit_code) == (Verdict.PASS, ExitCode.PASS)
    assert good.reasons == ("all 3 checks hold and the generator was fit",)


def test_a_failed_check_fails_the_run_and_is_quoted() -> None:
    bad = judged(planned_requests(0.5))
    assert (bad.verdict, bad.exit_code) == (Verdict.FAIL, ExitCode.FAIL)
    assert len(bad.reasons) == 1
    assert "achieved: 50.00 % in window run" in bad.reasons[0]


def test_one_500_in_fifty_requests_fails() -> None:
    samples = [
        s._replace(outcome=Outcome.HTTP_5XX) if n % 50 == 0 else s
        for n, s in enumerate(planned_requests())
    ]
    assert judged(samples).exit_code is ExitCode.FAIL


def test_a_run_that_sent_nothing_is_inconclusive() -> None:
    nothing = judged([])
    assert (nothing.verdict, nothing.exit_code) == (Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE)
    assert any("no request was sent" in reason for reason in nothing.reasons)


def test_a_run_without_checks_is_inconclusive() -> None:
    assert judged(planned_requests(), checks=()).exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("samples", "checks"),
    [
        (planned_requests(0.5), CHECKS),
        (with_errors(Outcome.TIMEOUT), CHECKS),
        (planned_requests(), (latency(quantile=0.5, below_ms=1),)),
        (planned_requests(), (requests(above=1000),)),
        (planned_requests(), CHECKS),
    ],
)
def test_an_unfit_generator_voids_what_it_may_have_caused(
    samples: list[Sample], checks: tuple[Check, ...]
) -> None:
    void = judged(samples, checks=checks, health=LAGGING)
    assert void.exit_code is ExitCode.INCONCLUSIVE
    assert Status.FAIL not in {result.status for result in void.results}
    assert "lag p99 was over 250 ms" in void.reasons[0]


@pytest.mark.parametrize("outcome", [Outcome.HTTP_5XX, Outcome.CHECK])
def test_an_unfit_generator_does_not_excuse_what_a_node_answered(outcome: Outcome) -> None:
    assert judged(with_errors(outcome), health=LAGGING).exit_code is ExitCode.FAIL


@pytest.mark.parametrize(
    ("check", "exit_code"),
    [
        (figure("unmet", "sum", at_most=0), ExitCode.FAIL),
        (figure("unmet", "most", below=1), ExitCode.FAIL),
        (figure("unmet", "mean", below=0.1, window="phase:burst"), ExitCode.FAIL),
        # A slow generator looks less often, and does less of everything else.
        (figure("unmet", "count", above=100), ExitCode.INCONCLUSIVE),
        (figure("unmet", "count", at_most=1), ExitCode.INCONCLUSIVE),
        (figure("unmet", "sum", above=100), ExitCode.INCONCLUSIVE),
        (figure("faults", "sum", at_most=0), ExitCode.INCONCLUSIVE),
    ],
    ids=lambda value: value.id if isinstance(value, Check) else value.name,
)
def test_wrong_content_stays_a_fail_though_the_generator_was_unfit(
    check: Check, exit_code: ExitCode
) -> None:
    observed = [(name, value, 2.5) for name in ("unmet", "faults") for value in (0.0, 1.0)]

    def with_health(health: tuple[Health, ...]) -> Judgement:
        made = timeline(planned_requests(), checks=(check,), health=health, observed=observed)
        return judge_timeline(made)

    assert with_health(HEALTHY).exit_code is ExitCode.FAIL, "the control"
    assert with_health(LAGGING).exit_code is exit_code


def test_answers_that_were_right_prove_nothing_with_an_unfit_generator() -> None:
    never = figure("unmet", "sum", at_most=0)
    made = timeline(
        planned_requests(), checks=(never,), health=LAGGING, observed=[("unmet", 0.0, 2.5)]
    )
    assert judge_timeline(made).exit_code is ExitCode.INCONCLUSIVE


def failing_users(*counts: int, source: str = "w1") -> tuple[Health, ...]:
    return tuple(
        Health(float(t), source, {"lag_p99_ms": 5.0, "user_errors": count})
        for t, count in enumerate(counts)
    )


def test_users_that_raised_make_the_run_inconclusive_and_the_first_is_named() -> None:
    made = timeline(
        planned_requests(),
        checks=CHECKS,
        health=(*failing_users(0, 1, 3, 3, 3, 3), *failing_users(0, 2, 2, 2, source="w2")),
    )
    notes = (
        Annotation(0.0, "note", "no user error"),
        Annotation(2.0, "user_errors", "KeyError in ShopUser"),
        Annotation(1.0, "user_errors", "AttributeError in ShopUser"),
    )
    done = judge_timeline(replace(made, annotations=notes))
    assert done.exit_code is ExitCode.INCONCLUSIVE
    assert [finding.code for finding in done.findings] == ["user_errors"]
    assert "failed 5 time(s)" in done.reasons[0], "as often as each process says at last"
    assert "first: AttributeError in ShopUser" in done.reasons[0]
    assert "KeyError" not in done.reasons[0]
    (only_noted,) = assess(replace(made, annotations=notes[1:2], health=HEALTHY))
    assert "KeyError in ShopUser" in only_noted.text
    assert judged(planned_requests(), health=failing_users(*[0] * 6)).exit_code is ExitCode.PASS


def lags(*values: float, source: str = "w1", start_s: float = 0.0) -> tuple[Health, ...]:
    return tuple(
        Health(start_s + n, source, {"lag_p99_ms": value}) for n, value in enumerate(values)
    )


@pytest.mark.parametrize(
    ("health", "codes"),
    [
        (lags(5, 5, 5, 5), []),
        (lags(33, 146, 146, 146, 146), []),
        (lags(5, 300, 300, 5, 300, 300, 5), []),
        (lags(5, 251, 251, 251, 5), ["generator_lag"]),
        (lags(250, 250, 250, 250), []),
        ((*lags(300, 300), *lags(5, 300, 300, source="w2")), []),
        ((*lags(300, 300, 300), *lags(5, 5, 5, source="w2")), ["generator_lag"]),
        (tuple(reversed(lags(5, 300, 300, 300))), ["generator_lag"]),
        ((*lags(5), Health(9, "w1", {"lag_p99_ms": 900})), ["unwatched", "generator_lag"]),
        ((*lags(5), Health(1, "master", {"workers_lost": 1})), ["workers_lost"]),
        ((*lags(5), Health(1, "master", {"recorder_failures": 2})), ["recorder_failures"]),
        ((*lags(5), Health(1, "w1", {"samples_dropped": 7})), ["samples_dropped"]),
        ((*lags(5), Health(1, "master", {"workers_lost": 0})), []),
        ((), ["unwatched"]),
        ((Health(1, "w1", {"cpu_percent": 3}),), ["unwatched"]),
    ],
)
def test_the_generators_limits_bite_and_spare_a_busy_machine(
    health: tuple[Health, ...], codes: list[str]
) -> None:
    made = timeline(planned_requests(), health=health)
    assert [finding.code for finding in assess(made)] == codes


@pytest.mark.parametrize(
    ("users", "codes"),
    [
        ([100] * 30, []),
        ([95] * 30, []),
        ([60] * 30, ["users_missing"]),
        ([100] * 5 + [60] * 5 + [100] * 20, []),
        ([100] * 5 + [60] * 6 + [100] * 19, ["users_missing"]),
        ([300] * 30, []),
        ([], []),
    ],
)
def test_a_run_whose_users_were_not_there_proves_nothing(
    users: list[int], codes: list[str]
) -> None:
    plan = Plan(30.0, (PlannedPhase("steady", 0, 30),), (100,) * 30, (100.0,) * 30, 1.0)
    made = timeline([request(1)], plan=plan)
    made = replace(made, progress=tuple(Progress(float(t), n) for t, n in enumerate(users)))
    assert [finding.code for finding in assess(made)] == codes


@pytest.mark.parametrize(("length_s", "least_s"), [(5, 3), (20, 4), (60, 10), (600, 10)])
def test_users_may_be_missing_for_longer_where_the_plan_is_longer(
    length_s: int, least_s: int
) -> None:
    """Ten seconds may be a whole phase of a short plan."""
    hundred = (100,) * length_s
    phases = (PlannedPhase("steady", 0, length_s),)
    plan = Plan(float(length_s), phases, hundred, tuple(map(float, hundred)), 1.0)
    for missing_s in (least_s - 1, least_s):
        users = [100, *[60] * missing_s, *[100] * (length_s - missing_s - 1)]
        progress = tuple(Progress(float(t), n) for t, n in enumerate(users))
        made = replace(timeline([request(1)], plan=plan), progress=progress)
        codes = [finding.code for finding in assess(made)]
        assert ("users_missing" in codes) is (missing_s == least_s), missing_s


def test_users_that_follow_the_plan_with_a_lag_are_not_missing() -> None:
    profile = Load((Part(p1_profile()),)).scaled(time=0.2)
    planned = planned_users(profile)
    plan = Plan.of(
        profile, users=planned, user_seconds=planned_user_seconds(profile), mean_cycle_s=0.4474
    )
    lagging = (0, 0, 0, *planned)
    made = timeline([request(1)], plan=plan)
    made = replace(made, progress=tuple(Progress(float(t), n) for t, n in enumerate(lagging)))
    assert assess(made) == ()


def test_reports_that_never_arrived_make_the_run_inconclusive() -> None:
    whole = timeline(planned_requests(), checks=CHECKS)
    lost = replace(whole, reports=whole.reports[:2] + whole.reports[3:])
    assert [finding.code for finding in assess(lost)] == ["reports_lost"]
    assert judge_timeline(lost).exit_code is ExitCode.INCONCLUSIVE
    tail = replace(whole, reports=whole.reports[:-1])
    assert [finding.code for finding in assess(tail)] == ["reports_lost"]


def test_samples_that_a_recorder_dropped_make_the_run_inconclusive() -> None:
    whole = timeline(planned_requests(), checks=CHECKS)
    dropped = tuple(replace(report, dropped=3) for report in whole.reports)
    assert [f.code for f in assess(replace(whole, reports=dropped))] == ["samples_dropped"]


def test_an_aborted_or_killed_run_exits_5_even_when_checks_failed() -> None:
    aborted = timeline(
        planned_requests(0.5), checks=CHECKS, end=End(3, EndReason.ABORTED, "SIGTERM")
    )
    result = judge_timeline(aborted)
    assert (result.verdict, result.exit_code) == (Verdict.ABORTED, ExitCode.ABORTED)
    assert "SIGTERM" in result.reasons[0]
    killed = judge_timeline(replace(aborted, end=None, torn=True))
    assert killed.exit_code is ExitCode.ABORTED
    assert "torn" in killed.reasons[0]


def test_a_timeline_without_a_plan_is_inconclusive() -> None:
    made = timeline(planned_requests(), checks=(requests(above=1),), plan=None)
    assert judge_timeline(made).exit_code is ExitCode.INCONCLUSIVE


def test_precedence_is_total_whatever_comes_together() -> None:
    order = [4, 5, 1, 3, 0]
    assert [int(code) for code in PRECEDENCE] == order
    for size in range(1, 6):
        for codes in itertools.permutations(ExitCode, size):
            assert worst(codes) == min(codes, key=lambda code: order.index(int(code)))
    assert worst([]) is ExitCode.INCONCLUSIVE


P1_CHECKS = (
    error_rate(below=0.001),
    achieved(at_least=0.95),
    error_rate(below=0.001, window=EACH_PHASE),
    achieved(at_least=0.90, window=EACH_PHASE),
)
LATE = Plan(
    duration_s=300.0,
    phases=(PlannedPhase("peak", 0, 270), PlannedPhase("steady", 270, 300)),
    users=(10,) * 270 + (2,) * 30,
    user_seconds=(10.0,) * 270 + (2.0,) * 30,
    mean_cycle_s=1.0,
)
"""As P1 ends: the last phase is a fiftieth of the planned starts."""


def late_timeline(dead_from_s: int, *, hang: Outcome | None = None) -> Timeline:
    """A target that answers until `dead_from_s`; users then wait for it to the end of the run."""
    users = [int(share) for share in LATE.user_seconds]
    samples = [
        request(second + n / users[second])
        for second in range(dead_from_s)
        for n in range(users[second])
    ]
    if hang is not None:
        waiting = users[dead_from_s]
        samples += [request(dead_from_s, 1000 * (310 - dead_from_s), outcome=hang)] * waiting
    health = tuple(Health(float(t), "w1", {"lag_p99_ms": 5.0}) for t in range(311))
    return timeline(samples, checks=P1_CHECKS, plan=LATE, health=health)


def test_a_target_that_dies_late_fails_its_phase_though_the_run_as_a_whole_would_pass() -> None:
    dead = judge_timeline(late_timeline(285))
    assert dead.exit_code is ExitCode.FAIL
    by_id = {result.check.id: result.status for result in dead.results}
    assert by_id["achieved"] is Status.PASS
    assert by_id["achieved@phase:steady"] is Status.FAIL
    assert judge_timeline(late_timeline(300)).exit_code is ExitCode.PASS


def test_users_killed_while_they_wait_for_an_answer_put_the_verdict_in_doubt() -> None:
    hanging = judge_timeline(late_timeline(299, hang=Outcome.CANCELLED))
    assert hanging.exit_code is ExitCode.INCONCLUSIVE
    assert "2 request(s) were still unanswered" in hanging.reasons[0]


def test_a_few_cancelled_requests_are_no_doubt() -> None:
    plan = replace(PLAN, users=(100,) * 6)
    samples = [*planned_requests(), *(request(5, outcome=Outcome.CANCELLED) for _ in range(6))]
    for count, code in ((5, ExitCode.PASS), (6, ExitCode.INCONCLUSIVE)):
        made = timeline(samples[: len(samples) - 6 + count], checks=CHECKS, plan=plan)
        assert judge_timeline(made).exit_code is code


def test_a_phase_too_short_to_count_starts_is_judged_by_its_errors_alone() -> None:
    each = (error_rate(below=0.1, window=EACH_PHASE), achieved(at_least=0.9, window=EACH_PHASE))
    found = [result.check.id for result in judged(planned_requests(), checks=each).results]
    by_errors = [f"error_rate@phase:{name}" for name in ("steady#1", "burst", "steady#2")]
    assert found == [*by_errors, "achieved@phase:*"]
    result = judged(planned_requests(0.1), checks=each).results[-1]
    assert result.status is Status.INCONCLUSIVE
    assert "no phase is 5 s long" in result.reason
    of_run = (*each, achieved(at_least=0.9))
    found = [result.check.id for result in judged(planned_requests(), checks=of_run).results]
    assert found == [*by_errors, "achieved"], "it covers them"


def test_reports_that_came_twice_put_the_verdict_in_doubt(tmp_path: Path) -> None:
    whole = timeline(planned_requests(), checks=CHECKS)
    path = write(tmp_path / "t.jsonl", replace(whole, reports=(*whole.reports, whole.reports[0])))
    twice = replay(path)
    assert twice.exit_code is ExitCode.INCONCLUSIVE
    assert "1 report(s) arrived twice" in twice.reasons[0]


def test_a_source_that_never_said_how_much_it_sent_may_have_lost_its_last_seconds() -> None:
    whole = timeline(planned_requests(), checks=CHECKS)
    other = reports(planned_requests(), "w2")
    both = replace(whole, reports=(*whole.reports, *other), health=(*HEALTHY, *lags_of("w2")))
    (finding,) = assess(both)
    assert finding.code == "reports_lost"
    assert finding.text.startswith("w2 never said")
    assert judge_timeline(both).exit_code is ExitCode.INCONCLUSIVE
    assert both.end is not None
    stated = replace(both.end, reports={"w1": len(whole.reports), "w2": len(other)})
    assert assess(replace(both, end=stated)) == ()
    # An aborted run has its own exit code; its workers were not asked.
    aborted = End(3, EndReason.ABORTED, "SIGTERM")
    assert assess(replace(both, end=aborted)) == ()


def lags_of(source: str, *seconds: int) -> tuple[Health, ...]:
    times = seconds or range(6)
    return tuple(Health(float(t), source, {"lag_p99_ms": 5.0}) for t in times)


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        (lags_of("w2"), None),
        (lags_of("w3"), "w2: the loop's lag was never measured"),
        (lags_of("w2", 0, 1, 2), "w2: the loop's lag was not measured for 8 s at a stretch"),
        (lags_of("w2", 8, 9, 10), "w2: the loop's lag was not measured for 8 s at a stretch"),
        (lags_of("w2", 1, 2, 9, 10), "w2: the loop's lag was not measured for 7 s at a stretch"),
        (lags_of("w2", 0, 5, 10), None),
    ],
)
def test_every_source_that_sends_is_watched_from_its_first_second_to_its_last(
    other: tuple[Health, ...], seen: str | None
) -> None:
    whole = timeline(planned_requests())
    last = 5 if other == lags_of("w2") else 10
    sent = reports([request(0), request(last)], "w2")
    both = replace(
        whole,
        reports=(*whole.reports, *sent),
        health=(*HEALTHY, *other),
        end=End(11, EndReason.COMPLETED, "", {"w1": len(whole.reports), "w2": len(sent)}),
    )
    texts = [finding.text for finding in assess(both)]
    assert [text.startswith(seen or "-") for text in texts] == ([] if seen is None else [True])


def test_a_generator_out_of_descriptors_is_never_a_fail_of_the_target() -> None:
    exhausted = judged(with_errors(Outcome.LOCAL))
    assert [finding.code for finding in exhausted.findings] == ["generator_exhausted"]
    assert exhausted.exit_code is ExitCode.INCONCLUSIVE
    assert "5 request(s) were not sent" in exhausted.reasons[0]


def test_the_verdict_of_a_file_is_the_verdict_of_its_timeline(tmp_path: Path) -> None:
    for name, made in {
        "good": timeline(planned_requests(), checks=CHECKS),
        "bad": timeline(planned_requests(0.5), checks=CHECKS),
        "each phase": timeline(
            planned_requests(), checks=(error_rate(below=0.9, window="phase:*"),)
        ),
    }.items():
        path = write(tmp_path / f"{name}.jsonl", made)
        assert replay(path) == judge_timeline(made)


def duplicated(made: Timeline) -> Timeline:
    return replace(made, checks=made.checks * 2)


def unreadable(made: Timeline) -> Timeline:
    return replace(made, checks=({"id": "x"},))


@pytest.mark.parametrize("spoil", [duplicated, unreadable])
def test_checks_that_cannot_be_read_are_an_error(spoil: Callable[[Timeline], Timeline]) -> None:
    with pytest.raises(TimelineError, match="checks"):
        judge_timeline(spoil(timeline(planned_requests(), checks=CHECKS)))


def test_the_document_has_the_fixed_keys_and_is_json() -> None:
    document = as_document(judged(planned_requests(0.5)))
    assert list(document) == [
        "verdict",
        "exit_code",
        "reasons",
        "checks",
        "windows",
        "generator",
        "target",
        "audit",
    ]
    read = json.loads(json.dumps(document, allow_nan=False))
    assert (read["verdict"], read["exit_code"]) == ("FAIL", 1)
    assert list(read["checks"][0]) == [
        "id",
        "expression",
        "measure",
        "endpoint",
        "window",
        "value",
        "interval",
        "limit",
        "samples",
        "status",
        "reason",
    ]
    assert [w["name"] for w in read["windows"]] == [
        "run",
        "phase:steady#1",
        "phase:burst",
        "phase:steady#2",
        "phase:steady",
    ]
    assert read["windows"][0]["total"]["raw_ms"]["p99"] == pytest.approx(10.0, rel=1e-3)
    assert read["generator"] == {
        "fit": True,
        "findings": [],
        "worst": {"w1": {"lag_p99_ms": 5.0}},
    }
    empty = as_document(judged([]))
    json.dumps(empty, allow_nan=False)


def objects_in(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        yield path, value
    inner = value.items() if isinstance(value, dict) else ()
    for name, one in [("*", one) for one in value] if isinstance(value, list) else inner:
        yield from objects_in(one, (*path, name))


def test_names_that_come_from_the_run_are_told_from_fields_of_the_document() -> None:
    document = as_document(stormy_judgement(stormy_timeline()))
    names: set[str] = set()
    for path, one in objects_in(document):
        if is_keyed_by_data(path):
            names |= one.keys()
        else:
            assert all(re.fullmatch(r"[a-z][a-z0-9_.]*", name) for name in one), path
    assert {"run", "lost", NODES[0], ENDPOINTS[0], "http_5xx"} <= names
