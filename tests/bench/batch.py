"""Benchmark 1b: batches of 1,000 events over HTTP against `executemany` of 1,000 rows without HTTP.

Both on one core, into the same schema with the same durability; the rows of `executemany` are made
before its clock starts, the node's bodies hold no ids. After each run the database is counted.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median

from tests.bench import server
from tests.bench.database import stored_events
from tests.bench.load import drive, post
from tests.bench.process import run_json, server_core
from tests.bench.row import BenchError, Row, at_least, pair_ratios, shown, spread

BATCH_EVENTS = 1_000
CONNECTIONS = 4
LIMIT = 0.50


def run(quick: bool) -> list[Row]:
    """Three pairs in turn; the median of their ratios gates."""
    pairs, seconds = (1, 1.5) if quick else (3, 3.0)
    over_http: list[float] = []
    without: list[float] = []
    for _ in range(pairs):
        over_http.append(batches(seconds))
        without.append(
            run_json(["-m", "tests.bench.executemany", str(seconds)], core=server_core(),
                     timeout_s=seconds + 30)
        )  # fmt: skip
    ratios = pair_ratios(over_http, without)
    return [
        at_least("batch of 1,000: node / executemany", median(ratios), LIMIT, spread(ratios)),
        shown("batch of 1,000: node, events", median(over_http), spread(over_http, "/s"), "/s"),
        shown("batch of 1,000: executemany, rows", median(without), spread(without, "/s"), "/s"),
    ]


def batches(seconds: float) -> float:
    """Events per second that one node acknowledged in batches."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with server.node(data) as port:
            requests = [post("/v1/events/batch", body(seed)) for seed in range(8)]
            result = drive(port, requests, connections=CONNECTIONS, seconds=seconds)
        acknowledged = result.acknowledged("201") * BATCH_EVENTS
        stored = stored_events(data / server.DATABASE)
        if stored != acknowledged:
            raise BenchError(f"{acknowledged} events were acknowledged, {stored} are stored")
        return result.rate * BATCH_EVENTS


def body(seed: int) -> bytes:
    """One batch as JSON: the events that `executemany` stores, by content."""
    return json.dumps(
        [
            {
                "type": "order_placed",
                "data": {"amount": index + seed, "user_id": f"user_{index}"},
                "metadata": {"source": "bench"},
            }
            for index in range(BATCH_EVENTS)
        ]
    ).encode()
