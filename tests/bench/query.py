"""Benchmark 5: queries by type and by time over HTTP, on 10^4 and on 10^6 events.

One client, one query at a time, 100 events a page; types and times are drawn at random, so that
pages lie anywhere in the log. "Flat" is the ratio of the two p99s, measured in turn: an index seek
costs one or two more pages of a tree for a hundredfold of events, and a page cache that no longer
holds the whole database; a scan would cost a hundredfold. Hence a limit of 3.
"""

from __future__ import annotations

import json
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from statistics import median
from urllib.parse import urlencode

from tests.bench.database import CREATED_STEP_US, FIRST_CREATED_US, TYPES, fill
from tests.bench.load import drive, get
from tests.bench.row import BenchError, Row, absolute, at_most, pair_ratios, spread
from tests.bench.server import DATABASE, node

P99_LIMIT_MS = 10.0
FLAT_LIMIT = 3.0
SMALL, LARGE, QUICK_LARGE = 10_000, 1_000_000, 100_000
LIMIT_EVENTS = 100
_QUERIES = 2_000

Seen = dict[tuple[int, str], list[float]]


def run(quick: bool) -> list[Row]:
    """Both sizes in turn; each pair gives a ratio."""
    sizes = (SMALL, QUICK_LARGE if quick else LARGE)
    pairs, seconds = (1, 1.0) if quick else (3, 2.0)
    seen: Seen = {(size, kind): [] for size in sizes for kind in ("type", "time")}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            data = Path(folder, str(size))
            data.mkdir()
            with node(data):
                pass  # the node itself makes its database
            fill(data / DATABASE, size)
        for _ in range(pairs):
            for size in sizes:
                with node(Path(folder, str(size))) as port:
                    for kind in ("type", "time"):
                        seen[size, kind].append(_p99_ms(port, kind, size, seconds))
    rows = []
    for kind in ("type", "time"):
        small, large = seen[sizes[0], kind], seen[sizes[1], kind]
        ratios = pair_ratios(large, small)
        name = f"query by {kind}"
        rows += [
            absolute(f"{name}: p99, {sizes[1]:,} events", median(large), P99_LIMIT_MS,
                  f"{spread(large)}; {median(small):.2f} ms on {sizes[0]:,}", "ms"),
            at_most(f"{name}: p99 {sizes[1]:,} / {sizes[0]:,}", median(ratios), FLAT_LIMIT,
                    spread(ratios)),
        ]  # fmt: skip
    return rows


def _p99_ms(port: int, kind: str, size: int, seconds: float) -> float:
    requests = [get(f"/v1/events?{query}") for query in _queries(kind, size)]
    _see_a_full_page(port, kind)
    result = drive(port, requests, connections=1, seconds=seconds, warm_up_s=0.5)
    result.acknowledged("200")
    return result.p99_ms


def _see_a_full_page(port: int, kind: str) -> None:
    """Empty pages would be fast: the first one must be full, and of the type asked for."""
    asked = {"limit": LIMIT_EVENTS, "created_after": FIRST_CREATED_US}
    wanted = {TYPES[0]} if kind == "type" else set(TYPES)
    query = urlencode(asked | ({"type": TYPES[0]} if kind == "type" else {}))
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/v1/events?{query}")
        events = json.load(connection.getresponse())["events"]
    finally:
        connection.close()
    if len(events) != LIMIT_EVENTS or {event["type"] for event in events} != wanted:
        raise BenchError(f"a query by {kind} did not return a full page of {wanted}")


def _queries(kind: str, size: int) -> list[str]:
    random = Random(size)
    queries = []
    for _ in range(_QUERIES):
        after = FIRST_CREATED_US + random.randrange(size) * CREATED_STEP_US
        parameters: dict[str, str | int] = {"limit": LIMIT_EVENTS, "created_after": after}
        if kind == "type":
            parameters |= {"type": random.choice(TYPES)}
        queries.append(urlencode(parameters))
    return queries
