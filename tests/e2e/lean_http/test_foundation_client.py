"""The typed client: against a real node, and against servers that answer nonsense."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.lean_http.scripted import GUARD_S, Client, ScriptedServer, answer
from tests.e2e.lean_http.test_lean_http_calls import wait_until

Serve = Callable[..., ScriptedServer]
TOKEN = "a-client-token-of-the-tests"
WRITE_ID = "0190f3a000007000800000000000000a"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real node's URL; it wants TOKEN and waits for nothing."""
    folder = tmp_path_factory.mktemp("node")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FOUNDATION_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "service", "--port", "0", "--data", str(folder)),
                *("--emulated-latency", "0", "--name", "node-9"),
            ],
            env={**environment, "FOUNDATION_CLIENT_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield url_of(process, folder / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


def url_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the node says where it serves."""
    assert process.stdout is not None
    deadline = time.monotonic() + GUARD_S
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and selector.select(GUARD_S):
            said += os.read(process.stdout.fileno(), 4096)
            for line in said.decode().splitlines(keepends=True):
                if line.startswith("serving at ") and line.endswith("\n"):
                    return line.split()[-1]
            if process.poll() is not None:
                break
    raise AssertionError(f"the node does not serve:\n{log.read_text()}")


def good(client: Client, node: str, method: str, *positional: Any, **arguments: Any) -> Any:
    reply = client.call(method, *positional, nodes=[node], token=TOKEN, **arguments)
    assert reply["raised"] is None
    assert reply["result"] is not None, client.state()["events"][-1]
    return reply["result"]


def test_an_event_can_be_stored_read_queried_and_audited(client: Client, node: str) -> None:
    stored = good(client, node, "append", "order_placed", {"total": 12}, metadata={"tenant": "a"})
    again = good(
        client,
        node,
        "append",
        "order_placed",
        {"total": 12},
        metadata={"tenant": "a"},
        write_id=stored["id"],
    )
    assert (stored["duplicate"], again["duplicate"]) == (False, True)
    assert again["seq"] == stored["seq"]

    event = good(client, node, "get", str(UUID(hex=stored["id"])))
    assert (event["type"], event["data"], event["origin"]) == (
        "order_placed",
        {"total": 12},
        "node-9",
    )
    page = good(client, node, "query", type="order_placed", limit=5, metadata={"tenant": "a"})
    assert [each["id"] for each in page["events"]] == [event["id"]]

    absent = "0190f3a0-0000-7000-8000-0000000000ff"
    audit = good(client, node, "audit", [event["id"], absent])
    assert ([each["id"] for each in audit["found"]], audit["missing"]) == ([event["id"]], [absent])

    samples = client.state()["samples"]
    assert [sample["name"] for sample in samples] == [
        "POST /v1/events",
        "POST /v1/events",
        "GET /v1/events/{id}",
        "GET /v1/events",
        "POST /v1/events/audit",
    ]
    assert [sample["write_id"] for sample in samples] == [stored["id"]] * 2 + [None] * 3
    assert {sample["outcome"] for sample in samples} == {"ok"}


def test_a_batch_is_acknowledged_in_its_order(client: Client, node: str) -> None:
    rows = [{"type": "row", "data": {"n": n}} for n in range(20)]
    receipts = good(client, node, "append_batch", rows)
    seqs = [receipt["seq"] for receipt in receipts]
    assert seqs == sorted(seqs) and len(set(receipt["id"] for receipt in receipts)) == 20


def test_a_stream_refuses_a_stale_version(client: Client, node: str) -> None:
    first = good(client, node, "append", "s", {}, stream="stream-1", expected_version=0)
    assert first["stream_version"] == 1
    stale = client.call(
        "append", "s", {}, nodes=[node], token=TOKEN, stream="stream-1", expected_version=0
    )
    assert stale["result"] is None
    assert client.outcomes() == ["ok", "http_4xx"]


def test_a_session_goes_from_login_to_logout(client: Client, node: str) -> None:
    login = good(client, node, "saas_action", "login", "user_1", write_id=WRITE_ID)
    assert (login["id"], login["node"], login["duplicate"]) == (WRITE_ID, "node-9", False)
    token = login["session"]
    assert token
    viewed = good(client, node, "saas_action", "dashboard_view", "user_1", session=token)
    assert viewed["session"] is None
    good(client, node, "saas_action", "logout", "user_1", session=token)
    ended = client.call(
        "saas_action", "dashboard_view", "user_1", nodes=[node], token=TOKEN, session=token
    )
    assert ended["result"] is None
    samples = client.state()["samples"]
    assert {sample["name"] for sample in samples} == {"POST /v1/saas/actions/{action}"}
    assert [sample["outcome"] for sample in samples] == ["ok", "ok", "ok", "http_4xx"]
    assert samples[0]["write_id"] == WRITE_ID


def test_health_is_read_and_a_wrong_token_is_a_client_error(client: Client, node: str) -> None:
    assert good(client, node, "health")["node"] == "node-9"
    refused = client.call("saas_action", "login", "user_1", nodes=[node], token="wrong")
    assert (refused["raised"], refused["result"]) == (None, None)
    assert client.outcomes() == ["ok", "http_4xx"]


def test_a_node_that_is_away_gives_none(client: Client, serve: Serve) -> None:
    server = serve(lambda peer: peer.hold())
    server.close()
    for call in (("health",), ("append", "t"), ("get", WRITE_ID), ("query",)):
        reply = client.call(*call, nodes=[server.url])
        assert (reply["raised"], reply["result"]) == (None, None)
    assert client.outcomes() == ["refused"] * 4


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (("saas_action", "login", "u"), b"not json"),
        (("saas_action", "login", "u"), b"[]"),
        (("saas_action", "login", "u"), b'{"seq": 1, "node": "n"}'),
        (("saas_action", "login", "u"), b'{"id": "another", "seq": 1, "node": "n"}'),
        (("append", "t"), b'{"id": "0190f3a0-0000-7000-8000-00000000000b", "seq": 1}'),
        (("append_batch", [{"type": "t"}]), b'{"receipts": []}'),
        (("append_batch", [{"type": "t"}]), b"{}"),
        (("get", WRITE_ID), b"{}"),
        (("query",), b'{"events": 3}'),
        (("audit", [WRITE_ID]), b"null"),
        (("health",), b'{"status": "fine"}'),
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


def test_a_health_of_a_node_that_is_down_is_still_read(client: Client, serve: Serve) -> None:
    body = (
        b'{"status": "down", "node": "n", "roles": [], "version": "1", "incarnation": 1, '
        b'"components": {"events": {"status": "down", "detail": "disk full"}}}'
    )
    server = serve(lambda peer: peer.serve(answer(body, status="503 Service Unavailable")))
    assert client.call("health", nodes=[server.url])["result"]["status"] == "down"
    assert client.outcomes() == ["http_5xx"]


def test_a_client_without_nodes_is_refused(client: Client) -> None:
    assert "needs at least one node" in client.call("health", nodes=[])["raised"]


def test_the_nodes_feed_is_read_line_by_line_while_it_goes_on(client: Client, node: str) -> None:
    """Server-sent events: what is there at once, what is appended later, and then enough of it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    client.new(node, settings={"default_headers": headers})

    def append(kind: str) -> int:
        reply = client.request("POST", "/v1/events", json={"type": kind})
        assert reply["status"] == 201, reply
        seq: int = json.loads(reply["content"])["seq"]
        return seq

    first = append("feed_first")
    client.spawn_lines(f"/v1/events/feed?after={first - 1}", 7, timeout=25)
    wait_until(client, lambda: client.counts()["streams"] == 1)
    second = append("feed_second")
    lines = client.join()["given"]
    data = [line for line in lines if line.startswith("data:")]
    assert [f"id: {first}", f"id: {second}"] == [each for each in lines if each.startswith("id:")]
    assert ["feed_first" in data[0], "feed_second" in data[1]] == [True, True]
    state = client.state()
    feed = [sample for sample in state["samples"] if "feed" in sample["name"]]
    assert [sample["outcome"] for sample in feed] == ["ok"], (
        "a reader that has enough is no failure"
    )
    wait_until(client, lambda: open_feeds(client) == 0)


def open_feeds(client: Client) -> float:
    """What the node says, which learns of a reader's end by the closed connection."""
    text = client.request("GET", "/metrics")["text_all"]
    (value,) = (
        line.split()[-1] for line in text.splitlines() if line.startswith("foundation_open_feeds")
    )
    return float(value)
