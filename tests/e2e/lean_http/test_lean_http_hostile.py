"""What LeanHttpSession makes of servers that break the rules, the connection, or its patience."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable

import pytest

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer

Serve = Callable[..., ScriptedServer]


def once(data: bytes) -> Callable[[Peer], None]:
    """Read a request, send `data`, hang up."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    return script


def always(*responses: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.serve(*responses)


def test_a_kept_connection_is_used_again(client: Client, serve: Serve) -> None:
    server = serve(always(answer()))
    for _ in range(5):
        assert client.request("GET", f"{server.url}/")["status"] == 200
    assert server.connections == 1
    assert client.state()["reconnects"] == 0


def test_a_connection_opened_ahead_serves_the_first_request(client: Client, serve: Serve) -> None:
    server = serve(always(answer()))
    client.connect(server.url)
    client.connect(f"{server.url}/any/path")
    state = client.state()
    assert (state["events"], state["samples"], state["idle"]) == ([], [], [server.url])
    assert client.request("GET", f"{server.url}/")["status"] == 200
    assert server.connections == 1


def test_a_connection_opened_ahead_that_fails_is_the_first_requests_matter(
    client: Client, serve: Serve
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        client.connect(url)
        assert client.state()["events"] == []
        client.request("GET", f"{url}/")
    assert client.outcomes() == ["refused"]


def test_a_connection_opened_ahead_that_closes_unused_is_replaced(
    client: Client, serve: Serve
) -> None:
    def script(peer: Peer) -> None:
        if peer.number > 1:
            peer.serve(answer())
        # The first is hung up on before it was used.

    server = serve(script)
    client.connect(server.url)
    assert client.request("POST", f"{server.url}/write", json={})["status"] == 200
    assert client.outcomes() == ["ok"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9.9 200 OK\r\n\r\n",
        b"\x00\x01\x02\x03" * 50,
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: twelve\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_not_http_is_malformed(client: Client, serve: Serve, garbage: bytes) -> None:
    server = serve(once(garbage))
    reply = client.request("GET", f"{server.url}/", timeout=5)
    assert reply["status"] == 0
    assert reply["error"].startswith(f"MalformedResponse: {server.label} ")
    assert client.outcomes() == ["malformed"]
    assert client.state()["idle"] == []


@pytest.mark.parametrize(
    "data",
    [
        b"H",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_that_is_cut_off_is_a_lost_connection(
    client: Client, serve: Serve, data: bytes
) -> None:
    server = serve(once(data))
    reply = client.request("GET", f"{server.url}/", timeout=5)
    assert (
        reply["error"] == f"ConnectionClosed: {server.label} closed the connection in mid-response"
    )
    assert (reply["status"], client.outcomes()) == (0, ["reset"])
    assert server.connections == 1


def test_a_close_before_any_answer_on_a_fresh_connection_is_not_retried(
    client: Client, serve: Serve
) -> None:
    server = serve(once(b""))
    reply = client.request("POST", f"{server.url}/", json={})
    assert "closed the connection without an answer" in reply["error"]
    assert (server.connections, client.outcomes()) == (1, ["reset"])
    assert client.state()["reconnects"] == 0


def test_a_reset_in_mid_body_is_a_lost_connection(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        peer.read_request() if peer.number > 1 else None
        peer.reset()

    server = serve(script)
    reply = client.request("GET", f"{server.url}/", timeout=5)
    assert reply["error"].startswith("ConnectionReset: ") or "mid-response" in reply["error"]
    assert client.outcomes() == ["reset"]


@pytest.mark.parametrize("hang_up", [Peer.close, Peer.reset])
def test_a_kept_connection_that_closes_before_the_first_byte_is_replaced_once(
    client: Client, serve: Serve, hang_up: Callable[[Peer], None]
) -> None:
    requests: list[bytes] = []

    def script(peer: Peer) -> None:
        requests.append(peer.read_request())
        peer.send(answer())
        requests.append(peer.read_request())
        if peer.number == 1:
            hang_up(peer)
        else:
            peer.send(answer(b"second"))

    server = serve(script)
    client.request("GET", f"{server.url}/")
    reply = client.request("POST", f"{server.url}/write", json={"id": "one"})
    assert (reply["status"], reply["error"]) == (200, None)
    assert server.connections == 2
    assert requests[1] == requests[2], "the same bytes, so the same id"
    state = client.state()
    assert (state["reconnects"], state["reconnected"]) == (1, [server.url])
    assert len(state["events"]) == len(state["samples"]) == 2


def test_a_replacement_that_fails_too_is_reported(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        if peer.number == 1:
            peer.send(answer())
            peer.read_request()

    server = serve(script)
    client.request("GET", f"{server.url}/")
    reply = client.request("GET", f"{server.url}/")
    assert "closed the connection without an answer" in reply["error"]
    assert server.connections == 2
    assert client.outcomes() == ["ok", "reset"]


def test_a_write_that_may_have_arrived_is_never_called_refused(
    client: Client, serve: Serve
) -> None:
    """The node dies with the request: the replacement is refused, but the write is unknown."""
    box: list[ScriptedServer] = []

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_request()
        box[0]._listener.shutdown(socket.SHUT_RDWR)
        box[0]._listener.close()

    box.append(serve(script))
    client.request("GET", f"{box[0].url}/")
    reply = client.request("POST", f"{box[0].url}/", json={"id": "one"})
    assert "closed the connection without an answer" in reply["error"]
    assert client.outcomes() == ["ok", "reset"]
    # Positive control: once it is known that nothing was sent, refused is the truth.
    assert client.request("POST", f"{box[0].url}/")["error"].startswith("ConnectionRefused: ")
    assert client.outcomes() == ["ok", "reset", "refused"]


def test_nothing_is_retried_after_the_first_byte(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_request()
        peer.send(b"H")

    server = serve(script)
    client.request("GET", f"{server.url}/")
    reply = client.request("GET", f"{server.url}/")
    assert "in mid-response" in reply["error"]
    assert (server.connections, client.state()["reconnects"]) == (1, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 500 No\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nmore",
        answer(b"mine") + answer(b"forged"),
    ],
)
def test_bytes_beyond_the_length_are_malformed_and_never_the_next_response(
    client: Client, serve: Serve, data: bytes
) -> None:
    server = serve(always(data, answer(b"next")))
    reply = client.request("GET", f"{server.url}/")
    assert reply["error"] == (
        f"MalformedResponse: {server.label} sent more than the length of its response"
    )
    assert (reply["status"], client.state()["idle"]) == (0, [])
    assert client.outcomes() == ["malformed"]
    assert server.connections == 1


def test_a_line_break_after_a_body_is_taken_for_no_more_than_that(
    client: Client, serve: Serve
) -> None:
    """RFC 9112, section 2.2: old implementations send one, and it is ignored."""
    server = serve(always(answer(b"abc") + b"\r\n"))
    for _ in range(3):
        assert client.request("GET", f"{server.url}/")["content"] == "abc"
    assert client.outcomes() == ["ok"] * 3


@pytest.mark.parametrize("bomb", [b"X-Pad: " + b"a" * 200_000, b"X: y\r\n" * 40_000])
def test_endless_headers_are_malformed(client: Client, serve: Serve, bomb: bytes) -> None:
    server = serve(once(b"HTTP/1.1 200 OK\r\n" + bomb + b"\r\n\r\n"))
    reply = client.request("GET", f"{server.url}/", timeout=5)
    assert reply["error"] == (
        f"ResponseTooLarge: {server.label} sent more than 65,536 bytes of headers"
    )
    assert client.outcomes() == ["malformed"]


def test_endless_interim_responses_are_malformed(client: Client, serve: Serve) -> None:
    server = serve(once(b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000 + answer()))
    assert "of headers" in client.request("GET", f"{server.url}/", timeout=5)["error"]


def test_a_body_above_the_limit_is_malformed(client: Client, serve: Serve) -> None:
    client.new(settings={"limits": {"body_bytes": 200_000}})
    server = serve(always(answer(b"x" * 199_000), answer(b"x" * 400_000)))
    assert client.request("GET", f"{server.url}/")["size"] == 199_000
    reply = client.request("GET", f"{server.url}/")
    assert "sent more than 200,000 bytes of body" in reply["error"]
    assert client.outcomes() == ["ok", "malformed"]


def test_large_bodies_pass_in_both_directions(client: Client, serve: Serve) -> None:
    lengths: list[int] = []

    def script(peer: Peer) -> None:
        lengths.append(len(peer.read_request()))
        peer.send(answer(b"y" * 5_000_000))

    server = serve(script)
    reply = client.request("POST", f"{server.url}/", data_bytes=8_000_000)
    assert (reply["status"], reply["size"]) == (200, 5_000_000)
    assert lengths[0] > 8_000_000


def test_an_early_answer_to_a_large_request_is_received_and_ends_the_connection(
    client: Client, serve: Serve
) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(answer(b"too large", status="413 Content Too Large"))
        peer.hold()

    server = serve(script)
    reply = client.request("POST", f"{server.url}/", data_bytes=20_000_000, timeout=10)
    assert (reply["status"], client.outcomes()) == (413, ["http_4xx"])
    assert client.state()["idle"] == []


def test_a_server_that_says_nothing_is_left_at_the_deadline(client: Client, serve: Serve) -> None:
    server = serve(Peer.hold)
    reply = client.request("GET", f"{server.url}/", timeout=0.2)
    assert reply["error"] == f"DeadlineExceeded: {server.label} did not answer within 0.2 s"
    assert (reply["status"], client.outcomes()) == (0, ["timeout"])
    assert 200 <= reply["elapsed_ms"] < 10_000
    assert client.state()["idle"] == []


def test_dripping_bytes_do_not_extend_the_deadline(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.drip(answer(b"x" * 1000), 0.02)

    server = serve(script)
    reply = client.request("GET", f"{server.url}/", timeout=0.3)
    assert "did not finish its response within 0.3 s" in reply["error"]
    assert 300 <= reply["elapsed_ms"] < 10_000


def test_a_server_that_reads_nothing_is_left_at_the_deadline(client: Client, serve: Serve) -> None:
    stopped = serve(lambda peer: peer._stop.wait(30) and None)
    reply = client.request("POST", f"{stopped.url}/", data_bytes=30_000_000, timeout=0.3)
    assert reply["error"].startswith("DeadlineExceeded: ")


def test_each_request_has_its_own_deadline(client: Client, serve: Serve) -> None:
    """One timer per connection is moved lazily: a short limit after a long one, and back."""

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            if b"/slow" in request:
                peer.drip(answer(b"slow"), 0.01)
            elif b"/never" in request:
                peer.hold()
            else:
                peer.send(answer())

    server = serve(script)
    assert client.request("GET", f"{server.url}/", timeout=20)["status"] == 200
    assert client.request("GET", f"{server.url}/", timeout=0.2)["status"] == 200
    assert client.request("GET", f"{server.url}/slow", timeout=20)["content"] == "slow"
    assert client.request("GET", f"{server.url}/", timeout=20)["status"] == 200
    never = client.request("GET", f"{server.url}/never", timeout=0.2)
    assert never["status"] == 0
    assert never["elapsed_ms"] < 10_000, "the deadline was the earlier request's"
    assert client.outcomes() == ["ok", "ok", "ok", "ok", "timeout"]
    assert server.connections == 1


def test_a_refused_port_is_refused(client: Client, serve: Serve) -> None:
    server = serve(Peer.hold)
    server.close()
    reply = client.request("GET", f"{server.url}/")
    assert reply["error"] == f"ConnectionRefused: {server.label} refused the connection"
    assert (reply["status"], client.outcomes()) == (0, ["refused"])


def test_an_unresolvable_host_is_named(client: Client) -> None:
    reply = client.request("GET", "http://no-such-host.invalid:8001/")
    assert reply["error"].startswith("HostUnresolvable: no-such-host.invalid:8001 cannot be")
    assert (reply["status"], client.outcomes()) == (0, ["other"])


def test_a_port_that_never_accepts_is_left_at_the_connect_limit(client: Client) -> None:
    """A full backlog drops what comes, so that a connect hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        client.new(settings={"connect_timeout_s": 0.2})
        reply = client.request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        for filler in fillers:
            filler.close()
    assert "did not accept a connection within 0.2 s" in reply["error"]
    assert client.outcomes() == ["timeout"]


def test_ipv6_literals_and_names_reach_their_server(client: Client, serve: Serve) -> None:
    requests: list[bytes] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request)
            peer.send(answer())

    six = serve(script, family=socket.AF_INET6)
    assert client.request("GET", f"http://[::1]:{six.port}/")["status"] == 200
    assert f"Host: [::1]:{six.port}\r\n".encode() in requests[0]
    four = serve(script)
    assert client.request("GET", f"http://localhost:{four.port}/")["status"] == 200


def test_interim_responses_are_skipped(client: Client, serve: Serve) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nServer-Timing: emulated;dur=99\r\nX-A: early\r\n\r\n"
    final = answer(b"done", "X-A: final", "Server-Timing: emulated;dur=1.5")
    server = serve(always(b"HTTP/1.1 100 Continue\r\n\r\n" + early + final))
    for _ in range(2):
        reply = client.request("POST", f"{server.url}/", data="x")
        assert (reply["status"], reply["content"]) == (200, "done")
        assert reply["headers"]["X-A"] == "final"
    assert server.connections == 1
    assert [sample["emulated_us"] for sample in client.state()["samples"]] == [1500, 1500]


def test_http_1_0_runs_until_the_close(client: Client, serve: Serve) -> None:
    server = serve(once(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nuntil the end"))
    for _ in range(2):
        reply = client.request("GET", f"{server.url}/")
        assert (reply["status"], reply["content"]) == (200, "until the end")
    assert server.connections == 2
    assert client.outcomes() == ["ok", "ok"]


def test_connection_close_is_honoured(client: Client, serve: Serve) -> None:
    server = serve(always(answer(b"bye", "Connection: close")))
    for _ in range(2):
        assert client.request("GET", f"{server.url}/")["content"] == "bye"
    assert (server.connections, client.state()["reconnects"]) == (2, 0)


def test_chunks_are_joined_whatever_their_pieces(client: Client, serve: Serve) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n"

    def script(peer: Peer) -> None:
        while peer.read_request():
            peer.drip(data, 0.0)

    server = serve(script)
    for _ in range(2):
        assert client.request("GET", f"{server.url}/")["content"] == "abcdefg"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_responses_without_a_body_keep_the_connection(
    client: Client, serve: Serve, method: str, data: bytes
) -> None:
    server = serve(always(data, data, answer(b"next")))
    for _ in range(2):
        reply = client.request(method, f"{server.url}/", timeout=5)
        assert (reply["error"], reply["size"]) == (None, 0)
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello " * 100, mtime=0)),
        ("GZip", gzip.compress(b"hello " * 50, mtime=0) + gzip.compress(b"hello " * 50, mtime=0)),
        ("deflate", zlib.compress(b"hello " * 100)),
        ("identity", b"hello " * 100),
        ("gzip, gzip", gzip.compress(gzip.compress(b"hello " * 100, mtime=0), mtime=0)),
    ],
)
def test_compressed_bodies_are_decoded(
    client: Client, serve: Serve, coding: str, body: bytes
) -> None:
    server = serve(always(answer(body, f"CONTENT-Encoding: {coding}")))
    reply = client.request("GET", f"{server.url}/")
    assert reply["content"] == "hello " * 100
    assert client.state()["events"][0]["response_length"] == 600


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"this is not gzip", "MalformedResponse"),
        (gzip.compress(b"hello" * 1000, mtime=0)[:-10], "MalformedResponse"),
        (gzip.compress(b"\0" * 100_000_000, mtime=0), "ResponseTooLarge"),
    ],
)
def test_broken_or_exploding_compression_is_malformed(
    client: Client, serve: Serve, body: bytes, kind: str
) -> None:
    server = serve(always(answer(body, "Content-Encoding: gzip")))
    reply = client.request("GET", f"{server.url}/")
    assert reply["error"].startswith(f"{kind}: {server.label} ")
    assert (reply["status"], reply["size"]) == (200, 0)
    assert client.outcomes() == ["malformed"]
