"""The feed over a log that is a list: no gaps, no repeats, bounded memory, shared reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from service.errors import StorageError
from service.events.feed import PAGE_EVENTS, PAGES_KEPT, Feed
from service.schema import Event


class Log:
    """Events 1 to `last`; counts reads, and can be slow or broken."""

    def __init__(self) -> None:
        self.last = 0
        self.reads = 0
        self.broken = False
        self.feed = Feed(self.read, 0)

    async def read(self, after: int, limit: int) -> list[Event]:
        self.reads += 1
        last = self.last
        await asyncio.sleep(0)
        if self.broken:
            raise StorageError("seeded")
        return [event(seq) for seq in range(after + 1, min(last, after + limit) + 1)]

    def commit(self, events: int) -> None:
        self.last += events
        self.feed.advance(self.last)


def event(seq: int) -> Event:
    return Event(
        id=UUID(int=seq),
        seq=seq,
        type="t",
        data={},
        metadata={},
        correlation_id="c",
        created_at=0,
        stored_at=0,
        origin="n",
        incarnation=1,
    )


async def take(events: AsyncIterator[Event], count: int) -> list[int]:
    async with asyncio.timeout(20):
        return [(await anext(events)).seq for _ in range(count)]


async def let_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_subscribers_between_commits_miss_and_repeat_nothing() -> None:
    log = Log()
    followers = [asyncio.ensure_future(take(log.feed.follow(0), 1_000)) for _ in range(10)]
    for size in [1, 7, 250, 1, 1, 400, 90, 250]:
        log.commit(size)
        await asyncio.sleep(0)
    for follower in followers:
        assert await follower == list(range(1, 1_001))


async def test_live_subscribers_share_one_read() -> None:
    log = Log()
    followers = [asyncio.ensure_future(take(log.feed.follow(0), 5)) for _ in range(50)]
    await let_run()
    for _ in range(5):
        log.commit(1)
        await let_run()
    await asyncio.gather(*followers)
    assert log.reads == 5


async def test_without_subscribers_commits_read_nothing() -> None:
    log = Log()
    for _ in range(1_000):
        log.commit(1)
    assert log.reads == 0


async def test_a_slow_subscriber_costs_no_memory_and_misses_nothing() -> None:
    log = Log()
    slow = log.feed.follow(0)
    log.commit(1)
    assert await take(slow, 1) == [1]
    fast = asyncio.ensure_future(take(log.feed.follow(0), 5_001))
    for _ in range(50):
        log.commit(100)
        await let_run()
    await fast
    assert len(log.feed._pages) <= PAGES_KEPT
    assert await take(slow, 5_000) == list(range(2, 5_002))


async def test_a_cancelled_subscriber_leaves_the_others_their_page() -> None:
    log = Log()
    log.commit(PAGE_EVENTS)
    gone = asyncio.ensure_future(take(log.feed.follow(0), 5))
    stays = asyncio.ensure_future(take(log.feed.follow(0), 5))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [1, 2, 3, 4, 5]


async def test_a_failed_read_reaches_its_subscribers_and_is_not_kept() -> None:
    log = Log()
    log.commit(3)
    log.broken = True
    with pytest.raises(StorageError):
        await take(log.feed.follow(0), 1)
    log.broken = False
    assert await take(log.feed.follow(0), 3) == [1, 2, 3]


async def test_closing_ends_waiting_and_reading_subscribers() -> None:
    log = Log()
    log.commit(1)

    async def all_of(after: int) -> list[int]:
        return [event.seq async for event in log.feed.follow(after)]

    waiting = asyncio.ensure_future(all_of(1))
    await let_run()
    reading = asyncio.ensure_future(all_of(0))
    await asyncio.sleep(0)
    log.feed.close()
    async with asyncio.timeout(20):
        assert await waiting == []
        assert await reading in ([], [1])
        assert await all_of(0) == []


async def test_a_position_beyond_the_log_waits_for_it() -> None:
    log = Log()
    log.commit(3)
    ahead = asyncio.ensure_future(take(log.feed.follow(5), 2))
    await let_run()
    log.commit(4)
    assert await ahead == [6, 7]
    assert await take(log.feed.follow(-9), 1) == [1]
