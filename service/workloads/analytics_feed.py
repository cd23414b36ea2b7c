"""Reading on in one app node's log, up to a share of events or to its end.

A log is read through its feed, over HTTP from a peer and directly from the node's own store: each
says where it ends and gives the events behind a position. The reader closes it as soon as it has
its share or has caught up. What it holds is bounded by the largest event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from pydantic import ValidationError
from yarl import URL

from service.cluster.upstream import Upstream
from service.errors import BadGateway, FoundationError
from service.events.store import EventStore
from service.schema import MAX_INTEGER, Event
from service.workloads.analytics_state import Tally

_ENVELOPE_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Opened:
    """A log from some position on: the seq where it ended at that moment, and its events."""

    last_seq: int
    events: AsyncIterator[Event]


class Log(Protocol):
    """One app node's log."""

    def open(self, after: int) -> AbstractAsyncContextManager[Opened]:
        """Events with seq > `after` in order, without gaps. Raises FoundationError, also while
        they are read."""


class OwnLog:
    """The log of the node that the consumer runs on."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    @contextlib.asynccontextmanager
    async def open(self, after: int) -> AsyncIterator[Opened]:
        events = self._store.follow(after)
        try:
            yield Opened(self._store.stats().last_seq, events)
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()


class PeerLog:
    """The log of the peer at `url`, which may take `timeout_s` for all that is read of it.

    Its events may be as large as this node's own, of which `event_bytes` is the limit.
    """

    def __init__(self, upstream: Upstream, url: URL, *, event_bytes: int, timeout_s: float) -> None:
        self._upstream = upstream
        self._url = url
        # The feed escapes some line ends, three bytes as six.
        self._frame_bytes = 2 * event_bytes + _ENVELOPE_BYTES
        self._timeout_s = timeout_s

    @contextlib.asynccontextmanager
    async def open(self, after: int) -> AsyncIterator[Opened]:
        url = self._url.with_path("/v1/events/feed").with_query(after=after)
        async with self._upstream.stream(url, timeout_s=self._timeout_s) as response:
            last_seq = _last_seq(response)
            async with aclosing(self._events(response)) as events:
                yield Opened(last_seq, events)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        frames = Frames(self._frame_bytes)
        async for chunk in response.content.iter_any():
            for data in frames.feed(chunk):
                try:
                    yield Event.model_validate_json(data)
                except ValidationError as error:
                    raise BadGateway(
                        f"{self._url.origin()} sent a feed of something else than events: "
                        f"{error.error_count()} faults in one"
                    ) from None


class Frames:
    """Server-sent events out of chunks; keeps at most one of `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each frame that `chunk` completes; comments have none.

        Raises BadGateway for a frame beyond the limit.
        """
        seen = max(0, len(self._rest) - 1)
        self._rest += chunk
        while (end := self._rest.find(b"\n\n", seen)) >= 0:
            frame = bytes(self._rest[:end])
            del self._rest[: end + 2]
            seen = 0
            data = [line[5:].lstrip() for line in frame.split(b"\n") if line.startswith(b"data:")]
            if data:
                yield b"\n".join(data)
        if len(self._rest) > self._limit_bytes:
            raise BadGateway(
                f"a feed sent an event of more than {self._limit_bytes} bytes: set "
                "FOUNDATION_MAX_BODY_BYTES alike on all nodes"
            )


def _last_seq(response: aiohttp.ClientResponse) -> int:
    """What the feed says in X-Last-Seq. Raises BadGateway for an answer that is no feed."""
    told = response.headers.get("X-Last-Seq", "")
    if response.status != 200 or not told.isascii() or not told.isdigit() or len(told) > 19:
        raise BadGateway(
            f"{response.url.origin()} answered {response.status} instead of its feed: set up all "
            "nodes with the same FOUNDATION_CLIENT_TOKEN and the same version"
        )
    return min(int(told), MAX_INTEGER)


async def read_on(log: Log, tally: Tally, share: int, limit_s: float) -> None:
    """Count up to `share` more events of `log` into `tally`; what goes wrong is its `error`.

    Whatever ends it, be it the time, `limit_s`: what was counted stays counted, since the cursor
    moves with each event. Large events take a while to come, so nothing but the time ends a
    silence; when all of it was silent, that is an error.
    """
    target = tally.processed + share
    before = tally.taken
    try:
        async with asyncio.timeout(limit_s):
            if not await _read(log, tally, target):
                tally.rewind()
                await _read(log, tally, target)
    except FoundationError as error:
        tally.error = str(error)
    except TimeoutError:
        if tally.taken == before:
            tally.error = f"no event came within {limit_s:.1f} s: the next pass asks again"


async def _read(log: Log, tally: Tally, target: int) -> bool:
    """False when the cursor's place is not in this log, so that it is another log."""
    cursor = tally.cursor
    # The event at the cursor is read once more, since it proves that the log is the same.
    async with log.open(max(0, cursor.seq - 1)) as opened:
        cursor.last_seq = opened.last_seq
        tally.was_read = True
        if cursor.seq > opened.last_seq:
            return False
        if cursor.seq:
            place = await _next(opened.events, cursor.seq)
            if not tally.is_place(place):
                return False
        while tally.processed < target and cursor.seq < opened.last_seq:
            event = await _next(opened.events, opened.last_seq)
            if event.seq <= cursor.seq:
                raise BadGateway(f"seq {event.seq} came after {cursor.seq} on the feed")
            tally.take(event)
            # It was stored while we read.
            cursor.last_seq = max(cursor.last_seq, event.seq)
    return True


async def _next(events: AsyncIterator[Event], last_seq: int) -> Event:
    """The next event, of which there are some up to `last_seq`."""
    event = await anext(events, None)
    if event is None:
        raise BadGateway(f"its feed ended before seq {last_seq}: the next pass goes on")
    return event
