"""G13: a node that is offered three times what it can take.

The capacity is measured first, with clients who wait for their answers; then three times as much
is offered whether the node keeps up or not. Its queue stays within its bounds in events and bytes,
what it does not take is refused with 503 and Retry-After, its memory is flat, health and reads
answer, nothing acknowledged is lost, and afterwards it is as quick as before.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from statistics import median
from time import monotonic
from uuid import UUID

import pytest

from tests.fault.disk_load import read_database
from tests.fault.http_connection import HttpConnection
from tests.fault.node_process import NODE, NodeProcess
from tests.fault.open_load import OpenLoad, Outcome, arrivals
from tests.fault.stored import audit

SLOW_DISK = ("-m", "tests.fault.mutant_node", "slow-disk")
UNBOUNDED = ("-m", "tests.fault.mutant_node", "unbounded")
OVERLOAD = 3.0
CAPACITY_S = 1.0
SHORT_S = 2.5
LONG_S = 12.0
SAMPLE_S = 0.05
MIN_PROBES = 3
"""Rounds of metrics, a read, and health on a connection of its own, answered under overload."""

QUIET_SAMPLES = 15
RECOVERY_S = 15.0
WARM_S = 0.5

QUEUE_EVENTS = 2_000
QUEUE_BYTES = 700_000
HELD_BYTES = 16 * 2**20
READ_SHARE = 0.9
"""Of the reads under overload, that are answered 200 and not 503."""

SLACK_BYTES = 96 * 2**20
"""What a node's memory may grow by besides its queue and the bodies that it holds: SQLite's cache
of 64 MiB, which fills with the log, connections, and what the allocator keeps."""

PRELOAD_EVENTS = 250_000
"""Some 1 kB each with their indices: SQLite's cache is full, and what still grows is a leak."""

ATTEMPTS = 3
"""A busy machine can give the node more of itself after its capacity was measured than before."""


@dataclass(slots=True)
class Watch:
    """What /metrics, /health and a read said while the load went on."""

    queue_events: list[float] = field(default_factory=list)
    queue_bytes: list[float] = field(default_factory=list)
    memory_bytes: list[float] = field(default_factory=list)
    healths: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    async def run(self, port: int, known: UUID, stop: asyncio.Event) -> None:
        connection = HttpConnection(port)
        try:
            while not stop.is_set():
                _, text = await connection.exchange("GET", "/metrics")
                self.queue_events.append(metric(text, "foundation_queue_events"))
                self.queue_bytes.append(metric(text, "foundation_queue_bytes"))
                self.memory_bytes.append(metric(text, "process_resident_memory_bytes"))
                self.healths.append(await fresh_health(port))
                status, _ = await connection.exchange("GET", f"/v1/events/{known}")
                self.reads.append(status)
                await asyncio.sleep(SAMPLE_S)
        finally:
            connection.close()


async def fresh_health(port: int) -> int:
    """As a probe asks: on a connection of its own."""
    connection = HttpConnection(port)
    try:
        status, _ = await connection.exchange("GET", "/health")
    finally:
        connection.close()
    return status


def metric(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in /metrics"
    return float(found[1])


@dataclass(frozen=True, slots=True)
class Trial:
    """What is offered, `clients` being those who measure the capacity; `waiting` is the node's
    bound of unanswered requests."""

    path: str
    events: int
    clients: int
    waiting: int


SINGLES = Trial("/v1/events", events=1, clients=64, waiting=1_000)
BATCHES = Trial("/v1/events/batch", events=200, clients=8, waiting=50)


@dataclass(frozen=True, slots=True)
class Result:
    quiet_s: float
    capacity: Outcome
    overload: Outcome
    watch: Watch
    after_s: float


async def overload(node: NodeProcess, trial: Trial, seconds: float) -> Result:
    """Measure, overload, wait until it is quick again."""
    source = arrivals(trial.path, trial.events)
    warm = await OpenLoad(node.port).closed(source, trial.clients, WARM_S)
    quiet_s = await quiet_latency_s(node.port)
    # Made in advance, so that the making of bodies takes nothing from the capacity.
    ready = list(islice(source, int(3 * warm.acknowledged_per_s * CAPACITY_S) + trial.clients))
    capacity = await OpenLoad(node.port).closed(chain(ready, source), trial.clients, CAPACITY_S)
    rate = OVERLOAD * max(capacity.acknowledged_per_s, warm.acknowledged_per_s)
    supply = list(islice(source, int(rate * seconds)))
    watch, stop = Watch(), asyncio.Event()
    watching = asyncio.create_task(watch.run(node.port, capacity.acknowledged[0][0], stop))
    try:
        offered = await OpenLoad(node.port).offer(supply, rate)
    finally:
        stop.set()
        await watching
    return Result(quiet_s, capacity, offered, watch, await recovered_s(node.port, quiet_s))


async def last_seq(port: int) -> float:
    connection = HttpConnection(port)
    try:
        _, text = await connection.exchange("GET", "/metrics")
    finally:
        connection.close()
    return metric(text, "foundation_last_seq")


async def quiet_latency_s(port: int) -> float:
    """Median of single events, one after the other."""
    connection = HttpConnection(port)
    taken: list[float] = []
    try:
        for _ in range(QUIET_SAMPLES):
            started_s = monotonic()
            status, _ = await connection.exchange(
                "POST", "/v1/events", b'{"type":"quiet","data":{}}'
            )
            assert status == 201
            taken.append(monotonic() - started_s)
    finally:
        connection.close()
    return median(taken)


async def recovered_s(port: int, quiet_s: float) -> float:
    """The first median after the load that is at most three times the one before."""
    deadline_s = monotonic() + RECOVERY_S
    while True:
        found_s = await quiet_latency_s(port)
        if found_s <= 3 * quiet_s or monotonic() > deadline_s:
            return found_s


def faults(result: Result) -> list[str]:
    """Bounds that were passed, and answers that G13 does not allow."""
    found = [
        f"{name} reached {max(seen):.0f}, the bound is {bound}"
        for name, seen, bound in (
            ("queue_events", result.watch.queue_events, QUEUE_EVENTS),
            ("queue_bytes", result.watch.queue_bytes, QUEUE_BYTES),
        )
        if max(seen) > bound
    ]
    memory = result.watch.memory_bytes
    grown = max(memory) - memory[0]
    if grown > QUEUE_BYTES + HELD_BYTES + SLACK_BYTES:
        found.append(f"memory grew by {grown:.0f} bytes")
    found += [f"answered {answer!r}" for answer in result.overload.faulty[:3]]
    if result.overload.unanswered:
        found.append(f"{result.overload.unanswered} connections ended without an answer")
    reads = Counter(result.watch.reads)
    # A busy machine leaves time for a handful of reads, of which one may be refused.
    refused = reads.total() - reads[200]
    if refused > max(1, (1 - READ_SHARE) * reads.total()) or not set(reads) <= {200, 503}:
        found.append(f"reads were answered {dict(reads)}")
    if len(result.watch.healths) < MIN_PROBES:
        found.append(f"only {len(result.watch.healths)} rounds of probes were answered")
    if not set(result.watch.healths) <= {200, 503}:
        found.append(f"/health answered {set(result.watch.healths)}")
    if result.after_s > 3 * result.quiet_s:
        found.append(f"latency is {result.after_s / result.quiet_s:.1f} times what it was")
    return found


async def lost(node: NodeProcess, outcomes: Sequence[Outcome]) -> list[str]:
    """Acknowledged and missing, refused and stored, batches in part; by audit and by file."""
    acknowledged = set(chain.from_iterable(chain(*[one.acknowledged for one in outcomes])))
    refused = [ids for one in outcomes for ids in one.refused]
    connection = HttpConnection(node.port)
    try:
        audited = await audit(connection, acknowledged)
    finally:
        connection.close()
    _, stored = await asyncio.to_thread(read_database, node.data / "events.db")
    found = [f"{id_} is not in the audit" for id_ in acknowledged - audited.keys()]
    found += [f"{id_} is not in the database" for id_ in acknowledged - stored]
    found += [f"{ids[0]} was refused, and stored" for ids in refused if not stored.isdisjoint(ids)]
    return found


def report(title: str, result: Result) -> str:
    over, watch = result.overload, result.watch
    return (
        f"{title}: capacity {result.capacity.acknowledged_per_s:.0f}/s, offered "
        f"{over.offered_per_s:.0f}/s, acknowledged {over.acknowledged_per_s:.0f}/s, "
        f"answers {dict(over.answers)}, unsent {over.unsent}; p50 of those acknowledged "
        f"{median(over.latencies_s or [0.0]) * 1_000:.0f} ms, longest "
        f"{max(over.latencies_s or [0.0]) * 1_000:.0f} ms; queue at most "
        f"{max(watch.queue_events):.0f} events, {max(watch.queue_bytes):.0f} bytes; memory "
        f"{watch.memory_bytes[0] / 2**20:.0f} to {max(watch.memory_bytes) / 2**20:.0f} MiB; quiet "
        f"{result.quiet_s * 1_000:.1f} ms before, {result.after_s * 1_000:.1f} ms after"
    )


def bounded(folder: Path, command: Sequence[str] = NODE, **more: object) -> NodeProcess:
    """A node with small bounds, so that a short load reaches them."""
    settings: dict[str, object] = {
        "queue_events": QUEUE_EVENTS,
        "queue_bytes": QUEUE_BYTES,
        "max_held_bytes": HELD_BYTES,
        **more,
    }
    return NodeProcess.reserve(folder, command, **settings)


async def hold(title: str, node: NodeProcess, trial: Trial, seconds: float) -> Result:
    for _ in range(ATTEMPTS):
        result = await overload(node, trial, seconds)
        print(report(title, result))
        if result.overload.answers[503]:
            break
    assert faults(result) == [], report(title, result)
    assert result.overload.answers[503] > 0, f"no overload: {report(title, result)}"
    assert result.overload.acknowledged, report(title, result)
    assert await lost(node, (result.capacity, result.overload)) == []
    return result


async def test_batches_beyond_a_slow_disk_are_refused_within_the_queue_s_bounds(
    tmp_path: Path,
) -> None:
    with bounded(tmp_path, SLOW_DISK) as node:
        await asyncio.to_thread(node.start)
        await hold("batches, slow disk", node, BATCHES, SHORT_S)


async def test_single_events_beyond_the_cpu_are_refused(tmp_path: Path) -> None:
    with bounded(tmp_path, max_requests=SINGLES.waiting) as node:
        await asyncio.to_thread(node.start)
        await hold("singles", node, SINGLES, SHORT_S)


async def test_a_queue_without_bounds_is_caught(tmp_path: Path) -> None:
    """The positive control."""
    with bounded(tmp_path, UNBOUNDED) as node:
        await asyncio.to_thread(node.start)
        result = await overload(node, BATCHES, SHORT_S)
    assert any(fault.startswith("queue_events") for fault in faults(result)), report("", result)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("trial", [SINGLES, BATCHES], ids=["singles", "batches"])
async def test_a_long_overload_leaves_memory_flat(tmp_path: Path, trial: Trial) -> None:
    with bounded(tmp_path, max_requests=trial.waiting) as node:
        await asyncio.to_thread(node.start)
        while await last_seq(node.port) < PRELOAD_EVENTS:
            await OpenLoad(node.port).closed(arrivals(BATCHES.path, 400), BATCHES.clients, 2.0)
        result = await hold(f"{trial.path}, {LONG_S:.0f} s", node, trial, LONG_S)
    memory = result.watch.memory_bytes
    half = len(memory) // 2
    assert max(memory[half:]) <= 1.1 * max(memory[:half]), "memory still grows"
