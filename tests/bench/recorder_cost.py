"""The recorder by itself: CPU a request beside a loop without it, and every slice of encoding.

    python -m tests.bench.recorder_cost PAIRS

5,000 requests/s over 20 endpoints and two nodes. All that the load process does for a request is
in: making the sample, recording it, encoding the second's histograms and its report as JSON.
Prints one JSON object. A slice is timed by the thread's CPU clock, so that what other processes
take from this one is not put down to the recorder; the wall clock is printed beside it.
"""

from __future__ import annotations

import json
import sys
from random import Random
from time import perf_counter, process_time, thread_time

import orjson

from results.recorder import Recorder
from results.sample import Outcome, Sample

REQUESTS_PER_S = 5_000
ENDPOINTS = 20
SECONDS = 10

Figures = tuple[str, int, int, int]
"""Name, start, end, emulated: what a client knows of a request in any case."""


def traffic(seed: int) -> list[Figures]:
    """SECONDS of requests, in the order in which they end; emulated waits as in P1."""
    random = Random(seed)
    names = [f"POST /v1/endpoint/{index}" for index in range(ENDPOINTS)]
    figures = []
    for index in range(SECONDS * REQUESTS_PER_S):
        end_us = index * 1_000_000 // REQUESTS_PER_S
        emulated_us = random.randrange(25_000, 1_500_000)
        took_us = emulated_us + int(random.expovariate(1 / 3_000))
        figures.append((random.choice(names), end_us - took_us, end_us, emulated_us))
    return figures


def without(figures: list[Figures]) -> float:
    """CPU seconds of the loop alone."""
    started_s = process_time()
    for name, start_us, end_us, emulated_us in figures:
        _ = (name, start_us, end_us, emulated_us)
    return process_time() - started_s


def recorded(
    figures: list[Figures], cpu_slices_ms: list[float], wall_slices_ms: list[float]
) -> float:
    """CPU seconds of the loop with a recorder that is emptied once a second."""
    recorder = Recorder(source="bench", origin_us=0)
    started_s = process_time()
    for index, (name, start_us, end_us, emulated_us) in enumerate(figures, start=1):
        recorder.record(
            Sample(name, None, start_us, end_us, Outcome.OK, 201, 250, emulated_us, None, "node-1")
        )
        if index % REQUESTS_PER_S == 0:
            recorder.close(end_us + 1_000_000)
            _empty(recorder, cpu_slices_ms, wall_slices_ms)
    return process_time() - started_s


def _empty(recorder: Recorder, cpu_ms: list[float], wall_ms: list[float]) -> None:
    reports = recorder.reports()
    done = object()
    while True:
        wall_s, cpu_s = perf_counter(), thread_time()
        report = next(reports, done)
        cpu_ms.append((thread_time() - cpu_s) * 1e3)
        wall_ms.append((perf_counter() - wall_s) * 1e3)
        if report is done:
            return
        if report is not None:
            orjson.dumps(report.as_dict())  # type: ignore[attr-defined]


def main(pairs: int) -> dict[str, object]:
    cost_us, cpu_ms, wall_ms = [], list[float](), list[float]()
    for pair in range(pairs):
        figures = traffic(pair)
        base_s = without(figures)
        cost_us.append((recorded(figures, cpu_ms, wall_ms) - base_s) / len(figures) * 1e6)
    return {"cost_us": cost_us, "stall_cpu_ms": cpu_ms, "stall_wall_ms": max(wall_ms)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
