"""Processes that use a share of one processor each, as other programs on the machine would.

Each computes for a share of every 10 ms and sleeps for the rest; a share of 1 never sleeps. It ends
with its standard input, hence also when the test that started it is killed.

python -m tests.e2e.foreign_load PROCESSOR SHARE
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PERIOD_S = 0.01


@contextmanager
def foreign_load(processors: Sequence[int], *, share: float) -> Iterator[list[int]]:
    """One process for each processor that is named, however often; gives their ids."""
    command = [sys.executable, "-m", "tests.e2e.foreign_load"]
    loads = [
        subprocess.Popen(
            [*command, str(processor), str(share)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for processor in processors
    ]
    try:
        for load in loads:
            assert load.stdout is not None
            assert load.stdout.readline(), "the foreign load did not begin"
        yield [load.pid for load in loads]
    finally:
        for load in loads:
            load.kill()
            load.communicate()


def end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    processor, share = int(sys.argv[1]), float(sys.argv[2])
    os.sched_setaffinity(0, {processor})
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print("begun", flush=True)
    while True:
        # Of wall time: what others take from the processor is not made up for.
        until_s = time.perf_counter() + PERIOD_S * share
        while time.perf_counter() < until_s:
            pass
        if share < 1:
            time.sleep(PERIOD_S * (1 - share))


if __name__ == "__main__":
    main()
