"""A part's own events: applied in order, read back from snapshots, followed without gaps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import structlog
import uuid_utils

from service.errors import StorageError
from service.events import own_log
from service.events.feed import PAGE_EVENTS
from service.events.intake import workload_write
from service.events.own import newest_own
from service.events.own_log import OwnLog
from service.events.sqlite import SqliteEventStore
from service.events.store import EventQuery, Stored, Write
from service.schema import Event

GUARD_S = 20.0
TYPES = ("one", "two")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    made = await SqliteEventStore.open(tmp_path / "events.db", node="node-1")
    yield made
    await made.close()


@dataclass
class Book:
    """A part in small: the last text and version of each name."""

    held: dict[str, tuple[int, str]] = field(default_factory=dict)

    def apply(self, name: str, version: int, text: str) -> None:
        if version > self.held.get(name, (0, ""))[0]:
            self.held[name] = (version, text)

    def apply_event(self, event: Event) -> None:
        assert event.stream_version is not None
        self.apply(event.data["name"], event.stream_version, event.data["text"])

    def restore(self, row: Mapping[str, Any]) -> None:
        self.apply(row["name"], row["version"], row["text"])

    def rows(self) -> list[tuple[str, int, str]]:
        return [(name, version, text) for name, (version, text) in self.held.items()]


BookLog = OwnLog[tuple[str, int, str]]
Shelf = tuple[Book, BookLog]


class Boastful(BookLog):
    """A seeded bug: its snapshots claim what is stored, applied or not."""

    def _upto(self) -> int:
        return self._store.stats().last_seq


def open_log(store: SqliteEventStore, every: int = 10, kind: type[BookLog] = OwnLog) -> Shelf:
    book = Book()
    log = kind(
        store,
        "book",
        TYPES,
        entries=book.rows,
        row=lambda entry: dict(zip(("name", "version", "text"), entry, strict=True)),
        clock_us=lambda: 1_700_000_000_000_000,
        log=structlog.get_logger(),
        snapshot_every=every,
    )
    return book, log


def make(name: str, text: str, type: str = "one") -> Write:
    content: dict[str, object] = {"name": name, "text": text}
    return workload_write(
        id=uuid_utils.uuid7().bytes,
        type=type,
        data=content,
        client=content,
        correlation_id="c",
        created_at=1,
        stream=f"$book/{name}",
    )


async def change(shelf: Shelf, name: str, text: str, type: str = "one") -> Stored:
    book, log = shelf

    def apply(receipts: Sequence[Stored]) -> Stored:
        [stored] = receipts
        assert stored.stream_version is not None
        book.apply(name, stored.stream_version, text)
        return stored

    return await log.append([make(name, text, type)], apply)


async def read_back(store: SqliteEventStore) -> Shelf:
    book, log = open_log(store)
    await log.read_back(book.restore, book.apply_event)
    return book, log


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = monotonic() + GUARD_S
    while not condition():
        assert monotonic() < deadline_s
        await asyncio.sleep(0.001)


async def snapshots(store: SqliteEventStore) -> list[Event]:
    query = EventQuery(type="book_snapshot", order_by="seq", limit=1_000, own=True)
    return list((await store.query(query)).events)


async def test_the_state_is_read_back_with_and_without_a_snapshot(store: SqliteEventStore) -> None:
    shelf = open_log(store)
    for number in range(1, 36):
        await change(shelf, f"n{number % 4}", str(number), TYPES[number % 2])
        book, log = await read_back(store)
        assert (book.held, log.last_seq) == (shelf[0].held, shelf[1].last_seq)
        await until(lambda: shelf[1]._saving is None)
    assert len(await snapshots(store)) == 3


async def test_a_snapshot_bounds_what_is_read_back(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = open_log(store, every=100)
    for number in range(430):
        await change(shelf, "n", str(number))
        await until(lambda: shelf[1]._saving is None)
    read: list[int] = []
    book, log = open_log(store)
    await log.read_back(book.restore, lambda event: read.append(event.seq))
    assert len(read) == 30
    assert book.held["n"] == (400, "399")


async def test_with_many_entries_a_snapshot_waits_for_as_many_changes(
    store: SqliteEventStore,
) -> None:
    shelf = open_log(store, every=10)
    for number in range(60):
        await change(shelf, f"n{number}", "x")
        await until(lambda: shelf[1]._saving is None)
    # Due after 10 changes, after 10 more since the last had 10 entries, after 20 more …
    assert [len(one.data["rows"]) for one in await snapshots(store)] == [10, 20, 40]


async def test_a_large_snapshot_is_stored_in_parts_all_or_none(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_log, "PART_BYTES", 1_000)
    shelf = open_log(store, every=40)
    for number in range(40):
        await change(shelf, f"n{number}", '"\\é' * 40)
    await until(lambda: shelf[1]._saving is None)
    parts = await snapshots(store)
    assert len(parts) > 5
    assert [one.data["part"] for one in parts] == list(range(len(parts)))
    assert [one.seq for one in parts] == list(range(parts[0].seq, parts[0].seq + len(parts)))
    # An older one before it is not mixed in.
    for number in range(45):
        await change(shelf, f"n{number % 40}", "new")
    await until(lambda: shelf[1]._saving is None)
    assert len(await snapshots(store)) > len(parts)
    assert (await read_back(store))[0].held == shelf[0].held


async def test_changes_during_a_snapshot_are_never_lost(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many writers, a snapshot nearly always under way, and a read-back after each burst."""
    monkeypatch.setattr(own_log, "PART_BYTES", 200)
    shelf = open_log(store, every=5)
    rng = random.Random(3)
    for burst in range(20):
        await asyncio.gather(
            *[
                change(shelf, f"n{rng.randrange(8)}", f"{burst}.{number}", rng.choice(TYPES))
                for number in range(25)
            ]
        )
        again = await read_back(store)
        assert again[0].held == shelf[0].held, f"burst {burst}"
        assert again[1].last_seq == shelf[1].last_seq
    assert len(await snapshots(store)) > 10


@pytest.mark.parametrize(("kind", "text"), [(OwnLog, "new"), (Boastful, "old")])
async def test_a_change_that_is_stored_and_not_yet_applied_is_read_behind_the_snapshot(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch, kind: type[BookLog], text: str
) -> None:
    """With its positive control, which loses the change."""
    shelf = open_log(store, every=1_000, kind=kind)
    await change(shelf, "n", "old")
    applied = asyncio.Event()
    real = store.append_batch

    async def late(writes: Sequence[Write], *, patience_s: float = 0.0) -> list[Stored]:
        stored = await real(writes, patience_s=patience_s)
        if writes[0].type == "one":
            await applied.wait()
        return stored

    monkeypatch.setattr(store, "append_batch", late)
    pending = asyncio.ensure_future(change(shelf, "n", "new"))
    await until(lambda: store.stats().last_seq == 2)
    await shelf[1]._save()
    assert (await read_back(store))[0].held["n"][1] == text
    applied.set()
    await pending


async def test_what_is_stored_is_applied_when_its_caller_is_gone(store: SqliteEventStore) -> None:
    shelf = open_log(store)
    task = asyncio.ensure_future(change(shelf, "n", "x"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: shelf[0].held == {"n": (1, "x")})


async def test_a_snapshot_that_cannot_be_stored_harms_nothing_and_is_tried_later(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = open_log(store, every=10)
    real = store.append_batch
    broken = True

    async def refusing(writes: Sequence[Write], *, patience_s: float = 0.0) -> list[Stored]:
        if broken and writes[0].type == "book_snapshot":
            raise StorageError("seeded")
        return await real(writes, patience_s=patience_s)

    monkeypatch.setattr(store, "append_batch", refusing)
    for number in range(15):
        await change(shelf, "n", str(number))
        await until(lambda: shelf[1]._saving is None)
    assert await newest_own(store, "book_snapshot") is None
    broken = False
    for number in range(6):
        await change(shelf, "n", str(number))
        await until(lambda: shelf[1]._saving is None)
    assert await newest_own(store, "book_snapshot") is not None
    assert (await read_back(store))[0].held == shelf[0].held


async def test_a_snapshot_of_another_form_is_refused_with_its_place(
    store: SqliteEventStore,
) -> None:
    content: dict[str, object] = {"other": 1}
    await store.append(
        workload_write(
            id=uuid_utils.uuid7().bytes,
            type="book_snapshot",
            data=content,
            client=content,
            correlation_id="c",
            created_at=1,
            stream="$book",
        )
    )
    with pytest.raises(StorageError, match=r"seq 1 \(book_snapshot\)"):
        await read_back(store)


async def follow(shelf: Shelf, after: int, count: int) -> list[int]:
    found: list[int] = []
    async with asyncio.timeout(GUARD_S):
        async for event in shelf[1].follow(after):
            found.append(event.seq)
            if len(found) == count:
                break
    return found


async def test_followers_see_every_change_once_in_order_and_nothing_else(
    store: SqliteEventStore,
) -> None:
    """Two types, foreign events in between, followers from everywhere: no gap between types."""
    shelf = open_log(store, every=50)
    await change(shelf, "first", "x")
    followers = [asyncio.ensure_future(follow(shelf, 0, 301)) for _ in range(5)]
    rng = random.Random(9)

    async def write(number: int) -> None:
        if rng.random() < 0.3:
            await store.append(make("foreign", "x", "other"))
        await change(shelf, f"n{number % 7}", str(number), TYPES[rng.random() < 0.5])

    for start in range(0, 300, 30):
        await asyncio.gather(*[write(number) for number in range(start, start + 30)])
    events = [
        one.seq
        for type in TYPES
        for one in (
            await store.query(EventQuery(type=type, order_by="seq", limit=1_000, own=True))
        ).events
    ]
    due = sorted(events)
    assert len(due) == 301
    for follower in followers:
        assert await follower == due
    for after in rng.sample(due, 10):
        behind = [seq for seq in due if seq > after]
        assert await follow(shelf, after, len(behind)) == behind if behind else True


async def test_a_full_page_of_one_type_hides_nothing_behind_another_s_event(
    store: SqliteEventStore,
) -> None:
    """An event of `two` behind more of `one` than a page holds must wait for them."""
    shelf = open_log(store, every=10_000)
    for _ in range(3):
        await asyncio.gather(*[change(shelf, "n", "x") for _ in range(2 * PAGE_EVENTS)])
        await change(shelf, "n", "x", "two")
    assert await follow(shelf, 0, 603) == list(range(1, 604))


async def test_a_follower_goes_live_after_a_restart(store: SqliteEventStore) -> None:
    shelf = open_log(store)
    for number in range(25):
        await change(shelf, "n", str(number))
        await until(lambda: shelf[1]._saving is None)
    again = await read_back(store)
    end = again[1].last_seq
    task = asyncio.ensure_future(follow(again, end, 1))
    stored = await change(again, "n", "live")
    assert await task == [stored.seq]
    await again[1].close()
