"""The audit from a run's folder alone: recomputed, doubted, or refused, and never a pass by chance.

Every byte of ledger and reads matters: one that is changed changes the audit or is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.audit.audit import Audit, Fate
from results.audit.offline import audit_of
from results.audit.record import AuditRecord
from results.errors import AuditError, LedgerError
from results.run_folder import RunFolder, create_run
from tests.unit.results.audited import NODES, Answers, B, audited, copy, folder_of, written

ANSWERS: Answers = {0: ([1, 2, 3], [copy(1), copy(2)]), 1: ([3], [])}
RECORDS = [written(1), written(2), written(3, second=2)]


def found_in(folder: RunFolder) -> Audit:
    audit = audit_of(folder)
    assert audit is not None
    return audit


def test_a_run_that_wrote_nothing_has_no_audit(tmp_path: Path) -> None:
    assert audit_of(create_run(tmp_path, "run")) is None


def test_the_audit_follows_from_the_folder(tmp_path: Path) -> None:
    audit = found_in(folder_of(tmp_path, RECORDS, ANSWERS))
    assert audit.of() == {Fate.PRESENT: 2, Fate.LOST: 1}
    assert not audit.doubts and not audit.unread_nodes and audit.not_made is None


def test_a_run_that_was_ended_before_its_audit_says_so(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RECORDS, ANSWERS)
    (folder.ledger / "audit.json").unlink()
    audit = found_in(folder)
    assert audit.not_made is not None and "before its writes were audited" in audit.not_made
    assert audit.doubts and not audit.of()


def test_an_audit_that_was_not_made_is_a_doubt(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RECORDS, ANSWERS)
    AuditRecord("run", not_made="the disk is full").write(folder.ledger / "audit.json")
    audit = found_in(folder)
    assert audit.doubts == ("the writes were not audited: the disk is full",)


def test_an_audit_that_nobody_asked_for_is_no_doubt(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RECORDS, ANSWERS)
    record = AuditRecord("run", not_made="the scenario names no auditor", is_asked_for=False)
    record.write(folder.ledger / "audit.json")
    audit = found_in(folder)
    assert not audit.is_asked_for and not audit.doubts


def test_unverified_writes_are_a_doubt_that_names_the_node_and_the_reason(tmp_path: Path) -> None:
    audit = audited(tmp_path, RECORDS, {0: ANSWERS[0]}, unread={1: "it answered 500"})
    assert audit.of() == {Fate.PRESENT: 2, Fate.UNVERIFIED: 1}
    (doubt,) = audit.doubts
    assert doubt.startswith("1 acknowledged write is unverified") and f"{B}: it answered" in doubt


def test_an_unread_node_that_had_nothing_to_tell_is_no_doubt(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], [copy(1)])}
    audit = audited(tmp_path, [written(1)], answers, unread={1: "it answered 500"})
    assert audit.of() == {Fate.PRESENT: 1} and not audit.doubts


def test_a_node_that_is_named_beside_those_of_the_ledger_must_be_read_too(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], []), 1: ([1], [])}
    audit = audited(tmp_path, [written(1)], answers, nodes=(*NODES, "http://127.0.0.1:8003"))
    assert audit.of() == {Fate.UNVERIFIED: 1}


@pytest.mark.parametrize(
    "nodes", [("http://127.0.0.1:1", NODES[1]), (NODES[0],), (NODES[1], NODES[0])]
)
def test_other_nodes_than_those_of_the_ledger_are_refused(
    nodes: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(AuditError, match=r"audit\.json: its nodes are not those of the ledger"):
        audit_of(folder_of(tmp_path, RECORDS, {0: ([1], [copy(1)])}, nodes=nodes))


def test_reads_of_writes_that_are_not_in_the_ledger_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"reads\.bin: 1 writes are not in the ledger"):
        audit_of(folder_of(tmp_path, RECORDS, {0: ([9], [copy(9)])}))


def test_a_missing_or_cut_file_is_never_a_pass(tmp_path: Path) -> None:
    for number, name in enumerate(("reads.bin", "writes.bin", "nodes.jsonl", "index.jsonl")):
        folder = folder_of(tmp_path / str(number), RECORDS, ANSWERS)
        (folder.ledger / name).unlink()
        with pytest.raises((AuditError, LedgerError), match=name):
            audit_of(folder)


def test_no_changed_byte_of_the_reads_turns_a_lost_write_into_a_present_one(
    tmp_path: Path,
) -> None:
    """But one that forges a found copy byte by byte, which only the digests can tell."""
    folder = folder_of(tmp_path, RECORDS, ANSWERS)
    path = folder.ledger / "reads.bin"
    whole = path.read_bytes()
    kinds = {len(whole) - 40 * n - 4 for n in range(5)}
    for place in set(range(len(whole))) - kinds:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            counts = found_in(folder).of()
        except AuditError:
            continue
        assert counts.get(Fate.LOST) or counts.get(Fate.UNVERIFIED), place


def test_an_audit_that_says_another_number_of_reads_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, RECORDS, ANSWERS)
    path = folder.ledger / "audit.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"reads": 0}))
    with pytest.raises(AuditError, match=r"audit\.json says 0"):
        audit_of(folder)
