"""Passes over a real store: once each, whatever is sent again, cut off or lost in between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from starlette.types import Message

from service.cluster.peers import Peer, Peers
from service.cluster.upstream import Upstream
from service.dispatch import Answer, FastRequest
from service.emulation import EmulatedLatency
from service.errors import (
    FoundationError,
    IdConflict,
    InvalidInput,
    NoUpstream,
    PassRunning,
    StorageError,
)
from service.events.intake import workload_write
from service.events.sqlite import SqliteEventStore, wall_clock_us
from service.events.store import EventQuery, Stored, Write
from service.schema_analytics import AnalyticsPass
from service.telemetry.series import Telemetry
from service.workloads.analytics import PASS_TYPE, STREAM, Analytics
from service.workloads.analytics_feed import OwnLog
from service.workloads.analytics_pass import Source
from tests.unit.service.cluster.scripted_node import ScriptedNode, hang_up, playing
from tests.unit.service.workloads.memory_log import MemoryLog

GUARD_S = 20.0


class LosingStore(SqliteEventStore):
    """A store whose answers can get lost: the next append is stored, or not, and then fails."""

    loses: str = ""

    async def append(self, write: Write, *, patience_s: float = 0.0) -> Stored:
        loses, self.loses = self.loses, ""
        if loses == "before":
            raise StorageError("seeded")
        stored = await super().append(write, patience_s=patience_s)
        if loses == "after":
            raise StorageError("seeded")
        return stored


class Consumer:
    """One life of a consumer, over `logs` by the name of their node."""

    def __init__(self, analytics: Analytics, telemetry: Telemetry, peers: Peers) -> None:
        self.analytics = analytics
        self.telemetry = telemetry
        self.peers = peers

    async def answer(self, id: UUID | None = None, **fields: object) -> Answer:
        body = json.dumps({"id": str(id or uuid4()), **fields}).encode()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.analytics.run_pass(
            FastRequest("/v1/analytics/passes", {}, "cid", receive)
        )

    async def read(self, id: UUID | None = None, **fields: object) -> AnalyticsPass:
        return AnalyticsPass.model_validate_json((await self.answer(id, **fields)).body)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[LosingStore]:
    store = await LosingStore.open(folder / "events.db", node="node-1")
    try:
        yield store  # type: ignore[misc]
    finally:
        await store.close()


@asynccontextmanager
async def consuming(
    store: SqliteEventStore,
    *logs: MemoryLog,
    down: Sequence[str] = (),
    scale: float = 0.0,
    own: Source | None = None,
) -> AsyncIterator[Consumer]:
    """A consumer beside the nodes that `logs` are of, all up but those in `down`."""
    nodes = [ScriptedNode(hang_up, name=log.origin) for log in logs]
    by_name = {log.origin: log for log in logs}
    upstream, telemetry = Upstream(None), Telemetry()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(playing(*nodes))
        peers = Peers([node.url for node in nodes], upstream, "node-1", structlog.get_logger())
        stack.push_async_callback(upstream.close)
        stack.push_async_callback(peers.close)
        await peers.ready()
        for node in nodes:
            if node.name in down:
                await node.stop()
        for peer in peers.all:
            if peer.name in down:
                peers.failed(peer, "seeded")

        def peer_log(peer: Peer) -> MemoryLog:
            return by_name[str(peer.name)]

        analytics = Analytics(
            store,
            peers,
            EmulatedLatency(scale),
            telemetry,
            structlog.get_logger(),
            own=own,
            peer_log=peer_log,
            clock_us=wall_clock_us,
        )
        stack.push_async_callback(analytics.close)
        async with asyncio.timeout(GUARD_S):
            yield Consumer(analytics, telemetry, peers)


def two_logs(first: int = 10, second: int = 10) -> tuple[MemoryLog, MemoryLog]:
    logs = MemoryLog("node-2"), MemoryLog("node-3")
    for log, count in zip(logs, (first, second), strict=True):
        log.append(count)
    return logs


async def passes(store: SqliteEventStore) -> int:
    found = await store.query(EventQuery(type=PASS_TYPE, stream=STREAM, limit=1_000))
    return len(found.events)


async def test_passes_go_on_until_everything_has_counted_once(tmp_path: Path) -> None:
    logs = two_logs(30, 50)
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        done = [await consumer.read(limit=30) for _ in range(4)]
    assert [one.processed for one in done] == [30, 30, 20, 0]
    assert [one.processed_total for one in done] == [30, 60, 80, 80]
    assert [one.lag_events for one in done] == [50, 20, 0, 0]
    assert done[-1].actions == {"login": 80}
    assert {node.node: node.cursor for node in done[-1].nodes} == {"node-2": 30, "node-3": 50}
    assert not any(one.duplicate for one in done)


async def test_the_node_that_lags_most_is_read_first(tmp_path: Path) -> None:
    first, second = two_logs(10, 10)
    async with opened(tmp_path) as store, consuming(store, first, second) as consumer:
        await consumer.read()
        second.append(20)
        await consumer.read(limit=1)
        first.append(5)
        done = await consumer.read(limit=1)
    assert {node.node: node.processed for node in done.nodes} == {"node-2": 0, "node-3": 1}


async def test_a_retry_is_the_same_pass(tmp_path: Path) -> None:
    logs = two_logs()
    key = uuid4()
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        first = await consumer.answer(key, limit=5)
        await consumer.read(limit=5)
        again = await consumer.answer(key, limit=5)
        assert (first.status, again.status) == (201, 200)
        assert json.loads(again.body) == {**json.loads(first.body), "duplicate": True}
        assert (await consumer.read()).processed_total == 20
        assert await passes(store) == 3


async def test_an_id_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    logs = two_logs()
    key, taken = uuid4(), uuid4()
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        await consumer.read(key, limit=5)
        with pytest.raises(IdConflict, match="limit 5"):
            await consumer.read(key, limit=6)
        other = workload_write(
            id=taken.bytes,
            type=PASS_TYPE,
            data={"limit": 50},
            client={},
            correlation_id="c",
            created_at=1,
        )
        await store.append(other)
        with pytest.raises(IdConflict, match="another event"):
            await consumer.read(taken, limit=50)


@pytest.mark.parametrize(
    "fields", [{"limit": 0}, {"limit": 1_001}, {"limit": "5"}, {"limit": True}, {"more": 1}]
)
async def test_a_bad_request_is_refused_before_anything_is_read(
    fields: dict[str, object], tmp_path: Path
) -> None:
    async with opened(tmp_path) as store, consuming(store, MemoryLog()) as consumer:
        with pytest.raises(InvalidInput):
            await consumer.read(None, **fields)
        assert await passes(store) == 0


async def test_the_state_is_read_back_from_the_last_pass(tmp_path: Path) -> None:
    """Every pass in a life of its own: nothing is forgotten, nothing counts twice."""
    logs = two_logs(17, 19)
    key = uuid4()
    for _ in range(3):
        async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
            await consumer.read(limit=10)
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        await consumer.analytics.recover()
        totals = consumer.analytics.latest()
        assert (totals.processed_total, totals.actions) == (30, {"login": 30})
        assert (await consumer.read(key)).processed_total == 36
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        again = await consumer.read(key)
        assert (again.duplicate, again.processed, again.processed_total) == (True, 6, 36)
        assert (await consumer.read()).processed == 0


@pytest.mark.parametrize("loses, lost", [("before", 0), ("after", 8)])
async def test_a_pass_whose_answer_got_lost_counts_once(
    loses: str, lost: int, tmp_path: Path
) -> None:
    """The store failed, and whether the pass is on disk is not known to who asked for it."""
    logs = two_logs()
    key = uuid4()
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        await consumer.read(limit=4)
        store.loses = loses
        with pytest.raises(StorageError):
            await consumer.read(key, limit=8)
        assert (await consumer.analytics.totals()).processed_total == 4 + lost
        again = await consumer.read(key, limit=8)
        assert (again.duplicate, again.processed_total) == (bool(lost), 12)
        assert (await consumer.read()).processed_total == 20


async def test_who_looks_while_a_pass_is_stored_does_not_bring_the_old_state_back(
    tmp_path: Path,
) -> None:
    logs = two_logs(20, 20)
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        for number in range(4):
            if number == 2:
                store.loses = "after"
            looks = [consumer.analytics.totals() for _ in range(20)]
            done = await asyncio.gather(consumer.read(limit=10), *looks, return_exceptions=True)
            assert isinstance(done[0], StorageError) == (number == 2)
        assert (await consumer.analytics.totals()).processed_total == 40


async def test_a_pass_that_is_cut_off_before_it_is_stored_has_not_happened(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append(10)

    class Held(MemoryLog):
        reached = asyncio.Event()

        @asynccontextmanager
        async def open(self, after: int) -> AsyncIterator[Any]:
            async with log.open(after) as opened_:
                yield opened_
            self.reached.set()
            await asyncio.sleep(GUARD_S)

    held = Held()
    async with opened(tmp_path) as store:
        async with consuming(store, held) as consumer:
            call = asyncio.create_task(consumer.read())
            await held.reached.wait()
            await consumer.analytics.close()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await passes(store) == 0
        async with consuming(store, log) as consumer:
            assert (await consumer.read()).processed_total == 10


async def test_one_pass_at_a_time_and_the_same_id_waits_for_it(tmp_path: Path) -> None:
    """At a scale of 0.1 ten events take a tenth of a second, in which the others come."""
    log = MemoryLog()
    log.append(10)
    key = uuid4()
    async with opened(tmp_path) as store, consuming(store, log, scale=0.1) as consumer:
        call = asyncio.create_task(consumer.answer(key))
        await asyncio.sleep(0)
        with pytest.raises(PassRunning) as caught:
            await consumer.read()
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
        with pytest.raises(IdConflict):
            await consumer.read(key, limit=7)
        joined = await consumer.answer(key)
        first = await call
        assert (first.status, joined.status) == (201, 200)
        assert json.loads(joined.body) == {**json.loads(first.body), "duplicate": True}
        assert await passes(store) == 1
        assert (await consumer.read()).processed == 0, "the next one may run"


async def test_a_pass_goes_on_when_its_client_leaves(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append(10)
    key = uuid4()
    async with opened(tmp_path) as store, consuming(store, log, scale=0.1) as consumer:
        call = asyncio.create_task(consumer.answer(key))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        joined = await consumer.read(key)
        assert (joined.duplicate, joined.processed) == (True, 10)


async def test_what_is_left_of_the_prescribed_time_is_waited_and_stated(tmp_path: Path) -> None:
    """P1-11: 50 events prescribe 5 s; at a scale of 0.02 that is a tenth of one."""
    log = MemoryLog()
    log.append(60)
    async with opened(tmp_path) as store, consuming(store, log, scale=0.02) as consumer:
        key = uuid4()
        started_s = time.perf_counter()
        first = await consumer.answer(key, limit=50)
        took_ms = 1_000 * (time.perf_counter() - started_s)
        work, emulated = (
            float(part.partition(b"dur=")[2]) for part in first.headers[0][1].split(b",")
        )
        assert emulated == pytest.approx(0.02 * (5_000 - work), abs=10)
        assert took_ms >= emulated - 1


async def test_a_node_that_is_down_keeps_its_cursor_and_is_named(tmp_path: Path) -> None:
    logs = two_logs(10, 10)
    async with opened(tmp_path) as store:
        async with consuming(store, *logs) as consumer:
            await consumer.read(limit=10)
        logs[0].append(10)
        async with consuming(store, *logs, down=["node-3"]) as consumer:
            done = await consumer.read()
        rows = {node.node: node for node in done.nodes}
        assert rows["node-3"].error == "seeded"
        assert (rows["node-3"].cursor, rows["node-3"].lag_events) == (5, 5)
        assert (rows["node-2"].error, rows["node-2"].processed) == (None, 15)
        assert done.lag_events == 5
        async with consuming(store, *logs) as consumer:
            assert (await consumer.read()).processed_total == 30


async def test_a_node_that_fails_in_the_middle_is_asked_for_its_health(tmp_path: Path) -> None:
    logs = two_logs(10, 10)
    logs[1].error, logs[1].error_after = StorageError("seeded"), 3
    async with opened(tmp_path) as store, consuming(store, *logs) as consumer:
        done = await consumer.read()
        assert {node.node: node.processed for node in done.nodes} == {"node-2": 10, "node-3": 3}
        logs[1].error = None
        assert (await consumer.read()).processed_total == 20


async def test_without_any_node_to_read_nothing_is_written(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append(3)
    key = uuid4()
    async with opened(tmp_path) as store:
        async with consuming(store, log, down=["node-2"]) as consumer:
            with pytest.raises(NoUpstream, match=r"node-2: .*refused.*FOUNDATION_PEERS"):
                await consumer.read(key)
            assert await passes(store) == 0
        async with consuming(store, log) as consumer:
            assert not (await consumer.read(key)).duplicate, "the id was not used up"


async def test_a_node_reads_its_own_log_past_its_own_bookkeeping(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        own = Source("node-1", "http://127.0.0.1:1", OwnLog(store))
        async with consuming(store, own=own) as consumer:
            for number in range(7):
                write = workload_write(
                    id=uuid4().bytes,
                    type="user_action",
                    data={"action": "logout"},
                    client={"n": number},
                    correlation_id="c",
                    created_at=1,
                )
                await store.append(write)
            done = [await consumer.read(limit=4) for _ in range(3)]
    assert [one.processed for one in done] == [4, 3, 0]
    assert done[-1].lag_events == 0, "its passes are no lag of its own"
    assert done[-1].actions == {"logout": 7}


async def test_telemetry_has_the_batches_and_the_lag(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append(80)
    async with opened(tmp_path) as store, consuming(store, log) as consumer:
        for limit in (5, 20, 1):
            await consumer.read(limit=limit)
        counted = {str(tags): value for _, tags, value in consumer.telemetry.counters("analytics/")}
        assert counted == {"{'batch_size': '1-10'}": 6, "{'batch_size': '11-50'}": 20}
        gauges = {path: value for path, _, value in consumer.telemetry.gauges("analytics/")}
        assert gauges["analytics/lag_events"] == 54
        assert gauges["analytics/lag_s"] > 1e9, "these events were stored in 1970"


async def test_a_state_of_another_version_is_told_and_not_overwritten(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, consuming(store, MemoryLog()) as consumer:
        write = workload_write(
            id=uuid4().bytes,
            type=PASS_TYPE,
            data={"progress": {"cursors": 1}, "totals": {}},
            client={},
            correlation_id="c",
            created_at=1,
            stream=STREAM,
        )
        await store.append(write)
        with pytest.raises(FoundationError, match="another version of the node"):
            await consumer.read()
        assert await passes(store) == 1
