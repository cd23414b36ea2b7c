"""The record of an audit, to the disk and back; a tampered one is refused and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from results.audit.record import AskedNode, AuditRecord, read_record
from results.errors import AuditError, RunFolderError
from tests.unit.results.audited import A, B

RECORD = AuditRecord(
    "run",
    (AskedNode(A, 10), AskedNode(B, 3, "it answered 500")),
    ("a", "b"),
    13,
    doubts=("something happened",),
)


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    for record in (RECORD, AuditRecord("run", not_made="no reason", is_asked_for=False)):
        record.write(path)
        assert read_record(path, run_id="run") == record


def test_nodes_that_could_not_be_read_are_told_with_the_reason() -> None:
    assert RECORD.unread_nodes == {B: "it answered 500"}


def tampered(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "audit.json"
    RECORD.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "else"}, "no record of kind"),
        ({"version": 2}, "version 2"),
        ({"version": "1"}, "whole number"),
        ({"run_id": "other"}, "of the run 'other'"),
        ({"reads": -1}, "at least 0"),
        ({"reads": 1.5}, "whole number"),
        ({"nodes": {}}, "a list"),
        ({"nodes": [A]}, "an object"),
        ({"nodes": [{"node": A, "asked": 1}]}, "unread"),
        ({"nodes": [{"node": A, "asked": 1, "unread": None}] * 2}, "twice"),
        ({"nodes": [{"node": A, "asked": 1, "unread": None, "more": 1}]}, "unknown field"),
        ({"origins": [1]}, "must be text"),
        ({"origins": ["n"] * 70_000}, "too many"),
        ({"not_made": 5}, "must be text"),
        ({"is_asked_for": "yes"}, "true or false"),
        ({"doubts": "one"}, "a list"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_a_record_that_is_none_of_ours_is_refused(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    path = tampered(tmp_path, **changes)
    with pytest.raises(AuditError, match=why) as raised:
        read_record(path, run_id="run")
    assert str(path) in str(raised.value)


def test_a_record_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    RECORD.write(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(AuditError, match=r"audit\.json"):
            read_record(path, run_id="run")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b"NaN"])
def test_rubbish_is_refused_with_a_clear_error(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_bytes(text)
    with pytest.raises(AuditError, match=r"audit\.json"):
        read_record(path, run_id="run")


def test_a_record_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot read"):
        read_record(tmp_path / "audit.json", run_id="run")


def test_a_record_that_cannot_be_written_leaves_no_part_behind(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        RECORD.write(tmp_path / "no folder" / "audit.json")
    assert list(tmp_path.iterdir()) == []
