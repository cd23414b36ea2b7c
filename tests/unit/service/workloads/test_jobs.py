"""Jobs without a node: prescribed times, the book as a projection of a log, the work itself."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from service.schema import Event
from service.schema_jobs import JobKind
from service.workloads.jobs import KINDS, RANGES_MS, Job, JobBook, Outcome, Snapshot, prescribed_ms
from service.workloads.jobs_work import (
    ABANDONED_AFTER_S,
    KEPT_BACKUPS,
    MAX_BACKUP_BYTES,
    MAX_BACKUPS,
    aggregate,
    back_up,
    clean_up,
    deliver_email,
    report,
)


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_prescribed_times_fill_the_range_of_p1_10_evenly(kind: JobKind) -> None:
    low, high = RANGES_MS[kind]
    times = [prescribed_ms(kind, uuid_utils.uuid7().bytes) for _ in range(100_000)]
    assert low <= min(times) <= low + 10 and high - 10 <= max(times) <= high
    assert sum(times) / len(times) == pytest.approx((low + high) / 2, rel=0.02)
    assert len({prescribed_ms(kind, b"i" * 16) for _ in range(10)}) == 1


def test_the_ranges_are_those_of_p1_10() -> None:
    assert RANGES_MS == {
        "email_delivery": (501, 1500),
        "report_generation": (2001, 7000),
        "data_cleanup": (1001, 4000),
        "analytics_aggregation": (1001, 3000),
        "backup_creation": (5001, 15000),
    }


def outcome(seq: int, state: str = "completed", attempt: int = 1) -> Outcome:
    assert state in ("completed", "failed")
    return Outcome(state, seq, seq, attempt, 1.0, {}, None)  # type: ignore[arg-type]


def job(number: int, seq: int) -> Job:
    return Job(number.to_bytes(16, "big"), "email_delivery", seq, enqueued_at=seq)


def test_jobs_are_taken_in_order_and_another_attempt_goes_first() -> None:
    book = JobBook(Snapshot())
    jobs = [book.enqueued(job(n, n)) for n in range(1, 4)]
    assert book.take() is jobs[0]
    assert (book.queued, book.running, jobs[0].state, jobs[0].attempt) == (2, 1, "running", 1)
    book.release(jobs[0])
    assert (book.queued, book.running, jobs[0].state) == (3, 0, "queued")
    book.waits(jobs[0])
    assert [book.take(), book.take(), book.take(), book.take()] == [*jobs, None]
    assert jobs[0].attempt == 2


def test_a_postponed_attempt_does_not_count() -> None:
    book = JobBook(Snapshot())
    book.enqueued(job(1, 1))
    taken = book.take()
    assert taken is not None
    book.postpone(taken)
    assert (taken.attempt, taken.state, book.queued) == (0, "queued", 1)


def test_a_job_that_is_known_is_not_queued_again() -> None:
    book = JobBook(Snapshot())
    first = book.enqueued(job(1, 1))
    assert book.enqueued(job(1, 1)) is first
    book.take()
    book.ended(first.id, first.kind, outcome(2))
    assert book.enqueued(job(1, 1)) is first
    assert (book.queued, book.running, book.take()) == (0, 0, None)


def test_an_end_counts_by_kind_and_only_the_last_are_remembered() -> None:
    book = JobBook(Snapshot(), remembered=2)
    jobs = [book.enqueued(job(n, n)) for n in range(1, 4)]
    for index, one in enumerate(jobs):
        book.take()
        book.ended(one.id, one.kind, outcome(10 + index, "failed" if index == 1 else "completed"))
    assert (book.completed, book.failed) == ({"email_delivery": 2}, {"email_delivery": 1})
    assert [book.get(one.id) for one in jobs] == [None, jobs[1], jobs[2]]
    assert [one.state for one in jobs] == ["completed", "failed", "completed"]


@dataclass
class Node:
    """A node's jobs beside the log that it would have written: (seq, what, job number)."""

    book: JobBook = field(default_factory=lambda: JobBook(Snapshot()))
    log: list[tuple[int, str, int]] = field(default_factory=list)
    snapshots: list[tuple[int, Snapshot]] = field(default_factory=list)
    stored: dict[int, int] = field(default_factory=dict)
    """Jobs that are on disk and that the node does not know of yet: number -> seq."""

    def write(self, what: str, number: int) -> int:
        self.log.append((len(self.log) + 1, what, number))
        return len(self.log)

    def store(self, number: int) -> None:
        self.book.announce(number)
        self.stored[number] = self.write("enqueued", number)

    def learn(self) -> None:
        for number, seq in self.stored.items():
            self.book.enqueued(job(number, seq))
            self.book.withdraw(number)
        self.stored.clear()

    def end(self, state: str) -> None:
        taken = self.book.take()
        if taken is not None:
            seq = self.write(state, int.from_bytes(taken.id, "big"))
            self.book.ended(taken.id, taken.kind, outcome(seq, state))

    def shoot(self) -> None:
        self.snapshots.append((self.write("snapshot", 0), self.book.snapshot()))

    def read_back(self, snapshot: Snapshot) -> JobBook:
        book = JobBook(snapshot)
        for seq, what, number in self.log:
            if seq <= snapshot.finished_through or what == "snapshot":
                continue
            if what == "enqueued":
                book.enqueued(job(number, seq))
            else:
                book.ended(job(number, seq).id, "email_delivery", outcome(seq, what))
        return book


STEPS = st.lists(
    st.sampled_from(["store", "learn", "end", "end", "fail", "shoot"]), min_size=1, max_size=80
)


@given(STEPS)
def test_reading_back_from_any_snapshot_gives_what_the_whole_log_gives(steps: list[str]) -> None:
    node = Node()
    for number, step in enumerate(steps, start=1):
        if step == "store":
            node.store(number)
        elif step == "learn":
            node.learn()
        elif step == "shoot":
            node.shoot()
        else:
            node.end("failed" if step == "fail" else "completed")
    whole = node.read_back(Snapshot())
    waiting = unfinished(whole)
    for _, snapshot in node.snapshots:
        book = node.read_back(snapshot)
        assert (book.completed, book.failed) == (whole.completed, whole.failed)
        assert unfinished(book) == waiting


def test_a_snapshot_that_goes_past_what_is_being_stored_would_be_caught() -> None:
    """The positive control: a book that is told of no announcement loses the job."""
    node = Node()
    node.store(1)
    node.learn()
    node.store(2)
    node.book.withdraw(2)  # the seeded bug
    node.end("completed")
    node.shoot()
    [(_, snapshot)] = node.snapshots
    assert unfinished(node.read_back(snapshot)) != unfinished(node.read_back(Snapshot()))


def unfinished(book: JobBook) -> set[bytes]:
    """What waits; it is taken."""
    found = set()
    while (taken := book.take()) is not None:
        found.add(taken.id)
    return found


def events(count: int, type: str = "user_action", **data: Any) -> list[Event]:
    return [
        Event(
            id=uuid4(),
            seq=seq,
            type=type,
            data=data,
            metadata={},
            correlation_id="c",
            created_at=seq,
            stored_at=seq,
            origin="node-1",
            incarnation=1,
        )
        for seq in range(count, 0, -1)
    ]


def test_a_mail_is_rendered_the_same_on_every_attempt() -> None:
    payload = {"to": "a.b+c@example.org", "subject": "Grüße", "body": "x" * 10_000}
    first = deliver_email("node-1", b"i" * 16, payload)
    assert deliver_email("node-1", b"i" * 16, payload) == first
    assert deliver_email("node-1", b"j" * 16, payload)["sha256"] != first["sha256"]
    assert 4_000 < first["size_bytes"] < 20_000
    default = deliver_email("node-1", b"i" * 16, {"subject": 1, "body": None})
    assert default["to"].endswith("@example.org")


@pytest.mark.parametrize(
    "to",
    [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org, b@example.org",
        "Ada <a@example.org>",
        "\u00e4@example.org",
        "\u00e9 " * 2_000,
        "a" * 65 + "@example.org",
        "a@" + "b." * 126 + "b",
        "a@b@c",
        "a",
        "",
        1,
        None,
        ["a@example.org"],
    ],
)
def test_a_mail_goes_to_one_short_ascii_address_or_not_at_all(to: object) -> None:
    with pytest.raises(ValueError, match="one address such as"):
        deliver_email("node-1", b"i" * 16, {"to": to})


def test_a_subject_can_have_no_headers_of_its_own_and_is_short() -> None:
    with pytest.raises(ValueError):
        deliver_email("node-1", b"i" * 16, {"subject": "a\r\nBcc: b@example.org"})
    longest = deliver_email("node-1", b"i" * 16, {"subject": "x" * 200})
    assert deliver_email("node-1", b"i" * 16, {"subject": "x" * 4_000}) == longest


def test_a_report_and_an_aggregation_count_what_is_there() -> None:
    found = [
        *events(3, action="login", processing_time_ms=100),
        *events(1, action="logout", processing_time_ms=50),
        *events(1, action="logout", processing_time_ms="50"),
        *events(1, action=7, processing_time_ms=True),
        *events(2, type="other"),
    ]
    assert report(found)["actions"] == {
        "login": {"samples": 3, "mean_ms": 100, "max_ms": 100},
        "logout": {"samples": 1, "mean_ms": 50, "max_ms": 50},
    }
    assert aggregate(found) == {
        "events": 8,
        "types": {"other": 2, "user_action": 6},
        "newest_seq": 3,
    }
    assert aggregate([]) == {"events": 0, "types": {}, "newest_seq": None}


def read(path: Path) -> list[Event]:
    return [Event.model_validate_json(line) for line in path.read_bytes().splitlines()]


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_holds_the_events_oldest_first_and_replaces_an_earlier_attempt(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "backups"
    id = uuid4()
    back_up(folder, id.bytes, events(7))
    result = back_up(folder, id.bytes, events(5))
    assert names(folder) == [f"{id}.jsonl"]
    assert [event.seq for event in read(folder / f"{id}.jsonl")] == [1, 2, 3, 4, 5]
    assert result["events"] == 5
    assert result["size_bytes"] == (folder / f"{id}.jsonl").stat().st_size


def test_backups_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    result = back_up(tmp_path, uuid4().bytes, events(10, text="x" * 60_000))
    assert 0 < result["size_bytes"] <= MAX_BACKUP_BYTES
    newest = result["events"]
    assert newest == 4
    for _ in range(MAX_BACKUPS + 5):
        back_up(tmp_path, uuid4().bytes, events(1))
    assert len(names(tmp_path)) == MAX_BACKUPS


def test_a_clean_up_keeps_the_newest_and_touches_no_other_file(tmp_path: Path) -> None:
    ids = [UUID(int=random.Random(7).getrandbits(128) + n) for n in range(6)]
    for age, id in enumerate(ids):
        back_up(tmp_path, id.bytes, events(1))
        os.utime(tmp_path / f"{id}.jsonl", (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "notes.txt").write_text("mine")
    for name, age_s in (("fresh", 10), ("abandoned", ABANDONED_AFTER_S + 1)):
        path = tmp_path / f"{UUID(int=len(name))}.partial"
        path.write_text(name)
        os.utime(path, (2_000_000 - age_s, 2_000_000 - age_s))
    result = clean_up(tmp_path, now_s=2_000_000)
    assert result == {"removed": 6 - KEPT_BACKUPS + 1, "kept": KEPT_BACKUPS}
    kept = [f"{id}.jsonl" for id in ids[:KEPT_BACKUPS]]
    assert names(tmp_path) == sorted([*kept, "notes.txt", f"{UUID(int=5)}.partial"])
    assert clean_up(tmp_path / "none", now_s=0) == {"removed": 0, "kept": 0}


def test_every_kind_has_a_range() -> None:
    assert set(RANGES_MS) == set(KINDS)
