"""Foundation's auditor against real sockets: what is believed, and what is unreadable.

No answer may ever make a write look lost that was not told of by name.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import UUID

import pytest

from locustfiles.harness.audit import foundation
from locustfiles.harness.audit.foundation import FoundationAuditor
from results.auditor import Found, UnreadableError

IDS = [UUID(int=number).bytes for number in (1, 2)]
FIRST, SECOND = (str(UUID(bytes=id)) for id in IDS)
HASH = "00112233445566778899aabbccddeeff"
ENTRY = {"id": FIRST, "seq": 7, "content_hash": HASH, "origin": "node-1"}
GOOD = {"node": "node-1", "found": [ENTRY], "missing": [SECOND]}

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: ClassVar[Answer]
    asked: ClassVar[list[tuple[str, dict[str, str], Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, dict(self.headers), body))
        type(self).answer(self)

    def send(self, body: bytes, status: int = 200, length: int | None = None) -> None:
        said = len(body) if length is None else length
        head = f"HTTP/1.1 {status} said\r\nContent-Length: {said}\r\nLocation: /else\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def node(answer: Answer) -> Iterator[str]:
    class Answering(Handler):
        asked: ClassVar[list[tuple[str, dict[str, str], Any]]] = Handler.asked

    Answering.answer = answer
    Handler.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def saying(document: object) -> Answer:
    return lambda handler: handler.send(json.dumps(document).encode())


def found(answer: Answer, token: str | None = None) -> list[Found]:
    with node(answer) as url:
        return list(FoundationAuditor([url], token).find(url, IDS))


def unreadable(answer: Answer) -> UnreadableError:
    with pytest.raises(UnreadableError) as raised:
        found(answer)
    return raised.value


def test_what_a_node_tells_is_found() -> None:
    assert found(saying(GOOD)) == [Found(IDS[0], bytes.fromhex(HASH)[:8], "7", "node-1")]


def test_the_question_names_the_ids_and_carries_the_token() -> None:
    found(saying(GOOD), token="secret")
    ((path, headers, body),) = Handler.asked
    assert path == "/v1/events/audit"
    assert headers["Authorization"] == "Bearer secret"
    assert [UUID(text).bytes for text in body["ids"]] == IDS


def test_the_token_is_for_nobody_but_the_runs_nodes() -> None:
    with node(saying(GOOD)) as url:
        auditor = FoundationAuditor(["http://127.0.0.1:1"], "secret")
        with pytest.raises(UnreadableError, match="none of the run's nodes"):
            auditor.find(url, IDS)
    assert Handler.asked == []


def test_a_url_is_known_however_it_is_written() -> None:
    with node(saying(GOOD)) as url:
        assert list(FoundationAuditor([url.replace("http", "HTTP")], None).find(url, IDS))


def test_two_copies_of_one_id_are_both_told() -> None:
    twice = GOOD | {"found": [ENTRY, ENTRY | {"seq": 8}]}
    assert [copy.place for copy in found(saying(twice))] == ["7", "8"]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"found": [], "missing": []},
        {"found": [ENTRY], "missing": []},
        {"found": [], "missing": [SECOND]},
        {"found": [ENTRY], "missing": [FIRST, SECOND]},
        {"found": [ENTRY], "missing": [SECOND, str(UUID(int=9))]},
        {"found": [ENTRY | {"id": str(UUID(int=9))}], "missing": [FIRST, SECOND]},
        {"found": [ENTRY | {"id": "x"}], "missing": [SECOND]},
        {"found": [ENTRY | {"id": 1}], "missing": [SECOND]},
        {"found": [ENTRY | {"seq": "7"}], "missing": [SECOND]},
        {"found": [ENTRY | {"seq": True}], "missing": [SECOND]},
        {"found": [ENTRY | {"content_hash": "zz"}], "missing": [SECOND]},
        {"found": [ENTRY | {"content_hash": "00"}], "missing": [SECOND]},
        {"found": [ENTRY | {"content_hash": None}], "missing": [SECOND]},
        {"found": [ENTRY | {"origin": 1}], "missing": [SECOND]},
        {"found": [ENTRY | {"origin": "o" * 501}], "missing": [SECOND]},
        {"found": [1], "missing": [SECOND]},
        {"found": {FIRST: ENTRY}, "missing": [SECOND]},
        {"found": None, "missing": IDS[0].hex()},
    ],
)
def test_an_answer_about_anything_else_is_unreadable(document: object) -> None:
    error = unreadable(saying(document))
    assert "not an audit's" in str(error) and not error.passes


@pytest.mark.parametrize("text", [b"", b"{", b"<html>", b"\xff", b"[" * 5000, b'{"found": NaN}'])
def test_what_is_no_json_is_unreadable(text: bytes) -> None:
    assert "no JSON" in str(unreadable(lambda handler: handler.send(text)))


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 401, 404, 413, 500])
def test_another_status_is_unreadable_and_no_redirect_is_followed(status: int) -> None:
    error = unreadable(lambda handler: handler.send(b"", status))
    assert str(error) == f"it answered {status}" and not error.passes
    assert len(Handler.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_node_that_is_busy_may_answer_later(status: int) -> None:
    assert unreadable(lambda handler: handler.send(b"", status)).passes


def test_an_answer_without_an_end_is_cut_off() -> None:
    def endless(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b" " * 100_000)

    assert "more than" in str(unreadable(endless))


def test_an_answer_that_was_cut_off_may_come_whole_later() -> None:
    def cut(handler: Handler) -> None:
        handler.send(json.dumps(GOOD).encode()[:-5], length=1000)
        handler.connection.shutdown(socket.SHUT_RDWR)

    assert unreadable(cut).passes


def test_a_node_that_is_gone_may_be_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(UnreadableError, match="refused") as raised:
        FoundationAuditor([url], None).find(url, IDS)
    assert raised.value.passes


def test_a_node_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foundation, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnreadableError, match=r"no answer within 0\.2 s"):
            FoundationAuditor([url], None).find(url, IDS)
