"""Figures: buckets, counts, and what a Prometheus scraper reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.events.store import StoreStats
from service.telemetry.exposition import Exposition
from service.telemetry.meter import SPEEDS, Distribution, Meter, speed_of

STATS = StoreStats(
    queue_events=3, queue_bytes=400, wal_bytes=5_000, last_seq=9, healthy=True, detail=""
)


@pytest.mark.parametrize(
    ("ms", "speed"),
    [
        (0, "fast"),
        (99.999, "fast"),
        (100, "medium"),
        (499.999, "medium"),
        (500, "slow"),
        (999.999, "slow"),
        (1_000, "very_slow"),
        (1e9, "very_slow"),
    ],
)
def test_speeds_have_the_edges_of_p1_8(ms: float, speed: str) -> None:
    assert speed_of(ms) == speed


def test_a_distribution_has_inclusive_upper_edges() -> None:
    distribution = Distribution((1, 2))
    for value in (0.5, 1, 1.5, 2, 2.5):
        distribution.add(value)
    assert distribution.cumulative() == [("1", 2), ("2", 4), ("+Inf", 5)]
    assert distribution.total == 7.5


def scrape(meter: Meter) -> dict[str, float]:
    """Sample name with its labels -> value."""
    text = Exposition(meter, lambda: STATS, lambda: 7).render().decode()
    return {
        ",".join([sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_everything_counted_is_exposed() -> None:
    meter = Meter()
    meter.committed(10, 0.004)
    meter.committed(1, 0.2)
    meter.failed()
    meter.requests["POST /v1/events", 201] += 2
    meter.refusals["headers_too_large"] += 1
    meter.processed("login", 50)
    meter.processed("login", 1_200)
    meter.lagged(0.002)
    meter.feed_opened(1)
    found = scrape(meter)
    assert found["foundation_events_stored_total"] == 11
    assert found["foundation_commit_failures_total"] == 1
    assert found["foundation_queue_events"] == 3
    assert found["foundation_queue_bytes"] == 400
    assert found["foundation_wal_bytes"] == 5_000
    assert found["foundation_last_seq"] == 9
    assert found["foundation_open_connections"] == 7
    assert found["foundation_open_feeds"] == 1
    assert found["foundation_batch_events_bucket,le=1"] == 1
    assert found["foundation_batch_events_bucket,le=16"] == 2
    assert found["foundation_batch_events_sum"] == 11
    assert found["foundation_commit_seconds_bucket,le=0.005"] == 1
    assert found["foundation_commit_seconds_count"] == 2
    assert found["foundation_requests_total,route=POST /v1/events,status=201"] == 2
    assert found["foundation_refusals_total,code=headers_too_large"] == 1
    assert found["foundation_api_requests_total,action=login"] == 2
    assert found["foundation_loop_lag_seconds_count"] == 1
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_resident_memory_bytes"] > 1_000_000


def test_each_speed_is_exposed_even_when_none_was_seen() -> None:
    meter = Meter()
    meter.processed("logout", 30)
    found = scrape(meter)
    values = {speed: found[f"foundation_saas_processing_total,speed={speed}"] for speed in SPEEDS}
    assert values == {"fast": 1, "medium": 0, "slow": 0, "very_slow": 0}


def test_a_label_cannot_break_the_text() -> None:
    meter = Meter()
    meter.refusals['a"b\\c\nd'] += 1
    assert scrape(meter)['foundation_refusals_total,code=a"b\\c\nd'] == 1
