"""Benchmark 2c: what becomes of half an hour at 5,000 requests/s over twenty endpoints.

The size of its timeline, what reading it, cutting its windows and judging them takes in time and
memory, and what its report takes. The run is synthetic (tests/bench/results_run.py). Time is CPU
time: judging waits for nothing, and what other processes take is not its own.
"""

from __future__ import annotations

from tests.bench.process import load_core, run_json
from tests.bench.results_run import FULL_S
from tests.bench.row import Row, absolute, at_most, equal

SIZE_LIMIT_MB = 60.0
MEMORY_LIMIT_MB = 400.0
JUDGED_LIMIT_S = 10.0
SERIES_LIMIT_S = 3.0
REPORT_LIMIT_S = 10.0
REPORT_LIMIT_MB = 6.0
_TIMEOUT_S = 240.0


def run(quick: bool) -> list[Row]:
    """The same whether `quick` or not: a shorter run would say nothing of half an hour."""
    found = run_json(
        ["-m", "tests.bench.results_cost", str(FULL_S)], core=load_core(), timeout_s=_TIMEOUT_S
    )
    cpu_s, wall_s = found["cpu_s"], found["wall_s"]
    report = found["report"]
    judged_s = cpu_s["read"] + cpu_s["judge"]
    run_text = f"{found['requests']:,} requests in {found['seconds']:,} s"
    judged_text = (
        f"CPU; {cpu_s['read']:.1f} s to read, {cpu_s['judge']:.1f} s for {found['windows']} "
        f"windows and {found['checks']} checks; {wall_s['read'] + wall_s['judge']:.1f} s by the "
        "wall clock"
    )
    return [
        at_most("results: timeline", found["size_mb"], SIZE_LIMIT_MB, run_text, "MB"),
        at_most("results: windows and verdict", judged_s, JUDGED_LIMIT_S, judged_text, "s"),
        at_most("results: memory of judging", found["peak_mb"], MEMORY_LIMIT_MB,
                "the most that the process ever held", "MB"),
        equal("results: verdict", found["verdict"], "PASS", "; ".join(found["reasons"])),
        absolute("results: second by second", cpu_s["series"], SERIES_LIMIT_S,
                 "CPU; what the report draws", "s"),
        absolute("results: report", report["cpu_s"], REPORT_LIMIT_S,
                 f"CPU of its process; {report['wall_s']:.1f} s by the wall clock", "s"),
        at_most("results: size of the report", report["size_mb"], REPORT_LIMIT_MB,
                "with the library that draws", "MB"),
    ]  # fmt: skip
