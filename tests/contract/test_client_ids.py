"""Ids of version 8 are the node's own: no client's write may have one, on any endpoint (D11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import uuid_utils

from service.events.intake import derived_id
from service.schema import Problem
from tests.contract.whole_node import whole_node

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/events"): {"type": "t"},
    ("POST", "/v1/saas/actions/login"): {"user_id": "ada"},
    ("POST", "/v1/gateway/saas/actions/login"): {"user_id": "ada"},
    ("POST", "/v1/jobs"): {"kind": "data_cleanup"},
    ("PUT", "/v1/config/features/dark_mode"): {"value": True},
    ("PUT", "/v1/registry/production/orders"): {"owner": "a"},
    ("POST", "/v1/analytics/passes"): {},
    ("POST", "/v1/telemetry/counters"): {"path": "a/b"},
    ("POST", "/v1/telemetry/measurements"): {"path": "a/b", "duration_ms": 1},
    ("POST", "/v1/dev/test-suite"): {},
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        whole_node(tmp_path_factory.mktemp("ids")) as node,
        httpx.Client(base_url=node.url, timeout=30, trust_env=False) as client,
    ):
        yield client


def derived() -> str:
    return str(UUID(bytes=derived_id(uuid_utils.uuid7().bytes, "job outcome")))


def refused(response: httpx.Response) -> None:
    assert response.status_code == 422, response.text
    assert "use a UUIDv7" in Problem.model_validate_json(response.content).detail


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_write_under_an_id_of_version_8_is_refused(
    http: httpx.Client, method: str, path: str
) -> None:
    body = BODIES[method, path]
    refused(http.request(method, path, json={**body, "id": derived()}))
    refused(http.request(method, path, json={**body, "id": derived().upper()}))
    accepted = http.request(method, path, json={**body, "id": str(uuid_utils.uuid7())})
    assert accepted.is_success, accepted.text


def test_a_batch_that_holds_one_is_refused_whole(http: httpx.Client) -> None:
    events = [{"type": "t", "id": str(uuid_utils.uuid7())}, {"type": "t", "id": derived()}]
    refused(http.post("/v1/events/batch", json=events))
    lines = "\n".join(str(event).replace("'", '"') for event in events)
    ndjson = {"content-type": "application/x-ndjson"}
    refused(http.post("/v1/events/batch", content=lines, headers=ndjson))
    assert http.get(f"/v1/events/{events[0]['id']}").status_code == 404


def test_every_write_of_the_document_that_has_an_id_is_among_these(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    found = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if '"id"' in _inlined(operation.get("requestBody", {}), schemas)
    } - {("POST", "/v1/events/batch")}
    examples = {"action": "login", "namespace": "production", "name": "orders"}
    named = {(method, path.format(**examples, path="features/dark_mode")) for method, path in found}
    assert named == set(BODIES)


def _inlined(part: Any, schemas: dict[str, Any]) -> str:
    """The names of all properties of a schema, as JSON text."""
    if isinstance(part, list):
        return "".join(_inlined(one, schemas) for one in part)
    if not isinstance(part, dict):
        return ""
    names = "".join(f'"{name}"' for name in part.get("properties", {}))
    if "$ref" in part:
        return _inlined(schemas[part["$ref"].rsplit("/", 1)[1]], schemas)
    return names + "".join(_inlined(one, schemas) for one in part.values())
