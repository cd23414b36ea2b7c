"""What a run's verdict costs: half an hour's timeline is made, read, judged, cut into seconds and
shown as a page.

    python -m tests.bench.results_cost SECONDS

Prints one JSON object. The timeline is made by a process of its own, so that the memory of this
one is that of judging. CPU seconds are this process's; the wall clock is printed beside them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

from results.replay import judge_run
from results.run_folder import RunFolder, create_run
from results.series import series
from results.timeline_reader import read_timeline
from results.verdict import Judgement, as_document
from tests.bench.process import ROOT

_MADE_WITHIN_S = 120.0

T = TypeVar("T")


def measure(folder: RunFolder) -> dict[str, object]:
    """Figures of the run in that folder."""
    clock = _Clock()
    timeline = clock.timed("read", lambda: read_timeline(folder.timeline))
    judgement = clock.timed("judge", lambda: judge_run(timeline, folder))
    peak_mb = _peak_mb()
    seconds = clock.timed("series", lambda: series(timeline))
    return {
        "size_mb": folder.timeline.stat().st_size / 1e6,
        "cpu_s": clock.cpu_s,
        "wall_s": clock.wall_s,
        "peak_mb": peak_mb,
        "verdict": judgement.verdict.value,
        "reasons": judgement.reasons,
        "requests": judgement.windows[0].total.ended,
        "windows": len(judgement.windows),
        "checks": len(judgement.results),
        "seconds": len(seconds.ended),
        "in_seconds": sum(seconds.ended),
        "report": _report(folder, judgement),
    }


def _report(folder: RunFolder, judgement: Judgement) -> dict[str, float]:
    """What the page takes, made as at a run's end: by a process of its own."""
    folder.write_verdict(as_document(judgement))
    wall_s, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-P", "-m", "results.report", str(folder.path)],
        cwd=ROOT,
        timeout=_MADE_WITHIN_S,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": perf_counter() - wall_s,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "size_mb": folder.report.stat().st_size / 1e6,
    }


class _Clock:
    """CPU and wall seconds of each piece of work."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self.wall_s: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], T]) -> T:
        wall_s, cpu_s = perf_counter(), process_time()
        found = work()
        self.cpu_s[name] = process_time() - cpu_s
        self.wall_s[name] = perf_counter() - wall_s
        return found


def _peak_mb() -> float:
    """Of this process since it began; `getrusage` would tell of its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


def main(length_s: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as runs_dir:
        folder = create_run(Path(runs_dir), "bench")
        subprocess.run(
            [sys.executable, "-m", "tests.bench.results_run", str(folder.timeline), str(length_s)],
            cwd=ROOT,
            timeout=_MADE_WITHIN_S,
            check=True,
        )
        return measure(folder)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
