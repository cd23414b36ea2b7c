"""The writer: its bounds, its answers when the disk fails, and that one failure stays one."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.errors import (
    FoundationError,
    IdConflict,
    InvalidInput,
    Overloaded,
    PayloadTooLarge,
    StorageError,
)
from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore, StoreLimits
from service.events.store import EventQuery, Stored, Write
from service.events.writer import Request, Writer, WriterLimits
from tests.event import make_write


class Counting:
    """An observer that keeps the size of each commit."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.failures = 0

    def committed(self, events: int, commit_s: float) -> None:
        assert commit_s >= 0
        self.groups.append(events)

    def failed(self) -> None:
        self.failures += 1


class Setup:
    """A store whose disk can be held up or filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.observer = Counting()
        self.busy_timeout_s = 30.0
        self.connections: list[sqlite3.Connection] = []
        self.stores: list[SqliteEventStore] = []
        self._holder: sqlite3.Connection | None = None

    async def open(
        self, make_writer: Callable[..., Writer] = Writer, **limits: int | float
    ) -> SqliteEventStore:
        store = await SqliteEventStore.open(
            self.path,
            node="node-1",
            limits=StoreLimits(writer=WriterLimits(**limits)),  # type: ignore[arg-type]
            observer=self.observer,
            connect=self.connect,
            make_writer=make_writer,
        )
        self.stores.append(store)
        return store

    def connect(self, path: Path, *, read_only: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}",
            uri=True,
            timeout=self.busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        self.connections.append(connection)
        return connection

    def hold(self) -> None:
        """Take the write lock, so that no commit gets through."""
        self._holder = sqlite3.connect(self.path, isolation_level=None)
        self._holder.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        if self._holder is not None:
            self._holder.execute("ROLLBACK")
            self._holder.close()
            self._holder = None

    def fill(self) -> None:
        """The database can take no further page."""
        [(pages,)] = self.connections[0].execute("PRAGMA page_count").fetchall()
        self.connections[0].execute(f"PRAGMA max_page_count = {pages}")

    def make_room(self) -> None:
        self.connections[0].execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    made = Setup(tmp_path / "events.db")
    yield made
    made.release()
    for store in made.stores:
        await store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def start(store: SqliteEventStore, writes: list[Write]) -> list[asyncio.Task[Stored]]:
    return [asyncio.create_task(store.append(write)) for write in writes]


async def test_waiting_writes_share_one_commit(setup: Setup) -> None:
    store = await setup.open()
    setup.hold()
    tasks = start(store, [make_write() for _ in range(100)])
    await until(lambda: store.stats().queue_events == 100)
    assert store.stats().queue_bytes >= 100 * 256
    setup.release()
    await asyncio.gather(*tasks)
    assert sum(setup.observer.groups) == 100
    assert len(setup.observer.groups) <= 2
    assert (store.stats().queue_events, store.stats().queue_bytes) == (0, 0)


async def test_a_queue_full_by_count_refuses_and_loses_nothing(setup: Setup) -> None:
    store = await setup.open(queue_events=10)
    setup.hold()
    tasks = start(store, [make_write() for _ in range(10)])
    await until(lambda: store.stats().queue_events == 10)
    refused = make_write()
    with pytest.raises(Overloaded) as caught:
        await store.append(refused)
    assert caught.value.retry_after_s
    with pytest.raises(Overloaded):
        await store.append_batch([make_write(), make_write()])
    setup.release()
    assert len(await asyncio.gather(*tasks)) == 10
    assert await store.audit([refused.id]) == []
    await store.append(refused)


async def test_a_queue_full_by_bytes_refuses_and_loses_nothing(setup: Setup) -> None:
    store = await setup.open(queue_bytes=10_000)
    setup.hold()
    tasks = start(store, [make_write(data={"x": "y" * 4_000}) for _ in range(2)])
    await until(lambda: store.stats().queue_events == 2)
    with pytest.raises(Overloaded):
        await store.append(make_write(data={"x": "y" * 4_000}))
    tasks += start(store, [make_write()])
    setup.release()
    assert len(await asyncio.gather(*tasks)) == 3


async def test_a_batch_beyond_the_whole_queue_is_told_to_be_smaller(setup: Setup) -> None:
    store = await setup.open(queue_events=10, queue_bytes=10_000)
    with pytest.raises(PayloadTooLarge, match="smaller"):
        await store.append_batch([make_write() for _ in range(11)])
    with pytest.raises(PayloadTooLarge, match="smaller"):
        await store.append(make_write(data={"x": "y" * 20_000}))
    assert len(await store.append_batch([make_write() for _ in range(10)])) == 10


async def test_a_batch_larger_than_a_group_is_still_one_commit(setup: Setup) -> None:
    store = await setup.open(group_events=50)
    await store.append_batch([make_write() for _ in range(1_500)])
    assert setup.observer.groups == [1_500]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": "\ud800"},
        {"created_at": 2**63},
        {"data": object()},
        {"content_hash": None},
    ],
)
async def test_a_row_that_cannot_be_stored_fails_alone(
    setup: Setup, changes: dict[str, object]
) -> None:
    store = await setup.open()
    bad = make_write()._replace(**changes)  # type: ignore[arg-type]
    good = [make_write() for _ in range(30)]
    setup.hold()
    batch = asyncio.create_task(store.append_batch([make_write(), bad]))
    tasks = [*start(store, good[:15]), *start(store, [bad]), *start(store, good[15:])]
    await until(lambda: store.stats().queue_events == 33)
    setup.release()
    results = await asyncio.gather(*tasks, batch, return_exceptions=True)
    refused = [one for one in results if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [type(refused[0])] * 2
    assert isinstance(refused[0], InvalidInput)
    assert len(await store.audit([write.id for write in good])) == 30
    assert store.stats().last_seq == 30
    assert store.stats().healthy


async def test_a_lock_that_is_not_given_up_is_a_storage_error(setup: Setup) -> None:
    setup.busy_timeout_s = 0.05
    store = await setup.open()
    setup.hold()
    write = make_write()
    with pytest.raises(StorageError, match="lock"):
        await store.append(write)
    assert not store.stats().healthy
    setup.release()
    assert not (await store.append(write)).duplicate
    assert store.stats().healthy


async def test_a_full_disk_acknowledges_nothing_and_recovers_by_itself(setup: Setup) -> None:
    store = await setup.open(probe_every_s=0.05)
    kept = [make_write(data={"n": number}) for number in range(50)]
    await store.append_batch(kept)
    setup.fill()
    acknowledged: list[bytes] = [write.id for write in kept]
    refused: list[bytes] = []
    for _ in range(60):
        write = make_write(data={"x": "y" * 2_000})
        try:
            await store.append(write)
            acknowledged.append(write.id)
        except StorageError as error:
            assert "disk space" in str(error)
            refused.append(write.id)
    assert refused
    assert setup.observer.failures == len(refused)
    # Reads survive, and see what was acknowledged and nothing of what was refused.
    assert len((await store.query(EventQuery(limit=1_000))).events) == len(acknowledged)
    assert await store.audit(refused) == []
    setup.make_room()
    await until(lambda: store.stats().healthy)  # nobody writes: the writer's own probe
    stored = await store.append_batch([make_write() for _ in range(100)])
    assert [one.seq for one in stored] == list(
        range(len(acknowledged) + 1, len(acknowledged) + 101)
    )
    assert len(await store.audit(acknowledged)) == len(acknowledged)


async def test_a_file_size_limit_acknowledges_nothing_that_is_not_on_disk(
    tmp_path: Path,
) -> None:
    """The real system call fails (EFBIG) in a process of its own, then works again."""
    program = tmp_path / "limited.py"
    program.write_text(
        "import asyncio, pathlib, resource, signal, sys\n"
        "from service.errors import StorageError\n"
        "from service.events.sqlite import SqliteEventStore\n"
        "from tests.event import make_write\n"
        "async def main():\n"
        "    path = pathlib.Path(sys.argv[1])\n"
        "    store = await SqliteEventStore.open(path, node='node-1')\n"
        "    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))\n"
        "    acknowledged, refused = [], []\n"
        "    for _ in range(300):\n"
        "        write = make_write(data={'x': 'y' * 2_000})\n"
        "        try:\n"
        "            await store.append(write)\n"
        "            acknowledged.append(write.id)\n"
        "        except StorageError:\n"
        "            refused.append(write.id)\n"
        "    assert acknowledged and refused, (len(acknowledged), len(refused))\n"
        "    assert not store.stats().healthy\n"
        "    assert len(await store.audit(acknowledged)) == len(acknowledged)\n"
        "    assert await store.audit(refused) == []\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "    last = await store.append(make_write())\n"
        "    assert store.stats().healthy and not last.duplicate\n"
        "    await store.close()\n"
        "    again = await SqliteEventStore.open(path, node='node-1')\n"
        "    assert len(await again.audit(acknowledged)) == len(acknowledged)\n"
        "    assert await again.audit(refused) == []\n"
        "    await again.close()\n"
        "    print('whole')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "asyncio.run(main())\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        str(tmp_path / "events.db"),
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await child.communicate()
    assert output.decode().endswith("whole\n"), output.decode()


class AcknowledgesFirst(Writer):
    """The seeded bug: the answers come before the commit."""

    async def _finish(self, group: list[Request], plan: Plan) -> None:
        self._acknowledge(group, plan)
        await self._commit(plan)


@pytest.mark.parametrize(("writer", "caught"), [(Writer, False), (AcknowledgesFirst, True)])
async def test_an_answer_before_the_commit_would_be_caught(
    setup: Setup, writer: type[Writer], caught: bool
) -> None:
    store = await setup.open(make_writer=writer)
    setup.hold()
    write = make_write()
    task = asyncio.create_task(store.append(write))
    await until(lambda: store.stats().queue_events == 1 or task.done())
    for _ in range(20):
        await asyncio.sleep(0.005)
    lost = task.done() and not await store.audit([write.id])
    assert lost is caught
    setup.release()
    await task


async def test_the_writers_own_fault_leaves_nobody_waiting(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Writer):
        async def _commit(self, plan: Plan) -> None:
            raise RuntimeError("seeded")

    store = await setup.open(make_writer=Faulty)
    results = await asyncio.gather(
        *start(store, [make_write() for _ in range(5)]), return_exceptions=True
    )
    assert all(isinstance(one, StorageError) for one in results)
    with pytest.raises(StorageError, match="restart the node"):
        await store.append(make_write())
    assert not store.stats().healthy
    assert (await store.query(EventQuery())).events == ()
    assert "the event writer ended" in caplog.text


async def test_closing_does_not_wait_for_a_disk_that_does_not_answer(setup: Setup) -> None:
    setup.busy_timeout_s = 1.0
    store = await setup.open(close_timeout_s=0.1)
    setup.hold()
    tasks = start(store, [make_write() for _ in range(5)])
    await until(lambda: store.stats().queue_events == 5)
    await store.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, FoundationError) for one in results)


async def test_more_streams_than_the_cache_holds_keep_their_versions(setup: Setup) -> None:
    store = await setup.open(streams_cached=2)
    for round_ in range(1, 4):
        stored = await asyncio.gather(
            *[store.append(make_write(stream=f"s{number}")) for number in range(10)]
        )
        assert {one.stream_version for one in stored} == {round_}


async def test_the_write_ahead_log_stays_bounded(setup: Setup) -> None:
    store = await setup.open(checkpoint_bytes=200_000)
    largest = 0
    for _ in range(60):
        await store.append_batch([make_write(data={"x": "y" * 500}) for _ in range(50)])
        largest = max(largest, store.stats().wal_bytes)
    assert largest < 1_000_000
    assert setup.path.stat().st_size > 1_000_000


async def test_an_idle_writer_folds_its_log_back_once(setup: Setup) -> None:
    store = await setup.open(idle_after_s=0.02)
    await store.append(make_write())

    def folded() -> bool:
        # The database file alone holds the row once the log has been folded back.
        raw = sqlite3.connect(f"{setup.path.as_uri()}?immutable=1", uri=True)
        try:
            [(count,)] = raw.execute("SELECT count(*) FROM events").fetchall()
        except sqlite3.DatabaseError:  # not there yet, or half of it
            return False
        finally:
            raw.close()
        return bool(count == 1)

    await until(folded)


async def test_conflicts_in_a_storm_of_retries_are_exact(setup: Setup) -> None:
    """Each of 200 ids is sent by eight clients, one of them with other content."""
    store = await setup.open()
    writes = [make_write(data={"n": number}) for number in range(200)]
    others = [make_write(id=write.id, data={"n": "other"}) for write in writes]
    await store.append_batch(writes[:50])
    results = await asyncio.gather(
        *[store.append(write) for write in writes * 7],
        *[store.append(write) for write in others],
        return_exceptions=True,
    )
    assert all(isinstance(one, Stored) for one in results[:1_400])
    assert all(isinstance(one, IdConflict) for one in results[1_400:])
    assert store.stats().last_seq == 200
