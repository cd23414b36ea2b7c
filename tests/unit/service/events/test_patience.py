"""Patient writes share a commit: fewer fsyncs for callers who would wait anyway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore
from service.events.writer import Writer
from tests.event import make_write

LONG_S = 60.0
"""A patience that no test waits out."""


class Commits:
    """Counts group commits as the telemetry does."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def committed(self, events: int, commit_s: float) -> None:
        self.sizes.append(events)

    def failed(self) -> None:
        raise AssertionError("no commit of these tests may fail")


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
async def store(tmp_path: Path, commits: Commits) -> AsyncIterator[SqliteEventStore]:
    store = await SqliteEventStore.open(tmp_path / "events.db", node="node-1", observer=commits)
    yield store
    await store.close()


async def patient(
    store: SqliteEventStore, count: int, patience_s: float
) -> list[asyncio.Task[object]]:
    """Queue `count` patient writes one after another, as separate requests."""
    tasks: list[asyncio.Task[object]] = []
    for _ in range(count):
        tasks.append(asyncio.create_task(store.append(make_write(), patience_s=patience_s)))
        await asyncio.sleep(0)
    return tasks


async def test_patient_writes_share_one_commit(store: SqliteEventStore, commits: Commits) -> None:
    await asyncio.gather(*await patient(store, 5, 0.05))
    assert commits.sizes == [5]


async def test_an_urgent_write_takes_the_patient_ones_along(
    store: SqliteEventStore, commits: Commits
) -> None:
    waiting = await patient(store, 3, LONG_S)
    assert store.stats().queue_events == 3
    await store.append(make_write())
    await asyncio.gather(*waiting)
    assert commits.sizes == [4]


async def test_the_least_patient_write_sets_the_time(
    store: SqliteEventStore, commits: Commits
) -> None:
    waiting = await patient(store, 2, LONG_S)
    waiting += await patient(store, 1, 0.01)
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    assert commits.sizes == [3]


async def test_patience_begins_anew_after_a_commit(
    store: SqliteEventStore, commits: Commits
) -> None:
    await asyncio.gather(*await patient(store, 2, 0.01))
    await asyncio.gather(*await patient(store, 3, 0.01))
    assert commits.sizes == [2, 3]


async def test_closing_stores_patient_writes_at_once(
    store: SqliteEventStore, commits: Commits
) -> None:
    waiting = await patient(store, 3, LONG_S)
    await asyncio.wait_for(store.close(), 10)
    assert len(await asyncio.gather(*waiting)) == 3
    assert commits.sizes == [3]


class SlowWriter(Writer):
    """Commits take longer than any patience here."""

    async def _commit(self, plan: Plan) -> None:
        await super()._commit(plan)
        await asyncio.sleep(0.01)


def test_patience_that_ends_during_a_commit_counts_for_the_next(tmp_path: Path) -> None:
    """On uvloop, as in a node: its timers of less than a millisecond cannot tell their time."""

    async def main() -> int:
        path = tmp_path / "events.db"
        store = await SqliteEventStore.open(path, node="node-1", make_writer=SlowWriter)
        tasks = []
        try:
            for _ in range(40):
                for patience_s in (0.0001, 0.0001, 0.001):
                    write = store.append(make_write(), patience_s=patience_s)
                    tasks.append(asyncio.create_task(write))
                await asyncio.sleep(0.002)
            return len(await asyncio.wait_for(asyncio.gather(*tasks), 30))
        finally:
            await store.close()

    assert uvloop.run(main()) == 120
