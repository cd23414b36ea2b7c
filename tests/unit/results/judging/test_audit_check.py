"""The checks that every audited run has, and the audit in `verdict.json`."""

from __future__ import annotations

import json
from dataclasses import replace

from results.audit.audit import Audit, Fate, Place
from results.audit.document import audit_document
from results.audit.offline import not_made
from results.check import error_rate, of_writes
from results.judging.audit_check import audit_checks, namesakes
from results.windows import RUN, Window, interval
from tests.unit.results.audited import A, B

AUDIT = Audit(
    {
        Place(A, 0): {Fate.PRESENT: 3},
        Place(A, 5): {Fate.PRESENT: 2, Fate.LOST: 1},
        Place(B, 5): {Fate.LOST: 4},
    },
    {Fate.LOST: ["00", "01"]},
    {B: "it answered 500"},
    doubts=("a doubt",),
    compared={Place(A, 0): 3, Place(A, 5): 1},
)
UNASKED = Audit({}, not_made="no auditor", is_asked_for=False)
USUAL = ["lost", "altered", "duplicated", "phantom"]


def ids(audit: Audit | None, *declared: str, window: str = RUN) -> list[str]:
    checks = [of_writes(measure, window=window) for measure in declared]
    return [check.id for check in audit_checks([error_rate(below=0.01), *checks], audit)]


def test_an_audited_run_has_the_usual_checks() -> None:
    assert ids(AUDIT) == USUAL


def test_a_declared_check_stands_for_the_usual_one_of_its_measure() -> None:
    assert ids(AUDIT, "altered", "lost") == ["duplicated", "phantom"]


def test_a_check_of_a_part_of_the_run_stands_for_no_other_part() -> None:
    assert ids(AUDIT, "altered", "lost", window="phase:burst") == USUAL


def test_a_check_of_another_measure_may_not_have_the_id_of_one_that_is_added() -> None:
    taken = replace(error_rate(below=0.01), id="lost")
    assert namesakes([taken]) == (taken,)
    assert namesakes([error_rate(below=0.01), of_writes("lost")]) == ()
    assert namesakes([taken, replace(of_writes("lost"), id="mine")]) == (), "nothing is added"


def test_a_run_without_writes_or_without_an_auditor_has_none() -> None:
    assert ids(None) == ids(UNASKED) == []


def test_an_audit_that_failed_keeps_its_checks() -> None:
    assert ids(not_made("the disk is full")) == USUAL


def test_an_auditor_that_tells_no_content_has_no_check_of_it() -> None:
    assert "altered" not in ids(Audit(AUDIT.counts))
    assert "altered" in ids(Audit(AUDIT.counts, unread_nodes={B: "it answered 500"}))


def test_the_document_counts_by_window_and_node() -> None:
    windows = [interval("run", 0, 10), interval("late", 4, 10), interval("never", 20, 30)]
    document = audit_document(AUDIT, windows)
    assert document == {
        "not_made": None,
        "totals": {"present": 5, "lost": 5},
        "compared": 4,
        "by_window": {
            "run": {"present": 5, "lost": 5},
            "late": {"present": 2, "lost": 5},
        },
        "by_node": {A: {"present": 5, "lost": 1}, B: {"lost": 4}},
        "examples": {"lost": ["00", "01"]},
        "unread_nodes": {B: "it answered 500"},
        "doubts": ["a doubt"],
    }
    assert json.loads(json.dumps(document)) == document


def test_a_run_without_writes_has_no_document() -> None:
    assert audit_document(None, []) is None


def test_windows_and_nodes_cut_the_counts() -> None:
    assert AUDIT.of(interval("first", 0, 1)) == {Fate.PRESENT: 3}
    assert AUDIT.of(interval("late", 4, 6), A) == {Fate.PRESENT: 2, Fate.LOST: 1}
    assert AUDIT.compared_in(interval("late", 4, 6)) == 1
    ends = Window("ends", ((0.0, 1.0), (2.0, 3.0), (5.0, 9.0)))
    assert AUDIT.of(ends) == AUDIT.of()
    assert AUDIT.of(interval("between", 1, 5)) == {}


def test_each_node_has_its_own_counts() -> None:
    assert AUDIT.by_node() == {A: {Fate.PRESENT: 5, Fate.LOST: 1}, B: {Fate.LOST: 4}}
    assert AUDIT.by_node(interval("first", 0, 1)) == {A: {Fate.PRESENT: 3}}
