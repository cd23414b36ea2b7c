"""The gateway over HTTP: two real nodes that share a client token, one before the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from service.schema import SaasAction, SaasReply
from service.schema_gateway import GatewayView
from tests.contract.test_node_api import GUARD_S, new_id, problem
from tests.e2e.node_process import NodeProcess, running
from tests.e2e.scenario import free_port

TOKEN = "the-token-of-the-clients"
ACTIONS = "/v1/gateway/saas/actions/"


def client_of(node: NodeProcess, token: str | None = TOKEN) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False, headers=headers)


@pytest.fixture(scope="module")
def app_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("app") / "data"
    with running(data, name="node-2", emulated_latency=0.01, client_token=TOKEN) as node:
        yield node


@pytest.fixture(scope="module")
def gateway_node(
    app_node: NodeProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("gateway") / "data"
    settings: dict[str, Any] = {"peers": app_node.url, "roles": "gateway"}
    with running(data, name="node-1", client_token=TOKEN, **settings) as node:
        yield node


@pytest.fixture(scope="module")
def app(app_node: NodeProcess) -> Iterator[httpx.Client]:
    with client_of(app_node) as client:
        yield client


@pytest.fixture(scope="module")
def gateway(gateway_node: NodeProcess) -> Iterator[httpx.Client]:
    with client_of(gateway_node) as client:
        yield client


@pytest.mark.parametrize("action", get_args(SaasAction))
def test_an_action_is_done_by_the_app_node_and_is_the_same_write_there(
    action: str, gateway: httpx.Client, app: httpx.Client
) -> None:
    body = {"id": new_id(), "user_id": "ada", "payload": {}}
    through = gateway.post(ACTIONS + action, json=body)
    assert through.status_code == 201, through.text
    reply = SaasReply.model_validate_json(through.content)
    assert (str(reply.id), reply.node, reply.duplicate) == (body["id"], "node-2", False)
    direct = app.post(f"/v1/saas/actions/{action}", json=body)
    again = gateway.post(ACTIONS + action, json=body)
    for retry in (direct, again):
        assert retry.status_code == 200
        assert (retry.json()["seq"], retry.json()["duplicate"]) == (reply.seq, True)
    assert through.headers["content-type"] == "application/json"
    parts = re.findall(r"(\w+);dur=[0-9.]+", through.headers["server-timing"])
    assert parts == ["work", "emulated", "gateway"]


def test_a_session_and_a_correlation_id_go_through(
    gateway: httpx.Client, app: httpx.Client
) -> None:
    def body() -> dict[str, object]:
        return {"id": new_id(), "user_id": "ada"}

    login = gateway.post(ACTIONS + "login", json=body()).json()
    sent = body()
    headers = {"x-session": login["session"], "x-correlation-id": "cid-77"}
    logout = gateway.post(ACTIONS + "logout", json=sent, headers=headers)
    assert (logout.status_code, logout.headers["x-correlation-id"]) == (201, "cid-77")
    assert app.get(f"/v1/events/{sent['id']}").json()["correlation_id"] == "cid-77"
    ended = gateway.post(ACTIONS + "dashboard_view", json=body(), headers=headers)
    problem(ended, 401, "unauthorized")


def test_the_app_nodes_refusals_are_passed_on(gateway: httpx.Client) -> None:
    problem(gateway.post(ACTIONS + "login", json={"id": "x"}), 422, "invalid_input")
    problem(gateway.post(ACTIONS + "login", content=b"{"), 400, "malformed_json")
    xml = {"content-type": "text/xml"}
    refused = gateway.post(ACTIONS + "login", content=b"<a/>", headers=xml)
    problem(refused, 415, "unsupported_media_type")
    body = {"id": new_id(), "user_id": "ada"}
    gateway.post(ACTIONS + "login", json=body)
    other = gateway.post(ACTIONS + "login", json={**body, "user_id": "bob"})
    problem(other, 409, "id_conflict")


def test_a_path_that_the_fast_look_up_misses_is_answered_the_same(gateway: httpx.Client) -> None:
    body = {"id": new_id(), "user_id": "ada"}
    assert gateway.post(ACTIONS + "log%69n", json=body).json()["node"] == "node-2"
    problem(gateway.post(ACTIONS + "dance", json=body), 422, "invalid_input")
    refused = gateway.get(ACTIONS + "login")
    problem(refused, 405, "method_not_allowed")


def test_the_gateway_itself_wants_the_token(gateway_node: NodeProcess) -> None:
    with client_of(gateway_node, None) as stranger:
        problem(stranger.post(ACTIONS + "login", json={}), 401, "unauthorized")
        problem(stranger.get("/v1/gateway"), 401, "unauthorized")


def test_a_request_that_came_through_a_gateway_is_refused(gateway: httpx.Client) -> None:
    headers = {"x-foundation-hop": "node-9"}
    body = {"id": new_id(), "user_id": "ada"}
    problem(gateway.post(ACTIONS + "login", json=body, headers=headers), 508, "loop_detected")


def test_the_view_health_and_metrics_name_the_app_node(
    gateway: httpx.Client, app_node: NodeProcess
) -> None:
    gateway.post(ACTIONS + "login", json={"id": new_id(), "user_id": "ada"})
    view = GatewayView.model_validate_json(gateway.get("/v1/gateway").content)
    [row] = view.upstreams
    assert (row.node, row.url, row.roles, row.state) == ("node-2", app_node.url, ["app"], "up")
    assert row.requests >= 1 and row.failures == 0
    component = gateway.get("/health").json()["components"]["gateway"]
    assert component == {"status": "up", "detail": "1 app nodes up"}
    page = gateway.get("/metrics").text
    assert f'foundation_gateway_requests_total{{status="201",upstream="{app_node.url}"}}' in page
    assert "foundation_gateway_failovers_total 0.0" in page


def test_without_an_app_node_nothing_is_sent_and_the_client_may_come_again(
    tmp_path: Path,
) -> None:
    absent = f"http://127.0.0.1:{free_port()}"
    settings: dict[str, Any] = {"roles": "gateway", "peers": absent}
    with running(tmp_path / "data", **settings) as node, client_of(node, None) as client:
        response = client.post(ACTIONS + "login", json={"id": new_id(), "user_id": "ada"})
        problem(response, 503, "no_upstream")
        assert response.headers["retry-after"] == "1"
        health = client.get("/health")
        component = health.json()["components"]["gateway"]
        assert (health.status_code, component["status"]) == (200, "degraded")
        [row] = client.get("/v1/gateway").json()["upstreams"]
        assert (row["node"], row["url"], row["state"]) == (None, absent, "down")


def test_a_lone_node_serves_what_its_gateway_gets(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"name": "alone", "emulated_latency": 0}
    with running(tmp_path / "data", **settings) as node, client_of(node, None) as client:
        response = client.post(ACTIONS + "login", json={"id": new_id(), "user_id": "ada"})
        assert (response.status_code, response.json()["node"]) == (201, "alone")
        [row] = client.get("/v1/gateway").json()["upstreams"]
        assert (row["node"], row["url"], row["requests"]) == ("alone", node.url, 1)
        assert "gateway" not in client.get("/health").json()["components"]
