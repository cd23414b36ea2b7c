"""`/v1/registry` over HTTP (A-7, X-23): answers, refusals, leases in real time, the feed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uuid_utils

from service.schema import Event, Problem
from service.schema_registry import RegistryEntry, RegistryReply, RegistryServices
from tests.e2e.node_process import NodeProcess, running

GUARD_S = 20.0
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running(tmp_path_factory.mktemp("registry") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def http(node: NodeProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
        assert client.get("/v1/registry/any").status_code == 200, "the first request is served"
        yield client


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def new_id() -> str:
    return str(uuid_utils.uuid7())


@pytest.fixture
def name() -> str:
    """A namespace of the test's own and a name in it."""
    return f"{new_id()}/service"


def put(http: httpx.Client, name: str, owner: str = "a", **more: Any) -> httpx.Response:
    return http.put(f"/v1/registry/{name}", json={"id": new_id(), "owner": owner, **more})


def registered(response: httpx.Response, status: int) -> RegistryReply:
    assert response.status_code == status, response.text
    return RegistryReply.model_validate_json(response.content)


def problem(response: httpx.Response, status: int, code: str) -> str:
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.code) == (status, code), response.text
    assert response.headers["x-correlation-id"] == found.correlation_id
    return found.detail


def types(http: httpx.Client, name: str) -> list[str]:
    page = http.get(f"/v1/events?stream=$registry/{name}&order_by=seq").json()
    return [event["type"] for event in page["events"]]


def test_the_life_of_a_registration(http: httpx.Client, name: str) -> None:
    problem(http.get(f"/v1/registry/{name}"), 404, "not_found")
    more = {"url": "http://10.0.0.7:9000", "metadata": {"zone": ["a"]}}
    first = registered(put(http, name, "é/1", lease_s=60, **more), 201)
    namespace, service = name.split("/")
    assert (first.namespace, first.name, first.owner) == (namespace, service, "é/1")
    assert (first.version, first.lease_s, first.renewed) == (1, 60, False)
    assert first.expires_at >= first.registered_at + 60_000_000
    found = RegistryEntry.model_validate_json(http.get(f"/v1/registry/{name}").content)
    assert found.model_dump() == first.model_dump(exclude={"renewed"})
    renewed = registered(put(http, name, "é/1", lease_s=60, **more), 200)
    assert (renewed.renewed, renewed.version, renewed.lease_s) == (True, 1, 60)
    assert renewed.expires_at > first.expires_at
    listed = RegistryServices.model_validate_json(http.get(f"/v1/registry/{namespace}").content)
    assert [one.name for one in listed.services] == [service]
    problem(put(http, name, "b"), 409, "already_registered")
    problem(http.delete(f"/v1/registry/{name}?owner=b"), 409, "not_owner")
    ended = http.delete(f"/v1/registry/{name}", params={"owner": "é/1"})
    assert RegistryEntry.model_validate_json(ended.content).version == 1
    problem(http.delete(f"/v1/registry/{name}", params={"owner": "é/1"}), 404, "not_found")
    problem(http.get(f"/v1/registry/{name}"), 404, "not_found")
    assert registered(put(http, name, "b"), 201).version == 3
    assert types(http, name) == [
        "service_registered",
        "service_unregistered",
        "service_registered",
    ]


def test_a_lease_that_is_not_renewed_is_lost_and_told(http: httpx.Client, name: str) -> None:
    namespace = name.split("/")[0]
    put(http, name, lease_s=1)
    found: list[Event] = []
    with http.stream("GET", f"/v1/registry/{namespace}/feed?after=0") as feed:
        for line in feed.iter_lines():
            if line.startswith("data: "):
                found.append(Event.model_validate_json(line[6:]))
                if len(found) == 2:
                    break
    assert [event.type for event in found] == ["service_registered", "service_lost"]
    assert found[1].data == {
        "namespace": namespace,
        "name": "service",
        "owner": "a",
        "version": 1,
    }
    problem(http.get(f"/v1/registry/{name}"), 404, "not_found")
    assert registered(put(http, name, "b"), 201).version == 3


def test_heartbeats_keep_a_short_lease(http: httpx.Client, name: str) -> None:
    put(http, name, lease_s=2)
    deadline_s = time.monotonic() + 2.5
    while time.monotonic() < deadline_s:
        registered(put(http, name, lease_s=2), 200)
        time.sleep(0.1)  # the heartbeat's own interval
    assert types(http, name) == ["service_registered"]


def test_of_owners_that_race_one_wins(node: NodeProcess, name: str) -> None:
    barrier = threading.Barrier(8)

    def race(number: int) -> tuple[int, str]:
        with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
            client.get("/health")
            barrier.wait(GUARD_S)
            response = put(client, name, f"owner-{number}")
            return response.status_code, f"owner-{number}"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(race, range(8)))
    assert sorted(status for status, _ in results) == [201] + [409] * 7
    [winner] = [owner for status, owner in results if status == 201]
    with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
        assert client.get(f"/v1/registry/{name}").json()["owner"] == winner


def test_a_retry_renews_and_never_brings_back_what_ended(http: httpx.Client, name: str) -> None:
    id_ = new_id()
    registered(put(http, name, id=id_), 201)
    assert registered(put(http, name, id=id_), 200).version == 1
    problem(put(http, name, id=id_, url="http://other"), 409, "id_conflict")
    http.delete(f"/v1/registry/{name}?owner=a")
    assert "new id" in problem(put(http, name, id=id_), 409, "registration_ended")


@pytest.mark.parametrize(
    "path", ["a b/c", "a/b c", f"a/{'x' * 65}", "a/%C3%A9", "a/%00", "%2e%2e/a"]
)
def test_a_bad_name_is_refused(http: httpx.Client, path: str) -> None:
    problem(put(http, path), 422, "invalid_input")
    problem(http.get(f"/v1/registry/{path}"), 422, "invalid_input")
    problem(http.delete(f"/v1/registry/{path}?owner=a"), 422, "invalid_input")


def test_feed_is_no_name_and_no_namespace_s_list_has_a_bad_one(http: httpx.Client) -> None:
    assert "reserved" in problem(put(http, "ns/feed"), 422, "invalid_input")
    problem(http.delete("/v1/registry/ns/feed?owner=a"), 422, "invalid_input")
    problem(http.get("/v1/registry/a%20b"), 422, "invalid_input")
    assert http.get("/v1/registry/nobody").json() == {"namespace": "nobody", "services": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"[]", 422, "invalid_input"),
        (b'{"id":"%s"}', 422, "invalid_input"),
        (b'{"owner":"a"}', 422, "invalid_input"),
        (b'{"id":"%s","owner":""}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a\\u0000"}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","more":1}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","lease_s":0}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","lease_s":3601}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","lease_s":1.5}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","lease_s":true}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","url":""}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","url":"a b"}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","metadata":[]}', 422, "invalid_input"),
        (b'{"id":"%s","owner":"a","metadata":{"a":1e999}}', 400, "malformed_json"),
        (b'{"id":"%s","owner":"a","metadata":{"a":9223372036854775808}}', 400, "malformed_json"),
        (
            b'{"id":"%s","owner":"a","metadata":{"a":' + b"[" * 63 + b"]" * 63 + b"}}",
            400,
            "malformed_json",
        ),
        (
            b'{"id":"%s","owner":"a","metadata":{"a":' + b"[" * 62 + b"]" * 62 + b"}}",
            400,
            "malformed_json",
        ),
        (
            b'{"id":"%s","owner":"a","metadata":{"a":"' + b"x" * 4_096 + b'"}}',
            413,
            "payload_too_large",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_registration_is_a_problem_and_registers_nothing(
    http: httpx.Client, name: str, body: bytes, status: int, code: str
) -> None:
    content = body.replace(b"%s", new_id().encode())
    problem(http.put(f"/v1/registry/{name}", content=content, headers=JSON), status, code)
    problem(http.get(f"/v1/registry/{name}"), 404, "not_found")


@pytest.mark.parametrize("query", ["", "?owner=", "?owner=a&owner=b", "?owner=a&force=1"])
def test_a_bad_query_of_an_end_is_refused(http: httpx.Client, name: str, query: str) -> None:
    put(http, name)
    problem(http.delete(f"/v1/registry/{name}{query}"), 422, "invalid_input")
    assert http.get(f"/v1/registry/{name}").status_code == 200


def test_another_media_type_is_refused(http: httpx.Client, name: str) -> None:
    response = http.put(
        f"/v1/registry/{name}", content=b"{}", headers={"content-type": "text/plain"}
    )
    problem(response, 415, "unsupported_media_type")


def test_a_namespace_s_feed_has_no_other_and_resumes(http: httpx.Client) -> None:
    mine, other = new_id(), new_id()
    for number in range(6):
        put(http, f"{mine}/n{number}")
        put(http, f"{other}/n{number}")
    seen: list[str] = []
    last = "0"
    for _ in range(3):
        headers = {"last-event-id": last}
        with http.stream("GET", f"/v1/registry/{mine}/feed", headers=headers) as feed:
            taken = 0
            for line in feed.iter_lines():
                if line.startswith("id: "):
                    last = line[4:]
                elif line.startswith("data: "):
                    data = orjson.loads(line[6:])["data"]
                    assert data["namespace"] == mine
                    seen.append(data["name"])
                    taken += 1
                    if taken == 2:
                        break
    assert seen == [f"n{number}" for number in range(6)]


def test_metrics_and_health_know_the_registry(http: httpx.Client, name: str) -> None:
    def figure(what: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        [line] = [one for one in lines if one.startswith(f"foundation_registry_{what} ")]
        return float(line.split()[1])

    names = ("entries", "registrations_total", "renewals_total", "unregistrations_total")
    before = [figure(one) for one in names]
    put(http, name)
    put(http, name)
    after = [figure(one) for one in names]
    assert [after[index] - before[index] for index in (1, 2, 3)] == [1, 1, 0]
    assert http.get("/health").json()["components"]["registry"]["status"] == "up"


def test_a_restart_brings_services_back_and_ends_those_without_an_owner(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data") as node,
        httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as http,
    ):
        until(lambda: http.get("/v1/registry/ns").status_code == 200)
        put(http, "ns/kept", lease_s=1, metadata={"a": 1})
        longer = registered(put(http, "ns/kept", lease_s=600, metadata={"a": 1}), 201)
        assert (longer.lease_s, longer.version) == (600, 2)
        put(http, "ns/lonely", lease_s=1)
        put(http, "ns/ended")
        http.delete("/v1/registry/ns/ended?owner=a")
        kept = http.get("/v1/registry/ns/kept").json()
        assert node.stop() == 0
    with (
        running(tmp_path / "data") as node,
        httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as http,
    ):
        until(lambda: http.get("/v1/registry/ns").status_code == 200)
        again = http.get("/v1/registry/ns/kept").json()
        assert again["expires_at"] > kept["expires_at"]
        assert {**again, "expires_at": 0} == {**kept, "expires_at": 0}
        assert registered(put(http, "ns/kept", lease_s=600, metadata={"a": 1}), 200).version == 2
        until(lambda: types(http, "ns/lonely") == ["service_registered", "service_lost"])
        names = [one["name"] for one in http.get("/v1/registry/ns").json()["services"]]
        assert names == ["kept"]
