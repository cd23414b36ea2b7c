"""Two readings of a node's metrics: what they say of the time between, and what they do not."""

from __future__ import annotations

import math

import pytest

from results.exposition import parse
from results.scrape import (
    LONGEST_SERIES,
    MAX_VALUES,
    SERIES_LEFT_OUT,
    foundation_values,
    general_values,
)

BEFORE = {
    "process_start_time_seconds": 1.7e9,
    "process_cpu_seconds_total": 10.0,
    "process_resident_memory_bytes": 80e6,
    "foundation_commit_seconds_sum": 1.0,
    "foundation_commit_seconds_count": 100.0,
    "foundation_loop_lag_seconds_sum": 0.5,
    "foundation_loop_lag_seconds_count": 50.0,
}
AFTER = {
    "process_start_time_seconds": 1.7e9,
    "process_cpu_seconds_total": 11.0,
    "process_resident_memory_bytes": 90e6,
    "process_open_fds": 24.0,
    "foundation_queue_events": 7.0,
    "foundation_queue_bytes": 700.0,
    "foundation_wal_bytes": 4e6,
    "foundation_commit_seconds_sum": 1.2,
    "foundation_commit_seconds_count": 150.0,
    "foundation_loop_lag_seconds_sum": 0.6,
    "foundation_loop_lag_seconds_count": 60.0,
}
GAUGES = {
    "memory_bytes": 90e6,
    "open_fds": 24.0,
    "queue_events": 7.0,
    "queue_bytes": 700.0,
    "wal_bytes": 4e6,
}


def test_a_nodes_values_are_of_the_time_between_two_readings() -> None:
    assert foundation_values(BEFORE, AFTER, 2.0) == {
        **GAUGES,
        "cpu_percent": pytest.approx(50.0),
        "commit_ms": pytest.approx(4.0),
        "loop_lag_ms": pytest.approx(10.0),
    }


def test_the_first_reading_tells_what_one_page_can() -> None:
    assert foundation_values({}, AFTER, 0.0) == GAUGES


def test_without_commits_in_the_interval_there_is_no_mean_of_them() -> None:
    quiet = {
        **AFTER,
        "foundation_commit_seconds_sum": BEFORE["foundation_commit_seconds_sum"],
        "foundation_commit_seconds_count": BEFORE["foundation_commit_seconds_count"],
    }
    values = foundation_values(BEFORE, quiet, 1.0)
    assert "commit_ms" not in values and "loop_lag_ms" in values


@pytest.mark.parametrize(
    "restarted",
    [
        {"process_start_time_seconds": 1.7e9 + 5},
        {
            "process_cpu_seconds_total": 0.3,
            "foundation_commit_seconds_sum": 0.01,
            "foundation_commit_seconds_count": 1.0,
            "foundation_loop_lag_seconds_sum": 0.0,
            "foundation_loop_lag_seconds_count": 1.0,
        },
    ],
)
def test_a_restart_gives_no_value_and_never_a_negative_one(restarted: dict[str, float]) -> None:
    after = {**AFTER, **restarted}
    assert foundation_values(BEFORE, after, 1.0) == GAUGES


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.nan])
def test_an_interval_that_is_none_gives_no_rates(interval_s: float) -> None:
    assert "cpu_percent" not in foundation_values(BEFORE, AFTER, interval_s)
    assert "n_total" not in general_values({"n_total": 1}, {"n_total": 2}, interval_s)


def test_a_rate_that_no_timeline_can_hold_is_left_out() -> None:
    assert general_values({"n_total": 0.0}, {"n_total": 9e17}, 1e-3) == {}
    assert "cpu_percent" not in foundation_values(
        {"process_cpu_seconds_total": 0.0}, {"process_cpu_seconds_total": 9e17}, 1.0
    )


SERVICE_BEFORE = parse("""
process_cpu_seconds_total 1
orders_total{shop="a"} 10
reset_total 50
took_seconds_sum 1
took_seconds_count 10
""")
SERVICE_AFTER = parse("""
# TYPE orders_total counter
up 1
process_cpu_seconds_total 1.5
process_resident_memory_bytes 5e7
process_open_fds 12
process_start_time_seconds 1.7e9
orders_total{shop="a"} 30
orders_total{shop="b"} 5
orders_created 1.7e9
reset_total 3
took_seconds_bucket{le="1"} 20
took_seconds_bucket{le="+Inf"} 20
took_seconds_sum 3
took_seconds_count 20
queue{kind="mail"} 4
item_count 9
took{quantile="0.99"} 0.5
""")


def test_a_service_of_the_users_own_has_its_series_under_their_names() -> None:
    # No start time before: whether it was started anew is not known, so that nothing has grown.
    assert "cpu_percent" not in general_values(SERVICE_BEFORE, SERVICE_AFTER, 2.0)
    before = {**SERVICE_BEFORE, "process_start_time_seconds": 1.7e9}
    assert general_values(before, SERVICE_AFTER, 2.0) == {
        "cpu_percent": 25.0,
        "memory_bytes": 5e7,
        "open_fds": 12.0,
        'orders_total{shop="a"}': 10.0,
        "took_seconds_sum": 1.0,
        "took_seconds_count": 5.0,
        'queue{kind="mail"}': 4.0,
        "item_count": 9.0,
        'took{quantile="0.99"}': 0.5,
    }


def test_of_many_series_the_first_by_name_are_kept_and_the_rest_counted() -> None:
    after = {f"gauge_{n:04}": float(n) for n in range(MAX_VALUES + 30)}
    after["process_open_fds"] = 9.0
    values = general_values({}, dict(reversed(after.items())), 1.0)
    assert values.pop(SERIES_LEFT_OUT) == 30
    assert values.pop("open_fds") == 9.0
    assert list(values) == [f"gauge_{n:04}" for n in range(MAX_VALUES)]
    assert SERIES_LEFT_OUT not in general_values({}, {"a": 1.0}, 1.0)


def test_a_name_that_would_swell_the_timeline_is_left_out_and_counted() -> None:
    long = 'a{b="' + "x" * LONGEST_SERIES + '"}'
    assert general_values({}, {long: 1.0, "b": 2.0}, 1.0) == {"b": 2.0, SERIES_LEFT_OUT: 1}


def test_a_series_of_a_derived_name_never_hides_the_derived_value() -> None:
    values = general_values({}, {"process_open_fds": 5.0, "open_fds": 7.0, "up": 0.0}, 1.0)
    assert values == {"open_fds": 5.0}
