"""Writes on their way from a load side to the disk of the run's owner; what fails is counted."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest
from locust.env import Environment
from locust.event import Events

from locustfiles.harness.audit.run_audit import RunAudit
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.ledger_book import LedgerBook
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.run_book import RunBook
from results.auditor import Found
from results.check import errors
from results.ledger.ledger import RECORD, WritesReport
from results.ledger.store import LedgerFile
from results.replay import replay
from results.run_folder import RunFolder, create_run
from results.sample import Outcome, Sample
from results.timeline import Header
from results.timeline_reader import read_timeline
from results.verdict import Verdict, as_document


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path, "run-1")


def load_side(ship: Any) -> LoadSide:
    now_us = wall_us(time.perf_counter())
    plan = RunPlan("run-1", now_us - 5_000_000, 1, (), ())
    return LoadSide(plan, source="local", worker_index=0, users=lambda: 0, ship=ship)


def sample(number: int | None, *, start_s: float = 0.0, outcome: Outcome = Outcome.OK) -> Sample:
    """A write, or with None a read, of `load_side`'s run."""
    start_us = wall_us(time.perf_counter()) - 5_000_000 + round(start_s * 1e6)
    key = None if number is None else number.to_bytes(16, "big")
    status = 201 if outcome is Outcome.OK else 0
    return Sample("POST /", None, start_us, start_us, outcome, status, 1, 0, key, "http://a")


def stored(folder: RunFolder) -> list[tuple[int, int]]:
    """Numbers and outcomes of the records on disk."""
    found = LedgerFile.open(folder)
    assert found is not None
    rows = (row for chunk in found.records() for row in RECORD.iter_unpack(chunk))
    return [(int.from_bytes(row[0], "big"), row[4]) for row in rows]


def test_every_write_of_a_load_side_reaches_the_disk(folder: RunFolder) -> None:
    book = LedgerBook(folder)
    shipped: list[str] = []

    def ship(kind: str, report: dict[str, Any]) -> None:
        shipped.append(kind)
        if kind == "writes":
            # As a worker sends it.
            book.take(msgpack.unpackb(msgpack.packb(report)))

    side = load_side(ship)
    for number in range(3):
        side.take(sample(number))
        side.take(sample(None))
    side.take(sample(3, outcome=Outcome.CANCELLED))
    side.finish()
    book.close()
    assert stored(folder) == [(0, 1), (1, 1), (2, 1), (3, 3)]
    assert "second" in shipped and shipped.count("writes") == side.ledger.sequence == 1
    assert side.recorder.sequence >= 1, "and each counts as a request as well"


def test_a_load_side_without_writes_ships_no_ledger_and_none_is_begun(folder: RunFolder) -> None:
    shipped: list[str] = []
    side = load_side(lambda kind, _: shipped.append(kind))
    side.take(sample(None))
    side.finish()
    assert shipped == ["second"] and side.ledger.sequence == 0
    book = LedgerBook(folder)
    book.close()
    assert book.failures == 0 and not folder.ledger.exists()


def test_a_write_that_a_locustfile_names_wrongly_is_a_users_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shipped: list[tuple[str, dict[str, Any]]] = []
    side = load_side(lambda kind, report: shipped.append((kind, report)))
    environment = Environment(events=Events())  # type: ignore[no-untyped-call]
    side.attach(environment)
    given = {"request_type": "POST", "name": "/", "response_time": 1, "response_length": 0}
    for _ in range(3):
        environment.events.request.fire(**given, context={"write_id": "mine"}, exception=None)  # type: ignore[no-untyped-call]
    side.detach(environment)
    side.finish()
    assert side.user_errors == 3, "each is a write that is not in the ledger"
    [told] = [report["text"] for kind, report in shipped if kind == "annotation"]
    assert told == (
        "ValueError in the context of a request: write_id must be a UUID, its text or its 16 "
        "bytes, not str of 4"
    )
    assert caplog.text.count("not in the ledger") == 1
    assert all(kind != "writes" for kind, _ in shipped)


def test_a_ledger_that_cannot_be_written_is_counted_and_the_run_goes_on(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.ledger.write_text("in the way")
    book = LedgerBook(folder)
    for number in range(3):
        book.take(WritesReport("local", number, (), b"").as_dict())
    book.close()
    assert book.failures == 1
    assert "INCONCLUSIVE" in caplog.text and "ledger" in caplog.text
    assert folder.ledger.read_text() == "in the way"


def book_of(folder: RunFolder) -> RunBook:
    return RunBook(
        folder,
        header=Header("run-1", "test", 0, unplanned=True),
        plan=None,
        checks=[errors()],
        profile=None,
        elapsed_s=lambda: 3.0,
    )


@pytest.mark.parametrize("limit_bytes", range(300, 1_300, 50))
def test_a_disk_that_is_full_at_any_point_leaves_a_verdict_and_readable_files(
    folder: RunFolder, limit_bytes: int
) -> None:
    book, side = book_of(folder), load_side(lambda kind, report: book.take(kind, report))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # No file can be longer, as on a disk that fills up.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        for number in range(20):
            side.take(sample(number, start_s=number / 5))
        side.finish()
        for number in range(20):
            side.take(sample(number))
        side.finish()
        book.close(None, {"local": side.recorder.sequence}, {"local": side.ledger.sequence})
        judgement = book.judge()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert any("recording" in reason for reason in judgement.reasons), judgement.reasons
    if folder.ledger.exists():
        assert len(stored(folder)) < 40


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_run_whose_ledger_cannot_be_written_is_inconclusive(
    folder: RunFolder, is_blocked: bool
) -> None:
    if is_blocked:
        folder.ledger.symlink_to(folder.path / "nowhere")
    book = book_of(folder)
    side = load_side(book.take)
    for number in range(5):
        side.take(sample(number))
    side.finish()
    book.close(None, {"local": side.recorder.sequence}, {"local": side.ledger.sequence})
    end = read_timeline(folder.timeline).end
    assert end is not None and end.writes == {"local": 1}
    judgement = book.judge()
    told = [reason for reason in judgement.reasons if "recording" in reason]
    assert bool(told) == is_blocked, judgement.reasons
    if is_blocked:
        assert judgement.verdict is Verdict.INCONCLUSIVE
    else:
        assert len(stored(folder)) == 5


@pytest.mark.parametrize("name", ["verdict.json", "junit.xml"])
def test_a_run_whose_verdict_cannot_be_filed_says_so(folder: RunFolder, name: str) -> None:
    book = book_of(folder)
    side = load_side(book.take)
    side.take(sample(1))
    side.finish()
    book.close(None, {"local": side.recorder.sequence}, {"local": side.ledger.sequence})
    (folder.path / name / "full").mkdir(parents=True)
    judgement = book.judge()
    assert judgement.exit_code == 3
    assert [reason for reason in judgement.reasons if "could not be filed: cannot write" in reason]


class Telling:
    """An auditor that finds every write; while it is asked, a worker that was stopped goes on."""

    def __init__(self, book: RunBook, late: WritesReport) -> None:
        self._book, self._late = book, late

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        self._book.take("writes", self._late.as_dict())
        return [Found(id) for id in ids]


@pytest.mark.parametrize("node", ["http://a", "http://new"])
def test_what_comes_while_the_run_is_audited_is_told_and_not_audited(
    folder: RunFolder, node: str
) -> None:
    book, side = book_of(folder), load_side(lambda kind, report: book.take(kind, report))
    for number in range(5):
        side.take(sample(number))
    side.finish()
    late = WritesReport("worker-1", 0, (node,), RECORD.pack(bytes(16), bytes(8), 0, 0, 1) * 3)
    book.stop_clock()
    before = len(stored(folder))
    audit = RunAudit(folder, Telling(book, late), ()).make(None, tuple, lambda so_far: None)
    book.close(None, {"local": side.recorder.sequence}, {"local": side.ledger.sequence})
    judgement = book.judge(audit)
    assert len(stored(folder)) == before == 5
    assert as_document(replay(folder.timeline)) == as_document(judgement), "as it is verified"
    assert judgement.verdict is Verdict.INCONCLUSIVE
    [told] = [reason for reason in judgement.reasons if "worker-1" in reason]
    assert "1 report(s) with 3 write(s)" in told and "closed for the audit" in told


def test_what_comes_first_when_the_ledger_is_closed_begins_none(folder: RunFolder) -> None:
    book = LedgerBook(folder)
    book.close()
    book.take(WritesReport("worker-1", 0, (), b"").as_dict())
    book.close()
    assert book.late == {"worker-1": (1, 0)} and book.failures == 0
    assert not folder.ledger.exists()


def test_what_is_no_report_is_refused_and_begins_no_ledger(folder: RunFolder) -> None:
    book = LedgerBook(folder)
    with pytest.raises(ValueError, match="writes"):
        book.take({"records": "x"})
    assert not folder.ledger.exists()
