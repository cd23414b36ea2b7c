"""Recorder and ledger by themselves: CPU a request beside a loop without them, and every slice.

    python -m tests.bench.recorder_cost PAIRS

5,000 requests/s over 20 endpoints and two nodes, each a declared write. All that the only process
does for a request is in: the digest of what it says, making the sample, recording it and the write,
encoding the second's histograms, and giving the reports to the run's books, which check them and
write them to timeline and ledger (a worker sends them instead, for less).
Prints one JSON object. A slice is timed by the thread's CPU clock, so that what other processes
take from this one is not put down to the recorder; the wall clock is printed beside it. This module
imports Locust, so pytest must not.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter, process_time, thread_time

from locustfiles.harness.digest import client_digest
from locustfiles.harness.load_side import sink_of
from locustfiles.harness.run_book import RunBook
from results.ledger.ledger import Ledger
from results.ledger.store import LedgerFile
from results.recorder import Recorder
from results.run_folder import create_run
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.timeline import EndReason, Header, Plan
from results.timeline_reader import read_timeline
from service.content import USER_ACTION, of_action
from shapes.load import Load, Part
from shapes.phased import planned_user_seconds, planned_users
from shapes.profile import steady

REQUESTS_PER_S = 5_000
ENDPOINTS = 20
SECONDS = 10

PAYLOAD = {"page": 3, "size": 50}
REQUESTS = SECONDS * REQUESTS_PER_S

Figures = tuple[str, int, int, int, bytes, str]
"""Name, start, end, emulated, id, node: what a client knows of a request in any case."""


def traffic(seed: int) -> list[Figures]:
    """SECONDS of requests, in the order in which they end; emulated waits as in P1."""
    random = Random(seed)
    names = [f"POST /v1/endpoint/{index}" for index in range(ENDPOINTS)]
    figures = []
    for index in range(REQUESTS):
        end_us = index * 1_000_000 // REQUESTS_PER_S
        emulated_us = random.randrange(25_000, 1_500_000)
        took_us = emulated_us + int(random.expovariate(1 / 3_000))
        key, node = random.randbytes(16), f"http://127.0.0.1:{8001 + index % 2}"
        figures.append((random.choice(names), end_us - took_us, end_us, emulated_us, key, node))
    return figures


def without(figures: list[Figures]) -> float:
    """CPU seconds of the loop alone."""
    started_s = process_time()
    for name, start_us, end_us, emulated_us, key, node in figures:
        _ = (name, start_us, end_us, emulated_us, key, node)
    return process_time() - started_s


@contextmanager
def open_book() -> Iterator[RunBook]:
    """The books of a run, as the only process keeps them; they must hold every second and write."""
    profile = Load((Part(steady(1, float(SECONDS))),))
    plan = Plan.of(
        profile,
        users=planned_users(profile),
        user_seconds=planned_user_seconds(profile),
        mean_cycle_s=None,
    )
    with tempfile.TemporaryDirectory() as runs_dir:
        folder = create_run(Path(runs_dir), "bench")
        book = RunBook(
            folder,
            header=Header("bench", "recorder_cost", 0),
            plan=plan,
            checks=(),
            profile=profile,
            elapsed_s=lambda: float(SECONDS),
        )
        yield book
        book.close(None, {"bench": SECONDS}, {"bench": SECONDS})
        written = read_timeline(folder.timeline)
        assert written.end is not None and written.end.reason is EndReason.COMPLETED
        assert len(written.reports) >= SECONDS and not written.lost_reports()
        ledger = LedgerFile.open(folder)
        assert ledger is not None and ledger.count == REQUESTS and book.failures == 0


def recorded(
    figures: list[Figures], book: RunBook, cpu_slices_ms: list[float], wall_slices_ms: list[float]
) -> float:
    """CPU seconds of the loop with both, which are emptied into the books once a second."""
    recorder = Recorder(source="bench", origin_us=0)
    ledger = Ledger(source="bench", origin_us=0)
    take = sink_of(recorder, ledger)
    started_s = process_time()
    for index, (name, start_us, end_us, emulated_us, key, node) in enumerate(figures, start=1):
        said = client_digest(USER_ACTION, None, of_action("login", "user_123", PAYLOAD))
        take(
            Sample(
                *(name, None, start_us, end_us, Outcome.OK, 201, 250, emulated_us),
                *(key, node, said),
            )
        )
        if index % REQUESTS_PER_S == 0:
            recorder.close(end_us + 1_000_000)
            _empty(_shipped(recorder, ledger, book), cpu_slices_ms, wall_slices_ms)
    return process_time() - started_s


def _shipped(recorder: Recorder, ledger: Ledger, book: RunBook) -> Iterator[None]:
    """As the load side ships: one report is shipped in one piece, without letting users run."""
    while (writes := ledger.take()) is not None:
        book.take("writes", writes.as_dict())
        yield
    for report in recorder.reports():
        if isinstance(report, SecondReport):
            book.take("second", report.as_dict())
        yield


def _empty(pieces: Iterator[None], cpu_ms: list[float], wall_ms: list[float]) -> None:
    done = object()
    while True:
        wall_s, cpu_s = perf_counter(), thread_time()
        report = next(pieces, done)
        cpu_ms.append((thread_time() - cpu_s) * 1e3)
        wall_ms.append((perf_counter() - wall_s) * 1e3)
        if report is done:
            return


def main(pairs: int) -> dict[str, object]:
    cost_us, cpu_ms, wall_ms = [], list[float](), list[float]()
    for pair in range(pairs):
        figures = traffic(pair)
        base_s = without(figures)
        with open_book() as book:
            total_s = recorded(figures, book, cpu_ms, wall_ms)
        cost_us.append((total_s - base_s) / len(figures) * 1e6)
    return {"cost_us": cost_us, "stall_cpu_ms": cpu_ms, "stall_wall_ms": max(wall_ms)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
