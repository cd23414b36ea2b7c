"""G4 over HTTP: concurrent appends with `expected_version`, across SIGKILL and restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic
from urllib.parse import quote
from uuid import UUID

import pytest

from tests.fault.appenders import Appender, Notes
from tests.fault.http_connection import HttpConnection
from tests.fault.node_process import NODE, NodeProcess
from tests.fault.register import Append, History, Outcome, Read, Stored, check
from tests.fault.writers import RETRY_TIMEOUT_S

HASTY = ("-m", "tests.fault.mutant_node", "hasty")
CARELESS = ("-m", "tests.fault.mutant_node", "careless")
STREAMS = ("left", "right")
CLIENTS = 8
MOMENT_S = (0.0, 0.2)


async def contend(
    node: NodeProcess, kills: int, seed: int, appends: int = 60
) -> tuple[Notes, Stored]:
    """Clients contend for two streams while the node is killed; then the streams are read.

    `appends` are acknowledged before each kill and after the last.
    """
    notes, stop, random = Notes(), asyncio.Event(), Random(seed)
    await asyncio.to_thread(node.start)
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            client = Appender(STREAMS, seed + number, node.port, notes, stop)
            tasks.create_task(client.run())
        for _ in range(kills):
            await progress(notes, appends)
            await asyncio.sleep(random.uniform(*MOMENT_S))  # the moment is the test's input
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)
        await progress(notes, appends)
        stop.set()
    return notes, await read_streams(node.port)


async def progress(notes: Notes, appends: int) -> None:
    """Until that many more appends are acknowledged."""
    wanted = notes.count(Outcome.ACKNOWLEDGED) + appends
    deadline_s = monotonic() + RETRY_TIMEOUT_S
    while notes.count(Outcome.ACKNOWLEDGED) < wanted:
        assert monotonic() < deadline_s, "no progress under contention"
        await asyncio.sleep(0.02)


async def read_streams(port: int) -> Stored:
    connection = HttpConnection(port)
    stored: dict[str, list[tuple[int, UUID]]] = {stream: [] for stream in STREAMS}
    path = "/v1/events?order_by=seq&limit=1000"
    cursor: str | None = ""
    try:
        while cursor is not None:
            status, page = await connection.exchange("GET", path + cursor)
            assert status == 200, page
            for event in page["events"]:
                stored[event["stream"]].append((event["stream_version"], UUID(event["id"])))
            token = page["next_cursor"]
            cursor = None if token is None else f"&cursor={quote(token)}"
    finally:
        connection.close()
    return stored


async def hold(folder: Path, kills: int, seed: int) -> None:
    with NodeProcess.reserve(folder, NODE) as node:
        notes, stored = await contend(node, kills, seed)
    counts = {outcome.value: notes.count(outcome) for outcome in Outcome}
    print(
        f"{kills} kills, seed {seed}: {counts}, {len(notes.reads)} reads, {notes.retries} retries"
    )
    assert check(notes.history(), stored) == [], f"seed {seed}"
    assert counts["refused"] > 0, "nobody contended"
    assert notes.retries > 0, "no append met a kill"


async def test_contended_appends_are_linearizable_across_kill_and_restart(tmp_path: Path) -> None:
    await hold(tmp_path, kills=2, seed=44)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_contended_appends_are_linearizable_across_thirty_kills(tmp_path: Path) -> None:
    await hold(tmp_path, kills=30, seed=45)


async def test_a_node_that_ignores_the_expected_version_is_caught(tmp_path: Path) -> None:
    """A positive control of both tests above."""
    with NodeProcess.reserve(tmp_path, CARELESS) as node:
        notes, stored = await contend(node, kills=0, seed=46)
    assert any("was given to an append that expected" in one for one in faults_of(notes, stored))


async def test_a_node_that_acknowledges_before_the_commit_loses_versions(tmp_path: Path) -> None:
    """Another: what was acknowledged is given away again after the kill."""
    with NodeProcess.reserve(tmp_path, HASTY) as node:
        notes, stored = await contend(node, kills=1, seed=47, appends=10)
    assert any("lost" in one or "double" in one for one in faults_of(notes, stored))


def faults_of(notes: Notes, stored: Stored) -> list[str]:
    return check(notes.history(), stored)


A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
FIRST = Append("s", A, 0, Outcome.ACKNOWLEDGED, 1, 0.0, 1.0)
RIVAL = Append("s", B, 0, Outcome.REFUSED, None, 0.5, 1.5)
SECOND = Append("s", C, 1, Outcome.ACKNOWLEDGED, 2, 2.0, 3.0)
STALE = Read("s", 1, 3.5, 4.0)
HELD: Stored = {"s": [(1, A), (2, C)]}


def test_a_sound_history_has_no_faults() -> None:
    reads = [Read("s", 1, 1.6, 1.7), Read("s", 2, 2.5, 2.6)]
    assert check(History([FIRST, RIVAL, SECOND], reads), HELD) == []


def test_an_unknown_append_may_be_stored_or_not() -> None:
    unknown = replace(SECOND, outcome=Outcome.UNKNOWN, version=None)
    assert check(History([FIRST, unknown], []), HELD) == []
    assert check(History([FIRST, unknown], []), {"s": [(1, A)]}) == []


@pytest.mark.parametrize(
    "appends, reads, held, fault",
    [
        ([FIRST, replace(FIRST, id=B)], [], {"s": [(1, A)]}, "double: version 1"),
        ([FIRST], [], {"s": []}, "lost: version 1"),
        ([FIRST], [], {"s": [(1, B)]}, "invented: nobody sent version 1"),
        ([FIRST, SECOND], [], {"s": [(1, A), (3, C)]}, "not 1..2"),
        ([FIRST, RIVAL], [], {"s": [(1, A), (2, B)]}, "a refused append is stored"),
        ([FIRST, replace(SECOND, expected=0)], [], HELD, "version 2 was given"),
        ([FIRST, SECOND], [STALE], HELD, "stale: version 1 was seen after 2"),
        ([FIRST, replace(SECOND, started_s=0, ended_s=0.5)], [STALE], HELD, "stale"),
        ([FIRST, SECOND], [Read("s", 2, 1.1, 1.2)], HELD, "before anybody asked"),
        ([FIRST, replace(RIVAL, expected=1)], [], {"s": [(1, A)]}, "refused without a reason"),
    ],
)
def test_a_fault_of_a_history_is_named(
    appends: list[Append], reads: list[Read], held: Stored, fault: str
) -> None:
    assert any(fault in one for one in check(History(appends, reads), held))
