"""An app node's log in memory: another implementation of `analytics_feed.Log`, with its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from service.errors import FoundationError
from service.schema import Event
from service.workloads.analytics_feed import Opened


class MemoryLog:
    """`events` in order of seq. It can be restarted, emptied, put back from a copy, and break."""

    def __init__(self, origin: str = "node-2") -> None:
        self.origin = origin
        self.events: list[Event] = []
        self.incarnation = 1
        self.opened_at: list[int] = []
        self.error: FoundationError | None = None
        self.error_after: int | None = None
        """Events until `error`; None: it is raised when the log is opened."""
        self.silence_s = 0.0
        """Before the first event, as while a page of large ones is read."""
        self.ends_after: int | None = None
        """Events until the feed ends, though the log goes on."""

    def append(
        self, count: int = 1, *, type: str = "user_action", stream: str | None = None
    ) -> None:
        for _ in range(count):
            seq = len(self.events) + 1
            one = event(seq, self.origin, self.incarnation, type=type, stream=stream)
            self.events.append(one)

    def restart_uncleanly(self) -> None:
        self.incarnation += 1

    def put_back(self, length: int) -> None:
        """From a copy that was made when it had `length` events."""
        del self.events[length:]
        self.incarnation += 1

    @asynccontextmanager
    async def open(self, after: int) -> AsyncIterator[Opened]:
        self.opened_at.append(after)
        if self.error is not None and self.error_after is None:
            raise self.error
        yield Opened(len(self.events), self._follow(self.events[after:]))

    async def _follow(self, events: Sequence[Event]) -> AsyncIterator[Event]:
        await asyncio.sleep(self.silence_s)
        for number, one in enumerate(events[: self.ends_after]):
            if self.error is not None and number == self.error_after:
                raise self.error
            yield one


def event(
    seq: int,
    origin: str = "node-2",
    incarnation: int = 1,
    *,
    type: str = "user_action",
    action: object = "login",
    stream: str | None = None,
    id: UUID | None = None,
    stored_at: int = 0,
) -> Event:
    return Event(
        id=id or uuid4(),
        seq=seq,
        type=type,
        data={"action": action},
        metadata={},
        correlation_id="c",
        created_at=0,
        stored_at=stored_at or seq * 1_000,
        stream=stream,
        origin=origin,
        incarnation=incarnation,
    )
