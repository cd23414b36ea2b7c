"""Whatever is missing in a ledger is told; a whole one gives no doubt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from results.judging.ledger_doubt import LATE_WRITES, late_doubts, late_texts, ledger_doubts
from results.ledger.ledger import RECORD, WritesReport
from results.ledger.store import WRITES, LedgerFile, LedgerWriter
from results.run_folder import RunFolder, create_run
from results.timeline import Annotation


def report(source: str, sequence: int, dropped: int = 0) -> WritesReport:
    record = RECORD.pack(bytes(16), bytes(8), 0, 0, 1)
    return WritesReport(source, sequence, ("a",), record, dropped)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path, "run-1")


def written(folder: RunFolder, *reports: WritesReport) -> LedgerFile | None:
    writer = LedgerWriter(folder)
    for one in reports:
        writer.take(one)
    writer.close()
    return LedgerFile.open(folder)


def test_a_whole_ledger_gives_no_doubt(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0), report("w2", 0), report("w1", 1))
    assert ledger_doubts("run-1", {"w1": 2, "w2": 1}, ledger) == []


@pytest.mark.parametrize("sent", [None, {}, {"w1": 0}])
def test_no_ledger_where_nothing_was_written_gives_no_doubt(sent: Mapping[str, int] | None) -> None:
    assert ledger_doubts("run-1", sent, None) == []


def test_a_ledger_that_is_gone_is_told() -> None:
    [doubt] = ledger_doubts("run-1", {"w1": 3}, None)
    assert "3 report(s) of writes were sent by w1" in doubt and "no ledger" in doubt


def test_a_hole_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0), report("w1", 3))
    assert ledger_doubts("run-1", {"w1": 4}, ledger) == [
        "2 report(s) of writes of w1 never arrived"
    ]


def test_an_end_that_is_missing_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0))
    assert ledger_doubts("run-1", {"w1": 2}, ledger) == [
        "1 report(s) of writes of w1 never arrived"
    ]


def test_a_source_of_which_nothing_came_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0))
    doubts = ledger_doubts("run-1", {"w1": 1, "w2": 5}, ledger)
    assert doubts == ["5 report(s) of writes of w2 never arrived"]


def test_a_source_that_never_said_is_told_but_not_of_a_killed_run(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0))
    [doubt] = ledger_doubts("run-1", {}, ledger)
    assert "w1 never said how many" in doubt
    assert ledger_doubts("run-1", None, ledger) == []


def test_what_was_dropped_is_told_once(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0, dropped=3), report("w1", 1, dropped=12))
    [doubt] = ledger_doubts("run-1", {"w1": 2}, ledger)
    assert doubt.startswith("12 write(s) of w1 are not in the ledger")


def test_a_report_that_came_twice_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0), report("w1", 0))
    [doubt] = ledger_doubts("run-1", {"w1": 1}, ledger)
    assert "arrived twice" in doubt


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 64])
def test_a_file_that_is_cut_off_is_told(folder: RunFolder, cut: int) -> None:
    written(folder, report("w1", 0), report("w1", 1))
    path = folder.ledger / WRITES
    path.write_bytes(path.read_bytes()[:-cut])
    doubts = ledger_doubts("run-1", {"w1": 2}, LedgerFile.open(folder))
    assert any("by its index 2 came in" in doubt for doubt in doubts)
    assert any("cut off" in doubt for doubt in doubts) == bool(cut % 32)


def test_records_that_were_added_are_told(folder: RunFolder) -> None:
    written(folder, report("w1", 0))
    with (folder.ledger / WRITES).open("ab") as file:
        file.write(RECORD.pack(bytes(16), bytes(8), 0, 0, 1))
    [doubt] = ledger_doubts("run-1", {"w1": 1}, LedgerFile.open(folder))
    assert "holds 2 write(s), and by its index 1 came in" in doubt


def test_a_ledger_of_another_run_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report("w1", 0))
    [doubt] = ledger_doubts("run-2", {"w1": 1}, ledger)
    assert "of the run 'run-1'" in doubt


def test_a_ledger_that_ends_in_its_header_is_told(folder: RunFolder) -> None:
    written(folder, report("w1", 0))
    (folder.ledger / WRITES).write_bytes(b'{"kind":"ledg')
    doubts = ledger_doubts("run-1", {"w1": 1}, LedgerFile.open(folder))
    assert any("cut off" in doubt for doubt in doubts)


def test_reports_that_came_too_late_are_told_for_each_source() -> None:
    texts = late_texts({"w2": (1, 0), "w1": (2, 3_000)})
    assert texts == ["2 report(s) with 3,000 write(s) of w1", "1 report(s) with 0 write(s) of w2"]
    notes = [Annotation(1.0, LATE_WRITES, text) for text in texts]
    told = late_doubts([Annotation(0.5, "note", "deployed"), *notes])
    assert [doubt.partition(" came")[0] for doubt in told] == texts
