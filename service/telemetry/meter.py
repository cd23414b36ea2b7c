"""A node's own figures: plain numbers that the hot path bumps and /metrics reads.

prometheus_client's objects take a lock per increment; a node serves thousands of requests a second
from one loop, where an int needs none. `exposition.py` turns these figures into Prometheus text.
This module must not import prometheus_client and must not do I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

COMMIT_EDGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384)
LAG_EDGES_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

SPEEDS = ("fast", "medium", "slow", "very_slow")
"""P1-8's buckets of processing time: below 100, 500 and 1,000 ms, and the rest."""


def speed_of(processing_ms: float) -> str:
    """P1-8: `fast` < 100 ms <= `medium` < 500 ms <= `slow` < 1,000 ms <= `very_slow`."""
    if processing_ms < 100:
        return "fast"
    if processing_ms < 500:
        return "medium"
    return "slow" if processing_ms < 1_000 else "very_slow"


class Distribution:
    """Counts per bucket, the sum and the count, with Prometheus' inclusive upper edges."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper edge, samples up to it) as Prometheus wants them, `+Inf` last."""
        running, rows = 0, []
        for edge, count in zip((*self.edges, None), self.counts, strict=True):
            running += count
            rows.append(("+Inf" if edge is None else f"{edge:g}", float(running)))
        return rows


class Meter:
    """Everything a node counts about itself. It is a `WriterObserver` of the store.

    `requests` is keyed by (route template, status), `refusals` by error code of what the protocol
    refused before any route was known.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.saas_actions: Counter[str] = Counter()
        self.saas_speeds: Counter[str] = Counter()
        self.events_stored = 0
        self.commit_failures = 0
        self.batch_events = Distribution(BATCH_EDGES)
        self.commit_s = Distribution(COMMIT_EDGES_S)
        self.loop_lag_s = Distribution(LAG_EDGES_S)
        self.last_loop_lag_s = 0.0
        self.feeds = 0

    def committed(self, events: int, commit_s: float) -> None:
        self.events_stored += events
        self.batch_events.add(events)
        self.commit_s.add(commit_s)

    def failed(self) -> None:
        self.commit_failures += 1

    def feed_opened(self, change: int) -> None:
        """A feed began (+1) or ended (-1)."""
        self.feeds += change

    def lagged(self, lag_s: float) -> None:
        """The loop woke `lag_s` later than it was asked to."""
        self.last_loop_lag_s = lag_s
        self.loop_lag_s.add(lag_s)

    def processed(self, action: str, processing_ms: float) -> None:
        """P1-8: one SaaS action was stored, its processing taking `processing_ms` in all."""
        self.saas_actions[action] += 1
        self.saas_speeds[speed_of(processing_ms)] += 1
