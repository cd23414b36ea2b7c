"""The typed calls of a node's parts: against a real node, and against servers that lie."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.e2e.lean_http.scripted import Client, answer
from tests.e2e.lean_http.test_foundation_client import TOKEN, WRITE_ID, Serve, good, node

__all__ = ["node"]


def names(client: Client) -> list[str]:
    return [sample["name"] for sample in client.state()["samples"]]


def test_telemetry_is_emitted_and_read_back(client: Client, node: str) -> None:
    before = good(client, node, "telemetry.counters", "dev/saves")
    assert good(client, node, "telemetry.count", "dev/saves", {"file": "a"}) is True
    assert good(client, node, "telemetry.count", "dev/saves", {"file": "b"}, 2) is True
    assert good(client, node, "telemetry.gauge", "dev/open_files", 3.5) is True
    assert good(client, node, "telemetry.measure", "dev/build", 12.5, {"ok": "true"}) is True
    after = good(client, node, "telemetry.counters", "dev/saves")
    assert after["dev/saves"] - before.get("dev/saves", 0) == 3
    assert names(client) == [
        "GET /v1/telemetry",
        "POST /v1/telemetry/counters",
        "POST /v1/telemetry/counters",
        "POST /v1/telemetry/gauges",
        "POST /v1/telemetry/measurements",
        "GET /v1/telemetry",
    ]


def test_the_node_runs_its_test_suite(client: Client, node: str) -> None:
    suite = good(client, node, "telemetry.run_test_suite")
    assert (suite["tests"], suite["failures"]) == (45, 0)
    assert names(client) == ["POST /v1/dev/test-suite"]


def test_configuration_is_read_and_written_by_version(client: Client, node: str) -> None:
    flag = "features/dark_mode"
    assert flag in good(client, node, "config.updatable")
    first = good(client, node, "config.get", flag)
    assert (first["path"], first["value"]) == (flag, False)
    changed = good(client, node, "config.put", flag, True, expected_version=first["version"])
    assert (changed["value"], changed["version"]) == (True, first["version"] + 1)
    assert good(client, node, "config.get", flag) == changed
    assert changed in good(client, node, "config.all")
    assert changed in good(client, node, "config.all", prefix="features")
    stale = client.call("config.put", flag, False, nodes=[node], token=TOKEN, expected_version=0)
    assert stale["result"] is None
    absent = client.call("config.get", "features/absent", nodes=[node], token=TOKEN)
    assert absent["result"] is None
    assert names(client) == [
        "GET /v1/config/updatable",
        "GET /v1/config/{path}",
        "PUT /v1/config/{path}",
        "GET /v1/config/{path}",
        "GET /v1/config",
        "GET /v1/config",
        "PUT /v1/config/{path}",
        "GET /v1/config/{path}",
    ]
    assert client.outcomes() == ["ok"] * 6 + ["http_4xx"] * 2


def test_a_job_is_submitted_and_awaited(client: Client, node: str) -> None:
    job = good(client, node, "jobs.submit", "email_delivery", write_id=WRITE_ID)
    assert (job["id"], job["kind"], job["state"]) == (WRITE_ID, "email_delivery", "queued")
    over = good(client, node, "jobs.get", job=WRITE_ID, wait_s=5)
    assert over["state"] == "completed"
    assert names(client) == ["POST /v1/jobs", "GET /v1/jobs/{id}"]


def test_an_analytics_pass_reads_on(client: Client, node: str) -> None:
    good(client, node, "saas_action", "login", "user_1")
    first = good(client, node, "analytics.run_pass", limit=50)
    assert first["processed"] >= 1
    while good(client, node, "analytics.run_pass", limit=50)["processed"]:
        pass
    assert names(client)[-1] == "POST /v1/analytics/passes"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (("config.get", "a/b"), b'{"path": "a/c", "value": 1, "version": 1}'),
        (("config.get", "a/b"), b'{"path": "a/b", "value": 1, "version": "1"}'),
        (("config.get", "a/b"), b'{"path": "a/b", "version": 1}'),
        (("config.put", "a/b", 1), b"[]"),
        (("config.all",), b'{"values": [{"value": 1}]}'),
        (("config.updatable",), b'{"patterns": []}'),
        (("telemetry.count", "a"), b'{"accepted": 0, "overflowed": 0, "duplicates": 0}'),
        (("telemetry.count", "a"), b'{"overflowed": 0}'),
        (("telemetry.counters",), b'{"counters": [{"path": "a"}]}'),
        (("telemetry.run_test_suite",), b'{"tests": 45}'),
        (("jobs.submit", "email_delivery"), b'{"id": "0", "kind": "k", "state": "queued"}'),
        (
            ("jobs.submit", "email_delivery"),
            b'{"id": "0190f3a0-0000-7000-8000-00000000000b", "kind": "k", "state": "queued"}',
        ),
        (("analytics.run_pass",), b'{"processed": 1}'),
        # A type that is not the promised one would raise in the scenario instead.
        (("config.get", "a/b"), b'{"path": "a/b", "value": 1, "version": true}'),
        (("config.all",), b'{"values": [{"path": ["a"], "value": 1, "version": 1}]}'),
        (("config.all",), b'{"values": {"a": 1}}'),
        (("config.updatable",), b'{"paths": "abc"}'),
        (("config.updatable",), b'{"paths": [1]}'),
        (("telemetry.count", "a"), b'{"accepted": true}'),
        (("telemetry.count", "a"), b'{"accepted": 1, "duplicates": "0"}'),
        (("telemetry.counters",), b'{"counters": [{"path": "a", "tags": {}, "value": "1"}]}'),
        (("telemetry.counters",), b'{"counters": [{"path": "a", "tags": [], "value": 1}]}'),
        (("telemetry.counters",), b'{"counters": [{"path": 5, "tags": {}, "value": 1}]}'),
        (("telemetry.counters",), b'{"counters": [5]}'),
        (("telemetry.measured", "a"), b'{"measurements": [{"path": "a", "count": null}]}'),
        (("telemetry.measured", "a"), b'{"measurements": [{"path": "a", "count": -1}]}'),
        (("telemetry.run_test_suite",), b'{"tests": "45", "failures": 0, "duration_ms": 1}'),
        (("telemetry.run_test_suite",), b'{"tests": 45, "failures": 0, "duration_ms": 1e400}'),
        (("jobs.submit", "email_delivery"), b'{"id": 5, "kind": "k", "state": "queued"}'),
        (("jobs.submit", "email_delivery"), b'"queued"'),
        (("analytics.run_pass",), b'{"processed": "1", "lag_events": 0, "lag_s": 0.0}'),
        (("analytics.run_pass",), b'{"processed": 1, "lag_events": 0.5, "lag_s": 0.0}'),
        (("analytics.run_pass",), b'{"processed": 1, "lag_events": 0, "lag_s": null}'),
        (("analytics.run_pass",), b'{"processed": 1, "lag_events": 0, "lag_s": 1e300}'),
    ],
)
def test_a_good_status_with_a_wrong_reply_is_a_failed_check(
    client: Client, serve: Serve, call: tuple[Any, ...], body: bytes
) -> None:
    server = serve(lambda peer: peer.serve(answer(body)))
    reply = client.call(*call, nodes=[server.url])
    assert (reply["raised"], reply["result"]) == (None, None)
    assert client.outcomes() == ["check"]
    (event,) = client.state()["events"]
    assert event["exception"].startswith("WrongReply: the reply of ")


@pytest.mark.parametrize(
    ("kind", "state", "outcome"),
    [
        ('"email_delivery"', '"running"', "ok"),
        ('"email_delivery"', '"lost"', "check"),
        ('"email_delivery"', "null", "check"),
        ('"coffee"', '"running"', "check"),
        ("[]", '"running"', "check"),
    ],
)
def test_a_job_is_in_a_state_that_there_is(
    client: Client, serve: Serve, kind: str, state: str, outcome: str
) -> None:
    body = f'{{"id": "{UUID(WRITE_ID)}", "kind": {kind}, "state": {state}}}'.encode()
    server = serve(lambda peer: peer.serve(answer(body)))
    reply = client.call("jobs.get", job=WRITE_ID, nodes=[server.url])
    assert reply["raised"] is None
    assert client.outcomes() == [outcome]
