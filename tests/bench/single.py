"""Benchmark 1a: one event a POST, durable acknowledgement, 64 connections, one core for the server.

(a) the node, (b) a plain FastAPI + aiosqlite handler that commits per request, (c) a bare ASGI
handler with the node's own group commit; beside (b), ungated, its variant whose concurrent requests
share commits by chance; each on an empty database, in turn. Every counted answer is a 201, and
after each run the database holds exactly as many events as were acknowledged.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

from tests.bench import server
from tests.bench.database import stored_events
from tests.bench.load import LoadResult, drive, post
from tests.bench.row import BenchError, Row, at_least, pair_ratios, shown, spread

CONNECTIONS = 64
PLAIN_LIMIT = 3.5
BARE_LIMIT = 0.70
CEILING_LIMIT = 1.5
"""The load process alone must manage this much more than the fastest server, or it was measured."""

BODY = json.dumps(
    {
        "type": "order_placed",
        "data": {"user_id": "user_123", "order_id": 4711, "amount": 29.99, "items": ["LAPTOP_001"]},
        "metadata": {"source": "bench"},
    }
).encode()

Server = Callable[[Path], AbstractContextManager[int]]

SERVERS: dict[str, Server] = {
    "node": server.node,
    "plain": partial(server.uvicorn, "baseline_plain"),
    "shared": partial(server.uvicorn, "baseline_shared"),
    "bare": partial(server.uvicorn, "baseline_bare"),
}


def run(quick: bool) -> list[Row]:
    """Three rounds of all servers; medians of the rounds' ratios gate."""
    rounds, seconds = (1, 1.5) if quick else (3, 3.0)
    results: dict[str, list[LoadResult]] = {name: [] for name in SERVERS}
    for _ in range(rounds):
        for name, start in SERVERS.items():
            results[name].append(measure(start, seconds))
    with server.responder() as port:
        ceiling = drive(port, [post("/v1/events", BODY)], connections=CONNECTIONS, seconds=2.0)
    rates = {name: [result.rate for result in runs] for name, runs in results.items()}
    to_plain = pair_ratios(rates["node"], rates["plain"])
    to_shared = pair_ratios(rates["node"], rates["shared"])
    to_bare = pair_ratios(rates["node"], rates["bare"])
    headroom = ceiling.rate / max(map(max, rates.values()))
    last = results["node"][-1]
    return [
        at_least("single POST: node / plain", median(to_plain), PLAIN_LIMIT, spread(to_plain)),
        at_least("single POST: node / bare", median(to_bare), BARE_LIMIT, spread(to_bare)),
        shown("single POST: node / plain, shared commits", median(to_shared), spread(to_shared)),
        *(
            shown(f"single POST: {name}", median(rates[name]), spread(rates[name], "/s"), "/s")
            for name in SERVERS
        ),
        shown("single POST: node, p99", last.p99_ms, f"p50 {last.p50_ms:.1f} ms", "ms"),
        at_least(
            "load process: its ceiling / fastest server",
            headroom,
            CEILING_LIMIT,
            f"{ceiling.rate:,.0f}/s against a static answer",
        ),
    ]  # fmt: skip


def measure(start: Server, seconds: float) -> LoadResult:
    """One server on an empty database. Raises BenchError when one acknowledgement is missing."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with start(data) as port:
            requests = [post("/v1/events", BODY)]
            result = drive(port, requests, connections=CONNECTIONS, seconds=seconds)
        acknowledged = result.acknowledged("201")
        stored = stored_events(data / server.DATABASE)
        if stored != acknowledged:
            raise BenchError(f"{acknowledged} events were acknowledged, {stored} are stored")
        return result
