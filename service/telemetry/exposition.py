"""Prometheus text of one node, gathered when it is asked for.

The hot path bumps plain numbers (`meter.py`); this collector reads them, the store's statistics
and the process's own figures at the moment of a scrape, so that metrics cost nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from service.events.store import StoreStats
from service.telemetry.families import claimed, telemetry_families
from service.telemetry.meter import SPEEDS, Distribution, Meter
from service.telemetry.series import Telemetry

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Source(Protocol):
    """What adds families of its own: a part of the node."""

    def metrics(self) -> Iterable[Metric]: ...


class Exposition:
    """Renders the metrics of one node. Everything that it is given is read at each scrape."""

    def __init__(
        self,
        meter: Meter,
        stats: Callable[[], StoreStats],
        connections: Callable[[], int],
        sources: Sequence[Source] = (),
        telemetry: Telemetry | None = None,
    ) -> None:
        self._meter = meter
        self._stats = stats
        self._connections = connections
        self._sources = sources
        self._telemetry = telemetry or Telemetry()
        self._process = psutil.Process()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: otherwise registering would already gather."""
        return []

    def collect(self) -> Iterator[Metric]:
        taken: set[str] = set()
        for family in self._families():
            taken |= claimed(family)
            yield family
        # Last: anybody chooses its paths, so it must not take the name of what the node states.
        yield from telemetry_families(self._telemetry, taken)

    def _families(self) -> Iterator[Metric]:
        yield from self._store()
        yield from self._requests()
        yield from self._process_figures()
        for source in self._sources:
            yield from source.metrics()

    def _store(self) -> Iterator[Metric]:
        meter, stats = self._meter, self._stats()
        yield _counter(
            "foundation_events_stored", "Events made durable since start", meter.events_stored
        )
        yield _counter("foundation_commit_failures", "Failed commits", meter.commit_failures)
        yield _gauge("foundation_queue_events", "Events waiting for the writer", stats.queue_events)
        yield _gauge("foundation_queue_bytes", "Bytes waiting for the writer", stats.queue_bytes)
        yield _gauge("foundation_wal_bytes", "Size of the write-ahead log", stats.wal_bytes)
        yield _gauge("foundation_last_seq", "Sequence number of the last event", stats.last_seq)
        yield _histogram("foundation_batch_events", "Events per group commit", meter.batch_events)
        yield _histogram(
            "foundation_commit_seconds", "Time of a group commit, its fsync", meter.commit_s
        )

    def _requests(self) -> Iterator[Metric]:
        meter = self._meter
        requests = CounterMetricFamily(
            "foundation_requests", "Requests answered", labels=["route", "status"]
        )
        for (route, status), count in list(meter.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        refusals = CounterMetricFamily(
            "foundation_refusals", "Requests refused before any route", labels=["code"]
        )
        for code, count in list(meter.refusals.items()):
            refusals.add_metric([code], count)
        yield refusals
        actions = CounterMetricFamily(
            "foundation_api_requests", "SaaS actions stored (P1-8)", labels=["action"]
        )
        for action, count in list(meter.saas_actions.items()):
            actions.add_metric([action], count)
        yield actions
        speeds = CounterMetricFamily(
            "foundation_saas_processing",
            "SaaS actions by processing time: < 100, < 500, < 1,000 ms, the rest (P1-8)",
            labels=["speed"],
        )
        for speed in SPEEDS:
            speeds.add_metric([speed], meter.saas_speeds[speed])
        yield speeds

    def _process_figures(self) -> Iterator[Metric]:
        meter = self._meter
        yield _gauge("foundation_open_connections", "Open connections", self._connections())
        yield _gauge("foundation_open_feeds", "Feeds being streamed", meter.feeds)
        yield _histogram(
            "foundation_loop_lag_seconds", "How late the event loop woke", meter.loop_lag_s
        )
        with self._process.oneshot():
            cpu = self._process.cpu_times()
            yield _counter("process_cpu_seconds", "CPU time used", cpu.user + cpu.system)
            yield _gauge(
                "process_resident_memory_bytes", "Resident memory", self._process.memory_info().rss
            )
            yield _gauge("process_open_fds", "Open file descriptors", self._process.num_fds())
            yield _gauge(
                "process_start_time_seconds", "Start since the epoch", self._process.create_time()
            )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _histogram(name: str, text: str, distribution: Distribution) -> Metric:
    return HistogramMetricFamily(
        name, text, buckets=distribution.cumulative(), sum_value=distribution.total
    )
