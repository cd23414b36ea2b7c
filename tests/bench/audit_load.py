"""The audit of one ledger by the process that owns its run: prints time, CPU and memory as JSON.

    python -m tests.bench.audit_load FOLDER URL…

The run is `FOLDER/run`, as `audit_fill` leaves it. A turn of the loop is timed by the shorter of
wall clock and CPU, so that other processes are not put down to the audit. This module imports
Locust, so pytest must not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

# First, since it patches what everything else imports.
import locust  # noqa: F401  # isort: skip
import gevent

from locustfiles.harness.audit.foundation import FoundationAuditor
from locustfiles.harness.audit.run_audit import RunAudit
from results.audit.offline import audit_of
from results.run_folder import RunFolder

SAMPLE_S = 0.25


class Watch:
    """What the audit costs this process."""

    def __init__(self) -> None:
        self._before = self._bytes()
        self.most = self._before
        self.stall_s = 0.0

    @property
    def more_mb(self) -> float:
        return (self.most - self._before) / 2**20

    def _bytes(self) -> int:
        # As psutil's uss, but summed up by the kernel: reading every mapping holds the loop 50 ms.
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))

    def memory(self) -> None:
        while True:
            gevent.sleep(SAMPLE_S)
            self.most = max(self.most, self._bytes())

    def loop(self) -> None:
        while True:
            wall_s, cpu_s = perf_counter(), process_time()
            gevent.sleep(0.001)
            took_s = min(perf_counter() - wall_s, process_time() - cpu_s)
            self.stall_s = max(self.stall_s, took_s)


def main(folder: str, *urls: str) -> None:
    run = RunFolder(Path(folder, "run"))
    audit = RunAudit(run, FoundationAuditor(urls, None), urls)
    watch = Watch()
    watchers = [gevent.spawn(watch.memory), gevent.spawn(watch.loop)]
    wall_s, cpu_s = perf_counter(), process_time()
    made = audit.make(None, tuple, lambda so_far: None)
    wall_s, cpu_s = perf_counter() - wall_s, process_time() - cpu_s
    gevent.killall(watchers)
    assert made is not None
    replay_s = process_time()
    assert audit_of(run) == made
    files = (run.ledger / "writes.bin", run.ledger / "reads.bin")
    answer = {
        "fates": {fate.value: count for fate, count in made.of().items()},
        "compared": made.compared_in(),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "replay_cpu_s": process_time() - replay_s,
        "more_mb": watch.more_mb,
        "stall_ms": watch.stall_s * 1000,
        "files_mb": sum(path.stat().st_size for path in files) / 2**20,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
