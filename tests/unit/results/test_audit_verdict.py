"""From ledger and reads to the verdict: what is red, what is doubted, and what changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from results.audit.record import AuditRecord
from results.check import Check, error_rate, of_writes
from results.judging.evaluation import Status
from results.replay import judge_run
from results.run_folder import RunFolder, create_run
from results.timeline import End, EndReason, Header, Health, Timeline
from results.verdict import Judgement, Verdict
from tests.unit.results.audited import (
    ACKNOWLEDGED,
    OTHER,
    REFUSED,
    Answers,
    B,
    copy,
    folder_of,
    written,
)
from tests.unit.results.builder import HEALTHY, planned_requests, timeline

CHECKS = (error_rate(below=0.01),)
LAGGING = tuple(Health(float(t), "w1", {"lag_p99_ms": 400.0}) for t in range(6))
AUDIT = {"lost", "altered", "duplicated", "phantom"}

GOOD: Answers = {0: ([1, 2], [copy(1), copy(2)])}


def records(second: int = 1) -> list[bytes]:
    return [written(1, second=second), written(2, second=second)]


def run(
    *,
    checks: Sequence[Check] = CHECKS,
    health: tuple[Health, ...] = HEALTHY,
    reason: EndReason = EndReason.COMPLETED,
    reports: int = 1,
) -> Timeline:
    header = Header("run", "test", 0)
    made = timeline(planned_requests(), checks=checks, health=health)
    assert made.end is not None
    end = End(6.0, reason, "", made.end.reports, writes={"local": reports})
    return timeline(planned_requests(), checks=checks, health=health, end=end, header=header)


def statuses(judgement: Judgement) -> dict[str, Status]:
    return {result.check.id: result.status for result in judgement.results}


def test_a_run_whose_writes_are_all_there_passes(tmp_path: Path) -> None:
    judgement = judge_run(run(), folder_of(tmp_path, records(), GOOD))
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    assert statuses(judgement) == dict.fromkeys({"error_rate", *AUDIT}, Status.PASS)


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        ("lost", {0: ([1, 2], [copy(1)]), 1: ([2], [])}),
        ("altered", {0: ([1, 2], [copy(1), copy(2, digest=OTHER)])}),
        ("duplicated", {0: ([1, 2], [copy(1), copy(2), copy(2, place="2")])}),
    ],
)
@pytest.mark.parametrize("health", [HEALTHY, LAGGING])
def test_what_is_wrong_is_red_whatever_the_generator_was_like(
    check: str, answers: Answers, health: tuple[Health, ...], tmp_path: Path
) -> None:
    judgement = judge_run(run(health=health), folder_of(tmp_path, records(), answers))
    assert judgement.verdict is Verdict.FAIL
    assert {name for name in AUDIT if statuses(judgement)[name] is not Status.PASS} == {check}


def test_a_refused_write_that_is_stored_is_red(tmp_path: Path) -> None:
    written_down = [written(1, ACKNOWLEDGED), written(2, REFUSED)]
    judgement = judge_run(run(), folder_of(tmp_path, written_down, GOOD))
    assert judgement.verdict is Verdict.FAIL
    assert statuses(judgement)["phantom"] is Status.FAIL


def test_a_redelivered_write_is_no_fault(tmp_path: Path) -> None:
    answers: Answers = {0: GOOD[0], 1: ([1], [copy(1, origin="b")])}
    judgement = judge_run(run(), folder_of(tmp_path, records(), answers))
    assert judgement.verdict is Verdict.PASS, judgement.reasons


def test_a_loss_is_red_in_its_own_window_alone(tmp_path: Path) -> None:
    checks = [of_writes("lost", window=name) for name in ("phase:steady#1", "phase:burst", "run")]
    lost_in_burst = [written(1, second=1), written(2, second=3), written(3, second=3)]
    answers: Answers = {0: ([1, 2, 3], [copy(1), copy(2)]), 1: ([3], [])}
    folder = folder_of(tmp_path, lost_in_burst, answers)
    found = statuses(judge_run(run(checks=checks), folder))
    assert found["lost@phase:steady#1"] is Status.PASS
    assert found["lost@phase:burst"] is found["lost"] is Status.FAIL


def test_unverified_writes_are_never_a_pass(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), {0: ([1, 2], [copy(1)])}, unread={1: "it is gone"})
    judgement = judge_run(run(), folder)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert statuses(judgement)["lost"] is Status.INCONCLUSIVE
    assert any(B in reason and "it is gone" in reason for reason in judgement.reasons)


def test_replicas_do_not_vouch_for_a_node_that_could_not_be_read(tmp_path: Path) -> None:
    answers: Answers = {1: ([1, 2], [copy(1), copy(2)])}
    folder = folder_of(tmp_path, records(), answers, unread={0: "it answered 500"})
    judgement = judge_run(run(), folder)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert {name for name in AUDIT if statuses(judgement)[name] is Status.INCONCLUSIVE} == {
        "altered",
        "duplicated",
    }
    assert any("2 more cannot be ruled out" in reason for reason in judgement.reasons)


def test_a_node_that_could_not_be_read_is_no_doubt_where_it_may_hide_nothing(
    tmp_path: Path,
) -> None:
    folder = folder_of(tmp_path, records(), GOOD, unread={1: "it answered 500"})
    judgement = judge_run(run(), folder)
    assert judgement.verdict is Verdict.PASS, judgement.reasons


def doubted(folder: RunFolder, timeline: Timeline | None = None) -> str:
    judgement = judge_run(timeline or run(), folder)
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reasons
    return " ".join(judgement.reasons)


def test_a_ledger_that_lacks_a_report_is_never_a_pass(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    assert "1 report(s) of writes of local never arrived" in doubted(folder, run(reports=2))


def test_a_ledger_that_is_gone_is_never_a_pass(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    shutil.rmtree(folder.ledger)
    assert "holds no ledger" in doubted(folder)


def test_an_audit_that_is_gone_is_never_a_pass(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    (folder.ledger / "audit.json").unlink()
    assert "audit.json is missing" in doubted(folder)


def test_an_audit_that_failed_is_never_a_pass(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    AuditRecord("run", not_made="the disk is full").write(folder.ledger / "audit.json")
    assert "the disk is full" in doubted(folder)


def test_a_declared_check_without_any_write_is_never_a_pass(tmp_path: Path) -> None:
    made = timeline(planned_requests(), checks=[of_writes("lost")])
    assert "declares no writes" in doubted(create_run(tmp_path, "run"), made)


def test_without_an_auditor_nothing_changes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    record = AuditRecord("run", not_made="the scenario names no auditor", is_asked_for=False)
    record.write(folder.ledger / "audit.json")
    judgement = judge_run(run(), folder)
    assert judgement.verdict is Verdict.PASS
    assert statuses(judgement).keys() == {"error_rate"}


def test_an_aborted_run_has_no_checks_and_no_doubts_of_its_audit(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, records(), GOOD)
    AuditRecord("run", not_made="the run was aborted").write(folder.ledger / "audit.json")
    judgement = judge_run(run(reason=EndReason.ABORTED), folder)
    assert judgement.verdict is Verdict.ABORTED
    assert statuses(judgement).keys() == {"error_rate"}
    assert not any("audited" in reason for reason in judgement.reasons)
