"""The readers: bounded pages, bounded waiting, and connections that survive cancelled queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import FoundationError, Overloaded, QueryTimeout
from service.events.reader import ReaderLimits
from service.events.sqlite import SqliteEventStore, StoreLimits
from service.events.store import EventQuery
from tests.event import make_write


async def open_store(path: Path, limits: ReaderLimits) -> SqliteEventStore:
    return await SqliteEventStore.open(
        path / "events.db", node="node-1", limits=StoreLimits(reader=limits)
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    made = await open_store(tmp_path, ReaderLimits(waiting=4, page_bytes=300_000))
    yield made
    await made.close()


async def test_a_page_of_large_events_ends_early_with_a_cursor(store: SqliteEventStore) -> None:
    await store.append_batch([make_write(data={"x": "y" * 5_000}) for _ in range(500)])
    query = EventQuery(limit=1_000)
    found: list[int] = []
    pages = 0
    while True:
        page = await store.query(query)
        found += [event.seq for event in page.events]
        pages += 1
        if page.next_cursor is None:
            break
        query = replace(query, cursor=page.next_cursor)
    assert found == list(range(1, 501))
    assert pages > 2


async def test_more_queries_than_may_wait_are_refused(store: SqliteEventStore) -> None:
    await store.append_batch([make_write() for _ in range(1_000)])
    results = await asyncio.gather(
        *[store.query(EventQuery(limit=1_000)) for _ in range(20)], return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, BaseException)]
    assert refused
    assert all(isinstance(one, Overloaded) for one in refused)
    assert len(results) - len(refused) == 6  # two connections and four that waited
    assert (await store.query(EventQuery(limit=1))).events


async def test_cancelled_queries_give_their_connections_back(store: SqliteEventStore) -> None:
    await store.append_batch([make_write() for _ in range(2_000)])
    for _ in range(30):
        tasks = [asyncio.ensure_future(store.query(EventQuery(limit=1_000))) for _ in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        assert len((await store.query(EventQuery(limit=1_000))).events) == 1_000


async def test_closing_ends_queries_that_run_and_wait(tmp_path: Path) -> None:
    store = await open_store(tmp_path, ReaderLimits())
    await store.append_batch([make_write() for _ in range(5_000)])
    tasks = [asyncio.ensure_future(store.query(EventQuery(limit=1_000))) for _ in range(30)]
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(20):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(
        isinstance(one, FoundationError) or not isinstance(one, BaseException) for one in results
    ), results


async def test_a_query_past_its_time_is_stopped(tmp_path: Path) -> None:
    keys: dict[str, object] = {f"k{number}": "v" for number in range(8)}
    store = await open_store(tmp_path, ReaderLimits(query_timeout_s=0.01))
    try:
        for _ in range(4):
            await store.append_batch([make_write(metadata=keys) for _ in range(10_000)])
        # Some 80 ms of scanning. A busy machine may wake the loop later than that, so it is asked
        # more than once; a limit that does not work never stops one.
        query = EventQuery(metadata=(*[(f"k{number}", "v") for number in range(7)], ("k7", "x")))
        stopped = 0
        for _ in range(20):
            try:
                assert (await store.query(query)).events == ()
            except QueryTimeout:
                stopped += 1
        assert stopped
        # The connections are as good as before.
        for _ in range(4):
            assert (await store.query(EventQuery(limit=1))).events
    finally:
        await store.close()


async def test_injected_sql_is_only_text(store: SqliteEventStore) -> None:
    evil = "'; DROP TABLE events; --"
    await store.append(make_write(type=evil, stream=evil, metadata={"k'); --": evil}))
    for query in (
        EventQuery(type=evil),
        EventQuery(stream=evil),
        EventQuery(metadata=(("k'); --", evil),)),
    ):
        assert len((await store.query(query)).events) == 1
