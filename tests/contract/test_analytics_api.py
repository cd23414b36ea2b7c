"""Analytics over HTTP: a consumer and two app nodes, all real, all with one client token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from service.schema_analytics import AnalyticsPass, AnalyticsTotals
from tests.contract.test_node_api import GUARD_S, new_id, problem
from tests.e2e.node_process import NodeProcess, running

TOKEN = "the-token-of-the-clients"
PASSES = "/v1/analytics/passes"


class Three(NamedTuple):
    apps: tuple[httpx.Client, httpx.Client]
    consumer: httpx.Client


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder = tmp_path_factory.mktemp("three")
    with ExitStack() as stack:

        def client(name: str, **own: Any) -> httpx.Client:
            settings: dict[str, Any] = {"client_token": TOKEN, "emulated_latency": 0, **own}
            node = stack.enter_context(running(folder / name, name=name, **settings))
            return stack.enter_context(client_of(node, TOKEN))

        apps = client("node-2"), client("node-3")
        peers = ",".join(str(app.base_url).rstrip("/") for app in apps)
        yield Three(apps, client("node-5", roles="analytics", peers=peers))


@pytest.fixture
def three(nodes: Three) -> Three:
    """The nodes with everything read that other tests have left."""
    while read(nodes.consumer, limit=1_000).lag_events:
        pass
    return nodes


def client_of(node: NodeProcess, token: str | None = None) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False, headers=headers)


def act(node: httpx.Client, count: int, action: str = "login") -> None:
    for _ in range(count):
        body = {"id": new_id(), "user_id": "ada"}
        assert node.post(f"/v1/saas/actions/{action}", json=body).status_code == 201


def read(consumer: httpx.Client, **fields: object) -> AnalyticsPass:
    response = consumer.post(PASSES, json={"id": new_id(), **fields})
    assert response.status_code == 201, response.text
    return AnalyticsPass.model_validate_json(response.content)


def test_passes_count_what_the_app_nodes_stored(three: Three) -> None:
    before = AnalyticsTotals.model_validate_json(three.consumer.get("/v1/analytics").content)
    act(three.apps[0], 3, "login")
    act(three.apps[1], 4, "logout")
    three.apps[1].post("/v1/events", json={"type": "other", "data": {"text": "é\u2028" * 50_000}})
    done = read(three.consumer)
    assert (done.processed, done.lag_events, done.lag_s) == (8, 0, 0.0)
    assert done.processed_total == before.processed_total + 8
    grown = {name: n - before.actions.get(name, 0) for name, n in done.actions.items()}
    assert grown == {"login": 3, "logout": 4}
    moved = [
        (n.node, n.cursor - was.cursor) for n, was in zip(done.nodes, before.nodes, strict=True)
    ]
    assert moved == [("node-2", 3), ("node-3", 5)]
    assert read(three.consumer).processed == 0
    totals = AnalyticsTotals.model_validate_json(three.consumer.get("/v1/analytics").content)
    assert (totals.processed, totals.processed_total) == (0, done.processed_total)


def test_lag_is_measured(three: Three) -> None:
    act(three.apps[0], 6)
    done = read(three.consumer, limit=2)
    assert (done.processed, done.lag_events) == (2, 4)
    assert 0 < done.lag_s < 3_600
    later = three.consumer.get("/v1/analytics").json()
    assert later["lag_s"] > done.lag_s, "it grows while nobody reads"
    page = three.consumer.get("/metrics").text
    assert f"foundation_analytics_events_processed_total {done.processed_total:.1f}" in page
    assert "foundation_analytics_lag_events 4.0" in page
    assert 'foundation_analytics_node_lag_events{node="node-2"} 4.0' in page
    counters = three.consumer.get("/v1/telemetry?prefix=analytics").json()["counters"]
    assert sum(one["value"] for one in counters) == done.processed_total
    assert {tuple(one["tags"]) for one in counters} == {("batch_size",)}
    assert "foundation_analytics_lag" not in three.apps[0].get("/metrics").text


def test_a_retry_is_told_as_one_and_other_content_is_a_conflict(three: Three) -> None:
    act(three.apps[0], 3)
    body = {"id": new_id(), "limit": 2}
    first, again = (three.consumer.post(PASSES, json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert "emulated;dur=" in first.headers["server-timing"]
    problem(three.consumer.post(PASSES, json={**body, "limit": 3}), 409, "id_conflict")


def test_bad_passes_are_refused(three: Three) -> None:
    consumer = three.consumer
    before = consumer.get("/v1/analytics").json()["processed_total"]
    for content, status, code in (
        (b"", 400, "malformed_json"),
        (b"[" * 100, 400, "malformed_json"),
        (b"{}", 422, "invalid_input"),
        (json.dumps({"id": new_id(), "limit": 0}).encode(), 422, "invalid_input"),
        (json.dumps({"id": new_id(), "limit": 2**64}).encode(), 422, "invalid_input"),
        (json.dumps({"id": "x"}).encode(), 422, "invalid_input"),
    ):
        problem(consumer.post(PASSES, content=content), status, code)
    xml = {"content-type": "text/xml"}
    problem(consumer.post(PASSES, content=b"<a/>", headers=xml), 415, "unsupported_media_type")
    assert consumer.get("/v1/analytics").json()["processed_total"] == before


def test_clients_cannot_write_into_its_stream(three: Three) -> None:
    forged = {"type": "analytics_pass", "stream": "$analytics", "data": {}}
    problem(three.consumer.post("/v1/events", json=forged), 422, "invalid_input")
    three.consumer.post("/v1/events", json={"type": "analytics_pass", "data": {}})
    act(three.apps[0], 1)
    done = read(three.consumer)
    assert (done.processed, done.nodes[0].error) == (1, None)


def test_the_feed_says_where_the_log_ends(three: Three) -> None:
    act(three.apps[0], 3)
    with three.apps[0].stream("GET", "/v1/events/feed?after=0") as feed:
        last_seq = int(feed.headers["x-last-seq"])
        lines = (line for line in feed.iter_lines() if line.startswith("id: "))
        ids = [int(next(lines).removeprefix("id: ")) for _ in range(last_seq)]
    assert ids == list(range(1, last_seq + 1)) and last_seq >= 3


def test_a_lone_node_reads_its_own_log(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"name": "alone", "emulated_latency": 0}
    with running(tmp_path / "data", **settings) as node, client_of(node) as client:
        act(client, 3)
        assert read(client).processed == 3
        assert read(client).lag_events == 0
