"""`SqliteEventStore`: the log of one node in one SQLite file; wiring, opening and closing.

Life, each step undone in reverse when a later one fails:
1. the lock file, so that no two nodes write one database;
2. the writer's connection: pragmas, migrations, configured metadata indices;
3. the incarnation, kept after a clean shutdown and new otherwise (design D8);
4. the readers' connections, the feed and the writer's task.
Closing drains the writer, marks the shutdown clean, folds the write-ahead log into the database
and ends every thread. Opening reads a few pages whatever the size of the database; it must never
scan it. How writes, reads and the feed work is not here but in writer.py, reader.py and feed.py.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from service.errors import FoundationError, StorageError
from service.events.database import (
    READER_CACHE_KIB,
    WRITER_CACHE_KIB,
    Connector,
    Database,
    connect_sqlite,
)
from service.events.feed import Feed
from service.events.lock import Lock
from service.events.query import Planner
from service.events.reader import Reader, ReaderLimits
from service.events.statement import all_meta, last_seq
from service.events.store import (
    AuditHit,
    EventQuery,
    Page,
    Stored,
    StoreStats,
    Write,
    WriterObserver,
)
from service.events.tables import (
    METADATA_INDEX_PREFIX,
    SCHEMA_VERSION,
    create_metadata_index,
    is_metadata_key,
    metadata_index_name,
    migrations,
    put_meta,
)
from service.events.writer import Writer, WriterLimits
from service.schema import Event

READERS = 2


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds of the store's parts."""

    writer: WriterLimits = field(default_factory=WriterLimits)
    reader: ReaderLimits = field(default_factory=ReaderLimits)


def wall_clock_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


class SqliteEventStore:
    """Implements `store.EventStore`. Made by `open`, ended by `close`."""

    def __init__(
        self,
        *,
        node: str,
        incarnation: int,
        database: Database,
        writer: Writer,
        reader: Reader,
        feed: Feed,
        lock: Lock,
    ) -> None:
        self._node = node
        self._incarnation = incarnation
        self._database = database
        self._writer = writer
        self._reader = reader
        self._feed = feed
        self._lock = lock
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        node: str,
        metadata_index: Sequence[str] = (),
        limits: StoreLimits | None = None,
        observer: WriterObserver | None = None,
        connect: Connector = connect_sqlite,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        make_writer: Callable[..., Writer] = Writer,
        clock_us: Callable[[], int] = wall_clock_us,
    ) -> SqliteEventStore:
        """Open or create the database at `path` for node `node`.

        `metadata_index` lists the metadata keys that get an index; indices of other keys are
        dropped. `connect`, `synchronous` and `make_writer` exist for the proofs of G1, which swap
        in a disk that loses power and writers with a seeded bug.
        Raises StorageError with the remedy when the database cannot be used.
        """
        limits = limits or StoreLimits()
        keys = tuple(dict.fromkeys(metadata_index))
        for key in keys:
            if not is_metadata_key(key):
                raise StorageError(
                    f"metadata key {key!r} cannot be indexed: 1 to 200 characters, no quote, "
                    "backslash or control character"
                )
        async with AsyncExitStack() as undo:
            lock = Lock.take(path)
            undo.callback(lock.release)
            database = await Database.open(partial(connect, path, read_only=False))
            undo.push_async_callback(database.close)
            await _prepare(database, limits.writer, synchronous)
            await _migrate(database)
            await _index_metadata(database, keys)
            incarnation = await _begin(database, node, lock.token(), clock_us())
            given = await database.fetch(last_seq())
            last = max([seq for (seq,) in given if isinstance(seq, int)], default=0)
            readers = []
            for _ in range(READERS):
                one = await Database.open(partial(connect, path, read_only=True))
                undo.push_async_callback(one.close)
                await one.fetch(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
                await one.fetch("PRAGMA query_only = ON")
                readers.append(one)
            reader = Reader(readers, Planner.for_keys(keys), limits.reader)
            feed = Feed(reader.after, last)
            writer = make_writer(
                database,
                origin=node,
                incarnation=incarnation,
                last_seq=last,
                wal_path=path.with_name(f"{path.name}-wal"),
                limits=limits.writer,
                observer=observer,
                committed=feed.advance,
                clock_us=clock_us,
            )
            writer.start()
            undo.pop_all()
        return cls(
            node=node,
            incarnation=incarnation,
            database=database,
            writer=writer,
            reader=reader,
            feed=feed,
            lock=lock,
        )

    @property
    def origin(self) -> str:
        return self._node

    @property
    def incarnation(self) -> int:
        return self._incarnation

    async def append(self, write: Write, *, patience_s: float = 0.0) -> Stored:
        [stored] = await self._writer.submit((write,), patience_s)
        return stored

    async def append_batch(
        self, writes: Sequence[Write], *, patience_s: float = 0.0
    ) -> list[Stored]:
        if not writes:
            return []
        return await self._writer.submit(writes, patience_s)

    async def get(self, event_id: bytes) -> Event:
        return await self._reader.get(event_id)

    async def query(self, query: EventQuery) -> Page:
        return await self._reader.query(query)

    async def audit(self, ids: Sequence[bytes]) -> list[AuditHit]:
        return await self._reader.audit(ids)

    def follow(self, after: int) -> AsyncIterator[Event]:
        return self._feed.follow(after)

    def stats(self) -> StoreStats:
        writer = self._writer
        return StoreStats(
            queue_events=writer.queued_events,
            queue_bytes=writer.queued_bytes,
            wal_bytes=writer.wal_bytes(),
            last_seq=writer.last_seq,
            healthy=writer.failure is None,
            detail=writer.failure or "",
        )

    async def close(self) -> None:
        """See the module. A disk that refuses leaves the shutdown unclean, and is not an error."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._writer.close()
            self._feed.close()
            await self._reader.close()
            if self._writer.failure is None:
                await self._end_cleanly()
        finally:
            await self._database.close()
            self._lock.release()

    async def _end_cleanly(self) -> None:
        token = secrets.token_hex(16)
        try:
            await self._database.transact([(put_meta(), (CLEAN, token))])
            await self._database.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
        except FoundationError:
            return
        self._lock.leave(token)


NODE, INCARNATION, CLEAN = "node", "incarnation", "clean"
"""Keys of the meta table."""


async def _prepare(
    database: Database, limits: WriterLimits, synchronous: Literal["FULL", "NORMAL"]
) -> None:
    """The pragmas of the writer's connection.

    Turning a new database to a write-ahead log goes through a rollback journal, which SQLite then
    unlinks. EXTRA makes that unlinking durable; with FULL a power cut much later could bring the
    journal back, and SQLite would roll the database back to nothing (found by the power-cut test).
    """
    await database.fetch("PRAGMA synchronous = EXTRA")
    [(mode,)] = await database.fetch("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StorageError(
            f"the database stays in journal mode {mode}: its file system must support a "
            "write-ahead log (network file systems do not)"
        )
    for pragma in (
        f"synchronous = {synchronous}",
        "wal_autocheckpoint = 0",
        # After a checkpoint the log is written anew from its start and cut to this size.
        f"journal_size_limit = {limits.checkpoint_bytes // 2}",
        f"cache_size = -{WRITER_CACHE_KIB}",
        "foreign_keys = OFF",
    ):
        await database.fetch(f"PRAGMA {pragma}")


async def _migrate(database: Database) -> None:
    """Bring the schema to SCHEMA_VERSION, one transaction a step."""
    [(version,)] = await database.fetch("PRAGMA user_version")
    assert isinstance(version, int)
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"the database has schema version {version}, this node knows {SCHEMA_VERSION}: "
            "start a newer node, or choose another data directory"
        )
    [(tables,)] = await database.fetch("SELECT count(*) FROM sqlite_master")
    if version == 0 and tables:
        raise StorageError(
            "the file is an SQLite database of another program: choose another data directory"
        )
    for number, step in list(enumerate(migrations(), start=1))[version:]:
        statements = [(sql, ()) for sql in step]
        await database.transact([*statements, (f"PRAGMA user_version = {number}", ())])


async def _index_metadata(database: Database, keys: Sequence[str]) -> None:
    """Create the indices of `keys` and drop those of keys that are no longer configured."""
    rows = await database.fetch(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND name GLOB ?",
        (f"{METADATA_INDEX_PREFIX}*",),
    )
    present = {str(name) for (name,) in rows}
    wanted = {metadata_index_name(key): key for key in keys}
    for name in sorted(present - wanted.keys()):
        await database.transact([(f"DROP INDEX {name}", ())])
    for name, key in wanted.items():
        if name not in present:
            await database.transact([(create_metadata_index(key), ())])


async def _begin(database: Database, node: str, token: str | None, now_us: int) -> int:
    """Mark the database as in use; its incarnation.

    The incarnation goes on only if the last shutdown was clean *and* this file is the one that it
    left: a clean shutdown writes one token into the database and beside it, so a database that was
    put back from a copy does not match and starts a new incarnation (design D8).
    """
    rows = await database.fetch(all_meta())
    facts = {str(key): str(value) for key, value in rows}
    if facts.get(NODE, node) != node:
        raise StorageError(
            f"the database belongs to node {facts[NODE]}, not {node}: give each node its own "
            "data directory"
        )
    before = int(facts.get(INCARNATION, "0"))
    clean = token is not None and facts.get(CLEAN) == token
    incarnation = before if clean and before else max(before + 1, now_us)
    await database.transact(
        [
            (put_meta(), (NODE, node)),
            (put_meta(), (INCARNATION, str(incarnation))),
            (put_meta(), (CLEAN, "")),
        ]
    )
    return incarnation
