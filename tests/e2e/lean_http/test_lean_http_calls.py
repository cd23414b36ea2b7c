"""LeanHttpSession as a locustfile calls it: forms, what is sent, what is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.lean_http.scripted import GUARD_S, Client, Peer, ScriptedServer, answer

Serve = Callable[..., ScriptedServer]


class Recorder:
    """A server that keeps what it was sent and answers with what is next."""

    def __init__(self, serve: Serve, *responses: bytes) -> None:
        self.requests: list[bytes] = []
        self._responses = responses or (answer(),)
        self.server = serve(self._script)
        self.url = self.server.url

    def _script(self, peer: Peer) -> None:
        while request := peer.read_request():
            self.requests.append(request)
            index = min(len(self.requests), len(self._responses)) - 1
            peer.send(self._responses[index])

    @property
    def last(self) -> str:
        return self.requests[-1].decode("latin-1")

    def last_headers(self) -> dict[str, str]:
        lines = self.last.partition("\r\n\r\n")[0].split("\r\n")[1:]
        pairs = [line.partition(": ") for line in lines]
        assert len({name.lower() for name, _, _ in pairs}) == len(pairs), "a header came twice"
        return {name: value for name, _, value in pairs}


def test_one_request_is_one_event_and_one_sample(client: Client, serve: Serve) -> None:
    response = answer(
        b"{}", "Server-Timing: emulated;dur=12.345, work;dur=0.2", status="201 Created"
    )
    recorder = Recorder(serve, response)
    client.new(recorder.url)
    reply = client.request(
        "POST",
        "/v1/things/7?a=b",
        name="/v1/things/{id}",
        json={"x": 1},
        write_id="0190f3a000007000800000000000000a",
        intended_us=123,
        context={"who": "me"},
    )
    assert (reply["status"], reply["ok"], reply["content"]) == (201, True, "{}")
    state = client.state()
    (event,), (sample,) = state["events"], state["samples"]
    assert set(event) == {
        *("request_type", "name", "response_time", "response_length", "response"),
        *("context", "exception", "start_time", "url"),
    }
    assert (event["request_type"], event["name"]) == ("POST", "/v1/things/{id}")
    assert (event["response"], event["response_length"], event["exception"]) == (201, 2, None)
    assert (event["context"], event["url"]) == ({"who": "me"}, f"{recorder.url}/v1/things/7?a=b")
    assert event["response_time"] == pytest.approx(reply["elapsed_ms"], abs=0.01)
    assert sample["name"] == "POST /v1/things/{id}"
    assert (sample["outcome"], sample["status"], sample["intended_us"]) == ("ok", 201, 123)
    assert (sample["emulated_us"], sample["node"]) == (12_345, recorder.url)
    assert sample["write_id"] == "0190f3a000007000800000000000000a"
    assert sample["bytes_received"] == len(response)
    # The two clocks are read apart, and the event's is the wall clock itself.
    assert abs(sample["start_us"] - event["start_time"] * 1e6) < 1_000_000
    duration_ms = (sample["end_us"] - sample["start_us"]) / 1000
    assert duration_ms == pytest.approx(event["response_time"], abs=0.01)


def test_without_a_sink_there_are_events_only(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.new(recorder.url, sink=False)
    client.request("GET", "/")
    state = client.state()
    assert (len(state["events"]), state["samples"]) == (1, [])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_is_sent_as_it_is_called(client: Client, serve: Serve, method: str) -> None:
    recorder = Recorder(serve, answer(b""))
    client.new(recorder.url)
    assert client.request(method, "/x")["status"] == 200
    assert recorder.last.startswith(f"{method} /x HTTP/1.1\r\n")
    has_length = "Content-Length" in recorder.last_headers()
    assert has_length == (method in ("POST", "PUT", "PATCH"))


@pytest.mark.parametrize("charset", ["idna", "undefined", "no-such", "punycode", "utf-8"])
def test_text_is_text_whatever_charset_the_response_names(
    client: Client, serve: Serve, charset: str
) -> None:
    body = "é\u00ad.".encode()
    recorder = Recorder(serve, answer(body, f"Content-Type: text/html; charset={charset}"))
    client.new(recorder.url)
    reply = client.request("GET", "/")
    assert reply["status"] == 200
    if charset != "punycode":
        assert reply["text"] == body.decode()


def test_a_method_in_lower_case_is_sent_in_upper_case(client: Client, serve: Serve) -> None:
    """Else the answer to `head`, which has a length and no body, would be awaited in vain."""
    recorder = Recorder(serve, b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    client.new(recorder.url)
    assert client.request("head", "/x")["status"] == 200
    assert recorder.last.startswith("HEAD /x HTTP/1.1\r\n")


def test_bodies_say_what_they_are(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.new(recorder.url)

    def sent(**arguments: Any) -> tuple[str | None, str]:
        client.request("POST", "/", **arguments)
        return recorder.last_headers().get("Content-Type"), recorder.last.partition("\r\n\r\n")[2]

    assert sent(json={"a": [1, "ü"]}) == (
        "application/json",
        '{"a":[1,"ü"]}'.encode().decode("latin-1"),
    )
    assert sent(json=[]) == ("application/json", "[]")
    assert sent(data="text") == (None, "text")
    assert sent(data={"a": "b c"}) == ("application/x-www-form-urlencoded", "a=b+c")
    assert sent(data="kept", json={"not": "sent"}) == (None, "kept")
    assert sent(json={}, headers={"content-type": "application/x-ndjson"})[1] == "{}"
    assert recorder.last_headers()["content-type"] == "application/x-ndjson"
    assert sent() == (None, "")


def test_headers_add_to_the_defaults_and_replace_them_by_name(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.new(recorder.url, settings={"default_headers": {"X-Tenant": "a", "accept": "text/html"}})
    client.request("GET", "/")
    assert recorder.last_headers() == {
        "Host": recorder.server.label,
        "User-Agent": "foundation-load",
        "X-Tenant": "a",
        "accept": "text/html",
    }
    client.request("GET", "/", headers={"x-tenant": "b", "HOST": "other", "X-New": "c"})
    headers = recorder.last_headers()
    assert (headers["x-tenant"], headers["HOST"], headers["X-New"]) == ("b", "other", "c")


def test_no_compression_is_asked_for(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.request("GET", recorder.url)
    assert "Accept-Encoding" not in recorder.last_headers()


def test_credentials_of_the_base_url_go_to_its_origin_only(client: Client, serve: Serve) -> None:
    home, abroad = Recorder(serve), Recorder(serve)
    client.new(f"http://me:s%3Acret@{home.server.label}")
    client.request("GET", "/")
    assert home.last_headers()["Authorization"] == "Basic bWU6czpjcmV0"
    assert "secret" not in client.state()["events"][0]["url"]
    client.request("GET", f"{abroad.url}/")
    assert "Authorization" not in abroad.last_headers()
    client.request("GET", "/", auth=["you", "too"])
    assert home.last_headers()["Authorization"] == "Basic eW91OnRvbw=="


def test_paths_follow_the_base_url_and_are_quoted(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.new(f"{recorder.url}/api/")

    def line(url: str, **arguments: Any) -> str:
        client.request("GET", url, **arguments)
        return recorder.last.partition(" HTTP/1.1\r\n")[0]

    assert line("/x") == "GET /api/x"
    assert line("/a b/ü?q=1#part") == "GET /api/a%20b/%C3%BC?q=1"
    assert line("/a%20b") == "GET /api/a%20b"
    assert line("/x", params={"a": "1 2", "b": [1, 2]}) == "GET /api/x?a=1+2&b=1&b=2"
    assert line("/x?z=1", params={"a": "1"}) == "GET /api/x?z=1&a=1"
    assert line(f"{recorder.url}?q") == "GET /?q"
    assert line("/x\r\nEvil: yes") == "GET /api/x%0D%0AEvil:%20yes"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"url": "ftp://x/"}, "ValueError"),
        ({"url": "/no/base"}, "StopTest"),
        ({"url": "http://"}, "ValueError"),
        ({"url": "http://host:99999/"}, "ValueError"),
        ({"url": "http://[::1/"}, "ValueError"),
        ({"method": "GE T"}, "ValueError"),
        ({"method": "GET\r\nX: y"}, "ValueError"),
        ({"headers": {"X": "a\r\nEvil: yes"}}, "ValueError"),
        ({"headers": {"X Y": "a"}}, "ValueError"),
        ({"headers": {"Content-Length": "3"}}, "ValueError"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "ValueError"),
        ({"headers": {"X": 3}}, "TypeError"),
        ({"headers": {"X": "\u20ac"}}, "ValueError"),
        ({"timeout": 0}, "ValueError"),
        ({"timeout": -1}, "ValueError"),
        ({"files": {"f": 3}}, "TypeError"),
        ({"files": {"f": ["name"]}}, "ValueError"),
        ({"files": {"f": "x"}, "data": "text"}, "TypeError"),
        ({"unknown": 1}, "TypeError"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_counted(
    client: Client, serve: Serve, arguments: dict[str, Any], error: str
) -> None:
    recorder = Recorder(serve)
    call = {"method": "POST", "url": f"{recorder.url}/", **arguments}
    reply = client.request(call.pop("method"), call.pop("url"), **call)
    assert reply["raised"].startswith(f"{error}(")
    state = client.state()
    assert (state["events"], state["samples"], recorder.requests) == ([], [], [])


def test_redirects_are_reported_and_not_followed_where_that_is_asked_for(
    client: Client, serve: Serve
) -> None:
    recorder = Recorder(serve, answer(b"", "Location: /elsewhere", status="302 Found"))
    reply = client.request("GET", f"{recorder.url}/", allow_redirects=False)
    assert (reply["status"], reply["ok"], reply["headers"]["Location"]) == (302, True, "/elsewhere")
    assert (client.outcomes(), len(recorder.requests)) == (["ok"], 1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("200 OK", "ok"), ("404 Not Found", "http_4xx"), ("503 Unavailable", "http_5xx")],
)
def test_a_bad_status_is_a_failure_of_its_kind(
    client: Client, serve: Serve, status: str, outcome: str
) -> None:
    recorder = Recorder(serve, answer(status=status))
    reply = client.request("GET", f"{recorder.url}/a/1", name="/a/{id}")
    assert (reply["status"], client.outcomes()) == (int(status[:3]), [outcome])
    exception = client.state()["events"][0]["exception"]
    expected = None if outcome == "ok" else f"BadStatus: {status[:3]} from GET /a/{{id}}"
    assert exception == expected


@pytest.mark.parametrize(
    ("status", "block", "exception", "outcome"),
    [
        ("200 OK", {}, None, "ok"),
        ("404 Not Found", {}, "BadStatus: 404 from GET /", "http_4xx"),
        ("404 Not Found", {"success": True}, None, "ok"),
        ("500 No", {"success": True}, None, "ok"),
        ("200 OK", {"failure": "no data"}, "CatchResponseError('no data')", "check"),
        ("503 No", {"failure": "no data"}, "CatchResponseError('no data')", "http_5xx"),
        ("200 OK", {"success": True, "failure": "last"}, "CatchResponseError('last')", "check"),
        ("200 OK", {"raise": "ResponseError"}, "ResponseError('from the block')", "check"),
    ],
)
def test_the_with_block_decides_how_a_request_counts(
    client: Client,
    serve: Serve,
    status: str,
    block: dict[str, Any],
    exception: str | None,
    outcome: str,
) -> None:
    recorder = Recorder(serve, answer(status=status))
    reply = client.request("GET", f"{recorder.url}/", name="/", block=block)
    assert reply["raised"] is None
    (event,) = client.state()["events"]
    assert (event["exception"], client.outcomes()) == (exception, [outcome])


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        ({"raise": "ValueError"}, "check"),
        ({"raise": "RescheduleTask"}, "ok"),
        ({"success": True, "raise": "ValueError"}, "ok"),
        ({"failure": "x", "raise": "ResponseError"}, "check"),
    ],
)
def test_an_exception_leaves_the_block_and_the_request_counts_once(
    client: Client, serve: Serve, block: dict[str, Any], outcome: str
) -> None:
    recorder = Recorder(serve)
    reply = client.request("GET", f"{recorder.url}/", block=block)
    assert "from the block" in reply["raised"]
    assert (len(client.state()["events"]), client.outcomes()) == (1, [outcome])


def test_a_block_can_rename_the_request(client: Client, serve: Serve) -> None:
    recorder = Recorder(serve)
    client.request("GET", f"{recorder.url}/", block={"name": "renamed"})
    state = client.state()
    assert (state["events"][0]["name"], state["samples"][0]["name"]) == ("renamed", "GET renamed")


def test_a_transport_failure_can_be_judged_in_a_block(client: Client, serve: Serve) -> None:
    server = serve(Peer.hold)
    reply = client.request("GET", f"{server.url}/", timeout=0.1, block={})
    assert (reply["status"], reply["ok"], client.outcomes()) == (0, False, ["timeout"])
    client.request("GET", f"{server.url}/", timeout=0.1, block={"success": True})
    client.request("GET", f"{server.url}/", timeout=0.1, block={"failure": "late"})
    assert client.outcomes() == ["timeout", "ok", "timeout"]


def test_a_user_stopped_in_mid_request_leaves_a_cancelled_sample(
    client: Client, serve: Serve
) -> None:
    seen: list[bytes] = []
    gone = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_request())
        peer.hold()
        gone.append(True)

    server = serve(script)
    client.spawn("POST", f"{server.url}/", json={}, write_id="00ff" * 8, timeout=30)
    wait_until(client, lambda: bool(seen))
    assert client.kill()["dead"]
    state = client.state()
    assert [sample["outcome"] for sample in state["samples"]] == ["cancelled"]
    assert (state["samples"][0]["write_id"], state["samples"][0]["status"]) == ("00ff" * 8, 0)
    assert state["events"] == [], "unknown is not a failure, so Locust hears nothing"
    assert state["idle"] == [], "the stream is dirty"
    wait_until(client, lambda: bool(gone))


def test_a_user_stopped_while_connecting_or_resolving_is_cancelled_too(
    client: Client, serve: Serve
) -> None:
    client.spawn("GET", "http://no-such-host.invalid/")
    client.kill()
    outcomes = client.outcomes()
    # A kill may come before the greenlet ran at all: then nothing was started either.
    assert outcomes in (["cancelled"], ["other"], [])


@pytest.mark.parametrize("kept", [1, 2])
def test_requests_at_once_use_a_connection_each_and_keep_as_many_as_they_may(
    client: Client, serve: Serve, kept: int
) -> None:
    held: list[Peer] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            if b"/hold" in request:
                held.append(peer)
            else:
                peer.send(answer())

    server = serve(script)
    client.new(settings={"idle_connections": kept})
    client.spawn("GET", f"{server.url}/hold")
    wait_until(client, lambda: bool(held))
    assert client.request("GET", f"{server.url}/")["status"] == 200
    held[0].send(answer(b"late"))
    assert client.join()["content"] == "late"
    assert server.connections == 2
    assert client.state()["idle"] == [server.url] * kept
    assert client.counts()["open"] == kept
    for _ in range(2):
        client.request("GET", f"{server.url}/")
    assert server.connections == 2
    client.close_session()
    assert client.counts()["open"] == 0


def test_an_idle_connection_that_the_server_closes_is_noticed(client: Client, serve: Serve) -> None:
    server = serve(lambda peer: peer.serve_once())
    client.request("GET", f"{server.url}/")
    wait_until(client, lambda: client.state()["idle"] == [])
    assert client.request("GET", f"{server.url}/")["status"] == 200
    assert (client.state()["reconnects"], server.connections) == (1, 2)


def test_bytes_that_come_while_nothing_was_asked_end_the_connection(
    client: Client, serve: Serve
) -> None:
    received = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        if peer.number > 1:
            peer.hold()
        assert received.wait(GUARD_S)
        peer.send(answer(b"unasked", status="408 Request Timeout"))
        peer.hold()

    server = serve(script)
    assert client.request("GET", f"{server.url}/")["content"] == "ok"
    assert client.state()["idle"] == [server.url]
    received.set()
    wait_until(client, lambda: client.state()["idle"] == [])
    assert client.request("GET", f"{server.url}/")["content"] == "ok"


def test_closing_the_session_closes_its_connections(client: Client, serve: Serve) -> None:
    ended: list[int] = []

    def script(peer: Peer) -> None:
        peer.serve(answer())
        ended.append(peer.number)

    one, two = serve(script), serve(script)
    for server in (one, two):
        client.request("GET", f"{server.url}/")
    assert client.state()["idle"] == sorted([one.url, two.url])
    client.close_session()
    wait_until(client, lambda: len(ended) == 2)


def wait_until(client: Client, condition: Callable[[], bool], attempts: int = 3000) -> None:
    """Poll, with a round trip to the client in between, so that its loop runs too."""
    for _ in range(attempts):
        if condition():
            return
        client.state()
    raise AssertionError("it did not happen")
