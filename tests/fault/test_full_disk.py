"""G11 over HTTP: the disk of a running node is full, and later it is not.

Writers of every kind go on all the time. After the fault nothing is acknowledged that is not
stored, each refusal is a 503 with its remedy, reads go on, the process lives; when there is space
again the node takes writes by itself. What it told its clients is compared with its database, read
with plain SQLite beside the running node, with its audit, and again after a clean restart.
"""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import pytest

from tests.fault.disk_load import DiskClient, Notes, clients, examine
from tests.fault.http_connection import HttpConnection
from tests.fault.ledger import Findings
from tests.fault.limited_disk import BLOCK_BYTES, FileSizeLimit, Limit, SmallDisk
from tests.fault.node_process import NODE, ROOT, NodeProcess
from tests.fault.test_kill_under_load import corruption

MUTANT = ("-m", "tests.fault.mutant_node", "deaf")
DEADLINE_S = 30.0
DISK_BYTES = 32 * 2**20
STORAGE_EXIT = 7
MUTE = "error"
"""The log level of a node whose log is a file under the same limit."""


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = monotonic() + DEADLINE_S
    while not condition():
        assert monotonic() < deadline_s, what
        await asyncio.sleep(0.02)


class Scene:
    """A node under load of every kind, and what its clients were told."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.notes = Notes()
        self.stop = asyncio.Event()
        self.clients: list[DiskClient] = clients(node.port, self.notes, self.stop)
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(client.run()) for client in self.clients]

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(asyncio.gather(*self._tasks), DEADLINE_S)

    async def everyone_is(self, outcome: str, more: int) -> None:
        """Until every client was so often `acknowledged` or `refused` again."""
        counts = getattr(self.notes, outcome)
        wanted = {client.name: counts[client.name] + more for client in self.clients}

        def done() -> bool:
            assert not self.notes.broken, self.notes.broken[:3]
            return all(counts[name] >= count for name, count in wanted.items())

        await until(done, f"not everyone is {outcome}: {counts}, {self.node.log()}")

    async def examine(self) -> Findings:
        return await examine(self.notes, self.node.port, self.node.data / "events.db")


@asynccontextmanager
async def under_load(node: NodeProcess) -> AsyncIterator[Scene]:
    scene = Scene(node)
    await asyncio.to_thread(node.start)
    scene.begin()
    try:
        yield scene
    finally:
        await scene.end()


async def reads_go_on(scene: Scene) -> None:
    """Get, query, audit, feed catch-up and metrics answer as ever; health says what to do."""
    connection = HttpConnection(scene.node.port)
    known = list(scene.notes.ledger.acknowledged)[:100]
    try:
        for path in (f"/v1/events/{known[0]}", "/v1/events?order_by=-seq&limit=10", "/metrics"):
            status, _ = await connection.exchange("GET", path)
            assert status == 200, path
        body = ('{"ids":["' + '","'.join(map(str, known)) + '"]}').encode()
        status, reply = await connection.exchange("POST", "/v1/events/audit", body)
        assert (status, reply["missing"]) == (200, [])
        _, health = await connection.exchange("GET", "/health")
    finally:
        connection.close()
    assert health["status"] in ("down", "degraded")
    details = " ".join(part["detail"] for part in health["components"].values())
    assert re.search("recovers by itself|make room", details), details
    assert await asyncio.to_thread(catch_up, scene.node.port, len(known)) == len(known)


def catch_up(port: int, events: int) -> int:
    """How many events a feed gives from the log's beginning, up to `events`."""
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    found = 0
    try:
        connection.request("GET", "/v1/events/feed?after=0")
        answer = connection.getresponse()
        while found < events:
            found += answer.readline().startswith(b"id: ")
    finally:
        connection.close()
    return found


async def heals(scene: Scene) -> None:
    """Everyone is acknowledged again, and health has nothing to say about the writer."""
    await scene.everyone_is("acknowledged", 3)
    connection = HttpConnection(scene.node.port)
    try:
        _, health = await connection.exchange("GET", "/health")
    finally:
        connection.close()
    assert health["components"]["writer"]["status"] == "up"


async def restarts_whole(scene: Scene) -> None:
    """A clean end, a sound database, and everything acknowledged is there again."""
    node = scene.node
    assert await asyncio.to_thread(node.terminate, 10.0) == 0, node.log()
    assert corruption(node) == []
    await asyncio.to_thread(node.start)
    findings = await scene.examine()
    assert findings.faults == {}
    assert findings.acknowledged > 0


async def survive(scene: Scene, limit: Limit, times: int) -> None:
    pid = scene.node.pid
    for _ in range(times):
        await scene.everyone_is("acknowledged", 3)
        limit.take()
        await scene.everyone_is("refused", 5)
        await reads_go_on(scene)
        limit.give_back()
        await heals(scene)
    assert scene.node.pid == pid and scene.node.starts == 1
    await scene.end()
    findings = await scene.examine()
    assert scene.notes.broken == []
    assert findings.faults == {}
    assert set(scene.notes.codes) <= {"storage_error", "overloaded"}, scene.notes.codes
    assert scene.notes.codes["storage_error"] > 0
    print(f"{findings.acknowledged} events acknowledged, refused: {dict(scene.notes.codes)}")


async def test_a_file_size_limit_refuses_writes_until_it_is_lifted(tmp_path: Path) -> None:
    with NodeProcess.reserve(tmp_path, emulated_latency=0, log_level=MUTE) as node:
        async with under_load(node) as scene:
            await survive(scene, FileSizeLimit(node.pid), times=2)
        await restarts_whole(scene)


async def test_nothing_is_acknowledged_while_no_write_can_succeed(tmp_path: Path) -> None:
    """Stricter than the disk's own filling up, where a small commit may still find room."""
    with NodeProcess.reserve(tmp_path, emulated_latency=0, log_level=MUTE) as node:
        async with under_load(node) as scene:
            await scene.everyone_is("acknowledged", 3)
            limit = FileSizeLimit(node.pid)
            limit.take()
            await scene.everyone_is("refused", 1)
            before = scene.notes.acknowledged.total()
            await scene.everyone_is("refused", 20)
            assert scene.notes.acknowledged.total() == before
            limit.give_back()
            await heals(scene)


async def test_a_node_that_acknowledges_in_spite_of_the_error_is_caught(tmp_path: Path) -> None:
    """The positive control of the tests above."""
    with NodeProcess.reserve(tmp_path, MUTANT, emulated_latency=0, log_level=MUTE) as node:
        async with under_load(node) as scene:
            await scene.everyone_is("acknowledged", 3)
            limit = FileSizeLimit(node.pid)
            limit.take()
            await scene.everyone_is("acknowledged", 20)
            limit.give_back()
            await scene.everyone_is("acknowledged", 3)
            await scene.end()
            scene.notes.other.clear()  # their absence would end the comparison before it counts
            findings = await scene.examine()
    assert findings.lost


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", DISK_BYTES) as disk:
        yield disk


async def test_a_full_disk_that_holds_the_log_too_refuses_writes_until_there_is_room(
    small_disk: SmallDisk,
) -> None:
    """The node's own log lines fail as well, and that must fail no request."""
    with NodeProcess.reserve(small_disk.folder, emulated_latency=0) as node:
        async with under_load(node) as scene:
            await survive(scene, small_disk, times=2)
        small_disk.give_back()
        await restarts_whole(scene)


async def test_a_node_fills_its_disk_by_itself_and_goes_on_when_there_is_room(
    small_disk: SmallDisk,
) -> None:
    with NodeProcess.reserve(small_disk.folder, emulated_latency=0) as node:
        await asyncio.to_thread(node.start)
        node.terminate(10.0)
        small_disk.leave(free_bytes=4 * 2**20)
        async with under_load(node) as scene:
            await scene.everyone_is("refused", 5)
            await reads_go_on(scene)
            small_disk.give_back()
            await heals(scene)
            await scene.end()
            findings = await scene.examine()
            assert findings.faults == {}
            assert findings.acknowledged > 500, "the disk was full before the node wrote anything"
        await restarts_whole(scene)


def start_on(data: Path, **limits: int) -> tuple[int, str]:
    """Exit code and output of a node that should refuse to start."""
    found = subprocess.run(
        (sys.executable, *NODE, "--port", "0", "--data", str(data)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        preexec_fn=partial(_limit_file_size, limits.get("file_bytes")),
    )
    return found.returncode, found.stdout + found.stderr


def _limit_file_size(size_bytes: int | None) -> None:
    if size_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


@pytest.mark.parametrize("file_bytes", [0, BLOCK_BYTES, 5 * BLOCK_BYTES])
def test_a_node_that_cannot_make_its_database_does_not_start(
    tmp_path: Path, file_bytes: int
) -> None:
    code, output = start_on(tmp_path / "data", file_bytes=file_bytes)
    assert code == STORAGE_EXIT, output
    assert "cannot start" in output and "free" in output, output
    assert "Traceback" not in output


def test_a_database_that_could_not_be_made_is_made_by_the_next_start(tmp_path: Path) -> None:
    """What a failed start leaves behind is no obstacle: each migration is one transaction."""
    for pages in (1, 5, 9):
        start_on(tmp_path / "data", file_bytes=pages * BLOCK_BYTES)
    with NodeProcess.reserve(tmp_path, NODE) as node:
        node.start()
        assert node.terminate(10.0) == 0
        assert corruption(node) == []


def test_a_node_on_a_full_disk_does_not_start(small_disk: SmallDisk) -> None:
    small_disk.take()
    code, output = start_on(small_disk.folder / "data")
    assert code == STORAGE_EXIT, output
    assert re.search("space", output, re.IGNORECASE) and "Traceback" not in output


def test_a_node_on_a_read_only_disk_does_not_start(small_disk: SmallDisk) -> None:
    (small_disk.folder / "data").mkdir()
    small_disk.remount("ro")
    for data in (small_disk.folder / "data", small_disk.folder / "new"):
        code, output = start_on(data)
        assert code == STORAGE_EXIT, output
        assert "writable" in output and "Traceback" not in output


def test_a_node_whose_database_became_read_only_does_not_start(small_disk: SmallDisk) -> None:
    with NodeProcess.reserve(small_disk.folder, NODE) as node:
        node.start()
        assert node.terminate(10.0) == 0
    small_disk.remount("ro")
    code, output = start_on(small_disk.folder / "data")
    assert code == STORAGE_EXIT, output
    assert "writable" in output and "Traceback" not in output
