"""Benchmark 6: what 1,000 idle connections cost the requests that go on beside them.

One node, one light load (one event a POST over a few connections), measured in turn without and
with the idle connections, several pairs; the median of the pairs' ratios gates. A node that walked
its connections on every request, or whose sweep took long, would show in the p99 at once. The
memory is the node's growth (PSS) by 1,000 more connections.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from tests.bench import server
from tests.bench.load import LoadResult, drive, post
from tests.bench.process import load_core, owned, poll
from tests.bench.row import BenchError, Row, at_most, pair_ratios, shown, spread
from tests.bench.single import BODY

CONNECTIONS = 1_000
RATIO_LIMIT = 2.0
_LOAD_CONNECTIONS = 4
_OPEN_TIMEOUT_S = 20.0


def run(quick: bool) -> list[Row]:
    """Pairs of (quiet, crowded) on the same node."""
    pairs, seconds = (2, 0.7) if quick else (4, 1.3)
    quiet: list[float] = []
    crowded: list[float] = []
    with tempfile.TemporaryDirectory() as folder, server.node(Path(folder)) as port:
        process = _serving(port)
        _load(port, seconds)  # warm: the first pair is not about page faults
        before_bytes = process.memory_full_info().pss
        grown_bytes = 0
        for _ in range(pairs):
            quiet.append(_load(port, seconds).p99_ms)
            with idle(port, process):
                grown_bytes = process.memory_full_info().pss - before_bytes
                crowded.append(_load(port, seconds).p99_ms)
    ratios = pair_ratios(crowded, quiet)
    return [
        at_most(
            f"{CONNECTIONS:,} idle connections: p99 with / without",
            median(ratios),
            RATIO_LIMIT,
            f"{spread(ratios)}; {median(crowded):.2f} against {median(quiet):.2f} ms",
        ),
        shown(
            "memory of an idle connection",
            grown_bytes / CONNECTIONS / 1_024,
            f"the node's PSS with {CONNECTIONS:,} of them",
            "KiB",
        ),
    ]


def _load(port: int, seconds: float) -> LoadResult:
    result = drive(
        port,
        [post("/v1/events", BODY)],
        connections=_LOAD_CONNECTIONS,
        seconds=seconds,
        warm_up_s=0.3,
    )
    result.acknowledged("201")
    return result


@contextmanager
def idle(port: int, process: psutil.Process) -> Iterator[None]:
    """The idle connections are open for as long as the block lasts, and gone after it."""
    command = (sys.executable, "-m", "tests.bench.idle_connections",
               f"--port={port}", f"--connections={CONNECTIONS}")  # fmt: skip
    with owned(command, core=load_core(), stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != str(CONNECTIONS).encode():
            raise BenchError(f"{CONNECTIONS} idle connections could not be opened")
        if _established(process) < CONNECTIONS:
            raise BenchError("the node has closed idle connections")
        yield
        if _established(process) < CONNECTIONS:
            raise BenchError("the node has closed idle connections meanwhile")
    poll(lambda: _established(process) == 0, _OPEN_TIMEOUT_S, "the idle connections to be gone")


def _established(process: psutil.Process) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))


def _serving(port: int) -> psutil.Process:
    """The process that listens on `port`."""
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,) and one.pid:
            return psutil.Process(one.pid)
    raise BenchError(f"nobody listens on {port}")
