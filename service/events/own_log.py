"""One part's own events: appended and applied in order, read back, snapshotted, followed.

Configuration and registry are projections of such events (own.py). This module keeps what they
share, so that a part only says how one event changes its state. Life:

1. `read_back` restores the newest snapshot, then applies every event behind it;
2. `append` stores events and applies them to memory before anybody is answered;
3. now and then a snapshot is stored in the background, which bounds the next `read_back`;
4. `follow` gives the events behind a position without gaps, then live (G8);
5. `close` ends the snapshot that may be under way.

A snapshot says of itself: "every event up to seq `upto` is in me". What is appended while it is
made may be in it or not; it comes behind `upto`, so it is read again, and applying an event that
is known changes nothing (parts compare versions).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

import orjson
import uuid_utils
from pydantic import BaseModel, ValidationError
from structlog.typing import FilteringBoundLogger

from service.errors import FoundationError, StorageError
from service.events.feed import Feed
from service.events.intake import make_correlation_id, workload_write
from service.events.own import newest_own, own_events
from service.events.query import Position, encode_cursor
from service.events.store import EventQuery, EventStore, Stored, Write
from service.schema import Event

SNAPSHOT_EVERY = 1_000
"""Changes between two snapshots; as many as the last one had entries, if those were more, so that
a change never costs more than a few entries of a snapshot."""

PART_BYTES = 128 * 2**10
"""JSON text of one event of a snapshot: those who follow the whole log get it too, so it is not
large. All events of a snapshot are stored in one batch, so all or none."""

E = TypeVar("E")
T = TypeVar("T")
Row = Mapping[str, object]


class _Part(BaseModel):
    """The data of one snapshot event: part `part` of `parts` holds `rows`."""

    upto: int
    part: int
    parts: int
    rows: list[dict[str, object]]


class OwnLog(Generic[E]):
    """See the module. `types` are the events of the part, `name` its stream and snapshot.

    `entries` gives the part's state as it is now, `row` one entry of it as JSON values: its texts
    of JSON must be strings, since an event may hold no more levels than the client's had.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        types: Sequence[str],
        *,
        entries: Callable[[], Collection[E]],
        row: Callable[[E], Row],
        clock_us: Callable[[], int],
        log: FilteringBoundLogger,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self.last_seq = 0
        self._store = store
        self._stream = f"${name}"
        self._snapshot = f"{name}_snapshot"
        self._types = tuple(types)
        self._entries = entries
        self._row = row
        self._clock_us = clock_us
        self._log = log
        self._snapshot_every = snapshot_every
        self._unsaved = 0
        self._saved_entries = 0
        self._retry_at = 0
        self._saving: asyncio.Task[None] | None = None
        self._in_flight: dict[object, int] = {}
        self._feed = Feed(self._read, 0)

    async def append(self, writes: Sequence[Write], apply: Callable[[Sequence[Stored]], T]) -> T:
        """Store `writes`, all or none, then `apply` their receipts; returns what that returns.

        A caller that is cancelled leaves both going on: what is on disk is always applied.
        Raises as the store's append; `apply` must not raise.
        """
        return await asyncio.shield(asyncio.ensure_future(self._append(writes, apply)))

    async def _append(self, writes: Sequence[Write], apply: Callable[[Sequence[Stored]], T]) -> T:
        flight = object()
        # Whatever is stored from here on comes behind what is applied now.
        self._in_flight[flight] = self.last_seq
        try:
            stored = await self._store.append_batch(writes)
            # No await from here to the end: receipts come in order of seq, and so do these lines.
            result = apply(stored)
        finally:
            del self._in_flight[flight]
        self._advance([one.seq for one in stored if not one.duplicate])
        return result

    def _advance(self, seqs: Sequence[int]) -> None:
        if not seqs:
            return
        self.last_seq = max(self.last_seq, *seqs)
        self._feed.advance(self.last_seq)
        self._unsaved += len(seqs)
        due = max(self._snapshot_every, self._saved_entries, self._retry_at)
        if self._unsaved >= due and self._saving is None:
            self._saving = asyncio.create_task(self._save(), name=self._snapshot)

    async def read_back(
        self, restore: Callable[[Row], None], apply: Callable[[Event], None]
    ) -> None:
        """Hand over the newest snapshot's rows, then the events behind it in order of seq.

        A pydantic ValidationError of `restore` or `apply` becomes a StorageError: what is in the
        log is of another version. Raises as the store's query; may then be called again, with an
        empty state.
        """
        last, saved, unsaved = 0, 0, 0
        newest = await newest_own(self._store, self._snapshot)
        if newest is not None:
            head = _part(newest)
            last = head.upto
            # The events of a batch have consecutive seqs.
            parts = own_events(self._store, (self._snapshot,), newest.seq - head.parts)
            async for event in parts:
                rows = _part(event).rows
                saved += len(rows)
                with _of_this_form(event):
                    for row in rows:
                        restore(row)
        async for event in own_events(self._store, self._types, last):
            with _of_this_form(event):
                apply(event)
            last = event.seq
            unsaved += 1
        self.last_seq = last
        self._unsaved = unsaved
        self._saved_entries = saved
        self._feed.advance(last)

    def follow(self, after: int) -> AsyncGenerator[Event, None]:
        """Own events of the part's types with seq > `after`: catch-up, then live, without gaps."""
        return self._feed.follow(after)

    async def close(self) -> None:
        """End a snapshot that is being made; without it the next start reads more."""
        self._feed.close()
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.wait({self._saving}, timeout=1.0)

    async def _save(self) -> None:
        """Store a snapshot. A disk that refuses costs a longer start, so it is only said."""
        covered, entries = self._unsaved, tuple(self._entries())
        try:
            await self._store.append_batch(await self._snapshot_writes(self._upto(), entries))
        except FoundationError as error:
            self._log.warning("no snapshot", stream=self._stream, error=str(error))
            self._retry_at = self._unsaved + self._snapshot_every
        else:
            self._unsaved -= covered
            self._saved_entries = len(entries)
            self._retry_at = 0
        finally:
            self._saving = None

    def _upto(self) -> int:
        """Every event up to this seq is applied: what was so before the oldest one in flight."""
        return next(iter(self._in_flight.values()), self.last_seq)

    async def _snapshot_writes(self, upto: int, entries: Sequence[E]) -> list[Write]:
        """The snapshot's events, made a part at a time: others run in between."""
        chunks: list[list[Row]] = [[]]
        size_bytes = 0
        for entry in entries:
            row = self._row(entry)
            size_bytes += len(orjson.dumps(row))
            if size_bytes > PART_BYTES and chunks[-1]:
                chunks.append([])
                size_bytes = len(orjson.dumps(row))
                await asyncio.sleep(0)
            chunks[-1].append(row)
        writes = []
        for number, rows in enumerate(chunks):
            writes.append(self._snapshot_write(upto, number, len(chunks), rows))
            await asyncio.sleep(0)
        return writes

    def _snapshot_write(self, upto: int, part: int, parts: int, rows: list[Row]) -> Write:
        data = {"upto": upto, "part": part, "parts": parts, "rows": rows}
        return workload_write(
            id=uuid_utils.uuid7().bytes,
            type=self._snapshot,
            data=data,
            client={},
            correlation_id=make_correlation_id(),
            created_at=self._clock_us(),
            stream=self._stream,
        )

    async def _read(self, after: int, limit: int) -> list[Event]:
        """One page of the feed: what every type's page is known to hold completely.

        The types are asked one after the other, so only what was applied before is taken: an event
        stored in between could be seen of one type and missed of another.
        """
        horizon = self.last_seq
        found: list[Event] = []
        for type in self._types:
            cursor = encode_cursor("seq", Position(after, after))
            page = await self._store.query(
                EventQuery(type=type, order_by="seq", limit=limit, cursor=cursor, own=True)
            )
            found += page.events
            if page.next_cursor is not None:
                horizon = min(horizon, page.events[-1].seq)
        return sorted((one for one in found if one.seq <= horizon), key=lambda one: one.seq)


def _part(event: Event) -> _Part:
    with _of_this_form(event):
        return _Part.model_validate(event.data)


@contextmanager
def _of_this_form(event: Event) -> Iterator[None]:
    """Raises StorageError for what another version of the node wrote."""
    try:
        yield
    except ValidationError as error:
        raise StorageError(
            f"the own event at seq {event.seq} ({event.type}) is not of the form that this version "
            f"writes: start the version that wrote it ({error.error_count()} faults)"
        ) from None
