"""A node as a process: how it starts, refuses to start, drains and ends."""

from __future__ import annotations

import json
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uuid_utils

from service.server import NodeExit
from tests.e2e.node_process import GUARD_S, NodeProcess, environment, running

TOKEN = "a-token-of-24-characters"
ROOT = Path(__file__).resolve().parent.parent.parent


def command(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """`python -m service` run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )


def client(node: NodeProcess, **options: Any) -> httpx.Client:
    limits = httpx.Limits(max_connections=200)
    return httpx.Client(
        base_url=node.url, timeout=GUARD_S, trust_env=False, limits=limits, **options
    )


# Starting


def test_help_names_the_common_options() -> None:
    done = command("--help", COLUMNS=200, TERM="dumb")
    assert done.returncode == 0
    for option in ("--name", "--host", "--port", "--data", "--role", "--emulated-latency"):
        assert option in done.stdout


def test_an_unknown_option_is_a_usage_error() -> None:
    assert command("--prot", "1").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        ((), {"prot": 1}, "did you mean FOUNDATION_PORT?"),
        (("--host", "0.0.0.0"), {}, "FOUNDATION_CLIENT_TOKEN"),
        (("--port", "70000"), {}, "port"),
        ((), {"queue_events": "many"}, "FOUNDATION_QUEUE_EVENTS"),
    ],
)
def test_a_bad_configuration_is_told_and_exits_4(
    arguments: tuple[str, ...], settings: dict[str, object], told: str
) -> None:
    done = command(*arguments, **settings)
    assert done.returncode == NodeExit.CONFIGURATION
    assert done.stderr.startswith("cannot start: ") and told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told_and_exits_6(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("--port", str(taken.getsockname()[1]), "--data", str(tmp_path / "d"))
    assert done.returncode == NodeExit.BIND
    assert json.loads(done.stderr)["remedy"].startswith("choose another --port")


def test_a_data_directory_that_cannot_be_used_exits_7(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = command("--port", "0", "--data", str(blocked))
    assert done.returncode == NodeExit.STORAGE
    assert "--data" in json.loads(done.stderr.splitlines()[-1])["error"]


def test_a_second_node_on_the_same_data_refuses_to_start(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node:
        done = command("--port", "0", "--data", str(node.data))
        assert done.returncode == NodeExit.STORAGE


def test_a_bound_socket_that_does_not_listen_can_keep_the_port(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        for _ in range(2):
            with (
                running(
                    tmp_path / "data",
                    command=("-m", "service", "--port", str(port)),
                    reuse_port=True,
                ) as node,
                client(node) as http,
            ):
                assert node.port == port
                assert http.get("/health").status_code == 200


def test_tokens_close_everything_but_health(tmp_path: Path) -> None:
    with running(tmp_path / "data", client_token=TOKEN) as node, client(node) as http:
        assert http.get("/health").status_code == 200
        for path in ("/metrics", "/v1/events", "/openapi.json", "/nowhere"):
            refused = http.get(path)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
            assert refused.headers["www-authenticate"].startswith("Bearer")
        wrong = http.post("/v1/events", json={"type": "t"}, headers={"authorization": "Bearer x"})
        assert wrong.status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert http.post("/v1/events", json={"type": "t"}, headers=headers).status_code == 201
        node.stop()
        assert TOKEN not in node.log


# Sessions over restarts and nodes


def login(http: httpx.Client, user: str) -> str:
    body = {"id": str(uuid_utils.uuid7()), "user_id": user}
    token: str = http.post("/v1/saas/actions/login", json=body).json()["session"]
    return token


def view(http: httpx.Client, user: str, session: str | None) -> int:
    body = {"id": str(uuid_utils.uuid7()), "user_id": user}
    headers = {} if session is None else {"x-session": session}
    return http.post("/v1/saas/actions/dashboard_view", json=body, headers=headers).status_code


def test_sessions_hold_on_every_node_and_an_ended_one_stays_ended_after_kill_9(
    tmp_path: Path,
) -> None:
    shared: dict[str, Any] = {"session_secret": TOKEN, "emulated_latency": 0}
    with (
        running(tmp_path / "a", name="a", **shared) as a,
        running(tmp_path / "b", name="b", saas_require_session=True, **shared) as b,
        client(a) as to_a,
        client(b) as to_b,
    ):
        kept, ended = login(to_a, "u"), login(to_a, "u")
        assert (view(to_a, "u", kept), view(to_b, "u", kept)) == (201, 201)
        assert (view(to_a, "u", None), view(to_b, "u", None)) == (201, 401)
        body = {"id": str(uuid_utils.uuid7()), "user_id": "u"}
        to_a.post("/v1/saas/actions/logout", json=body, headers={"x-session": ended})
        assert view(to_a, "u", ended) == 401
        # Until nodes replicate, only the node that saw the logout knows of it.
        assert view(to_b, "u", ended) == 201
        a.stop(signal.SIGKILL)
    with running(tmp_path / "a", name="a", **shared) as a, client(a) as to_a:
        assert (view(to_a, "u", kept), view(to_a, "u", ended)) == (201, 401)
        report = to_a.post(
            "/v1/saas/actions/report_generation",
            json={"id": str(uuid_utils.uuid7()), "user_id": "u"},
        ).json()["result"]["actions"]
        assert report["login"]["samples"] == 2  # read back from the log


def test_events_that_a_client_made_up_neither_end_sessions_nor_stop_the_recovery(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {"session_secret": TOKEN, "emulated_latency": 0}
    with running(tmp_path / "a", **settings) as node, client(node) as http:
        body = {"id": str(uuid_utils.uuid7()), "user_id": "u"}
        session = http.post("/v1/saas/actions/login", json=body).json()["session"]
        forged = {
            "session": body["id"].replace("-", ""),
            "expires_at": 2**62,
            "by": "0" * 32,
            "proof": "0" * 32,
        }
        made_up: list[dict[str, Any]] = [forged, {}, {"session": 1}, {**forged, "session": "x"}]
        odd: list[dict[str, Any]] = [{}, {"user_id": 1}, {"user_id": "u", "action": []}]
        events = [{"type": "session_ended", "data": data} for data in made_up]
        events += [{"type": "user_action", "data": data} for data in odd]
        assert http.post("/v1/events/batch", json=events).status_code == 201
    with running(tmp_path / "a", **settings) as node, client(node) as http:
        assert view(http, "u", session) == 201


# Ending


def stored_ids(data: Path) -> set[str]:
    """Every event id in a stopped node's database."""
    with sqlite3.connect(data / "events.db") as database:
        rows = database.execute("SELECT hex(id) FROM events").fetchall()
    database.close()
    return {row[0].lower() for row in rows}


def write_until_refused(
    node: NodeProcess, acknowledged: list[str], enough: threading.Event
) -> None:
    """One client that writes until the node goes away, noting what was acknowledged."""
    with client(node) as http:
        while True:
            event_id = str(uuid_utils.uuid7())
            try:
                response = http.post("/v1/events", json={"type": "t", "id": event_id})
            except httpx.TransportError:
                return
            if response.status_code != 201:
                assert response.status_code == 503
                return
            acknowledged.append(event_id.replace("-", ""))
            if len(acknowledged) > 200:
                enough.set()


def lost_on_sigterm(node: NodeProcess) -> tuple[int, set[str]]:
    """SIGTERM under load: (exit code, ids that were acknowledged and are not stored)."""
    acknowledged: list[str] = []
    enough = threading.Event()
    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(write_until_refused, node, acknowledged, enough) for _ in range(16)]
        assert enough.wait(GUARD_S)
        code = node.stop()
        for one in clients:
            one.result(GUARD_S)
    return code, set(acknowledged) - stored_ids(node.data)


def test_sigterm_under_load_exits_0_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node:
        code, lost = lost_on_sigterm(node)
        assert (code, lost) == (NodeExit.CLEAN, set()), node.log
    assert not (tmp_path / "data" / "events.db-wal").exists(), "checkpointed and removed"


def test_a_node_that_acknowledges_without_storing_is_caught(tmp_path: Path) -> None:
    """Positive control of the test above."""
    with running(tmp_path / "data", command=("-m", "tests.e2e.forgetful_node")) as node:
        _, lost = lost_on_sigterm(node)
        assert lost


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_emulated_latency_or_feeds(
    tmp_path: Path, number: signal.Signals
) -> None:
    """An action that would wait for minutes is stored and answered; a feed just ends."""
    with (
        running(tmp_path / "data", emulated_latency=1_000) as node,
        client(node) as http,
        ThreadPoolExecutor(1) as pool,
        http.stream("GET", "/v1/events/feed?after=0") as feed,
    ):
        body = {"id": str(uuid_utils.uuid7()), "user_id": "u"}
        slow = pool.submit(http.post, "/v1/saas/actions/report_generation", json=body)
        lines = feed.iter_lines()
        while not next(lines).startswith("data: "):
            pass
        started_s = time.monotonic()
        assert node.stop(number) == NodeExit.CLEAN, node.log
        assert time.monotonic() - started_s < 10, "a hang guard; 5 s is the promise"
        assert slow.result(GUARD_S).status_code == 201
        assert list(lines) is not None
    assert body["id"].replace("-", "") in stored_ids(node.data)


def test_half_sent_requests_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data") as node,
        socket.create_connection(("127.0.0.1", node.port)) as in_head,
        socket.create_connection(("127.0.0.1", node.port)) as in_body,
        socket.create_connection(("127.0.0.1", node.port)),
        client(node) as http,
    ):
        in_head.sendall(b"POST /v1/events HTT")
        in_body.sendall(b"POST /v1/events HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
        opened = "foundation_open_connections 4.0"
        deadline_s = time.monotonic() + GUARD_S
        while opened not in http.get("/metrics").text and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert node.stop() == NodeExit.CLEAN, node.log


def test_a_disk_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    """Nothing is acknowledged, and SIGTERM still ends the node, with exit code 1."""
    with running(tmp_path / "data", command=("-m", "tests.e2e.stuck_node")) as node:
        event_id = str(uuid_utils.uuid7())
        with client(node) as http, pytest.raises(httpx.TimeoutException):
            http.post("/v1/events", json={"type": "t", "id": event_id}, timeout=0.5)
        assert node.stop() == NodeExit.FAILED
        assert "the disk does not answer" in node.log


# Deadlines and overload, through the whole node


def answer_of(sock: socket.socket) -> bytes:
    sock.settimeout(GUARD_S)
    answer = b""
    while part := sock.recv(65_536):
        answer += part
    return answer


def test_slow_headers_and_bodies_are_answered_408_and_silence_is_closed(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", header_deadline_s=0.2, body_deadline_s=0.2) as node,
        socket.create_connection(("127.0.0.1", node.port)) as in_head,
        socket.create_connection(("127.0.0.1", node.port)) as in_body,
        socket.create_connection(("127.0.0.1", node.port)) as silent,
    ):
        in_head.sendall(b"POST /v1/events HTT")
        in_body.sendall(b"POST /v1/events HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
        for sock in (in_head, in_body):
            answer = answer_of(sock)
            assert answer.startswith(b"HTTP/1.1 408 ") and b'"request_timeout"' in answer
        assert answer_of(silent) == b""
        with client(node) as http:
            text = http.get("/metrics").text
        assert 'foundation_refusals_total{code="request_timeout"} 2.0' in text


def test_idle_connections_are_closed_after_the_keep_alive_time(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", keep_alive_s=0.2) as node,
        socket.create_connection(("127.0.0.1", node.port)) as sock,
    ):
        sock.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answer_of(sock).startswith(b"HTTP/1.1 200 ")


def burst(node: NodeProcess, ids: list[str]) -> dict[str, bytes]:
    """One connection per id, every write sent before any answer is read: id -> raw answer."""
    sockets = [socket.create_connection(("127.0.0.1", node.port), timeout=GUARD_S) for _ in ids]
    for event_id, sock in zip(ids, sockets, strict=True):
        body = json.dumps({"type": "t", "id": event_id}).encode()
        head = b"POST /v1/events HTTP/1.1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        sock.sendall(head % len(body) + body)
    answers = {event_id: answer_of(sock) for event_id, sock in zip(ids, sockets, strict=True)}
    for sock in sockets:
        sock.close()
    return answers


def test_overload_is_answered_503_with_retry_after_and_what_was_acknowledged_is_stored(
    tmp_path: Path,
) -> None:
    """G13: bursts of 64 writes against a queue of one, until one was refused."""
    answers: dict[str, bytes] = {}
    refused: list[bytes] = []
    with running(tmp_path / "data", queue_events=1) as node, client(node) as http:
        deadline_s = time.monotonic() + GUARD_S
        while not refused:
            assert time.monotonic() < deadline_s, "the queue never filled"
            answers |= burst(node, [str(uuid_utils.uuid7()) for _ in range(64)])
            refused = [a for a in answers.values() if not a.startswith(b"HTTP/1.1 201 ")]
        for answer in refused:
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in answer and b'"overloaded"' in answer
        accepted = {i.replace("-", "") for i, a in answers.items() if a not in refused}
        assert http.get("/health").json()["status"] == "up"
        node.stop()
    assert stored_ids(node.data) == accepted


def test_a_disk_that_refuses_acknowledges_nothing_and_reads_go_on_until_it_recovers(
    tmp_path: Path,
) -> None:
    """G11, by a limit on the size of the files that the node may write."""
    large = {"type": "t", "data": {"x": "y" * 100_000}}
    with running(tmp_path / "data") as node, client(node) as http:
        kept = http.post("/v1/events", json={"type": "kept"}).json()["id"]
        unlimited = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (500_000, unlimited[1]))
        answers = [http.post("/v1/events", json=large) for _ in range(10)]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_error")
        assert int(refused.headers["retry-after"]) >= 1
        assert http.get(f"/v1/events/{kept}").status_code == 200
        health = http.get("/health")
        assert health.status_code == 503
        assert health.json()["components"]["writer"]["status"] == "down"
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, unlimited)
        deadline_s = time.monotonic() + GUARD_S
        while (after := http.post("/v1/events", json=large)).status_code != 201:
            assert time.monotonic() < deadline_s, after.text
        assert http.get("/health").status_code == 200
        stored = {
            a.json()["id"].replace("-", "") for a in [*answers, after] if a.status_code == 201
        }
        assert node.stop() == NodeExit.CLEAN
    assert stored_ids(node.data) == stored | {kept.replace("-", "")}


def test_a_feed_over_the_maximum_is_refused(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", max_feeds=1) as node,
        client(node) as http,
        http.stream("GET", "/v1/events/feed?after=0") as first,
    ):
        lines = first.iter_lines()  # kept: collecting it would end the feed
        next(lines)
        refused = http.get("/v1/events/feed?after=0")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")


# Logs


def test_logs_have_one_line_for_a_refused_request_and_none_for_an_accepted_one(
    tmp_path: Path,
) -> None:
    with (
        running(tmp_path / "data", name="node-9", run_id="run-7") as node,
        client(node) as http,
    ):
        named = {"x-correlation-id": "find-me"}
        http.post("/v1/events", json={"type": "t", "data": {"secret": "body"}})
        http.post("/v1/events", json={"type": 1, "data": {"secret": "body"}}, headers=named)
        http.get("/nowhere%0Aforged", headers=named)
        node.stop()
    lines = [json.loads(line) for line in node.log.splitlines()]
    assert all(line["node"] == "node-9" and line["run_id"] == "run-7" for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["status"], line["correlation_id"]) for line in requests] == [
        (422, "find-me"),
        (404, "find-me"),
    ]
    assert "secret" not in node.log and "body" not in node.log


def test_debug_logs_successes_too(tmp_path: Path) -> None:
    with running(tmp_path / "data", log_level="debug") as node, client(node) as http:
        http.post("/v1/events", json={"type": "t"})
        http.get("/health")
        node.stop()
    assert re.findall(r'"route": "([^"]*)"', node.log) == ["POST /v1/events", "GET /health"]
