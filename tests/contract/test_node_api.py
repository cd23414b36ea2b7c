"""The node's API over HTTP: answers, errors, limits, and that OpenAPI says the same."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import httpx
import pytest
import uuid_utils

from service.emulation import SLACK_S
from service.errors import ConfigurationError, FoundationError
from service.schema import (
    BatchReceipt,
    Event,
    EventPage,
    Health,
    Problem,
    Receipt,
    SaasAction,
    SaasReply,
)
from service.workloads.saas_timing import prescribed_ms
from tests.e2e.node_process import NodeProcess, running

JSON = {"content-type": "application/json"}
GUARD_S = 20.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("a node") / "data"
    with running(
        data, name="node-a", emulated_latency=0.01, session_secret="s" * 16, metadata_index="tenant"
    ) as process:
        yield process


@pytest.fixture(scope="module")
def http(node: NodeProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    """The response as a problem of that status and code."""
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.code) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert found.status == status
    if found.correlation_id is not None:
        assert response.headers["x-correlation-id"] == found.correlation_id
    return found


def new_id() -> str:
    return str(uuid_utils.uuid7())


def store(http: httpx.Client, **event: Any) -> Receipt:
    response = http.post("/v1/events", json={"type": "t", **event})
    assert response.status_code in (200, 201), response.text
    return Receipt.model_validate_json(response.content)


# Events


def test_an_event_comes_back_as_it_was_sent(http: httpx.Client) -> None:
    sent = {
        "id": new_id(),
        "type": "dev_workflow",
        "data": {"n": -(2**63), "m": 2**63 - 1, "f": 1.5, "s": "ünï\u2028\U0001f600", "l": [None]},
        "metadata": {"tenant": "acme"},
        "correlation_id": "cid-1",
        "created_at": 1_700_000_000_000_000,
        "stream": f"order-{new_id()}",
        "expected_version": 0,
    }
    receipt = store(http, **sent)
    assert (str(receipt.id), receipt.stream_version, receipt.duplicate) == (sent["id"], 1, False)
    response = http.get(f"/v1/events/{sent['id']}")
    event = Event.model_validate_json(response.content).model_dump(mode="json")
    expected = {k: v for k, v in sent.items() if k != "expected_version"}
    assert {k: event[k] for k in expected} == expected
    assert (event["origin"], event["seq"], event["stream_version"]) == ("node-a", receipt.seq, 1)


def test_a_retry_is_the_same_write_and_other_content_a_conflict(http: httpx.Client) -> None:
    event = {"type": "t", "id": new_id(), "data": {"a": 1}}
    first = http.post("/v1/events", json=event)
    again = http.post("/v1/events", json=event)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    other = http.post("/v1/events", json={**event, "data": {"a": 2}})
    problem(other, 409, "id_conflict")


def test_a_stale_expected_version_is_a_conflict(http: httpx.Client) -> None:
    stream = new_id()
    store(http, stream=stream, expected_version=0)
    response = http.post("/v1/events", json={"type": "t", "stream": stream, "expected_version": 0})
    problem(response, 409, "version_conflict")


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_batch_is_stored_in_order_and_a_second_time_is_a_retry(
    http: httpx.Client, kind: str
) -> None:
    events = [{"type": "b", "id": new_id(), "data": {"i": i}} for i in range(50)]
    body = json.dumps(events)
    if kind.endswith("ndjson"):
        body = "\n\n".join(json.dumps(event) for event in events) + "\n"
    responses = [
        http.post("/v1/events/batch", content=body, headers={"content-type": kind})
        for _ in range(2)
    ]
    assert [r.status_code for r in responses] == [201, 200]
    receipts = BatchReceipt.model_validate_json(responses[0].content).receipts
    assert [str(r.id) for r in receipts] == [event["id"] for event in events]
    assert [r.seq for r in receipts] == sorted(r.seq for r in receipts)
    again = BatchReceipt.model_validate_json(responses[1].content).receipts
    assert [r.seq for r in again] == [r.seq for r in receipts] and all(r.duplicate for r in again)


def test_a_batch_with_one_bad_event_stores_none(http: httpx.Client) -> None:
    good = {"type": "b", "id": new_id()}
    response = http.post("/v1/events/batch", json=[good, {"type": ""}])
    assert "[1]" in problem(response, 422, "invalid_input").detail
    problem(http.get(f"/v1/events/{good['id']}"), 404, "event_not_found")


def test_ten_thousand_events_are_one_batch_and_one_more_is_too_many(http: httpx.Client) -> None:
    events = [{"type": "big"}] * 10_000
    response = http.post("/v1/events/batch", json=events)
    assert len(BatchReceipt.model_validate_json(response.content).receipts) == 10_000
    problem(http.post("/v1/events/batch", json=[*events, {"type": "x"}]), 413, "payload_too_large")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b'{"type":"t"}x', 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"type":"\xed\xa0\x80"}', 400, "malformed_json"),
        (b'{"type":"t","data":{"n":9223372036854775808}}', 400, "malformed_json"),
        (b'{"type":"t","data":{"n":-9223372036854775809}}', 400, "malformed_json"),
        (b'{"type":"t","data":{"n":NaN}}', 400, "malformed_json"),
        (b'{"type":"t","data":{"n":1e999}}', 400, "malformed_json"),
        (b'{"type":"t","data":{"a":' + b"[" * 63 + b"]" * 63 + b"}}", 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b"null", 422, "invalid_input"),
        (b"[]", 422, "invalid_input"),
        (b"{}", 422, "invalid_input"),
        (b'{"type":1}', 422, "invalid_input"),
        (b'{"type":"t","data":[]}', 422, "invalid_input"),
        (b'{"type":"t","extra":1}', 422, "invalid_input"),
        (b'{"type":"a\\u0000b"}', 422, "invalid_input"),
        (b'{"type":"t","id":"x"}', 422, "invalid_input"),
        (b'{"type":"t","created_at":-1}', 422, "invalid_input"),
        (b'{"type":"t","created_at":9223372036854775808}', 422, "invalid_input"),
        (b'{"type":"t","created_at":"2026-01-31T12:00:00"}', 422, "invalid_input"),
        (b'{"type":"t","expected_version":0}', 422, "invalid_input"),
    ],
)
def test_a_bad_event_is_a_problem(http: httpx.Client, body: bytes, status: int, code: str) -> None:
    problem(http.post("/v1/events", content=body, headers=JSON), status, code)


def test_depth_64_is_stored_and_read_back(http: httpx.Client) -> None:
    nested: Any = 1
    for _ in range(62):
        nested = [nested]
    receipt = store(http, data={"a": nested})
    assert http.get(f"/v1/events/{receipt.id}").json()["data"] == {"a": nested}


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/saas/actions/login"])
@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=x"])
def test_another_media_type_is_refused(http: httpx.Client, path: str, kind: str) -> None:
    response = http.post(path, content=b"{}", headers={"content-type": kind})
    problem(response, 415, "unsupported_media_type")


def test_a_missing_media_type_means_json(node: NodeProcess) -> None:
    status, _ = raw(node, b"POST /v1/events HTTP/1.1\r\nhost: x\r\n", b'{"type":"t"}')
    assert status == 201


def test_an_unknown_or_malformed_id_is_a_problem(http: httpx.Client) -> None:
    problem(http.get(f"/v1/events/{uuid4()}"), 404, "event_not_found")
    problem(http.get("/v1/events/" + "x" * 36), 422, "invalid_input")
    problem(http.get("/v1/events/short"), 422, "invalid_input")


def test_query_filters_order_and_pages(http: httpx.Client) -> None:
    kind, tenant = new_id(), new_id()
    for i in range(25):
        store(http, type=kind, created_at=1_000 + i, metadata={"tenant": tenant if i % 5 else "x"})
    query: dict[str, Any] = {
        "type": kind,
        "order_by": "-created_at",
        "limit": 10,
        "metadata.tenant": tenant,
    }
    seen: list[int] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = EventPage.model_validate_json(
            http.get("/v1/events", params={**query, **cursor}).content
        )
        seen += [event.created_at for event in page.events]
        if page.next_cursor is None:
            break
        cursor = {"cursor": page.next_cursor}
    assert seen == [1_000 + i for i in range(24, -1, -1) if i % 5]
    bounded = http.get(
        "/v1/events", params={"type": kind, "created_after": 1_003, "created_before": 1_006}
    )
    assert [e["created_at"] for e in bounded.json()["events"]] == [1_003, 1_004, 1_005]


def test_a_cluster_query_says_that_it_is_local(http: httpx.Client) -> None:
    response = http.get("/v1/events", params={"scope": "cluster", "limit": 1})
    assert response.headers["x-scope"] == "local; node=node-a"


@pytest.mark.parametrize("path", ["/v1/events?typ=x", "/v1/events/feed?aftr=1"])
def test_an_unknown_query_parameter_names_the_nearest(http: httpx.Client, path: str) -> None:
    assert "did you mean" in problem(http.get(path), 422, "invalid_input").detail


def test_an_audit_tells_found_from_missing(http: httpx.Client) -> None:
    receipt, absent = store(http), str(uuid4())
    ids = [str(receipt.id), absent, str(receipt.id)]
    reply = http.post("/v1/events/audit", json={"ids": ids}).json()
    assert reply["node"] == "node-a" and reply["missing"] == [absent]
    [entry] = reply["found"]
    assert (entry["id"], entry["seq"], entry["origin"]) == (str(receipt.id), receipt.seq, "node-a")
    assert len(entry["content_hash"]) == 32
    too_many = [str(uuid4())] * 10_001
    problem(http.post("/v1/events/audit", json={"ids": too_many}), 422, "invalid_input")
    problem(http.post("/v1/events/audit", content=b"{", headers=JSON), 400, "malformed_json")


# The edge


def test_correlation_ids_come_from_header_body_or_trace_and_are_returned(
    http: httpx.Client,
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    traceparent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    named = {"x-correlation-id": "from-header"}
    cases: list[tuple[dict[str, str], dict[str, Any], str, str]] = [
        (named, {}, "from-header", "from-header"),
        (traceparent, {}, trace, trace),
        ({}, {"correlation_id": "from-body"}, "from-body", "from-body"),
        (named, {"correlation_id": "from-body"}, "from-header", "from-body"),
        ({"traceparent": "00-bad"}, {"correlation_id": "b"}, "b", "b"),
    ]
    for headers, event, returned, stored in cases:
        response = http.post("/v1/events", json={"type": "t", **event}, headers=headers)
        assert response.headers["x-correlation-id"] == returned
        assert response.json()["correlation_id"] == stored
    made = http.post("/v1/events", json={"type": "t"})
    assert UUID(made.headers["x-correlation-id"])
    for path in ("/health", "/v1/events?limit=1", "/nowhere"):
        assert http.get(path, headers=named).headers["x-correlation-id"] == "from-header"


def test_a_correlation_id_that_cannot_be_echoed_is_refused(http: httpx.Client) -> None:
    for path in ("/v1/events", "/health"):
        response = http.get(path, headers={"x-correlation-id": "x" * 201})
        problem(response, 422, "invalid_input")


def test_unknown_paths_and_methods_are_problems(http: httpx.Client) -> None:
    for path in ("/v1/nowhere", "/v1/events/", "/docs", "/"):
        problem(http.get(path), 404, "not_found")
    problem(http.post("/v1/saas/actions/dance", json={}), 422, "invalid_input")
    refused = http.delete("/v1/events/batch")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"]


def test_a_percent_encoded_path_is_answered_by_the_twin_in_the_same_way(
    http: httpx.Client,
) -> None:
    event = {"type": "t", "id": new_id()}
    first = http.post("/v1/%65vents", json=event)
    again = http.post("/v1/events", json=event)
    assert (first.status_code, again.status_code) == (201, 200)
    problem(http.post("/v1/%65vents", content=b"{", headers=JSON), 400, "malformed_json")


def test_health_tells_each_component(http: httpx.Client) -> None:
    response = http.get("/health")
    health = Health.model_validate_json(response.content)
    assert response.status_code == 200
    assert (health.node, health.roles) == ("node-a", ["app"])
    assert {"events", "writer", "disk", "loop", "config", "registry"} <= set(health.components)
    assert all(component.detail for component in health.components.values())


def test_metrics_count_what_happened(http: httpx.Client) -> None:
    def stored() -> float:
        text = http.get("/metrics").text
        return float(text.split("\nfoundation_events_stored_total ")[1].split("\n")[0])

    before = stored()
    store(http)
    assert stored() == before + 1
    text = http.get("/metrics").text
    for name in (
        'foundation_requests_total{route="POST /v1/events",status="201"}',
        'foundation_requests_total{route="GET /metrics",status="200"}',
        "foundation_commit_seconds_bucket",
        "foundation_wal_bytes",
        "foundation_loop_lag_seconds_count",
        "foundation_open_connections",
    ):
        assert name in text
    assert "/v1/nowhere" not in text and "%65" not in text


# The feed


def frames(http: httpx.Client, count: int, path: str, **headers: str) -> list[tuple[int, Event]]:
    """The first `count` events of a feed: (id line, event)."""
    found: list[tuple[int, Event]] = []
    with http.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream"
        number = -1
        for line in response.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                found.append((number, Event.model_validate_json(line[6:])))
                if len(found) == count:
                    return found
    return found


def test_the_feed_catches_up_and_then_goes_live(http: httpx.Client, node: NodeProcess) -> None:
    first = store(http, type="feed")
    late = threading.Timer(0.3, lambda: httpx.post(f"{node.url}/v1/events", json={"type": "live"}))
    late.start()
    found = frames(http, 2, f"/v1/events/feed?after={first.seq - 1}")
    late.join()
    assert [(number, event.type) for number, event in found] == [
        (first.seq, "feed"),
        (first.seq + 1, "live"),
    ]


def test_last_event_id_goes_before_after(http: httpx.Client) -> None:
    first = store(http)
    second = store(http)
    headers = {"last-event-id": str(first.seq)}
    [(number, _)] = frames(http, 1, "/v1/events/feed?after=0", **headers)
    assert number == second.seq


@pytest.mark.parametrize("after", ["-1", "x", str(2**63)])
def test_a_bad_position_is_refused(http: httpx.Client, after: str) -> None:
    problem(http.get(f"/v1/events/feed?after={after}"), 422, "invalid_input")


def test_a_feed_whose_reader_left_is_closed(http: httpx.Client) -> None:
    def open_feeds() -> str:
        return http.get("/metrics").text.split("\nfoundation_open_feeds ")[1].split("\n")[0]

    frames(http, 1, "/v1/events/feed?after=0")
    deadline = time.monotonic() + GUARD_S
    while open_feeds() != "0.0" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert open_feeds() == "0.0"


# The SaaS workload


def act(http: httpx.Client, action: str, session: str | None = None, **more: Any) -> httpx.Response:
    body: dict[str, Any] = {"id": new_id(), "user_id": "user_1", **more}
    headers = {} if session is None else {"x-session": session}
    return http.post(f"/v1/saas/actions/{action}", json=body, headers=headers)


@pytest.mark.parametrize("action", get_args(SaasAction))
def test_every_action_is_stored_and_its_wait_is_labelled(http: httpx.Client, action: str) -> None:
    response = act(http, action)
    reply = SaasReply.model_validate_json(response.content)
    assert (response.status_code, reply.action, reply.node) == (201, action, "node-a")
    assert reply.processing_time_ms == prescribed_ms(reply.action, reply.id.bytes)
    event = http.get(f"/v1/events/{reply.id}").json()
    assert event["type"] == "user_action"
    assert event["data"] == {
        "user_id": "user_1",
        "action": action,
        "processing_time_ms": reply.processing_time_ms,
        "node": "node-a",
    }
    parts = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
    work_ms, emulated_ms = float(parts["work"]), float(parts["emulated"])
    assert len(parts["emulated"].split(".")[1]) == 3
    # The node's scale is 0.01: what is waited is a hundredth of what the work left over, and at
    # most half the grid more or less.
    left_ms = max(0.0, reply.processing_time_ms - work_ms)
    assert emulated_ms == pytest.approx(left_ms * 0.01, abs=1_000 * SLACK_S / 2 + 0.01)


def test_a_retried_action_returns_the_original(http: httpx.Client) -> None:
    body = {"id": new_id(), "user_id": "u", "payload": {"theme": "dark"}}
    first = http.post("/v1/saas/actions/settings_change", json=body)
    again = http.post("/v1/saas/actions/settings_change", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    original, repeated = first.json(), again.json()
    for name in ("id", "seq", "processing_time_ms", "node"):
        assert original[name] == repeated[name]
    assert repeated["duplicate"] is True
    problem(http.post("/v1/saas/actions/logout", json=body), 409, "id_conflict")
    other = {**body, "payload": {"theme": "light"}}
    problem(http.post("/v1/saas/actions/settings_change", json=other), 409, "id_conflict")


@pytest.mark.parametrize("data", [{}, {"user_id": 7}, {"user_id": ["u"]}, {"action": None}])
def test_actions_of_a_client_s_own_making_break_no_action(
    http: httpx.Client, data: dict[str, Any]
) -> None:
    store(http, type="user_action", data=data)
    act(http, "login")
    for action in ("data_query", "report_generation", "dashboard_view"):
        assert act(http, action).status_code == 201
    assert "user_1" in act(http, "data_query").json()["result"]["users"]


def test_a_session_lasts_from_login_to_logout(http: httpx.Client) -> None:
    login = act(http, "login").json()
    session = login["session"]
    assert act(http, "dashboard_view", session).status_code == 201
    ending = {"id": new_id(), "user_id": "user_1"}
    headers = {"x-session": session}
    first = http.post("/v1/saas/actions/logout", json=ending, headers=headers)
    again = http.post("/v1/saas/actions/logout", json=ending, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "ended" in problem(act(http, "data_query", session), 401, "unauthorized").detail


def test_a_retried_login_gives_the_same_session(http: httpx.Client) -> None:
    body = {"id": new_id(), "user_id": "u"}
    tokens = {http.post("/v1/saas/actions/login", json=body).json()["session"] for _ in range(2)}
    assert len(tokens) == 1


def test_a_session_is_its_users_alone_and_cannot_be_forged(http: httpx.Client) -> None:
    session = act(http, "login").json()["session"]
    problem(act(http, "dashboard_view", session, user_id="user_2"), 403, "forbidden")
    for bad in ("x", session[:-2], "." + session, session.replace(".", "..")):
        problem(act(http, "dashboard_view", bad), 401, "unauthorized")


def test_a_wrong_password_is_refused_and_none_is_stored(http: httpx.Client) -> None:
    problem(act(http, "login", payload={"password": "wrong"}), 401, "unauthorized")
    right = act(http, "login", payload={"password": "password of user_1", "from": "web"})
    assert right.status_code == 201
    event = http.get(f"/v1/events/{right.json()['id']}").text
    assert "password" not in event and "web" in event


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"id":"x","user_id":"u"}',
        b'{"id":"01890a5d-ac96-774b-bcce-b302099a8057","user_id":""}',
        b'{"id":"01890a5d-ac96-774b-bcce-b302099a8057","user_id":"u","x":1}',
        b'{"id":"01890a5d-ac96-774b-bcce-b302099a8057","user_id":"u","payload":{"a":{}}}',
    ],
)
def test_a_bad_action_is_a_problem(http: httpx.Client, body: bytes) -> None:
    response = http.post("/v1/saas/actions/profile_update", content=body, headers=JSON)
    problem(response, 422, "invalid_input")


def test_big_integers_and_depth_are_refused_in_payloads_too(http: httpx.Client) -> None:
    head = b'{"id":"01890a5d-ac96-774b-bcce-b302099a8057","user_id":"u","payload":{"a":'
    for value in (b"9223372036854775808", b"[" * 63 + b"]" * 63):
        response = http.post(
            "/v1/saas/actions/data_query", content=head + value + b"}}", headers=JSON
        )
        problem(response, 400, "malformed_json")


# Raw HTTP against the whole node


def raw(node: NodeProcess, head: bytes, body: bytes = b"") -> tuple[int, bytes]:
    """Status and everything else of one hand-made request."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=GUARD_S) as sock:
        sock.sendall(head + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        parts = []
        while part := sock.recv(65_536):
            parts.append(part)
    answer = b"".join(parts)
    return int(answer.split(b" ", 2)[1]), answer


def test_sizes_over_the_defaults_are_refused(node: NodeProcess, http: httpx.Client) -> None:
    head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\n"
    assert raw(node, head + b"a: " + b"b" * 33_000 + b"\r\n")[0] == 431
    large = b'{"type":"t","data":{"a":"%s"}}'
    assert raw(node, head, large % (b"x" * (2**20 - 100)))[0] == 201
    assert raw(node, head, large % (b"x" * 2**20))[0] == 413
    lines = b"\n".join([large % (b"x" * 500_000)] * 20)
    ndjson = {"content-type": "application/x-ndjson"}
    assert http.post("/v1/events/batch", content=lines, headers=ndjson).status_code == 201
    too_large = http.post("/v1/events/batch", content=lines * 2, headers=ndjson)
    problem(too_large, 413, "payload_too_large")


def test_a_pipeline_of_mixed_requests_is_answered_in_order(node: NodeProcess) -> None:
    event = b'{"type":"pipelined"}'
    post = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
        len(event),
        event,
    )
    get = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", node.port), timeout=GUARD_S) as sock:
        sock.sendall((post + get) * 10 + last)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [201, 200] * 10 + [404]


# OpenAPI


def test_openapi_documents_the_fast_lane_with_the_models_it_validates(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    paths = document["paths"]
    for path, kinds, answer in [
        ("/v1/events", {"application/json"}, "Receipt"),
        ("/v1/events/batch", {"application/json", "application/x-ndjson"}, "BatchReceipt"),
        ("/v1/saas/actions/{action}", {"application/json"}, "SaasReply"),
    ]:
        operation = paths[path]["post"]
        assert set(operation["requestBody"]["content"]) == kinds
        for status in ("200", "201"):
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{answer}"}
        for status in ("400", "401", "409", "413", "415", "422", "503"):
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}
    get = paths["/v1/events/{id}"]["get"]["responses"]
    assert {"200", "404"} <= set(get)
    schemas = document["components"]["schemas"]
    new_event = schemas["NewEvent"]
    assert new_event["required"] == ["type"] and new_event["additionalProperties"] is False


def test_openapi_has_no_dangling_reference_and_lists_the_hot_endpoints(http: httpx.Client) -> None:
    text = http.get("/openapi.json").text
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(schemas)
    assert "$defs" not in text
    operations = {(m, p) for p, methods in document["paths"].items() for m in methods}
    # That the document and the node's page list the same endpoints, test_docs.py holds.
    assert operations >= {
        ("get", "/health"),
        ("get", "/metrics"),
        ("post", "/v1/events"),
        ("get", "/v1/events"),
        ("post", "/v1/events/batch"),
        ("get", "/v1/events/{id}"),
        ("get", "/v1/events/feed"),
        ("post", "/v1/events/audit"),
        ("post", "/v1/saas/actions/{action}"),
        ("get", "/v1/config/{path}"),
        ("put", "/v1/config/{path}"),
        ("get", "/v1/config/updatable"),
    }
    names = {p["name"] for p in document["paths"]["/v1/events"]["get"]["parameters"]}
    assert {"type", "cursor", "scope", "metadata.{key}"} <= names


# The node's page


def leaves(kind: type[FoundationError]) -> set[str]:
    """Codes of the node's own errors; the supervisor's, on the same root, have their own page."""
    if not kind.__module__.startswith("service."):
        return set()
    return {kind.code}.union(*(leaves(child) for child in kind.__subclasses__()))


def test_the_node_page_lists_every_error_code_and_metric(http: httpx.Client) -> None:
    page = (Path(__file__).parents[2] / "docs" / "node.md").read_text()
    listed = set(re.findall(r"`([a-z_]+)`", page))
    assert leaves(FoundationError) - {ConfigurationError.code} <= listed
    names = set(re.findall(r"^# TYPE (\S+)", http.get("/metrics").text, re.MULTILINE))
    assert {name for name in listed if name.startswith(("foundation_", "process_"))} == names
