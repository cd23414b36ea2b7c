"""The event store as a dict: what every implementation must look like from outside.

The contract suite holds this model and the real store to the same tests, and the property tests
compare the two. It is slow and keeps nothing; it must not share code with the real store.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import orjson

from service.errors import EventNotFound, IdConflict, InvalidInput, ShuttingDown, VersionConflict
from service.events.store import AuditHit, EventQuery, Page, Stored, StoreStats, Write
from service.schema import Event


class ModelEventStore:
    """Implements `EventStore` with a list in order of seq."""

    def __init__(self, node: str) -> None:
        self.writes: list[Write] = []
        self.versions: list[int | None] = []
        self._node = node
        self._closed = False
        self._changed = asyncio.Condition()

    @property
    def origin(self) -> str:
        return self._node

    @property
    def incarnation(self) -> int:
        return 1

    async def append(self, write: Write, *, patience_s: float = 0.0) -> Stored:
        [stored] = await self.append_batch([write])
        return stored

    async def append_batch(
        self, writes: Sequence[Write], *, patience_s: float = 0.0
    ) -> list[Stored]:
        if self._closed:
            raise ShuttingDown("closed")
        before = len(self.writes)
        try:
            stored = [self._place(write) for write in writes]
        except (IdConflict, VersionConflict):
            del self.writes[before:], self.versions[before:]
            raise
        async with self._changed:
            self._changed.notify_all()
        return stored

    def _place(self, write: Write) -> Stored:
        for index, known in enumerate(self.writes):
            if known.id == write.id:
                if known.content_hash != write.content_hash:
                    raise IdConflict("other content")
                return self._stored(index, True)
        version = None
        if write.stream is not None:
            current = sum(known.stream == write.stream for known in self.writes)
            if write.expected_version not in (None, current):
                raise VersionConflict(f"at version {current}")
            version = current + 1
        self.writes.append(write)
        self.versions.append(version)
        return self._stored(len(self.writes) - 1, False)

    def _stored(self, index: int, duplicate: bool) -> Stored:
        write = self.writes[index]
        return Stored(
            write.id,
            index + 1,
            write.created_at,
            write.correlation_id,
            self.versions[index],
            duplicate,
        )

    def _event(self, index: int) -> Event:
        write = self.writes[index]
        return Event(
            id=UUID(bytes=write.id),
            seq=index + 1,
            type=write.type,
            data=orjson.loads(write.data),
            metadata=orjson.loads(write.metadata),
            correlation_id=write.correlation_id,
            created_at=write.created_at,
            stored_at=0,
            stream=write.stream,
            stream_version=self.versions[index],
            origin=self._node,
            incarnation=1,
        )

    def events(self) -> list[Event]:
        return [self._event(index) for index in range(len(self.writes))]

    async def get(self, event_id: bytes) -> Event:
        for event in self.events():
            if event.id.bytes == event_id:
                return event
        raise EventNotFound("no such event")

    async def query(self, query: EventQuery) -> Page:
        if not 1 <= query.limit <= 1_000:
            raise InvalidInput("limit")
        field = query.order_by.removeprefix("-")

        def key(event: Event) -> tuple[int, int]:
            return (event.created_at if field == "created_at" else event.seq, event.seq)

        down = query.order_by.startswith("-")
        found = sorted(filter(query_matcher(query), self.events()), key=key, reverse=down)
        if query.cursor is not None:
            order, *at = _cursor(query.cursor)
            if order != query.order_by:
                raise InvalidInput("cursor of another order")
            found = [e for e in found if (list(key(e)) < at if down else list(key(e)) > at)]
        page = found[: query.limit]
        cursor = None
        if len(found) > query.limit:
            text = orjson.dumps([query.order_by, *key(page[-1])])
            cursor = base64.b64encode(text).decode()
        return Page(tuple(page), cursor)

    async def audit(self, ids: Sequence[bytes]) -> list[AuditHit]:
        return [
            AuditHit(write.id, index + 1, write.content_hash, self._node)
            for index, write in enumerate(self.writes)
            if write.id in set(ids)
        ]

    async def follow(self, after: int) -> AsyncIterator[Event]:
        position = max(after, 0)
        while not self._closed:
            async with self._changed:
                while not self._closed and len(self.writes) <= position:
                    await self._changed.wait()
            for event in self.events()[position:]:
                position = event.seq
                yield event

    def stats(self) -> StoreStats:
        return StoreStats(0, 0, 0, len(self.writes), True, "")

    async def close(self) -> None:
        self._closed = True
        async with self._changed:
            self._changed.notify_all()


def query_matcher(query: EventQuery) -> _Matcher:
    """A predicate for the filters of `query`."""
    return _Matcher(query)


class _Matcher:
    def __init__(self, query: EventQuery) -> None:
        self._query = query

    def __call__(self, event: Event) -> bool:
        query = self._query
        return (
            query.type in (None, event.type)
            and (not query.own or (event.stream or "").startswith("$"))
            and query.correlation_id in (None, event.correlation_id)
            and query.stream in (None, event.stream)
            and (query.created_after is None or event.created_at >= query.created_after)
            and (query.created_before is None or event.created_at < query.created_before)
            and all(_text(event.metadata.get(key)) == value for key, value in query.metadata)
        )


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _cursor(cursor: str) -> tuple[str, int, int]:
    try:
        order, first, second = orjson.loads(base64.b64decode(cursor, validate=True))
    except ValueError as error:
        raise InvalidInput("cursor") from error
    return order, first, second
