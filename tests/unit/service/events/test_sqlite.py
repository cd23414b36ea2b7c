"""Opening, closing and the incarnation of the SQLite store; real files, real threads."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import FoundationError, StorageError
from service.events.database import Database
from service.events.own import own_events
from service.events.sqlite import SqliteEventStore
from service.events.store import EventQuery
from service.events.tables import SCHEMA_VERSION
from tests.event import make_write

_opened: list[SqliteEventStore] = []


async def open_store(path: Path, **options: object) -> SqliteEventStore:
    store = await SqliteEventStore.open(path, node="node-1", **options)  # type: ignore[arg-type]
    _opened.append(store)
    return store


@pytest.fixture(autouse=True)
async def close_what_a_failed_test_left_open() -> AsyncIterator[None]:
    """A store's threads would keep the test process alive."""
    yield
    while _opened:
        await _opened.pop().close()


def store_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if "_connection_worker_thread" in one.name]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


async def test_a_clean_restart_keeps_events_seq_and_incarnation(path: Path) -> None:
    first = await open_store(path)
    writes = [make_write(stream="s") for _ in range(5)]
    await first.append_batch(writes)
    await first.close()
    second = await open_store(path)
    assert second.incarnation == first.incarnation
    assert second.stats().last_seq == 5
    stored = await second.append(make_write(stream="s", expected_version=5))
    assert (stored.seq, stored.stream_version) == (6, 6)
    assert (await second.append(writes[0])).duplicate
    await second.close()


async def test_closing_leaves_one_database_file_and_no_thread(path: Path) -> None:
    store = await open_store(path)
    await store.append(make_write())
    assert store_threads()
    await store.close()
    assert not store_threads()
    assert sorted(one.name for one in path.parent.iterdir()) == ["events.db", "events.db.lock"]


async def test_an_unclean_start_begins_a_new_incarnation(path: Path) -> None:
    """A process that is killed after its acknowledgement; nothing marks the shutdown clean."""
    program = (
        "import asyncio, os, sys, pathlib\n"
        "from service.events.sqlite import SqliteEventStore\n"
        "from tests.event import make_write\n"
        "async def main():\n"
        "    store = await SqliteEventStore.open(pathlib.Path(sys.argv[1]), node='node-1')\n"
        "    await store.append(make_write(id=bytes(16)))\n"
        "    print(store.incarnation, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await child.communicate()
    assert child.returncode == -9
    before = int(output)
    store = await open_store(path)
    assert store.incarnation > before
    assert store.stats().last_seq == 1
    assert (await store.get(bytes(16))).incarnation == before
    await store.close()


@pytest.mark.parametrize("with_lock_file", [False, True])
async def test_a_restored_backup_begins_a_new_incarnation(
    path: Path, tmp_path: Path, with_lock_file: bool
) -> None:
    store = await open_store(path)
    await store.append(make_write())
    await store.close()
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    again = await open_store(path)
    assert again.incarnation == store.incarnation
    await again.append(make_write())
    await again.close()
    shutil.copy(backup, path)
    if not with_lock_file:
        path.with_name("events.db.lock").unlink()
    restored = await open_store(path)
    assert restored.incarnation > store.incarnation
    await restored.close()


async def test_two_nodes_cannot_open_one_database(path: Path) -> None:
    store = await open_store(path)
    with pytest.raises(StorageError, match="another node has"):
        await open_store(path)
    await store.close()
    await (await open_store(path)).close()


async def test_a_database_of_another_node_is_refused(path: Path) -> None:
    await (await open_store(path)).close()
    with pytest.raises(StorageError, match="belongs to node node-1"):
        await SqliteEventStore.open(path, node="node-2")
    assert not store_threads()


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="directory that exists"):
        await open_store(tmp_path / "missing" / "events.db")


async def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="directory that exists"):
        await open_store(tmp_path / "file" / "events.db")


def test_a_directory_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        return  # root writes anywhere, so there is nothing to be refused
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="writable"):
            asyncio.run(open_store(tmp_path / "events.db"))
    finally:
        tmp_path.chmod(0o700)


def test_a_database_that_is_a_directory_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="writable"):
        asyncio.run(open_store(path))
    assert not store_threads()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at " * 100)
    with pytest.raises(StorageError, match="not a sound SQLite database"):
        asyncio.run(open_store(path))
    assert not store_threads()
    assert path.read_bytes().startswith(b"not a database")


async def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE events (x)")
    foreign.close()
    with pytest.raises(StorageError, match="another program"):
        await open_store(path)


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await (await open_store(path)).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match="schema version 99"):
        await open_store(path)
    assert not store_threads()


async def test_a_database_of_the_first_schema_is_migrated(path: Path) -> None:
    store = await open_store(path)
    kept = await store.append(make_write(type="kept"))
    await store.append(make_write(type="own", stream="$part/1"))
    await store.close()
    older = sqlite3.connect(path)
    older.execute("DROP INDEX ix_events_own")
    older.execute("PRAGMA user_version = 1")
    older.close()
    store = await open_store(path)
    assert (await store.get(kept.id)).type == "kept"
    assert [event.seq async for event in own_events(store, ["own"])] == [2]
    await store.close()
    migrated = sqlite3.connect(path)
    assert migrated.execute("PRAGMA user_version").fetchall() == [(SCHEMA_VERSION,)]
    migrated.close()


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT))
    store = await open_store(path)
    assert (await store.append(make_write())).seq == 1
    await store.close()


async def test_metadata_indices_follow_the_configuration(path: Path) -> None:
    def indices() -> int:
        connection = sqlite3.connect(path)
        [(count,)] = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name GLOB 'ix_events_metadata_*'"
        )
        connection.close()
        assert isinstance(count, int)
        return count

    store = await open_store(path, metadata_index=("a", "b"))
    await store.append(make_write(metadata={"a": 1, "c": 2}))
    await store.close()
    assert indices() == 2
    store = await open_store(path, metadata_index=("c",))
    for key, value in (("a", "1"), ("c", "2")):
        assert len((await store.query(EventQuery(metadata=((key, value),)))).events) == 1
    await store.close()
    assert indices() == 1


@pytest.mark.parametrize("key", ["", 'a"b', "x" * 201, "a\nb", "a\\b"])
async def test_a_metadata_key_that_cannot_be_indexed_is_refused(path: Path, key: str) -> None:
    with pytest.raises(StorageError, match="cannot be indexed"):
        await open_store(path, metadata_index=(key,))


async def test_threads_end_when_the_last_step_of_opening_fails(path: Path) -> None:
    def no_writer(*_: object, **__: object) -> None:
        raise StorageError("no writer today")

    with pytest.raises(StorageError, match="no writer today"):
        await open_store(path, make_writer=no_writer)
    assert not store_threads()
    await (await open_store(path)).close()


async def test_a_store_that_was_never_used_closes(path: Path) -> None:
    store = await open_store(path)
    await store.close()
    await store.close()


async def test_a_closed_store_refuses_reads(path: Path) -> None:
    store = await open_store(path)
    await store.close()
    with pytest.raises(FoundationError):
        await store.get(bytes(16))


async def test_seq_is_not_given_again_after_the_last_row_was_deleted(path: Path) -> None:
    store = await open_store(path)
    await store.append_batch([make_write() for _ in range(3)])
    await store.close()
    foreign = sqlite3.connect(path)
    foreign.execute("DELETE FROM events WHERE seq = 3")
    foreign.commit()
    foreign.close()
    store = await open_store(path)
    assert (await store.append(make_write())).seq == 4
    await store.close()


async def test_a_connection_gives_our_errors_after_its_end(path: Path) -> None:
    store = await open_store(path)
    await store.close()
    database = await Database.open(lambda: sqlite3.connect(":memory:", check_same_thread=False))
    await database.close()
    database.interrupt_now()
    with pytest.raises(StorageError, match="closed"):
        await database.fetch("SELECT 1")


async def test_opening_reads_the_same_few_pages_whatever_the_size(path: Path) -> None:
    """Counts the rows that SQLite steps over, by VM instructions, in small and large logs."""
    steps: list[int] = []

    def counting(path: Path, *, read_only: bool) -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.set_progress_handler(lambda: steps.append(1), 10)
        return connection

    counts = []
    for size in (100, 20_000):
        store = await open_store(path)
        await store.append_batch([make_write() for _ in range(size - store.stats().last_seq)])
        await store.close()
        steps.clear()
        await (await open_store(path, connect=counting)).close()
        counts.append(len(steps))
    assert counts[1] <= counts[0] * 1.2 + 5, counts


@pytest.mark.parametrize("node", ["it's", 'a"b', "nœud VALUES (?)", "50% :x ? {0}"])
async def test_any_node_name_is_stored_as_it_is(path: Path, node: str) -> None:
    store = await SqliteEventStore.open(path, node=node)
    _opened.append(store)
    writes = [make_write() for _ in range(100)]
    await store.append_batch(writes)
    assert {(await store.get(write.id)).origin for write in writes} == {node}
    await store.close()
