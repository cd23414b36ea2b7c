"""The embedded cluster of P1 loses nodes: the gateway fails nobody, analytics counts once (D12).

One cluster for all of it, since starting one costs most of the time. Clients send through the
gateway on node 1 and try nothing again by themselves, so that whatever the gateway does not mend is
a failure here. The truth about what was stored is read from the app nodes themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local import LocalCluster
from tests.e2e.scenario import wait_until

GUARD_S = 20.0
CLIENTS = 8
ROLES = ("gateway", "app", "app", "jobs", "analytics")
GATEWAY = "/v1/gateway/saas/actions/dashboard_view"
DIRECT = "/v1/saas/actions/dashboard_view"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    # 101 to 300 ms x 0.15: requests are in flight on every node whenever it is killed.
    with LocalCluster.start(size=5, roles=ROLES, emulated_latency=0.15) as running:
        yield running


@dataclass
class Traffic:
    """What the clients saw. `nodes` are those that answered, by id of the action."""

    nodes: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def send(self, http: httpx.Client, path: str) -> None:
        key = str(uuid4())
        try:
            response = http.post(path, json={"id": key, "user_id": "ada"})
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        if response.status_code in (200, 201):
            self.nodes[key] = response.json()["node"]
        else:
            self.failures.append(f"{response.status_code} {response.text}")


@contextmanager
def traffic_to(url: str, path: str, clients: int = CLIENTS) -> Iterator[Traffic]:
    """Clients that send one action after the other for as long as the block lasts."""
    traffic = Traffic()
    ending = threading.Event()

    def client() -> None:
        with httpx.Client(base_url=url, timeout=GUARD_S, trust_env=False) as http:
            while not ending.is_set():
                traffic.send(http, path)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        ending.set()
        for thread in threads:
            thread.join(2 * GUARD_S)
        assert not any(thread.is_alive() for thread in threads)


def more(traffic: Traffic, count: int) -> Callable[[], bool]:
    """Whether `count` more actions have been answered or have failed since now."""
    before = len(traffic.nodes) + len(traffic.failures)
    return lambda: len(traffic.nodes) + len(traffic.failures) >= before + count


def get(url: str) -> dict[str, Any]:
    response = httpx.get(url, timeout=GUARD_S, trust_env=False)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def read_on(url: str, key: str | None = None, limit: int = 1_000) -> dict[str, Any]:
    """One pass, sent with the same id until it is answered, as a client does that must know."""
    body = {"id": key or str(uuid4()), "limit": limit}
    deadline = time.monotonic() + 4 * GUARD_S
    while True:
        try:
            response = httpx.post(
                url + "/v1/analytics/passes", json=body, timeout=GUARD_S, trust_env=False
            )
            if response.status_code in (200, 201):
                done: dict[str, Any] = response.json()
                return done
        except httpx.HTTPError as error:
            response = httpx.Response(0, text=repr(error))
        assert time.monotonic() < deadline, response.text
        time.sleep(0.05)


def stored(urls: list[str]) -> list[str]:
    """The ids of every client's event on these nodes; an id that two nodes have is there twice."""
    ids: list[str] = []
    for url in urls:
        cursor = ""
        while cursor is not None:
            page = get(f"{url}/v1/events?order_by=seq&limit=1000{cursor and f'&cursor={cursor}'}")
            ids += [
                event["id"]
                for event in page["events"]
                if not (event["stream"] or "").startswith("$")
            ]
            cursor = page["next_cursor"]
    return ids


def test_every_node_has_the_others_as_its_peers(cluster: LocalCluster) -> None:
    for url in cluster.urls:
        upstreams = get(url + "/v1/gateway")["upstreams"]
        assert {(row["node"], row["state"]) for row in upstreams} == {
            ("node-2", "up"),
            ("node-3", "up"),
        }


def test_no_request_through_the_gateway_fails_when_an_app_node_is_killed(
    cluster: LocalCluster,
) -> None:
    gateway, app = cluster.urls[0], cluster.urls[1]
    with traffic_to(gateway, GATEWAY) as traffic, traffic_to(app, DIRECT, 1) as direct:
        for _ in range(3):
            wait_until(more(traffic, 60), "the gateway answers")
            cluster.kill("node-2")
            wait_until(more(traffic, 60), "the gateway answers while node-2 is dead")
            cluster.restart("node-2")
            wait_until(lambda: state_of(gateway, "node-2") == "up", "node-2 is used again")
    assert traffic.failures == []
    assert set(traffic.nodes.values()) == {"node-2", "node-3"}, "app nodes alone"
    assert failovers(gateway) >= 1, "the kills were felt, and mended"
    assert direct.failures, "the control: who sends to node-2 itself does see them"
    ids = set(stored(list(cluster.urls[1:3])))
    assert traffic.nodes.keys() <= ids, "all that was acknowledged is on disk"


def test_no_request_through_the_gateway_fails_when_an_app_node_hangs(
    cluster: LocalCluster,
) -> None:
    """SIGSTOP: the node takes requests and never answers; after 3 s another one gets them."""
    gateway = cluster.urls[0]
    with traffic_to(gateway, GATEWAY) as traffic:
        wait_until(more(traffic, 20), "the gateway answers")
        before = failovers(gateway)
        cluster.pause("node-3")
        wait_until(lambda: state_of(gateway, "node-3") == "down", "the hanging node is noticed")
        wait_until(more(traffic, 20), "the gateway answers without it")
        cluster.resume("node-3")
        wait_until(lambda: state_of(gateway, "node-3") == "up", "node-3 is used again")
    assert traffic.failures == []
    assert failovers(gateway) > before


def test_analytics_counts_every_event_once_though_nodes_are_killed(cluster: LocalCluster) -> None:
    gateway, consumer, apps = cluster.urls[0], cluster.urls[4], list(cluster.urls[1:3])
    passes = []
    with traffic_to(gateway, GATEWAY) as traffic:
        for victim in ("node-5", "node-2", "node-5"):
            wait_until(more(traffic, 40), "there is something to read")
            passes.append(read_on(consumer, limit=20))
            # Killed at any moment of a pass, whose id is then sent again.
            key = str(uuid4())
            reader = threading.Thread(
                target=lambda key=key: passes.append(read_on(consumer, key, 20))
            )
            reader.start()
            cluster.kill(victim)
            cluster.restart(victim)
            reader.join(4 * GUARD_S)
            assert not reader.is_alive()
    while passes[-1]["lag_events"] or passes[-1]["processed"]:
        passes.append(read_on(consumer))
    ids = stored(apps)
    assert passes[-1]["processed_total"] == len(ids)
    assert sum(done["processed"] for done in passes) == len(ids), "and every answer said its share"
    assert passes[-1]["actions"]["dashboard_view"] == len(ids)
    assert traffic.failures == []
    assert get(consumer + "/v1/analytics")["lag_s"] == 0.0


def state_of(gateway: str, name: str) -> str:
    rows = get(gateway + "/v1/gateway")["upstreams"]
    return next((str(row["state"]) for row in rows if row["node"] == name), "unknown")


def failovers(gateway: str) -> float:
    page = httpx.get(gateway + "/metrics", timeout=GUARD_S, trust_env=False).text
    [line] = [
        line for line in page.splitlines() if line.startswith("foundation_gateway_failovers_total ")
    ]
    return float(line.split(" ")[1])
