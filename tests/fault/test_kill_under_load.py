"""G1, G2, G3 over HTTP: a node is killed by SIGKILL under full load, again and again.

kill -9 proves that nothing is acknowledged before it was handed to the kernel; that it also reached
the disk is proved by the power cuts (test_power_cut.py), since the page cache survives a SIGKILL.

The long form makes 500 kills in two parts, which `make fault` runs beside each other. Each goes on
in rounds of 25 kills: a round has a log of its own, which is compared with the ledger when it ends,
so that the last kills cost what the first ones did.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from shutil import rmtree
from time import monotonic, sleep
from uuid import UUID

import pytest

from tests.fault.forked_node import ForkedNodeProcess
from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.ledger import Findings, Ledger, compare
from tests.fault.node_process import NODE, NodeProcess
from tests.fault.stored import audit, expected_hashes, read_log
from tests.fault.writers import RETRY_TIMEOUT_S, WriterClient, WriterPlan, make_item, plans

HASTY = ("-m", "tests.fault.mutant_node", "hasty")
HALVING = ("-m", "tests.fault.mutant_node", "halving")
TERMINATION_LIMIT_S = 5.0
"""The promise: SIGTERM drains, checkpoints and exits 0 within 5 s."""

LARGE_BATCH_EVENTS = 10_000

MOMENT_S = (0.0, 0.25)
"""The blow falls this long after a cycle's load is under way."""

START_MOMENT_S = (0.3, 1.5)
"""Every fourth cycle a second blow falls on the node while it starts and recovers its log."""

FORKED_START_MOMENT_S = (0.0, 0.15)
"""The same for a node that is forked and so has nothing to import."""

PARTS = 2
ROUNDS = 10
KILLS_PER_ROUND = 25
ACKNOWLEDGED_PER_KILL = 2_200
"""The long form: 2 x 10 x 25 kills, and 1,100,000 acknowledgements before them at the least."""

BATCHES = (2, 5, 10, 20, 50, 100, 300)
"""Sizes of the batches that a third of the long form's clients send."""

Blow = Callable[[], None]


async def under_load(
    node: NodeProcess,
    writers: Sequence[WriterPlan],
    blow: Blow,
    *,
    cycles: int,
    seed: int,
    events: int = 100,
    start_moment_s: tuple[float, float] = START_MOMENT_S,
) -> Ledger:
    """Start, load, `blow` at a seeded moment, start again, `cycles` times; then let all finish.

    `events` are acknowledged before each blow, and after the last.
    """
    ledger, stop, random = Ledger(), asyncio.Event(), Random(seed)
    await asyncio.to_thread(node.start)
    clients = [WriterClient(plan, node.port, ledger, stop).run() for plan in writers]
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client)
        for cycle in range(cycles):
            await progress(ledger, events)
            # Both sleeps are the test's input: the moments at which the node dies.
            await asyncio.sleep(random.uniform(*MOMENT_S))
            await asyncio.to_thread(blow)
            if cycle % 4 == 3:
                node.launch()
                await asyncio.sleep(random.uniform(*start_moment_s))
                node.kill()
            await asyncio.to_thread(node.start)
        await progress(ledger, events)
        stop.set()
    return ledger


async def progress(ledger: Ledger, events: int) -> None:
    """Until that many more events are acknowledged."""
    wanted = len(ledger.acknowledged) + events
    deadline_s = monotonic() + RETRY_TIMEOUT_S
    while len(ledger.acknowledged) < wanted:
        assert monotonic() < deadline_s, "no progress under load"
        await asyncio.sleep(0.01)


async def examine(node: NodeProcess, ledger: Ledger) -> Findings:
    """Reads the running node back and compares."""
    connection = HttpConnection(node.port)
    try:
        log = await read_log(connection)
        audited = await audit(connection, ledger.content)
    finally:
        connection.close()
    return compare(ledger, log, audited, expected_hashes(ledger.content))


def report(title: str, findings: Findings, ledger: Ledger) -> str:
    return (
        f"{title}: {findings.acknowledged} acknowledged, {findings.unknown} unknown "
        f"({findings.unknown_stored} of them stored), {len(findings.lost)} lost; "
        f"{ledger.retries} retries, {ledger.duplicates} answered as duplicates"
    )


async def survive_kills(folder: Path, cycles: int, seed: int) -> None:
    writers = plans(seed, singles=12, batches=(20, 300))
    with NodeProcess.reserve(folder) as node:
        ledger = await under_load(node, writers, node.kill, cycles=cycles, seed=seed)
        findings = await examine(node, ledger)
    print(report(f"{cycles} kills, seed {seed}", findings, ledger))
    assert findings.faults == {}
    assert node.starts == 1 + cycles + cycles // 4
    assert ledger.duplicates > 0, "no retry met its original: the load proved nothing about G3"


async def test_sigkill_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await survive_kills(tmp_path, cycles=5, seed=20_260)


@pytest.mark.long
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("part", range(PARTS))
async def test_hundreds_of_sigkills_under_load_lose_nothing_acknowledged(
    tmp_path: Path, part: int
) -> None:
    kills = acknowledged = in_batches = unknown = 0
    started_s = monotonic()
    for number in range(ROUNDS):
        folder = tmp_path / f"round-{number}"
        folder.mkdir()
        seed = 20_300 + 100 * part + number
        writers = plans(seed, singles=2 * len(BATCHES), batches=BATCHES)
        with ForkedNodeProcess.reserve(folder) as node:
            ledger = await under_load(
                node,
                writers,
                node.kill,
                cycles=KILLS_PER_ROUND,
                seed=seed,
                events=ACKNOWLEDGED_PER_KILL,
                start_moment_s=FORKED_START_MOMENT_S,
            )
            findings = await examine(node, ledger)
        assert findings.faults == {}, report(f"seed {seed}", findings, ledger)
        assert node.starts == 1 + KILLS_PER_ROUND + KILLS_PER_ROUND // 4
        assert corruption(node) == []
        kills += node.starts - 1
        acknowledged += findings.acknowledged
        in_batches += sum(id_ in ledger.acknowledged for ids in ledger.batches for id_ in ids)
        unknown += findings.unknown
        rmtree(folder)
    print(
        f"part {part + 1} of {PARTS}: {kills} kills, {acknowledged} acknowledgements "
        f"({in_batches} in batches), {unknown} unknown, 0 lost, 0 corrupt, "
        f"{monotonic() - started_s:.0f} s"
    )
    assert PARTS * kills >= 500
    assert PARTS * acknowledged >= 1_000_000


def corruption(node: NodeProcess) -> list[str]:
    """What SQLite finds wrong with the database of a node that has ended."""
    database = sqlite3.connect(node.data / "events.db")
    try:
        found = [str(text) for (text,) in database.execute("PRAGMA integrity_check")]
    finally:
        database.close()
    return [text for text in found if text != "ok"]


async def test_a_node_that_acknowledges_before_the_commit_is_caught(tmp_path: Path) -> None:
    """The positive control of both tests above."""
    writers = plans(7, singles=12, batches=(20, 300))
    with NodeProcess.reserve(tmp_path, HASTY) as node:
        ledger = await under_load(node, writers, node.kill, cycles=2, seed=7)
        findings = await examine(node, ledger)
    assert findings.lost, report("mutant", findings, ledger)


async def test_sigterm_under_load_exits_0_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    writers = plans(11, singles=12, batches=(20, 1_000))
    codes: list[int | None] = []
    with NodeProcess.reserve(tmp_path) as node:
        ledger = await under_load(
            node,
            writers,
            lambda: codes.append(node.terminate(TERMINATION_LIMIT_S)),
            cycles=3,
            seed=11,
        )
        findings = await examine(node, ledger)
    assert codes == [0, 0, 0], node.log()
    assert findings.faults == {}, report("3 SIGTERMs", findings, ledger)


async def blows_on_a_large_batch(
    node: NodeProcess, blow: Blow, moments: Sequence[float]
) -> tuple[Ledger, Findings]:
    """A batch of the largest size is stored, then others are sent and `blow` falls on each.

    `moments` are shares of the time that the undisturbed batch took.
    """
    ledger = Ledger()
    await asyncio.to_thread(node.start)
    started_s = monotonic()
    await large_batch(node, ledger, seed=0)
    took_s = monotonic() - started_s
    for seed, moment in enumerate(moments, start=1):
        sending = asyncio.create_task(large_batch(node, ledger, seed))
        await asyncio.sleep(moment * took_s)  # the moment itself is the test's input
        await asyncio.to_thread(blow)
        with suppress(NoAnswer):
            await sending
        await asyncio.to_thread(node.start)
    return ledger, await examine(node, ledger)


async def large_batch(node: NodeProcess, ledger: Ledger, seed: int) -> None:
    """Sends one, notes what is acknowledged. Raises NoAnswer."""
    item = make_item(WriterPlan(f"large-{seed}", seed, batch_events=LARGE_BATCH_EVENTS), ledger)
    connection = HttpConnection(node.port)
    try:
        status, reply = await connection.exchange("POST", item.path, item.body)
    finally:
        connection.close()
    if status == 503:  # refused: it is shutting down
        return
    assert status == 201, reply
    for receipt in reply["receipts"]:
        ledger.acknowledge("large", UUID(receipt["id"]), receipt["seq"], duplicate=False)


async def test_a_large_batch_in_flight_is_whole_or_absent_after_sigkill(tmp_path: Path) -> None:
    with NodeProcess.reserve(tmp_path) as node:
        ledger, findings = await blows_on_a_large_batch(node, node.kill, (0.6, 0.75, 0.9))
    print(report("3 kills on large batches", findings, ledger))
    assert findings.faults == {}


async def test_a_large_batch_in_flight_at_sigterm_is_whole_or_absent(tmp_path: Path) -> None:
    codes: list[int | None] = []
    with NodeProcess.reserve(tmp_path) as node:
        ledger, findings = await blows_on_a_large_batch(
            node, lambda: codes.append(node.terminate(TERMINATION_LIMIT_S)), (0.4, 0.7, 0.9)
        )
    print(report("3 SIGTERMs on large batches", findings, ledger))
    assert codes == [0, 0, 0], node.log()
    assert findings.faults == {}


async def test_a_node_that_stores_a_batch_in_parts_is_caught(tmp_path: Path) -> None:
    """The positive control of the tests on large batches."""
    with NodeProcess.reserve(tmp_path, HALVING) as node:

        def kill_in_between() -> None:
            # The first batch only measured the time; the next one is under way.
            wait_for_an_event(node.port, after=LARGE_BATCH_EVENTS)
            node.kill()

        _, findings = await blows_on_a_large_batch(node, kill_in_between, (0.0,))
    assert findings.torn


def wait_for_an_event(port: int, after: int) -> None:
    """Until a query shows that an event with a greater seq is stored."""
    deadline_s = monotonic() + RETRY_TIMEOUT_S
    while monotonic() < deadline_s:
        connection = HTTPConnection("127.0.0.1", port, timeout=RETRY_TIMEOUT_S)
        try:
            connection.request("GET", "/v1/events?order_by=-seq&limit=1")
            newest = json.loads(connection.getresponse().read())["events"]
            if newest and newest[0]["seq"] > after:
                return
        finally:
            connection.close()
        sleep(0.01)
    raise AssertionError("nothing was stored")


async def test_a_retry_after_a_kill_is_the_same_write_and_other_content_is_refused(
    tmp_path: Path,
) -> None:
    id_ = UUID("0190a000-0000-7000-8000-000000000001")
    first = b'{"id":"%s","type":"a","data":{"n":1}}' % str(id_).encode()
    other = first.replace(b'"n":1', b'"n":2')
    with NodeProcess.reserve(tmp_path, NODE) as node:
        connection = HttpConnection(node.port)
        await asyncio.to_thread(node.start)
        created, original = await connection.exchange("POST", "/v1/events", first)
        node.kill()
        connection.close()
        await asyncio.to_thread(node.start)
        retried, receipt = await connection.exchange("POST", "/v1/events", first)
        refused, problem = await connection.exchange("POST", "/v1/events", other)
        connection.close()
    assert (created, retried, refused) == (201, 200, 409)
    assert receipt == {**original, "duplicate": True}
    assert problem["code"] == "id_conflict"
