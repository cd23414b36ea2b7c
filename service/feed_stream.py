"""One subscriber's feed as server-sent events: catch-up, then live (G8).

Each event is `id: <seq>` and `data: <Event as JSON>`; a comment goes out when nothing did for a
while, so that both sides notice a dead connection. The feed ends when the client leaves or the
node shuts down, at once in both cases. Slowness is the store's affair: it is simply read later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import Overloaded
from service.schema import Event
from service.telemetry.meter import Meter

HEARTBEAT_S = 10.0
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class FeedSource:
    """What a feed needs of its node. `follow` gives the events behind a position (G8).

    `meter` counts the open feeds of every kind, and `max_feeds` bounds them together.
    """

    follow: Callable[[int], AsyncIterator[Event]]
    stopping: asyncio.Event
    meter: Meter
    max_feeds: int
    heartbeat_s: float = HEARTBEAT_S

    def open(self, after: int, last_seq: int | None = None) -> FeedResponse:
        """The answer to one more subscriber; `last_seq`, where what it follows ends now, is told
        in X-Last-Seq. Raises Overloaded.
        """
        if self.meter.feeds >= self.max_feeds:
            raise Overloaded(f"{self.max_feeds} feeds are open, the maximum: use another node")
        return FeedResponse(self, after, last_seq)


class FeedResponse(Response):
    """Streams every event with seq > `after` until the client or the node ends it."""

    def __init__(self, source: FeedSource, after: int, last_seq: int | None = None) -> None:
        super().__init__()
        self._source = source
        self._after = after
        self._last_seq = last_seq
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source = self._source
        headers = list(_HEADERS)
        if self._last_seq is not None:
            headers.append((b"x-last-seq", b"%d" % self._last_seq))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": feed\n\n", "more_body": True})
        source.meter.feed_opened(1)
        pump = asyncio.create_task(self._pump(send))
        ends = [
            pump,
            asyncio.create_task(_client_left(receive)),
            asyncio.create_task(_wait(source.stopping)),
        ]
        try:
            await self._beat(ends, send)
        finally:
            source.meter.feed_opened(-1)
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends[1:], return_exceptions=True)
            with contextlib.suppress(asyncio.CancelledError):
                await pump  # a store's error surfaces here, is logged once, and ends the feed
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, ends: list[asyncio.Task[None]], send: Send) -> None:
        """Return when one of `ends` is done; send a comment after each silent interval."""
        while True:
            sent = self._sent
            done, _ = await asyncio.wait(
                ends, timeout=self._source.heartbeat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            if self._sent == sent:
                await send({"type": "http.response.body", "body": b": beat\n\n", "more_body": True})

    async def _pump(self, send: Send) -> None:
        events = self._source.follow(self._after)
        async with _closing(events):
            async for event in events:
                await send({"type": "http.response.body", "body": frame(event), "more_body": True})
                self._sent += 1


_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""SSE ends lines at CR and LF alone, but Python's `splitlines`, and so httpx, at these as well."""


def frame(event: Event) -> bytes:
    """One event as SSE. JSON has no raw line break, so one data line carries it."""
    text = event.model_dump_json().encode("utf-8")
    for raw, escaped in _LINE_ENDS:
        text = text.replace(raw, escaped)
    return b"id: %d\ndata: %s\n\n" % (event.seq, text)


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


@contextlib.asynccontextmanager
async def _closing(events: AsyncIterator[Event]) -> AsyncIterator[None]:
    """Close an asynchronous generator where it is one, so that its clean-up runs here."""
    try:
        yield
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
