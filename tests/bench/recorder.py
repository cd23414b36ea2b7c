"""Benchmark 2b: what recording and the ledger cost a load process: CPU, and the longest stall.

The gated cost is measured in a loop that does nothing else, since it is a few microseconds: every
pair makes the same requests' figures once without and once with both. The cost inside a real
load process (800 users, as in benchmark 2a) is printed beside it: there it is the small difference
of two large figures.
"""

from __future__ import annotations

import os
from statistics import median

from tests.bench import client_cpu
from tests.bench.process import load_core, run_json
from tests.bench.row import Row, at_most, shown, spread

COST_LIMIT_US = 10.0
STALL_LIMIT_MS = 5.0
_TIMEOUT_S = 120.0


def run(quick: bool) -> list[Row]:
    """Both alone, then LeanHttpUser with and without them in turn."""
    pairs, seconds = (2, 3.0) if quick else (5, 6.0)
    alone = run_json(
        ["-m", "tests.bench.recorder_cost", str(pairs)], core=load_core(), timeout_s=_TIMEOUT_S
    )
    with_us, without_us = _in_a_load_process(1 if quick else 3, seconds)
    more_us = [on - off for on, off in zip(with_us, without_us, strict=True)]
    stalls_ms = alone["stall_cpu_ms"]
    return [
        at_most("recorder and ledger: CPU a request", median(alone["cost_us"]), COST_LIMIT_US,
              spread(alone["cost_us"]), "us"),
        shown("recorder and ledger: CPU a request, under load", median(more_us),
              f"{median(without_us):.0f} us without; {spread(more_us)}", "us"),
        at_most("recorder and ledger: longest piece of work", max(stalls_ms), STALL_LIMIT_MS,
              f"CPU, with books; {len(stalls_ms):,} pieces, median {median(stalls_ms):.2f} ms, "
              f"longest by the wall clock {alone['stall_wall_ms']:.1f} ms", "ms"),
    ]  # fmt: skip


def _in_a_load_process(pairs: int, seconds: float) -> tuple[list[float], list[float]]:
    """CPU microseconds a request with recorder and ledger and without them."""
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, list[float]] = {"on": [], "off": []}
    with client_cpu.responder(cores) as port:
        for _ in range(pairs):
            for state, figures in found.items():
                answer = run_json(
                    ["-m", "tests.bench.recorder_load", state, str(port), str(seconds)],
                    core=cores[0],
                    timeout_s=_TIMEOUT_S,
                )
                figures.append(answer["cpu_us"])
    return found["on"], found["off"]
