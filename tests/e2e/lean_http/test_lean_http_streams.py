"""Streamed responses: how they are read, how they count, how they end."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer
from tests.e2e.lean_http.test_lean_http_calls import wait_until

Serve = Callable[..., ScriptedServer]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def always(*responses: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.serve(*responses)


@pytest.mark.parametrize(
    "response",
    [
        answer(b"hello world"),
        CHUNKED + chunk(b"hello") + chunk(b" world") + b"0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"hello world"),
    ],
)
@pytest.mark.parametrize(
    ("steps", "given"),
    [
        ([["read", 5], ["read", 100], ["read", 100]], None),
        ([["read"]], ["hello world"]),
        ([["content"], ["content"], ["text"]], ["hello world"] * 3),
        ([["read", 5], ["content"]], ["hello", " world"]),
        ([["lines", 9]], [["hello world"]]),
    ],
)
def test_a_body_is_read_in_pieces_and_counts_once_at_its_end(
    client: Client, serve: Serve, response: bytes, steps: list[list[object]], given: object
) -> None:
    server = serve(always(response))
    for number in (1, 2):
        reply = client.stream("GET", f"{server.url}/", *steps)
        assert (reply["raised"], reply["status"], reply["error"]) == (None, 200, None)
        if given is None:
            assert reply["given"][0] == "hello" and "hello world".startswith(reply["given"][0])
            assert reply["given"][1].startswith(" ")
        else:
            assert reply["given"] == given
        state = client.state()
        assert len(state["events"]) == len(state["samples"]) == number
        assert state["samples"][-1]["outcome"] == "ok"
        assert state["samples"][-1]["bytes_received"] == len(response)
    assert server.connections == 1, "a body read to its end leaves the connection open"
    assert client.state()["idle"] == [server.url]


def test_it_returns_with_the_head_and_the_sample_ends_with_the_body(
    client: Client, serve: Serve
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        peer._stop.wait(0.3)
        peer.send(chunk(b"late") + b"0\r\n\r\n")
        peer.hold()

    server = serve(script)
    steps = (["elapsed_ms"], ["read"], ["read"], ["elapsed_ms"])
    head_ms, body, rest, all_ms = client.stream("GET", f"{server.url}/", *steps)["given"]
    assert (body, rest) == ("late", "")
    assert all_ms >= 300 > head_ms or all_ms - head_ms > 200
    (sample,) = client.state()["samples"]
    assert (sample["end_us"] - sample["start_us"]) / 1000 == pytest.approx(all_ms, abs=0.1)
    (event,) = client.state()["events"]
    assert (event["response_length"], event["response_time"]) == (4, pytest.approx(all_ms, abs=0.1))


def test_pieces_come_as_text_where_they_are_and_lines_whatever_their_pieces(
    client: Client, serve: Serve
) -> None:
    lines = "erste\nzwölf\n\nletzte".encode()
    drip = CHUNKED + b"".join(chunk(lines[i : i + 1]) for i in range(len(lines))) + b"0\r\n\r\n"
    server = serve(always(drip))
    reply = client.stream("GET", f"{server.url}/", ["lines", 9])
    assert reply["given"] == [["erste", "zwölf", "", "letzte"]]
    assert client.lines(f"{server.url}/", 9)["given"] == ["erste", "zwölf", "", "letzte"]
    ascii_only = serve(always(answer(b"abcdefg")))
    assert client.stream("GET", f"{ascii_only.url}/", ["pieces", 3])["given"] == [
        ["abc", "def", "g"]
    ]
    binary = serve(always(answer(b"\xff\xfe")))
    assert client.stream("GET", f"{binary.url}/", ["pieces", 9])["given"] == [[r"b'\xff\xfe'"]]


def test_a_reader_that_stops_early_is_no_failure_and_closes_the_connection(
    client: Client, serve: Serve
) -> None:
    ended: list[int] = []

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED + chunk(b"line 1\nline 2\nline 3\n"))
        peer.hold()
        ended.append(peer.number)

    server = serve(script)
    assert client.lines(f"{server.url}/", 2)["given"] == ["line 1", "line 2"]
    wait_until(client, lambda: ended == [1])
    assert client.stream("GET", f"{server.url}/", ["read", 4], ["close"], ["close"])["given"] == [
        *("line", None, None)
    ]
    wait_until(client, lambda: ended == [1, 2])
    # Dropped without a word, as FastHttpUser's may be.
    client.stream("GET", f"{server.url}/", ["read", 4])
    wait_until(client, lambda: ended == [1, 2, 3])
    wait_until(client, lambda: client.outcomes() == ["ok"] * 3)
    assert len(client.state()["events"]) == 3
    assert client.counts()["open"] == 0


def test_a_bad_status_counts_once_whether_its_body_is_read_or_not(
    client: Client, serve: Serve
) -> None:
    server = serve(always(answer(b"broken", status="503 Unavailable")))
    assert client.stream("GET", f"{server.url}/", ["text"])["given"] == ["broken"]
    assert "BadStatus" in client.lines(f"{server.url}/", 9)["raised"]
    assert client.outcomes() == ["http_5xx", "http_5xx"]


@pytest.mark.parametrize(
    ("data", "error", "outcome"),
    [
        (CHUNKED + chunk(b"some"), "ConnectionClosed", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome", "ConnectionClosed", "reset"),
        (CHUNKED + chunk(b"some") + b"zz\r\n", "MalformedResponse", "malformed"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsome more",
            "MalformedResponse",
            "malformed",
        ),
    ],
)
def test_a_broken_body_ends_the_reading_and_is_a_failure(
    client: Client, serve: Serve, data: bytes, error: str, outcome: str
) -> None:
    def first_breaks(peer: Peer) -> None:
        if peer.number == 1:
            peer.read_request()
            peer.send(data)
        else:
            peer.serve(answer(b"next"))

    server = serve(first_breaks)
    reply = client.stream("GET", f"{server.url}/", ["read"], ["read"], timeout=5)
    assert reply["given"] == ["some", ""]
    assert reply["error"].startswith(f"{error}: {server.label} ")
    assert client.outcomes() == [outcome]
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert client.outcomes() == [outcome, "ok"]


def test_the_deadline_holds_for_the_body(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED)
        peer.drip(chunk(b"x") * 10_000, 0.01)

    server = serve(script)
    reply = client.stream("GET", f"{server.url}/", ["size"], timeout=0.4)
    assert "did not finish its response within 0.4 s" in reply["error"]
    # A reader that does something else meanwhile learns of it when it reads again.
    reply = client.stream("GET", f"{server.url}/", ["sleep", 0.5], ["size"], timeout=0.2)
    assert "did not finish its response within 0.2 s" in reply["error"]
    assert client.outcomes() == ["timeout", "timeout"]
    assert (client.counts()["open"], client.state()["idle"]) == (0, [])


def test_a_head_that_does_not_come_is_a_failure_at_once(client: Client, serve: Serve) -> None:
    server = serve(Peer.hold)
    reply = client.stream("GET", f"{server.url}/", ["read"], ["content"], timeout=0.2)
    assert (reply["status"], reply["given"]) == (0, ["", ""])
    assert client.outcomes() == ["timeout"]
    assert "DeadlineExceeded" in client.lines(f"{server.url}/", 9, timeout=0.2)["raised"]


def test_a_reader_that_does_not_read_slows_the_server_down(client: Client, serve: Serve) -> None:
    """The client holds one read's worth, so that the server's sending stops at the kernel's."""
    total_bytes = 64 * 1024 * 1024

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total_bytes)
        for _ in range(1024):
            peer.send(b"x" * 65_536)
        peer.hold()

    server = serve(script)
    steps = (["read", 10], ["sleep", 0.7], ["received"], ["size"])
    _, _, received, rest = client.stream("GET", f"{server.url}/", *steps, timeout=25)["given"]
    assert 10 <= received <= 3 * 65_536
    assert rest == total_bytes - 10, "and goes on when it reads again"
    assert client.outcomes() == ["ok"]


def test_content_is_bounded_and_decoded(client: Client, serve: Serve) -> None:
    client.new(settings={"limits": {"body_bytes": 100_000}})
    zipped = gzip.compress(b"hello " * 100, mtime=0)
    bomb = gzip.compress(b"\0" * 10_000_000, mtime=0)
    responses = (
        (answer(zipped, "Content-Encoding: gzip"), 600, "ok"),
        (answer(b"x" * 100_001), 0, "malformed"),
        (answer(bomb, "Content-Encoding: gzip"), 0, "malformed"),
        (answer(zipped[:-9], "Content-Encoding: gzip"), 0, "malformed"),
    )
    for response, size, _ in responses:
        server = serve(always(response))
        given = client.stream("GET", f"{server.url}/", ["content"])["given"]
        assert len(given[0]) == size
    assert client.outcomes() == [outcome for _, _, outcome in responses]
    endless = serve(always(answer(b"y" * 500_000)))
    assert client.stream("GET", f"{endless.url}/", ["lines", 9])["given"] == [[]]
    assert client.outcomes()[-1] == "malformed"
    # Read piece by piece it may be of any size.
    assert client.stream("GET", f"{endless.url}/", ["size"])["given"] == [500_000]
    assert client.outcomes()[-1] == "ok"


def test_the_with_block_decides_at_its_end(client: Client, serve: Serve) -> None:
    server = serve(always(answer(b"hello")))
    client.stream("GET", f"{server.url}/", ["read"], ["fail", "no"], block=True)
    client.stream("GET", f"{server.url}/", ["fail", "unread"], block=True)
    client.stream("GET", f"{server.url}/", ["read"], block=True)
    client.stream("GET", f"{server.url}/", block=False)
    assert client.outcomes() == ["check", "check", "ok", "ok"]
    assert len(client.state()["events"]) == 4
    assert server.connections == 1, "each body had come whole"


@pytest.mark.parametrize("block", [None, True])
def test_a_user_stopped_while_it_reads_leaves_one_cancelled_sample(
    client: Client, serve: Serve, block: bool | None
) -> None:
    reading: list[bool] = []
    ended: list[bool] = []

    def script(peer: Peer) -> None:
        if peer.number > 1:
            peer.serve(answer(b"next"))
        peer.read_request()
        reading.append(True)
        try:
            peer.send(CHUNKED + chunk(b"first"))
            peer.hold()
        finally:
            ended.append(True)

    server = serve(script)
    client.spawn_stream("GET", f"{server.url}/", ["read"], ["read"], block=block)
    wait_until(client, lambda: bool(reading))
    assert client.kill()["dead"]
    wait_until(client, lambda: bool(ended))
    assert (client.outcomes(), client.state()["events"]) == (["cancelled"], [])
    assert client.request("GET", f"{server.url}/")["content"] == "next"
    assert server.connections == 2


def test_a_user_stopped_in_its_block_leaves_one_cancelled_sample(
    client: Client, serve: Serve
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED + chunk(b"first"))
        peer.hold()

    server = serve(script)
    client.spawn_stream("GET", f"{server.url}/", ["throw"], block=True)
    wait_until(client, lambda: client.outcomes() == ["cancelled"])
    assert client.state()["events"] == []


def test_closing_the_session_cancels_its_open_streams(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED + chunk(b"first"))
        peer.hold()

    server = serve(script)
    client.spawn_stream("GET", f"{server.url}/", ["read", 5], ["read"], timeout=60)
    wait_until(client, lambda: client.counts()["streams"] == 1)
    client.close_session()
    assert client.join()["given"] == ["first", ""], "its reader does not wait for ever"
    assert (client.outcomes(), client.counts()["open"]) == (["cancelled"], 0)


def test_a_head_request_may_be_streamed_too(client: Client, serve: Serve) -> None:
    server = serve(always(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"))
    for _ in range(2):
        assert client.stream("HEAD", f"{server.url}/", ["read"])["given"] == [""]
    assert (client.outcomes(), server.connections) == (["ok", "ok"], 1)


def test_a_second_reader_ends_the_stream_and_neither_waits_for_ever(
    client: Client, serve: Serve
) -> None:
    """One reader at a time: another is a mistake of the locustfile, named as such."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(CHUNKED + chunk(b"first"))
        peer.hold()

    server = serve(script)
    reply = client.stream("GET", f"{server.url}/", ["read", 5], ["two_readers"], timeout=60)
    assert reply["given"] == ["first", ["", "AssertionError"]]
    assert (client.outcomes(), client.counts()["open"]) == (["cancelled"], 0)
