"""One SQLite connection on a thread of its own, and the one place where driver errors end.

aiosqlite carries every call to the thread; `Database` adds the two calls that the store is made of
as single hops: a whole transaction, and a read with all its rows. A call that has reached the
thread runs to its end whatever becomes of the task that waits for it, so a cancelled request
leaves no open transaction behind. This module knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeVar

import aiosqlite

from service.errors import InvalidInput, QueryTimeout, StorageError

T = TypeVar("T")

Statement = tuple[str, Sequence[object]]
"""SQL text and its parameters."""

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for a lock that a foreign tool, such as a shell, may hold."""

WRITER_CACHE_KIB = 65_536
"""Most that the writer's page cache may grow to; 64 MB gave +53 % with random keys (traps.md)."""

READER_CACHE_KIB = 4_096


THREAD_END_S = 1.0


class Connector(Protocol):
    """Opens a connection to a database file; the power-cut test passes one with its own VFS."""

    def __call__(self, path: Path, *, read_only: bool) -> sqlite3.Connection: ...


def connect_sqlite(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Python's own driver. Transactions are ours alone: the driver opens none by itself."""
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


class Database(aiosqlite.Connection):
    """A connection whose life is `await Database.open(…)` to `await close()`.

    Raises only StorageError, QueryTimeout and RowRefused.
    """

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> Database:
        """Starts the thread and connects; the thread is ended again when that fails."""
        self = cls(connect, iter_chunk_size=64)
        try:
            await self
        except sqlite3.Error as error:
            self._thread.join(THREAD_END_S)
            raise translate(error) from error
        return self

    async def close(self) -> None:
        """Finish what the thread has been given, close, and end the thread."""
        await super().close()
        # The thread has told the loop that it is done; all that is left is its return.
        self._thread.join(THREAD_END_S)

    async def transact(self, statements: Sequence[Statement]) -> float:
        """Run all statements in one transaction, durable on return; its seconds on the thread."""
        return await self._call(partial(self._transact, statements))

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement and take all its rows; never for results without a bound."""
        return await self._call(partial(self._fetch, sql, parameters), skip_when_cancelled=True)

    def interrupt_now(self) -> None:
        """Stop the statement that the thread runs, if any; its caller gets QueryTimeout."""
        if self._connection is not None:
            with suppress(sqlite3.ProgrammingError):  # closed on its thread a moment ago
                self._connection.interrupt()

    async def _call(self, function: Callable[[], T], *, skip_when_cancelled: bool = False) -> T:
        if not self._running or self._connection is None:
            raise StorageError("the event store is closed: start the node again")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def unless_cancelled() -> T:
            if future.cancelled():
                raise asyncio.CancelledError
            return function()

        self._tx.put_nowait((future, unless_cancelled if skip_when_cancelled else function))
        try:
            return await future
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise translate(error) from error

    def _transact(self, statements: Sequence[Statement]) -> float:
        started_s = perf_counter()
        connection = self._conn
        if len(statements) == 1:
            # One statement is a transaction of its own: two returns to the GIL less.
            sql, parameters = statements[0]
            connection.execute(sql, parameters)
            return perf_counter() - started_s
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                connection.execute(sql, parameters)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return perf_counter() - started_s

    def _fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        return self._conn.execute(sql, parameters).fetchall()


class RowRefused(InvalidInput):
    """A row cannot be stored: it breaks a constraint or holds a value that SQLite has no form for.

    The disk is well, and so are the other rows of the transaction, which was rolled back.
    """


def translate(error: Exception) -> StorageError | QueryTimeout | RowRefused:
    """The tree's error for a driver's, with the remedy in its message."""
    text = str(error)
    name = getattr(error, "sqlite_errorname", None) or ""
    if isinstance(error, _ROW_ERRORS) or "binding" in text:
        return RowRefused(f"the event cannot be stored: {text}")
    if name == "SQLITE_INTERRUPT" or text == "interrupted":
        return QueryTimeout(
            "the query ran past its time limit: filter by type, correlation_id, time or an "
            "indexed metadata key"
        )
    return StorageError(f"the database refused: {text} ({_remedy(name, text)})")


_ROW_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeEncodeError)


def _remedy(name: str, text: str) -> str:
    if name.startswith("SQLITE_FULL") or "full" in text:
        return "free disk space; the node recovers by itself"
    if name.startswith("SQLITE_IOERR") or "disk I/O error" in text:
        return "check the disk and its free space; the node recovers by itself"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return "the data directory must exist and be writable by the node's user"
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return "this is not a sound SQLite database: restore a backup or choose another directory"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another program holds a lock on the database: end it"
    return "see the node's log"
