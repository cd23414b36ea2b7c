"""`python -m tests.bench` (`make bench`): every benchmark in turn, then one table.

Exit code 0 when all gates hold, 1 when one fails or could not be measured, 2 on wrong usage,
130 when it was interrupted. Ratios gate anywhere; absolute limits are for an idle
machine.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from types import FrameType
from typing import NoReturn

from tests.bench import (
    arrivals,
    audit,
    batch,
    client,
    cluster,
    idle,
    machine,
    p1,
    query,
    recorder,
    results,
    single,
    table,
    telemetry,
)
from tests.bench.row import BenchError, Row, failed

Benchmark = Callable[[bool], list[Row]]

_INTERRUPTED = 130
_QUIET_LOAD = 0.5
"""Above this something else is using the cores that are about to be measured."""


def benchmarks(*, p1_full: bool) -> dict[str, Benchmark]:
    """By the name that --only takes, in the order of the table."""
    return {
        "single": single.run,
        "batch": batch.run,
        "client": client.run,
        "arrivals": arrivals.run,
        "recorder": recorder.run,
        "results": results.run,
        "audit": audit.run,
        "p1": partial(p1.run, full=p1_full),
        "cluster": cluster.run,
        "query": query.run,
        "idle": idle.run,
        "telemetry": telemetry.run,
    }


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    chosen = benchmarks(p1_full=options.p1_full)
    names = options.only or list(chosen)
    facts = machine.facts()
    if (busy := os.getloadavg()[0]) > _QUIET_LOAD:
        print(
            f"the machine is busy (load average {busy:.1f}): figures will suffer", file=sys.stderr
        )
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    rows: list[Row] = []
    foreign: dict[str, float] = {}
    try:
        for number, name in enumerate(names, start=1):
            print(f"[{number}/{len(names)}] {name} ...", file=sys.stderr, flush=True)
            started_s, clock = perf_counter(), machine.CpuClock.now()
            try:
                rows += chosen[name](options.quick)
            except BenchError as error:
                rows.append(failed(name, str(error)))
            foreign[name] = clock.foreign_cores()
            print(
                f"[{number}/{len(names)}] {name}: {perf_counter() - started_s:.0f} s, "
                f"others used {foreign[name]:.2f} cores",
                file=sys.stderr,
                flush=True,
            )
    except KeyboardInterrupt:
        print("interrupted; everything that was started is ended", file=sys.stderr)
        return _INTERRUPTED
    facts["cores used by others"] = ", ".join(f"{n} {used:.2f}" for n, used in foreign.items())
    table.show(rows, facts, shlex.join(["python", "-m", "tests.bench", *arguments]))
    failures = [row.name for row in rows if row.passed is False]
    if failures:
        print(f"{len(failures)} of {len(rows)} failed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Runs the benchmarks one after the other and prints one table.",
    )
    names = list(benchmarks(p1_full=False))
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a first look of about two minutes; noisier"
    )
    parser.add_argument(
        "--p1-full", action="store_true", help="P1 at its full length of 300 s instead of 60 s"
    )
    return parser.parse_args(arguments)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM ends like Ctrl-C, also where Ctrl-C is ignored: every child is ended in order."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
