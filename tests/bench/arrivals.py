"""Benchmark `arrivals`: 3,000 arrivals a second on one core against a bare ASGI server.

The run is a whole one by its command line, with recorder, health lines and verdict; every figure is
read from what it left. Lateness is the generator's own delay between an arrival's intended start
and its actual one. Of each second there is the 99th percentile; the run's own is at most the worst
of them, which is what is held against the limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.process import (
    free_port,
    load_core,
    owned,
    server_core,
    tail,
    wait_until_it_listens,
)
from tests.bench.row import BenchError, Row, absolute, at_most, equal, shown

LENGTH_S = 30.0
QUICK_S = 8.0
LATENESS_LIMIT_MS = 10.0

_START_TIMEOUT_S = 30.0
_MARGIN_S = 60.0
_RUN_ID = "bench"


def run(quick: bool) -> list[Row]:
    """One run of 30 s; quick: of 8 s."""
    document, health = run_arrivals(QUICK_S if quick else LENGTH_S)
    return rows_of(document, health)


def rows_of(document: Mapping[str, Any], health: Sequence[Mapping[str, float]]) -> list[Row]:
    """The rows of a verdict.json and the values of the run's health lines."""
    run = next(window for window in document["windows"] if window["name"] == "run")
    counts, total = run["arrivals_total"], run["total"]
    late_ms = [values["lateness_p99_ms"] for values in health if "lateness_p99_ms" in values]
    if not late_ms:
        raise BenchError("no health line says how late arrivals started")
    worst_ms = max(values["lateness_max_ms"] for values in health if "lateness_max_ms" in values)
    # Lines in the middle of the run: at either edge a second is not whole.
    cpu = [values["cpu_percent"] for values in health if values.get("lateness_p99_ms")]
    seen = f"worst of {len(late_ms)} s, median {median(late_ms):.1f}, most {worst_ms:.1f} ms"
    started = f"{counts['started']:,} of {counts['planned']:,} started"
    corrected = total["corrected_ms"]
    latency = f"raw p99 {total['raw_ms']['p99']:.1f}, corrected p50 {corrected['p50']:.1f} ms"
    return [
        equal("arrivals verdict", document["verdict"], "PASS", "; ".join(document["reasons"])),
        at_most("arrivals unsent", counts["planned"] - counts["started"], 0, started),
        absolute("arrivals lateness p99", max(late_ms), LATENESS_LIMIT_MS, seen, "ms"),
        shown("arrivals corrected p99", corrected["p99"], latency, "ms"),
        shown("arrivals CPU", median(cpu), "of the generator's core", "%"),
    ]


def run_arrivals(length_s: float) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """verdict.json, and the values of the load's health lines."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        port = free_port()
        with _target(port, log):
            command = (
                str(Path(sys.executable).with_name("locust")), "-f", "tests/bench/arrivals_load.py",
                "--headless", "--run-id", _RUN_ID, "--results-dir", folder,
                "--host", f"http://127.0.0.1:{port}", "--seed", "1",
            )  # fmt: skip
            settings = {"BENCH_ARRIVALS_S": str(length_s)}
            with owned(
                command,
                core=load_core(),
                environment=settings,
                stdout=log,
                stderr=log,
                grace_s=20.0,
            ) as locust:
                try:
                    locust.wait(length_s + _MARGIN_S)
                except subprocess.TimeoutExpired:
                    raise BenchError("the run of arrivals did not end in time") from None
        path = Path(folder) / _RUN_ID
        if not (path / "verdict.json").exists():
            log.seek(0)
            raise BenchError(f"no verdict: {tail(log.read().decode(errors='replace'))}")
        document: dict[str, Any] = json.loads((path / "verdict.json").read_text())
        lines = map(json.loads, (path / "timeline.jsonl").read_text().splitlines())
        health = [line["values"] for line in lines if line["kind"] == "health"]
        return document, health


@contextmanager
def _target(port: int, log: Any) -> Iterator[None]:
    command = (
        sys.executable, "-m", "uvicorn", "tests.bench.arrivals_target:app", "--port", str(port),
        "--lifespan", "off", "--no-access-log", "--timeout-keep-alive", "75",
    )  # fmt: skip
    with owned(command, core=server_core(), stdout=log, stderr=log) as serving:
        wait_until_it_listens(port, serving, _START_TIMEOUT_S)
        yield
