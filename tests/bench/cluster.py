"""Benchmark 4: five nodes from the command, a killed node's return, and what an idle node costs.

Absolute limits from the issue, for an idle machine; on a slower one they may fail rightly, so the
machine's facts stand beside them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import psutil

from deploy.local import LocalCluster
from tests.bench.database import fill, stored_events
from tests.bench.load import drive, post
from tests.bench.process import owned, poll, tail
from tests.bench.row import BenchError, Row, absolute, spread
from tests.bench.server import DATABASE, node
from tests.bench.single import BODY

NODES = 5
HEALTHY_LIMIT_S = 3.0
RETURN_LIMIT_S = 0.3
IDLE_LIMIT_PERCENT = 1.0
PSS_LIMIT_MB = 40.0
_COMMAND_TIMEOUT_S = 60.0
_HEALTHY_WORDS = b"Press Ctrl-C"
"""What the command prints once it has shown the table of healthy nodes."""

_SETTLE_S = 4.0
"""After this a node has done what it does once when it becomes idle."""


def run(quick: bool) -> list[Row]:
    """Each start is a cluster of its own; the killed node's database is filled beforehand."""
    repeats = 1 if quick else 3
    starts_s = [_start_from_command() for _ in range(repeats)]
    idle_percent, pss_mb = _idle(3.0 if quick else 10.0)
    events = 100_000 if quick else 1_000_000
    returns_s = _returns(events, repeats)
    return [
        absolute(f"cluster: {NODES} nodes healthy", median(starts_s), HEALTHY_LIMIT_S,
              spread(starts_s), "s"),
        absolute(f"cluster: killed node serves, {events:,} events", median(returns_s),
              RETURN_LIMIT_S, spread(returns_s), "s"),
        absolute("cluster: idle node, CPU", max(idle_percent), IDLE_LIMIT_PERCENT,
              spread(idle_percent), "%"),
        absolute("cluster: idle node, PSS", max(pss_mb), PSS_LIMIT_MB, spread(pss_mb), "MB"),
    ]  # fmt: skip


def _start_from_command() -> float:
    """Seconds from `foundation cluster up` to its word that all nodes are healthy."""
    foundation = str(Path(sys.executable).with_name("foundation"))
    command = (foundation, "cluster", "up", "--size", str(NODES))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output")

        def healthy() -> bool:
            if up.poll() is not None:
                raise BenchError(f"it ended with {up.returncode}: {tail(output.read_text())}")
            return _HEALTHY_WORDS in output.read_bytes()

        with output.open("wb") as stream:
            started_s = perf_counter()
            state = ("--state", str(Path(folder, "state.json")))
            with owned((*command, *state), stdout=stream, stderr=stream, grace_s=20.0) as up:
                poll(healthy, _COMMAND_TIMEOUT_S, f"{NODES} healthy nodes")
                return perf_counter() - started_s


def _idle(seconds: float) -> tuple[list[float], list[float]]:
    """CPU percent and PSS (MB) of each node of a cluster that nobody speaks to."""
    with LocalCluster.start(size=NODES) as cluster:
        processes = [psutil.Process(info.pid) for info in cluster.nodes if info.pid is not None]
        sleep(_SETTLE_S)
        before_s = [_cpu_s(process) for process in processes]
        sleep(seconds)
        after_s = [_cpu_s(process) for process in processes]
        percent = [
            (after - before) / seconds * 100
            for before, after in zip(before_s, after_s, strict=True)
        ]
        pss_mb = [process.memory_full_info().pss / 2**20 for process in processes]
    return percent, pss_mb


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _returns(events: int, repeats: int) -> list[float]:
    """Seconds from the restart of a node killed under load to its first healthy answer."""
    with _filled(events) as data, LocalCluster.start(size=1, data_dir=data) as cluster:
        info = cluster.nodes[0]
        port = int(info.url.rpartition(":")[2])
        times_s = []
        for _ in range(repeats):
            # Something is in the write-ahead log when the node is killed, as it would be.
            drive(port, [post("/v1/events", BODY)], connections=8, seconds=0.5, warm_up_s=0.1)
            cluster.kill(info.name)
            started_s = perf_counter()
            cluster.restart(info.name)
            times_s.append(perf_counter() - started_s)
    return times_s


@contextmanager
def _filled(events: int) -> Iterator[Path]:
    """A cluster's data directory whose node-1 holds `events` events."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "node-1")
        data.mkdir()
        with node(data):
            pass  # the node itself makes its database
        fill(data / DATABASE, events)
        if stored_events(data / DATABASE) < events:
            raise BenchError("the database was not filled")
        yield Path(folder)
