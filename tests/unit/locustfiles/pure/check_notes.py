"""Notes and faults that a locustfile tells of: from its words to the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locustfiles.harness import fault_began, fault_healed, note
from locustfiles.harness.note_book import KINDS
from locustfiles.harness.notes import close_desk, open_desk
from locustfiles.harness.run_book import RunBook
from results.fault import FAULT_REFUSED, fault_doubts
from results.health import USER_ERRORS
from results.judging.abort import CHECK_ABORTED
from results.judging.ledger_doubt import LATE_WRITES
from results.judging.untimed import UNTIMED
from results.note import LONGEST_TEXT, MAX_NOTES, NOTES_LEFT_OUT, RESERVED
from results.run_folder import create_run
from results.stress import LIMIT_FOUND
from results.timeline import Annotation, Fault, Header, Timeline
from results.timeline_reader import read_timeline

HEADER = Header("run-1", "test", 0)


class Books:
    """A run of this process with its own clock, and the timeline that it leaves."""

    def __init__(self, tmp_path: Path) -> None:
        self.now_s = 1.0
        self.book = RunBook(
            create_run(tmp_path, "run-1"),
            header=HEADER,
            plan=None,
            checks=(),
            profile=None,
            elapsed_s=lambda: self.now_s,
        )

    def timeline(self) -> Timeline:
        close_desk()
        self.book.close(None, {})
        assert self.book.failures == 0
        return read_timeline(self.book.folder.timeline)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """As in the only process, and in the master."""
    made = Books(tmp_path)
    open_desk(made.book.notes.take, lambda: made.now_s)
    yield made
    close_desk()


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Books]:
    """As in a worker, whose reports the master takes."""
    made = Books(tmp_path)
    open_desk(made.book.take, lambda: made.now_s)
    yield made
    close_desk()


def test_a_note_is_on_the_timeline_at_its_moment(books: Books) -> None:
    note("deployed build 42")
    books.now_s = 2.3456
    note("warm", label="cache")
    assert books.timeline().annotations == (
        Annotation(1.0, "note", "deployed build 42"),
        Annotation(2.346, "cache", "warm"),
    )


@pytest.mark.parametrize("of", ["books", "shipped"])
def test_a_fault_is_on_the_timeline_from_its_beginning_to_its_end(
    of: str, request: pytest.FixtureRequest
) -> None:
    made: Books = request.getfixturevalue(of)
    fault_began("kill-1", "kill", "http://u:s3cret@n1:1")
    made.now_s = 4.0
    fault_healed("kill-1")
    fault_began("slow", kind="latency")
    made.now_s = 5.0
    assert made.timeline().faults == (
        Fault("kill-1", "kill", "http://***@n1:1", 1.0, 4.0),
        Fault("slow", "latency", "", 4.0, None),
    )


def test_what_is_no_note_is_refused_with_the_remedy(books: Books) -> None:
    wrong: Any = None
    for text in ("", "  ", wrong):
        with pytest.raises(ValueError, match="needs a text"):
            note(text)
    for label in ("", "a b", "x" * 41, "a\n", "=1", wrong):
        with pytest.raises(ValueError, match="label is 1 to 40"):
            note("x", label)
    assert {
        CHECK_ABORTED,
        LIMIT_FOUND,
        UNTIMED,
        USER_ERRORS,
        FAULT_REFUSED,
        LATE_WRITES,
    } <= RESERVED
    for label in (*RESERVED, "worker_lost", "worker_x"):
        with pytest.raises(ValueError, match="suite's own"):
            note("x", label)
    assert books.timeline().annotations == ()


def test_a_note_loses_its_secrets_its_control_characters_and_what_is_too_long(
    books: Books,
) -> None:
    note("see http://u:s3cret@h/x?token=s3cret \x1b[31mred\nline \u202e")
    note("☃" * 2_000_000)
    note("\x00" * 600)
    texts = [said.text for said in books.timeline().annotations]
    assert texts[0] == "see http://***@h/x?token=*** \\x1b[31mred\\x0aline \\u202e"
    assert [len(text) for text in texts[1:]] == [LONGEST_TEXT, LONGEST_TEXT]


@pytest.mark.parametrize("of", ["books", "shipped"])
def test_notes_beyond_a_thousand_are_counted(of: str, request: pytest.FixtureRequest) -> None:
    made: Books = request.getfixturevalue(of)
    for n in range(MAX_NOTES + 5):
        note(f"note {n}")
    *notes, last = made.timeline().annotations
    assert [said.text for said in notes] == [f"note {n}" for n in range(MAX_NOTES)]
    assert last.label == NOTES_LEFT_OUT and last.text.startswith("5 more notes were left out")


def test_the_notes_of_several_workers_share_the_thousand(tmp_path: Path) -> None:
    made = Books(tmp_path)
    for _worker in range(3):
        open_desk(made.book.take, lambda: made.now_s)
        for n in range(MAX_NOTES - 300):
            note(f"note {n}")
        close_desk()
    *notes, last = made.timeline().annotations
    assert len(notes) == MAX_NOTES
    assert last.text.startswith("1,100 more notes")


def test_who_says_something_wrong_of_a_fault_is_told_so(books: Books) -> None:
    fault_began("a", "kill")
    with pytest.raises(ValueError, match="'a' began twice"):
        fault_began("a", "pause")
    with pytest.raises(ValueError, match="the kind of another"):
        fault_began("kill", "pause")
    with pytest.raises(ValueError, match="never began"):
        fault_healed("b")
    fault_healed("a")
    with pytest.raises(ValueError, match="healed twice"):
        fault_healed("a")
    wrong: Any = 7
    for id, kind, node in (
        ("", "kill", ""),
        ("a:b", "kill", ""),
        ("a\n", "kill", ""),
        ("b", "k k", ""),
        ("b", "kill", "\x07"),
        ("b", "kill", "n" * 201),
        (wrong, "kill", ""),
        ("b", wrong, ""),
        ("b", "kill", wrong),
    ):
        with pytest.raises(ValueError, match="fault"):
            fault_began(id, kind, node)
    with pytest.raises(ValueError, match="is text, not int"):
        fault_healed(wrong)
    timeline = books.timeline()
    assert timeline.faults == (Fault("a", "kill", "", 1.0, 1.0),)
    assert fault_doubts(timeline) == []


def test_what_a_worker_says_wrong_of_a_fault_voids_the_verdict_and_not_the_run(
    shipped: Books,
) -> None:
    fault_began("a", "kill")
    fault_began("a", "kill")
    fault_healed("b")
    fault_healed("a")
    note("still here")
    timeline = shipped.timeline()
    labels = [said.label for said in timeline.annotations]
    assert labels == [FAULT_REFUSED, FAULT_REFUSED, "note"]
    assert len(fault_doubts(timeline)) == 2
    assert "'a' began twice" in fault_doubts(timeline)[0]


def test_what_a_load_side_says_loses_its_secrets_as_well(tmp_path: Path) -> None:
    made = Books(tmp_path)
    text = "GET http://u:s3cret@h/x?token=s3cret"
    made.book.take("annotation", {"t_s": 1.0, "label": UNTIMED, "text": text})
    (said,) = made.timeline().annotations
    assert said.text == "GET http://***@h/x?token=***"


def test_outside_of_a_run_everything_says_so() -> None:
    close_desk()
    with pytest.raises(LookupError, match="none goes on in this process"):
        note("x")
    with pytest.raises(LookupError, match="none goes on in this process"):
        fault_began("a", "kill")
    with pytest.raises(LookupError, match="none goes on in this process"):
        fault_healed("a")


@pytest.mark.parametrize(
    ("kind", "report"),
    [
        ("note", {}),
        ("note", {"t_s": float("nan"), "label": "note", "text": "x"}),
        ("note", {"t_s": 1.0, "label": "worker_lost", "text": "x"}),
        ("note", {"t_s": 1.0, "label": "note", "text": "x", "more": 1}),
        ("fault", {"t_s": 1.0, "id": "a", "fault": "k"}),
        ("fault", {"t_s": "1", "id": "a", "fault": "k", "node": ""}),
        ("healed", {"t_s": 1.0, "id": "a" * 100_000}),
        ("notes_left_out", {"count": -1}),
        ("notes_left_out", {"count": "many"}),
    ],
)
def test_hostile_reports_of_a_worker_end_nothing(
    tmp_path: Path, kind: str, report: dict[str, Any]
) -> None:
    assert kind in KINDS
    made = Books(tmp_path)
    made.book.take(kind, report)
    timeline = made.timeline()
    assert timeline.faults == ()
    assert all(said.label == FAULT_REFUSED for said in timeline.annotations)
    assert bool(timeline.annotations) is (kind in ("fault", "healed"))
