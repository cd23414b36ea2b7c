"""The values of the target are made of series that a real node states, under those names."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import httpx

from results.exposition import parse
from results.scrape import (
    CPU_PERCENT,
    GAUGES,
    MEANS_MS,
    foundation_values,
    general_values,
)
from tests.contract.whole_node import whole_node
from tests.e2e.scenario import wait_until

GUARD_S = 20.0


def test_a_real_node_states_every_series_that_the_targets_values_are_made_of(
    tmp_path: Path,
) -> None:
    with (
        whole_node(tmp_path) as node,
        httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as http,
    ):

        def page() -> dict[str, float]:
            return parse(http.get("/metrics").raise_for_status().text)

        # A node that has run no pass has no lag, and one that has committed nothing no mean.
        before, began_s = page(), time.perf_counter()
        http.post("/v1/analytics/passes", json={"id": str(uuid4())}).raise_for_status()
        found: dict[str, float] = {}

        def whole() -> bool:
            http.post("/v1/events", json={"type": "t", "id": str(uuid4())}).raise_for_status()
            found.update(foundation_values(before, page(), time.perf_counter() - began_s))
            return set(found) == {CPU_PERCENT, *GAUGES, *MEANS_MS}

        wait_until(whole, "every value of a node")
        general = general_values(before, page(), time.perf_counter() - began_s)
    assert found["memory_bytes"] > 10e6
    assert 0 <= found["cpu_percent"] < 1000
    assert found["commit_ms"] > 0
    assert general["foundation_events_stored_total"] > 0
    assert general["cpu_percent"] > 0
