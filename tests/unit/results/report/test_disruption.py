"""Tables of faults and of the audit."""

from __future__ import annotations

from results.audit.audit import Audit
from results.audit.document import audit_document
from results.audit.offline import not_made
from results.report import disruption
from results.report.record import Record
from tests.unit.results.report.cells import by_first, cells, of


def test_faults_have_their_impact(stormy: Record) -> None:
    rows = by_first(disruption.fault_table(stormy))
    assert rows["kill-1"][:4] == ["kill", "node-2", "1:20", "15.0 s"]
    assert rows["kill-1"][4] == "0.0 s"
    assert disruption.fault_table(of({})) is None


def test_a_fault_that_was_never_seen_healed_says_so() -> None:
    fault = {"id": "a", "kind": "kill", "node": "", "began_s": 3.0, "healed_s": None}
    (row,) = cells(disruption.fault_table(of({"faults": [fault]})))
    assert row[4] == "never seen healed"
    assert row[6] == "not seen"


def test_times_that_no_check_looked_at_are_bounds_or_not_known() -> None:
    fault = {"id": "a", "kind": "kill", "node": "", "began_s": 3.0, "healed_s": 5.0}
    seen = fault | {"detect_s": 4.0, "detect_least_s": 1.0, "recover_least_s": 2.0}
    unknown, bounded, known, older = cells(
        disruption.fault_table(
            of(
                {
                    "faults": [
                        seen,
                        seen | {"recover_s": 6.0},
                        seen | {"detect_least_s": 4.0, "recover_s": 2.0},
                        fault | {"detect_s": 4.0, "recover_s": 6.0},
                    ]
                }
            )
        )
    )
    assert unknown[5:7] == ["at most 4.0 s", "not known: nobody looked"]
    assert bounded[5:7] == ["at most 4.0 s", "at most 6.0 s"]
    assert known[5:7] == ["4.0 s", "2.0 s"]
    assert older[5:7] == ["4.0 s", "6.0 s"]


def test_writes_are_counted_by_fate_window_and_node(stormy: Record) -> None:
    section = disruption.audit_section(stormy)
    assert section is not None
    fates, windows, nodes = section.tables
    assert by_first(fates)["lost"][0] == "4"
    heads = [column.name for column in windows.columns]
    assert by_first(windows)["fault:kill-1"][heads.index("lost") - 1] == "4"
    assert by_first(nodes)["http://127.0.0.1:8002"][heads.index("lost") - 1] == "4"
    assert section.examples[0][0] == "lost"
    assert [c.tone for c in fates.rows[1]] == ["", "bad", ""]


def test_a_run_without_a_ledger_has_no_audit_and_one_that_was_not_audited_says_why() -> None:
    assert disruption.audit_section(of({"audit": None})) is None
    assert disruption.audit_section(of({"audit": {}})) is None
    section = disruption.audit_section(
        of({"audit": {"not_made": "the run was aborted", "unread_nodes": {"n1": "timeout"}}})
    )
    assert section is not None
    assert section.not_made == "the run was aborted"
    assert section.unread_nodes == (("n1", "timeout"),)
    assert section.tables == ()


def test_a_run_that_was_not_audited_says_why_once() -> None:
    audit = audit_document(
        Audit({}, not_made="the disk is full", doubts=("2 reports are missing",)), []
    )
    told = disruption.audit_section(of({"audit": audit}))
    assert told is not None
    assert (told.not_made, told.doubts) == ("the disk is full", ("2 reports are missing",))
    audit = audit_document(not_made("the disk is full"), [])
    told = disruption.audit_section(of({"audit": audit}))
    assert told is not None
    assert (told.not_made, told.doubts) == ("the disk is full", ())
