"""The configuration and the registry across SIGKILL: what was acknowledged is there, in order (G1,
G4), and each path is a register for its readers and writers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import orjson
import pytest
from uuid_utils import uuid7

from tests.fault.appenders import Notes
from tests.fault.config_writers import ConfigWriter, read_changes
from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.node_process import NODE, NodeProcess
from tests.fault.register import Outcome, Stored, check
from tests.fault.test_register import progress
from tests.fault.writers import RETRY_TIMEOUT_S

CARELESS = ("-m", "tests.fault.mutant_node", "careless")
HASTY = ("-m", "tests.fault.mutant_node", "hasty")
PATHS = ("features/dark_mode", "dev/debug_mode")
CLIENTS = 8
MOMENT_S = (0.0, 0.2)


async def contend(
    node: NodeProcess, kills: int, seed: int, changes: int = 150
) -> tuple[Notes, Stored, list[Any]]:
    """Clients contend for two paths while the node is killed; then the log and the values."""
    notes, stop, random = Notes(), asyncio.Event(), Random(seed)
    await asyncio.to_thread(node.start)
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(ConfigWriter(PATHS, seed + number, node.port, notes, stop).run())
        for _ in range(kills):
            await progress(notes, changes)
            await asyncio.sleep(random.uniform(*MOMENT_S))  # the moment is the test's input
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)
        await progress(notes, changes)
        stop.set()
    values = [await get(node.port, f"/v1/config/{path}") for path in PATHS]
    return notes, await read_changes(node.port, PATHS), values


async def get(port: int, path: str) -> Any:
    """The answer once the node has read its state back."""
    connection = HttpConnection(port)
    deadline_s = monotonic() + RETRY_TIMEOUT_S
    try:
        while True:
            assert monotonic() < deadline_s, path
            try:
                status, reply = await connection.exchange("GET", path)
            except NoAnswer:
                status, reply = 503, None
            if status != 503:
                return reply
            await asyncio.sleep(0.02)
    finally:
        connection.close()


async def hold(folder: Path, kills: int, seed: int) -> None:
    with NodeProcess.reserve(folder, NODE) as node:
        notes, stored, values = await contend(node, kills, seed)
    counts = {outcome.value: notes.count(outcome) for outcome in Outcome}
    print(f"{kills} kills, seed {seed}: {counts}, {len(notes.reads)} reads")
    assert check(notes.history(), stored) == [], f"seed {seed}"
    for path, entry in zip(PATHS, values, strict=True):
        version, id_ = stored[path][-1]
        assert (entry["version"], entry["value"]) == (version, str(id_))
    assert counts["refused"] > 0, "nobody contended"
    assert notes.retries > 0, "no change met a kill"


async def test_contended_changes_are_linearizable_across_kill_and_restart(tmp_path: Path) -> None:
    await hold(tmp_path, kills=2, seed=144)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_contended_changes_are_linearizable_across_thirty_kills(tmp_path: Path) -> None:
    """Some thousands of changes: several snapshots among them."""
    await hold(tmp_path, kills=30, seed=145)


async def test_a_node_that_ignores_the_expected_version_is_caught(tmp_path: Path) -> None:
    """A positive control of the tests above."""
    with NodeProcess.reserve(tmp_path, CARELESS) as node:
        notes, stored, _ = await contend(node, kills=0, seed=146)
    faults = check(notes.history(), stored)
    assert any("was given to an append that expected" in one for one in faults)


async def test_a_node_that_acknowledges_before_the_commit_loses_changes(tmp_path: Path) -> None:
    """Another: what was acknowledged is given away again after the kill."""
    with NodeProcess.reserve(tmp_path, HASTY) as node:
        notes, stored, _ = await contend(node, kills=1, seed=147, changes=20)
    faults = check(notes.history(), stored)
    assert any("lost" in one or "double" in one for one in faults)


async def test_registrations_and_their_ends_survive_a_kill(tmp_path: Path) -> None:
    """Acknowledged registrations are there after SIGKILL with their tokens, ended ones are not;
    one whose answer was cut off may be either."""
    random = Random(148)
    with NodeProcess.reserve(tmp_path, NODE) as node:
        held: dict[str, int] = {}
        unknown: set[str] = set()
        for _ in range(2):
            await asyncio.to_thread(node.start)
            listed = (await get(node.port, "/v1/registry/ns"))["services"]
            found = {one["name"]: one["version"] for one in listed}
            settle(held, unknown, found)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for number in range(6):
                    client = owner(node.port, number, Random(random.random()), held, unknown, stop)
                    tasks.create_task(client)
                await acknowledged(held, 60)
                await asyncio.to_thread(node.kill)
                stop.set()
        await asyncio.to_thread(node.start)
        listed = (await get(node.port, "/v1/registry/ns"))["services"]
        settle(held, unknown, {one["name"]: one["version"] for one in listed})
        assert len(held) >= 60


def settle(held: dict[str, int], unknown: set[str], found: dict[str, int]) -> None:
    """`found` is what was acknowledged, but for names whose last outcome is unknown."""
    known = {name: version for name, version in held.items() if name not in unknown}
    assert {name: version for name, version in found.items() if name not in unknown} == known
    for name in unknown:
        assert found.get(name, 0) >= held.get(name, 0) or name not in found
        held.pop(name, None)
    held.update(found)
    unknown.clear()


def test_what_a_kill_took_or_altered_is_noticed() -> None:
    """The positive controls of the test above, and the two ends of what is unknown."""
    for found in ({"a": 1}, {"a": 1, "b": 5}, {"a": 1, "b": 3, "c": 1}):
        with pytest.raises(AssertionError):
            settle({"a": 1, "b": 3}, set(), found)
    for found in ({"a": 1}, {"a": 1, "b": 3}, {"a": 1, "b": 5}):
        held = {"a": 1, "b": 3}
        settle(held, {"b"}, found)
        assert held == found


async def acknowledged(held: dict[str, int], more: int) -> None:
    wanted, deadline_s = len(held) + more, monotonic() + RETRY_TIMEOUT_S
    while len(held) < wanted:
        assert monotonic() < deadline_s, "no progress"
        await asyncio.sleep(0.005)


async def owner(
    port: int,
    number: int,
    random: Random,
    held: dict[str, int],
    unknown: set[str],
    stop: asyncio.Event,
) -> None:
    """Registers names of its own and ends some, until an answer is cut off."""
    connection = HttpConnection(port)
    name = ""
    try:
        while not stop.is_set():
            name = f"owner{number}-{random.randrange(1_000)}"
            path = f"/v1/registry/ns/{name}"
            if name in held and random.random() < 0.7:
                status, reply = await connection.exchange("DELETE", f"{path}?owner=o{number}")
                assert status == 200, reply
                del held[name]
                continue
            body = {"id": str(uuid7()), "owner": f"o{number}", "lease_s": 3_600}
            status, reply = await connection.exchange("PUT", path, orjson.dumps(body))
            assert (status, reply["renewed"]) in ((201, False), (200, True)), reply
            assert reply["version"] >= held.get(name, 1)
            held[name] = reply["version"]
    except NoAnswer:
        unknown.add(name)
    finally:
        connection.close()
