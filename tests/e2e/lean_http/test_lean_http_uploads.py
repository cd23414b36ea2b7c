"""Request bodies that are streamed: how they are framed, and what becomes of those that fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer
from tests.e2e.lean_http.test_lean_http_calls import Recorder, wait_until

Serve = Callable[..., ScriptedServer]
PIECE = "0123456789" * 10_000


@pytest.mark.parametrize(
    ("source", "framing", "body"),
    [
        ("file", ("Content-Length", "300000"), PIECE * 3),
        ("empty file", ("Content-Length", "0"), ""),
        ("bytearray", ("Content-Length", "5"), "array"),
        ("pipe", ("Transfer-Encoding", "chunked"), "from a pipe"),
        ("pieces", ("Transfer-Encoding", "chunked"), "one,two," + PIECE),
        ("no pieces", ("Transfer-Encoding", "chunked"), ""),
        ("list", ("Transfer-Encoding", "chunked"), "one,two"),
    ],
)
def test_a_body_is_sent_from_where_it_stands_with_the_length_that_can_be_told(
    client: Client, serve: Serve, source: str, framing: tuple[str, str], body: str
) -> None:
    recorder = Recorder(serve)
    for _ in range(2):
        assert client.request("POST", f"{recorder.url}/", source=source)["status"] == 200
        headers = recorder.last_headers()
        assert headers[framing[0]] == framing[1]
        assert len({"Content-Length", "Transfer-Encoding"} & set(headers)) == 1
        assert recorder.last.partition("\r\n\r\n")[2] == body
    assert recorder.server.connections == 1, "the connection is in step after such a body"


def test_pairs_are_still_a_form(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.request("POST", f"{recorder.url}/", pairs=[["a", "1"], ["a", "2"]])
    assert recorder.last.endswith("\r\n\r\na=1&a=2")


def test_a_file_in_text_mode_is_refused_before_anything_is_sent(
    client: Client, serve: Serve
) -> None:
    recorder = Recorder(serve)
    reply = client.request("POST", f"{recorder.url}/", source="text file")
    assert reply["raised"].startswith("TypeError(") and "binary mode" in reply["raised"]
    assert (client.state()["samples"], recorder.requests) == ([], [])


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raising", "its source raised ValueError"),
        ("text", "its source gave str, not bytes"),
        ("shrinking file", "its file ended early"),
    ],
)
def test_a_source_that_fails_is_the_generators_fault_and_closes_the_connection(
    client: Client, serve: Serve, source: str, why: str
) -> None:
    ended: list[bool] = []

    def script(peer: Peer) -> None:
        if peer.number == 1:
            try:
                peer.hold()
            finally:
                ended.append(True)
        else:
            peer.serve(answer())

    server = serve(script)
    reply = client.request("POST", f"{server.url}/", source=source)
    assert reply["error"] == f"UploadFailed: {server.label} was not sent the whole body: {why}"
    assert (reply["status"], client.outcomes()) == (0, ["local"])
    assert len(client.state()["events"]) == 1
    wait_until(client, lambda: bool(ended))
    assert client.request("POST", f"{server.url}/", source="pieces")["status"] == 200
    assert client.outcomes() == ["local", "ok"]


def test_the_deadline_ends_a_source_that_keeps_the_client_waiting(
    client: Client, serve: Serve
) -> None:
    server = serve(Peer.hold)
    reply = client.request("POST", f"{server.url}/", source="late", timeout=0.3)
    assert reply["error"] == f"DeadlineExceeded: {server.label} did not answer within 0.3 s"
    assert reply["elapsed_ms"] < 10_000, "the source sleeps for a minute"
    assert client.outcomes() == ["timeout"]


def test_the_deadline_ends_a_body_without_end(client: Client, serve: Serve) -> None:
    """The server reads as fast as it can, so that the client never has to wait for it."""
    server = serve(Peer.hold)
    reply = client.request("POST", f"{server.url}/", source="endless", timeout=0.5)
    assert reply["error"].startswith("DeadlineExceeded: ")
    assert reply["elapsed_ms"] < 10_000
    assert client.outcomes() == ["timeout"]


def test_others_run_while_a_body_is_sent_that_never_waits(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.request("POST", f"{recorder.url}/", source="busy")
    turns = int(recorder.last.rpartition(".")[2].split()[0])
    assert turns >= 5, "200 pieces, a turn after every sixteenth"


def test_an_early_answer_ends_the_upload_and_the_connection(client: Client, serve: Serve) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(answer(b"enough", status="413 Content Too Large"))
        peer.hold()

    server = serve(script)
    reply = client.request("POST", f"{server.url}/", source="endless", timeout=20)
    assert (reply["status"], reply["error"]) == (413, None)
    assert (client.outcomes(), client.state()["idle"]) == (["http_4xx"], [])


def hang_up_on_the_second(requests: list[bytes]) -> Callable[[Peer], None]:
    """The first connection answers once, and closes when it has read the second request."""

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.read_request()
            peer.send(answer())
            requests.append(peer.read_request())
            return
        while request := peer.read_request():
            requests.append(request)
            peer.send(answer(b"again"))

    return script


@pytest.mark.parametrize(("source", "again"), [("file", True), ("list", True), ("pieces", False)])
def test_only_a_body_that_can_be_started_over_is_sent_again(
    client: Client, serve: Serve, source: str, again: bool
) -> None:
    requests: list[bytes] = []
    server = serve(hang_up_on_the_second(requests))
    client.request("GET", f"{server.url}/")
    reply = client.request("POST", f"{server.url}/write", source=source)
    if again:
        assert (reply["status"], reply["content"]) == (200, "again")
        assert requests[0] == requests[1], "all of it, from the same beginning"
        assert (client.outcomes(), client.state()["reconnects"]) == (["ok", "ok"], 1)
    else:
        assert reply["error"].startswith(("ConnectionClosed: ", "ConnectionReset: "))
        assert len(requests) == 1
        assert (client.outcomes(), client.state()["reconnects"]) == (["ok", "reset"], 0)


@pytest.mark.parametrize("source", ["late", "endless"])
def test_a_user_stopped_in_mid_upload_closes_the_connection(
    client: Client, serve: Serve, source: str
) -> None:
    seen: list[bytes] = []
    ended: list[bool] = []

    def script(peer: Peer) -> None:
        seen.append(peer.sock.recv(65_536))
        try:
            peer.hold()
        finally:
            ended.append(True)

    server = serve(script)
    client.spawn("POST", f"{server.url}/", source=source)
    wait_until(client, lambda: bool(seen))
    assert client.kill()["dead"]
    wait_until(client, lambda: bool(ended))
    assert (client.outcomes(), client.state()["events"]) == (["cancelled"], [])


def test_files_are_sent_as_a_multipart_form(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    form: dict[str, Any] = {
        "files": {"one": "text", "two": ["b.csv", "1,2", "text/csv"]},
        "data": {"field": ["x", 1], "none": None},
        "headers": {"Content-Type": "replaced"},
    }
    assert client.request("POST", f"{recorder.url}/", **form)["status"] == 200
    kind = recorder.last_headers()["Content-Type"]
    assert kind.startswith("multipart/form-data; boundary=")
    boundary = kind.partition("boundary=")[2]
    parts = recorder.last.partition("\r\n\r\n")[2].split(f"--{boundary}")
    assert [part.strip("\r\n") for part in parts] == [
        "",
        'Content-Disposition: form-data; name="field"\r\n\r\nx',
        'Content-Disposition: form-data; name="field"\r\n\r\n1',
        'Content-Disposition: form-data; name="one"; filename="one"\r\n\r\ntext',
        'Content-Disposition: form-data; name="two"; filename="b.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n1,2",
        "--",
    ]
