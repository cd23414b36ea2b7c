"""Whatever is wrong with a response is one counted failure; and connections are counted."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer
from tests.e2e.lean_http.test_lean_http_calls import wait_until

Serve = Callable[..., ScriptedServer]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

WRONG: dict[str, tuple[bytes, str, str]] = {
    "nothing at all": (b"", "ConnectionClosed", "reset"),
    "truncated status line": (b"HTTP/1.", "ConnectionClosed", "reset"),
    "truncated head": (OK + b"Content-Le", "ConnectionClosed", "reset"),
    "head without its end": (OK + b"Content-Length: 0\r\n", "ConnectionClosed", "reset"),
    "length too long": (OK + b"Content-Length: 9\r\n\r\nabc", "ConnectionClosed", "reset"),
    "truncated chunk": (CHUNKED + b"9\r\nabc", "ConnectionClosed", "reset"),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", "ConnectionClosed", "reset"),
    "only interim": (b"HTTP/1.1 100 Continue\r\n\r\n", "ConnectionClosed", "reset"),
    "garbage": (bytes(range(256)) * 4, "MalformedResponse", "malformed"),
    "garbage after a status line": (OK + b"\x00\x01\x02\r\n\r\n", "MalformedResponse", "malformed"),
    "another protocol": (b"220 mail.example ESMTP\r\n", "MalformedResponse", "malformed"),
    "length too short": (
        OK + b"Content-Length: 3\r\n\r\nabcdef",
        "MalformedResponse",
        "malformed",
    ),
    "bytes after the last chunk": (
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\nmore",
        "MalformedResponse",
        "malformed",
    ),
    "conflicting lengths": (
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "MalformedResponse",
        "malformed",
    ),
    "length and chunks": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "MalformedResponse",
        "malformed",
    ),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", "MalformedResponse", "malformed"),
    "endless length": (
        OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
        "MalformedResponse",
        "malformed",
    ),
    "chunk size that is no number": (CHUNKED + b"xyz\r\nabc", "MalformedResponse", "malformed"),
    "chunk size beyond 64 bits": (
        CHUNKED + b"f" * 17 + b"\r\nabc",
        "MalformedResponse",
        "malformed",
    ),
    "chunk longer than its size": (
        CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
        "MalformedResponse",
        "malformed",
    ),
    "one huge header": (
        OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        "ResponseTooLarge",
        "malformed",
    ),
    "many headers": (OK + b"X: y\r\n" * 40_000 + b"\r\n", "ResponseTooLarge", "malformed"),
    "many trailers": (
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 400_000 + b"\r\n",
        "ResponseTooLarge",
        "malformed",
    ),
    "endless interim responses": (
        b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000 + answer(),
        "ResponseTooLarge",
        "malformed",
    ),
    "body above the limit": (answer(b"x" * 2_000_000), "ResponseTooLarge", "malformed"),
    "chunks above the limit": (
        CHUNKED + b"8000\r\n" + (b"x" * 0x8000 + b"\r\n8000\r\n") * 64,
        "ResponseTooLarge",
        "malformed",
    ),
    "gzip bomb": (
        answer(gzip.compress(b"\0" * 50_000_000, mtime=0), "Content-Encoding: gzip"),
        "ResponseTooLarge",
        "malformed",
    ),
    "truncated gzip": (
        answer(gzip.compress(b"hello" * 99, mtime=0)[:-8], "Content-Encoding: gzip"),
        "MalformedResponse",
        "malformed",
    ),
    "unasked upgrade": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "MalformedResponse",
        "malformed",
    ),
}


def wrong_first(data: bytes) -> Callable[[Peer], None]:
    """The first connection answers wrongly and hangs up, the others answer."""

    def script(peer: Peer) -> None:
        peer.read_request()
        if peer.number == 1:
            peer.send(data)
            return
        peer.send(answer(b"next"))
        peer.serve(answer(b"next"))

    return script


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_response_is_one_failure_of_its_kind_and_the_session_goes_on(
    client: Client, serve: Serve, case: str, method: str
) -> None:
    data, error, outcome = WRONG[case]
    client.new(settings={"limits": {"body_bytes": 1_000_000}})
    server = serve(wrong_first(data))
    reply = client.request(method, f"{server.url}/", timeout=20)
    assert reply["error"].startswith(f"{error}: {server.label} ")
    state = client.state()
    assert (len(state["events"]), client.outcomes()) == (1, [outcome])
    assert state["events"][0]["exception"].startswith(f"{error}: ")
    assert server.connections == 1, "nothing is sent again on a fresh connection"
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert client.outcomes() == [outcome, "ok"]


@pytest.mark.parametrize("where", ["in the head", "in the body", "in a chunk", "in interim heads"])
def test_a_slow_drip_ends_at_the_deadline(client: Client, serve: Serve, where: str) -> None:
    data = {
        "in the head": (b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500),
        "in the body": (OK + b"Content-Length: 500\r\n\r\n", b"x" * 500),
        "in a chunk": (CHUNKED + b"1f4\r\n", b"x" * 500),
        "in interim heads": (b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 40),
    }[where]

    def script(peer: Peer) -> None:
        peer.read_request()
        if peer.number == 1:
            peer.send(data[0])
            peer.drip(data[1], 0.02)
        else:
            peer.send(answer(b"next"))
            peer.serve(answer(b"next"))

    server = serve(script)
    reply = client.request("GET", f"{server.url}/", timeout=0.3)
    assert "did not finish its response within 0.3 s" in reply["error"]
    assert 300 <= reply["elapsed_ms"] < 10_000
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert client.outcomes() == ["timeout", "ok"]


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints", "199 Own"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_interim_responses_come_before_the_answer_and_are_none(
    client: Client, serve: Serve, status: str, method: str
) -> None:
    interim = f"HTTP/1.1 {status}\r\nX-Kind: interim\r\n\r\n".encode()
    final = answer(b"" if method == "HEAD" else b"done", "X-Kind: final")
    server = serve(lambda peer: peer.serve(interim * 2 + final))
    for _ in range(2):
        reply = client.request(method, f"{server.url}/")
        assert (reply["status"], reply["headers"]["X-Kind"]) == (200, "final")
        assert reply["size"] == (0 if method == "HEAD" else 4)
    assert (client.outcomes(), server.connections) == (["ok", "ok"], 1)


def test_a_name_is_tried_at_all_of_its_addresses(client: Client, serve: Serve) -> None:
    """The names are this test's own; `names` stands for the machine's resolver."""
    hosts: list[bytes] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            hosts.append(request)
            peer.send(answer(b"v6" if peer.sock.family == socket.AF_INET6 else b"v4"))

    six = serve(script, family=socket.AF_INET6)
    four = serve(script)
    names = {"six.test": ["::1"], "both.test": ["::1", "127.0.0.1"]}
    client.new(names=names)
    assert client.request("GET", f"http://six.test:{six.port}/")["content"] == "v6"
    assert f"Host: six.test:{six.port}\r\n".encode() in hosts[-1]
    assert client.request("GET", f"http://both.test:{six.port}/")["content"] == "v6"
    assert client.request("GET", f"http://both.test:{four.port}/")["content"] == "v4"
    assert client.request("GET", f"http://[::1]:{six.port}/")["content"] == "v6"
    assert client.request("GET", f"http://[0:0::1]:{six.port}/")["content"] == "v6"
    nobody = client.request("GET", f"http://six.test:{four.port}/")
    assert nobody["error"] == f"ConnectionRefused: six.test:{four.port} refused the connection"
    assert client.outcomes() == ["ok"] * 5 + ["refused"]


def test_connections_are_counted_as_they_open_are_used_and_close(
    client: Client, serve: Serve
) -> None:
    before = client.counts()
    server = serve(lambda peer: peer.serve(answer(), answer(b"bye", "Connection: close")))
    for _ in range(5):
        client.request("GET", f"{server.url}/")
    counts = client.counts()
    assert counts["opened"] - before["opened"] == counts["session_opened"] == server.connections
    assert (counts["session_opened"], counts["exchanges"]) == (3, 5)
    assert counts["open"] == before["open"] + 1, "the fifth is kept"
    client.close_session()
    assert client.counts()["open"] == before["open"]


def test_failed_connects_and_broken_exchanges_leave_no_socket_counted(
    client: Client, serve: Serve
) -> None:
    before = client.counts()
    server = serve(wrong_first(b"nonsense"))
    client.request("GET", f"{server.url}/")
    server.close()
    client.request("GET", f"{server.url}/")
    client.request("GET", "http://no-such-host.invalid/")
    counts = client.counts()
    assert counts["open"] == before["open"]
    assert counts["opened"] - before["opened"] == 1


@pytest.mark.parametrize("sent", [b"", OK, OK + b"Content-Length: 9\r\n\r\nabc", CHUNKED])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_cancelled_request_closes_its_socket_and_the_next_is_on_a_fresh_one(
    client: Client, serve: Serve, sent: bytes, how: str
) -> None:
    """Wherever the response was: before it, in its head, in its body."""
    seen: list[bytes] = []
    ended: list[bool] = []

    def script(peer: Peer) -> None:
        if peer.number > 1:
            peer.serve(answer(b"next"))
        seen.append(peer.read_request())
        try:
            peer.send(sent)
            peer.hold()
        finally:
            ended.append(True)

    server = serve(script)
    limits: dict[str, Any] = {"own_timeout": 0.3} if how == "timeout" else {}
    client.spawn("POST", f"{server.url}/", json={}, write_id="00ff" * 8, timeout=60, **limits)
    wait_until(client, lambda: bool(seen))
    if how == "kill":
        assert client.kill()["dead"]
    else:
        assert "Timeout" in client.join()["raised"]
    wait_until(client, lambda: bool(ended))
    state = client.state()
    assert [sample["outcome"] for sample in state["samples"]] == ["cancelled"]
    assert (state["samples"][0]["write_id"], state["events"]) == ("00ff" * 8, [])
    assert client.counts()["open"] == 0
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert server.connections == 2
