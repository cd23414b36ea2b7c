"""The feed: every event behind a position, in order of seq, without gaps, then live (G8).

A subscriber only has a position. It reads pages behind it from disk, and when there is nothing
more it waits for the next commit. So a slow subscriber costs no memory and can miss nothing, and
with no subscriber a commit costs one comparison. Subscribers at the same position, which live ones
are, share one read: the log never changes, so a page read once stays right.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable

from service.schema import Event

PAGE_EVENTS = 100

PAGES_KEPT = 4
"""Pages kept for sharing: subscribers that are near each other's position, not all positions."""

RECHECK_S = 15.0
"""How long a subscriber waits before it looks again by itself; a commit wakes it at once."""

ReadPage = Callable[[int, int], Awaitable[list[Event]]]
"""(after, limit) → events with greater seq, in order, no gaps."""


class Feed:
    """`advance` is the writer's side, `follow` the subscribers'; `close` ends all of them."""

    def __init__(self, read: ReadPage, last_seq: int) -> None:
        self._read = read
        self._last_seq = last_seq
        self._advanced: asyncio.Future[None] | None = None
        self._pages: OrderedDict[int, asyncio.Task[list[Event]]] = OrderedDict()
        self._closed = False

    def advance(self, last_seq: int) -> None:
        """A commit has returned; the log now ends at `last_seq`."""
        self._last_seq = last_seq
        self._wake()

    async def follow(self, after: int) -> AsyncGenerator[Event, None]:
        """Events with seq > `after`; ends when the store closes. Raises what reading raises."""
        position = max(after, 0)
        while not self._closed:
            if position >= self._last_seq:
                await self._wait()
                continue
            page = await self._page(position)
            if not page:
                # The position is within the log but nothing follows: only foreign edits do this.
                await self._wait()
            for event in page:
                position = event.seq
                yield event
                if self._closed:
                    return

    def close(self) -> None:
        """Subscribers end after the event that they hold."""
        self._closed = True
        self._wake()
        for task in self._pages.values():
            task.cancel()
        self._pages.clear()

    async def _page(self, after: int) -> list[Event]:
        """The page behind `after`; a subscriber that is cancelled leaves it to the others."""
        task = self._pages.get(after)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._read_page(after), name="feed-page")
            self._pages[after] = task
            while len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._closed and task.cancelled():
                return []
            raise

    async def _read_page(self, after: int) -> list[Event]:
        return await self._read(after, PAGE_EVENTS)

    async def _wait(self) -> None:
        if self._closed:
            return
        if self._advanced is None:
            self._advanced = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._advanced}, timeout=RECHECK_S)

    def _wake(self) -> None:
        if self._advanced is not None:
            self._advanced.set_result(None)
            self._advanced = None
