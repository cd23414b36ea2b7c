"""Benchmark 2d: a ledger of a million writes held against five real nodes that have stored them.

The nodes of an embedded cluster are filled by batches, each with its fifth of the writes; the
ledger is written as a run's owner would. What is measured is the audit by the process that owns a
run, nodes included: wall time, and memory over all processes beyond what they took before.
"""

from __future__ import annotations

import tempfile
from threading import Event, Thread

import psutil

from deploy.local import LocalCluster
from tests.bench.process import run_json
from tests.bench.row import BenchError, Row, absolute, at_most, shown

NODES = 5
WRITES = 1_000_000
QUICK_WRITES = 100_000
TIME_LIMIT_S = 30.0
MEMORY_LIMIT_MB = 100.0

SAMPLE_S = 0.25
_TIMEOUT_S = 300.0


def run(quick: bool) -> list[Row]:
    """One audit: it is long enough to be its own average."""
    writes = QUICK_WRITES if quick else WRITES
    limit_s = TIME_LIMIT_S * writes / WRITES
    with tempfile.TemporaryDirectory() as folder, LocalCluster.start(size=NODES) as cluster:
        urls = [info.url for info in cluster.nodes]
        arguments = [folder, str(writes), *urls]
        run_json(["-m", "tests.bench.audit_fill", *arguments], timeout_s=_TIMEOUT_S)
        pids = [info.pid for info in cluster.nodes if info.pid is not None]
        with NodesMemory(pids) as memory:
            answer = run_json(["-m", "tests.bench.audit_load", folder, *urls], timeout_s=_TIMEOUT_S)
    if answer["fates"] != {"present": writes} or answer["compared"] != writes:
        raise BenchError(f"{writes} writes are stored, and the audit found {answer['fates']}")
    all_mb = answer["more_mb"] + memory.more_mb
    figure = f"owner {answer['more_mb']:.0f} MB, {NODES} nodes together {memory.more_mb:.0f} MB"
    return [
        absolute(f"audit: {writes:,} writes, {NODES} nodes", answer["wall_s"], limit_s,
              f"CPU of the owner {answer['cpu_s']:.1f} s, again from the files "
              f"{answer['replay_cpu_s']:.1f} s", "s"),
        at_most("audit: memory of all processes", all_mb, MEMORY_LIMIT_MB, figure, "MB"),
        shown("audit: the owner's loop held longest", answer["stall_ms"],
              "the shorter of wall time and CPU of one turn of the loop", "ms"),
        shown("audit: files", answer["files_mb"], "writes.bin and reads.bin", "MB"),
    ]  # fmt: skip


class NodesMemory:
    """Samples the nodes' private memory while the block lasts; `more_mb` is the most beyond it."""

    def __init__(self, pids: list[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._before = self._bytes()
        self._most = self._before
        self._is_over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    @property
    def more_mb(self) -> float:
        return (self._most - self._before) / 2**20

    def __enter__(self) -> NodesMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _bytes(self) -> int:
        return sum(process.memory_full_info().uss for process in self._processes)

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            self._most = max(self._most, self._bytes())
