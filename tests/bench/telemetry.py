"""What emitting telemetry costs beside storing an event (A-6).

One `count()` on a warm series against all the CPU that the node spends on a single stored event,
each on the server's core, in turn. The node's own figures tell its CPU and its events.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from urllib.request import ProxyHandler, build_opener

from tests.bench import server
from tests.bench.load import drive, post
from tests.bench.process import run_json, server_core
from tests.bench.row import BenchError, Row, at_most, pair_ratios, shown, spread
from tests.bench.single import BODY, CONNECTIONS

LIMIT = 0.02
COUNTS = 200_000
_TIMEOUT_S = 60.0


def run(quick: bool) -> list[Row]:
    """Pairs of one measurement each; the median of their ratios gates."""
    pairs, seconds = (2, 1.5) if quick else (5, 3.0)
    count_us, event_us = [], []
    for _ in range(pairs):
        event_us.append(event_cpu_us(seconds))
        count_us.append(
            run_json(
                ["-m", "tests.bench.telemetry_cost", str(COUNTS)],
                core=server_core(),
                timeout_s=_TIMEOUT_S,
            )
        )
    ratios = pair_ratios(count_us, event_us)
    return [
        at_most("telemetry: CPU of a count / of a stored event", median(ratios), LIMIT,
                spread(ratios)),
        shown("telemetry: CPU of a count", median(count_us), spread(count_us), "us"),
        shown("telemetry: CPU of a stored event", median(event_us), spread(event_us), "us"),
    ]  # fmt: skip


def event_cpu_us(seconds: float) -> float:
    """CPU microseconds of a node for each single event, warm-up included."""
    with tempfile.TemporaryDirectory() as folder, server.node(Path(folder)) as port:
        before = figures(port)
        drive(port, [post("/v1/events", BODY)], connections=CONNECTIONS, seconds=seconds)
        after = figures(port)
    cpu_s, events = (after[name] - before[name] for name in _FIGURES)
    if events < 1_000:
        raise BenchError(f"the node stored {events:.0f} events in {seconds:g} s: too few")
    return cpu_s / events * 1e6


_FIGURES = ("process_cpu_seconds_total", "foundation_events_stored_total")


def figures(port: int) -> dict[str, float]:
    """The node's own figures, from /metrics. Raises BenchError when one is missing."""
    direct = build_opener(ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{port}/metrics", timeout=_TIMEOUT_S) as reply:
        pairs = [line.split() for line in reply.read().decode().splitlines()]
    found = {pair[0]: float(pair[1]) for pair in pairs if pair[0] in _FIGURES}
    if missing := set(_FIGURES) - set(found):
        raise BenchError(f"/metrics lacks {', '.join(sorted(missing))}")
    return found
