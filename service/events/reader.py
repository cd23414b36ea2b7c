"""Reads: a small pool of read-only connections and the time limit of every query.

A reader sees every commit that returned before it began, so that a client that was acknowledged
reads its own write on the same node (G6). No statement outlives its call and none holds a snapshot
across an `await`, or the write-ahead log could not be folded back. Readers never write and never
checkpoint: only the writer may (SQLite before 3.51.3 can corrupt a log when two do).
"""

from __future__ import annotations

import asyncio
from binascii import unhexlify
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from service.errors import EventNotFound, Overloaded, QueryTimeout, ShuttingDown
from service.events.database import Database, Statement
from service.events.query import (
    Planner,
    Position,
    check,
    decode_cursor,
    encode_cursor,
    event_by_id,
)
from service.events.statement import Lookups
from service.events.store import AuditHit, EventQuery, Page
from service.schema import Event

_EVENTS = TypeAdapter(list[Event])

STATEMENT_EVENTS = 100
"""Events per statement: a page of 1,000 is read in steps, so that its bytes stay bounded."""

CLOSE_POLL_S = 0.01
CLOSE_ATTEMPTS = 100
"""Closing interrupts what runs and waits a second at most for it to end."""


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Bounds of the readers: waiting requests, seconds per query, bytes per page.

    A page ends early, with a cursor, once it has passed `page_bytes`.
    """

    waiting: int = 512
    query_timeout_s: float = 2.0
    page_bytes: int = 8 * 2**20


class Reader:
    """Owns `databases`, which are connected and read-only; `close` closes them."""

    def __init__(
        self, databases: Sequence[Database], planner: Planner, limits: ReaderLimits
    ) -> None:
        self._databases = list(databases)
        self._idle = list(databases)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._planner = planner
        self._limits = limits
        self._event_by_id = event_by_id()
        self._lookups = Lookups.compiled()

    async def get(self, event_id: bytes) -> Event:
        """Raises EventNotFound."""
        async with self._database() as database:
            events = await self._events(database, (self._event_by_id, (event_id,)))
        if not events[0]:
            raise EventNotFound(f"no event {UUID(bytes=event_id)} is stored on this node")
        return events[0][0]

    async def query(self, query: EventQuery) -> Page:
        """One page. Raises InvalidInput, QueryTimeout and Overloaded."""
        check(query)
        position = None
        if query.cursor is not None:
            position = decode_cursor(query.order_by, query.cursor)
        # One event more than asked for tells whether this page is the last.
        events, whole = await self._read(query, position, query.limit + 1)
        more = not whole or len(events) > query.limit
        events = events[: query.limit]
        cursor = None
        if more:
            last = events[-1]
            cursor = encode_cursor(query.order_by, Position(last.created_at, last.seq))
        return Page(tuple(events), cursor)

    async def after(self, seq: int, limit: int) -> list[Event]:
        """At most `limit` events with a greater seq, in order; empty when there are none yet."""
        query = EventQuery(order_by="seq", limit=limit)
        events, _ = await self._read(query, Position(0, max(seq, 0)), limit)
        return events

    async def audit(self, ids: Sequence[bytes]) -> list[AuditHit]:
        """Those of `ids` that are stored, each once."""
        hits: list[AuditHit] = []
        for sql, parameters in self._lookups.statements(list(dict.fromkeys(ids))):
            # A connection per step: an audit of 10,000 ids must not keep others waiting.
            async with self._database() as database:
                [(found,)] = await database.fetch(sql, parameters)
            assert isinstance(found, str)
            for hex_id, seq, _, _, _, hash_, origin in orjson.loads(found):
                hits.append(AuditHit(unhexlify(hex_id), seq, unhexlify(hash_), origin))
        return hits

    async def close(self) -> None:
        """Refuse new queries, stop those that run, end all threads."""
        self._closed = True
        while self._waiting:
            self._wake()
        for _ in range(CLOSE_ATTEMPTS):
            if len(self._idle) == len(self._databases):
                break
            for database in self._databases:
                database.interrupt_now()
            await asyncio.sleep(CLOSE_POLL_S)
        for database in self._databases:
            await database.close()

    async def _read(
        self, query: EventQuery, position: Position | None, wanted: int
    ) -> tuple[list[Event], bool]:
        """Up to `wanted` events; False when the page's bytes ended it early."""
        events: list[Event] = []
        size_bytes = 0
        async with self._database() as database:
            while wanted > len(events):
                step = min(STATEMENT_EVENTS + 1, wanted - len(events))
                found, read_bytes = await self._events(
                    database, self._planner.page(query, position, step)
                )
                events += found
                size_bytes += read_bytes
                if len(found) < step:
                    return events, True
                position = Position(events[-1].created_at, events[-1].seq)
                if size_bytes > self._limits.page_bytes:
                    return events, False
        return events, True

    async def _events(self, database: Database, statement: Statement) -> tuple[list[Event], int]:
        [(found,)] = await database.fetch(*statement)
        assert isinstance(found, str)
        return _EVENTS.validate_json(found), len(found)

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        """A connection for one query, which is interrupted when its time is up."""
        if not self._idle and not self._closed:
            await self._wait()
        if self._closed:
            raise ShuttingDown("the node is shutting down: ask another node")
        database = self._idle.pop()
        watch = _Watch(database, self._limits.query_timeout_s)
        try:
            yield database
        except asyncio.CancelledError:
            database.interrupt_now()
            raise
        finally:
            watch.end()
            self._idle.append(database)
            self._wake()

    async def _wait(self) -> None:
        if len(self._waiting) >= self._limits.waiting:
            raise Overloaded(f"{len(self._waiting)} queries wait for a connection: retry later")
        while not self._idle and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            served = False
            try:
                async with asyncio.timeout(self._limits.query_timeout_s):
                    await waiter
                served = True
            except TimeoutError as error:
                raise QueryTimeout("all connections are busy with other queries: retry") from error
            finally:
                with suppress(ValueError):
                    self._waiting.remove(waiter)
                if not served and not waiter.cancelled():
                    self._wake()  # woken and cancelled at once: the turn is the next one's

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class _Watch:
    """Interrupts a connection when a query's time is up, and again until the query has ended.

    Again, because an interrupt before the thread has begun the statement has no effect.
    """

    REPEAT_S = 0.05

    def __init__(self, database: Database, limit_s: float) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(limit_s, self._fire)

    def _fire(self) -> None:
        self._database.interrupt_now()
        self._timer = self._loop.call_later(self.REPEAT_S, self._fire)

    def end(self) -> None:
        self._timer.cancel()
