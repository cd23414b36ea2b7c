"""Redirects and cookies, over one origin and over two."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer

Serve = Callable[..., ScriptedServer]


class Site:
    """Answers by path: a response, or a function of the request; keeps what it was sent."""

    def __init__(self, serve: Serve, pages: dict[str, bytes | Callable[[bytes], bytes]]) -> None:
        self.pages = pages
        self.requests: list[bytes] = []
        self.server = serve(self._script)
        self.url = self.server.url

    def _script(self, peer: Peer) -> None:
        while request := peer.read_request():
            self.requests.append(request)
            page = self.pages.get(request.split(b" ", 2)[1].decode(), answer(b"home"))
            peer.send(page if isinstance(page, bytes) else page(request))

    def lines(self) -> list[str]:
        return [request.partition(b" HTTP/")[0].decode() for request in self.requests]

    def header(self, name: str, index: int = -1) -> str | None:
        for line in self.requests[index].decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def body(self, index: int = -1) -> bytes:
        return self.requests[index].partition(b"\r\n\r\n")[2]


def to(location: str, status: int = 302, *headers: str) -> bytes:
    return answer(b"moved", f"Location: {location}", *headers, status=f"{status} Moved")


@pytest.mark.parametrize("stream", [False, True])
def test_a_chain_of_redirects_is_one_request(client: Client, serve: Serve, stream: bool) -> None:
    timed = "Server-Timing: emulated;dur=5"
    first, second, last = to("/b?x=1#f", 302, timed), to("c", 303, timed), answer(b"end", timed)
    site = Site(serve, {"/a": first, "/b?x=1": second, "/c": last})
    if stream:
        reply = client.stream("GET", f"{site.url}/a", ["content"])
        assert (reply["status"], reply["given"]) == (200, ["end"])
    else:
        reply = client.request("GET", f"{site.url}/a", name="/a")
        assert (reply["status"], reply["content"], reply["url"]) == (200, "end", f"{site.url}/c")
        assert reply["history"] == [[302, f"{site.url}/a"], [303, f"{site.url}/b?x=1"]]
    assert site.lines() == ["GET /a", "GET /b?x=1", "GET /c"]
    state = client.state()
    (event,), (sample,) = state["events"], state["samples"]
    assert (event["url"], event["response_length"]) == (f"{site.url}/a", 3)
    assert (sample["outcome"], sample["status"], sample["emulated_us"]) == ("ok", 200, 15_000)
    assert sample["bytes_received"] == len(first) + len(second) + len(last)
    assert site.server.connections == 1


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (303, "PUT", "GET", b""),
        (302, "HEAD", "HEAD", b""),
        (307, "POST", "POST", b"data"),
        (308, "PUT", "PUT", b"data"),
        (307, "GET", "GET", b""),
    ],
)
def test_method_and_body_follow_the_status(
    client: Client, serve: Serve, status: int, method: str, then: str, body: bytes
) -> None:
    head_only = to("/b", status).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    end = answer(b"")
    site = Site(serve, {"/a": head_only if method == "HEAD" else to("/b", status), "/b": end})
    arguments: dict[str, Any] = {"headers": {"Content-Type": "text/x", "X-Own": "1"}}
    if method in ("POST", "PUT"):
        arguments["data"] = "data"
    assert client.request(method, f"{site.url}/a", **arguments)["status"] == 200
    assert site.lines() == [f"{method} /a", f"{then} /b"]
    assert site.body() == body
    assert site.header("X-Own") == "1"
    kept = body or method == "GET"
    assert site.header("Content-Type") == ("text/x" if kept else None)


@pytest.mark.parametrize(("source", "again"), [("file", True), ("list", True), ("pieces", False)])
def test_a_streamed_body_goes_on_only_if_it_can_be_started_over(
    client: Client, serve: Serve, source: str, again: bool
) -> None:
    site = Site(serve, {"/a": to("/b", 307)})
    reply = client.request("POST", f"{site.url}/a", source=source)
    if again:
        assert (reply["status"], site.body(0)) == (200, site.body(1))
    else:
        assert reply["error"].startswith("RedirectFailed: ")
        assert (reply["status"], site.lines()) == (307, ["POST /a"])
    assert client.outcomes() == ["ok" if again else "other"]
    # A redirect that wants no body may come after any.
    site.pages["/a"] = to("/b", 303)
    assert client.request("POST", f"{site.url}/a", source=source)["status"] == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_is_one_counted_failure(client: Client, serve: Serve, stream: bool) -> None:
    client.new(settings={"max_redirects": 5})
    site = Site(serve, {"/a": to("/b"), "/b": to("/a")})
    call = client.stream if stream else client.request
    reply = call("GET", f"{site.url}/a")
    assert reply["error"] == f"RedirectFailed: {site.server.label} redirected more than 5 times"
    assert (reply["status"], len(site.requests)) == (302, 6)
    state = client.state()
    assert (len(state["events"]), client.outcomes()) == (1, ["other"])
    assert client.request("GET", f"{site.url}/")["content"] == "home"


def test_as_many_redirects_as_are_allowed_are_followed(client: Client, serve: Serve) -> None:
    site = Site(serve, {"/a": to("/b"), "/b": to("/c")})
    for limit, status, requests in ((2, 200, 3), (1, 302, 2), (0, 302, 1)):
        client.new(settings={"max_redirects": limit})
        site.requests.clear()
        assert client.request("GET", f"{site.url}/a")["status"] == status
        assert len(site.requests) == requests
        assert client.outcomes() == ["other" if limit == 1 else "ok"]


@pytest.mark.parametrize(
    "location", ["ftp://host/", "data:text/plain,x", "http://[::1", "http://h:99999/"]
)
def test_a_redirect_to_what_is_not_http_is_a_failure(
    client: Client, serve: Serve, location: str
) -> None:
    site = Site(serve, {"/a": to(location)})
    reply = client.request("GET", f"{site.url}/a")
    assert reply["error"].endswith("redirected to what is not an HTTP URL")
    assert (reply["status"], client.outcomes()) == (302, ["other"])


def test_a_redirect_without_location_is_an_answer(client: Client, serve: Serve) -> None:
    site = Site(serve, {"/a": answer(b"x", status="302 Found")})
    assert client.request("GET", f"{site.url}/a")["status"] == 302
    assert client.outcomes() == ["ok"]


def test_a_location_is_resolved_and_quoted(client: Client, serve: Serve) -> None:
    site = Site(serve, {"/x/a": to("../y/\u00fc b?q=\u00fc")})
    assert client.request("GET", f"{site.url}/x/a")["status"] == 200
    assert site.lines()[-1] == "GET /y/%C3%BC%20b?q=%C3%BC"
    other = Site(serve, {"/a": to(f"//user:pw@{site.server.label}?q")})
    assert client.request("GET", f"{other.url}/a")["status"] == 200
    assert (site.lines()[-1], site.header("Authorization")) == ("GET /?q", None)


def test_secrets_stay_with_their_origin(client: Client, serve: Serve) -> None:
    abroad = Site(serve, {})
    home = Site(serve, {"/out": to(f"{abroad.url}/x"), "/in": to("/x")})
    own = {"Authorization": "Bearer own", "Cookie": "a=b", "Host": "named", "X-Own": "1"}
    given: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"headers": own}),
        ({}, {"auth": ["me", "secret"]}),
        ({"settings": {"default_headers": {k: v for k, v in own.items() if k != "Host"}}}, {}),
    ]
    for options, arguments in given:
        client.new(home.url, **options)
        assert client.request("GET", "/in", **arguments)["status"] == 200
        assert home.header("Authorization") is not None
        assert client.request("GET", "/out", **arguments)["status"] == 200
        assert abroad.header("Authorization") is None
        assert abroad.header("Cookie") is None
        assert abroad.header("Host") == abroad.server.label
    assert abroad.header("X-Own") == "1"
    client.new(f"http://me:secret@{home.server.label}")
    client.request("GET", "/in")
    assert home.header("Authorization") is not None
    client.request("GET", "/out")
    assert abroad.header("Authorization") is None


def test_a_cookie_of_the_locustfile_gives_way_to_the_one_that_a_redirect_sets(
    client: Client, serve: Serve
) -> None:
    site = Site(serve, {"/login": to("/home", 302, "Set-Cookie: sid=new")})
    client.request("GET", f"{site.url}/login", headers={"Cookie": "sid=old"})
    assert [site.header("Cookie", 0), site.header("Cookie")] == ["sid=old", "sid=new"]


def test_a_target_of_a_redirect_that_is_not_there_is_the_failure(
    client: Client, serve: Serve
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        label = f"127.0.0.1:{nobody.getsockname()[1]}"
        site = Site(serve, {"/a": to(f"http://{label}/")})
        reply = client.request("GET", f"{site.url}/a")
    assert reply["error"] == f"ConnectionRefused: {label} refused the connection"
    assert (reply["status"], client.outcomes()) == (0, ["refused"])
    assert client.state()["samples"][0]["node"] == site.url


def test_the_deadline_covers_the_chain(client: Client, serve: Serve) -> None:
    def slow(peer: Peer) -> None:
        while peer.read_request():
            peer._stop.wait(0.15)
            peer.send(to("/again"))

    server = serve(slow)
    reply = client.request("GET", f"{server.url}/", timeout=0.4)
    assert reply["error"].startswith("DeadlineExceeded: ")
    assert client.outcomes() == ["timeout"]


def test_cookies_are_kept_and_sent_back(client: Client, serve: Serve) -> None:
    """Set by a redirect, replaced, expired, and never sent where they do not belong."""
    cookies = ("Set-Cookie: sid=1; Path=/", "Set-Cookie: part=p; Path=/part")
    site = Site(
        serve,
        {
            "/login": to("/home", 302, *cookies),
            "/renew": answer(b"", "set-cookie: sid=2"),
            "/logout": answer(b"", "SET-COOKIE: sid=; Path=/; Max-Age=0"),
            "/foreign": answer(b"", "Set-Cookie: evil=1; Domain=example.com"),
        },
    )
    client.new(site.url)
    client.request("POST", "/login", data="x")
    assert (site.header("Cookie"), client.cookies()) == ("sid=1", {"sid": "1", "part": "p"})
    client.request("GET", "/part/x")
    assert site.header("Cookie") in ("sid=1; part=p", "part=p; sid=1")
    client.request("GET", "/renew")
    client.request("GET", "/")
    assert site.header("Cookie") == "sid=2"
    client.request("GET", "/", headers={"Cookie": "own=1"})
    assert site.header("Cookie") == "own=1"
    client.request("GET", "/foreign")
    client.request("GET", "/logout")
    client.request("GET", "/")
    assert (site.header("Cookie"), client.cookies()) == (None, {"part": "p"})
    assert client.cookies(clear=True) == {}


def test_cookies_are_each_users_own_and_can_be_off(client: Client, serve: Serve) -> None:
    site = Site(serve, {"/a": answer(b"", "Set-Cookie: sid=1")})
    for settings in ({}, {"cookies": False}):
        client.new(site.url, settings=settings)
        client.request("GET", "/b")
        assert site.header("Cookie") is None
        client.request("GET", "/a")
        client.request("GET", "/b")
        assert site.header("Cookie") == (None if settings else "sid=1")
    stream = Site(serve, {"/a": answer(b"", "Set-Cookie: sid=3")})
    client.new(stream.url)
    client.stream("GET", "/a", ["content"])
    client.stream("GET", "/b", ["content"])
    assert stream.header("Cookie") == "sid=3"


def test_a_target_cannot_fill_the_generator_with_cookies(client: Client, serve: Serve) -> None:
    many = [f"Set-Cookie: c{number}=x" for number in range(500)]
    large = f"Set-Cookie: large={'x' * 5000}"
    broken = [
        "Set-Cookie: ",
        "Set-Cookie: ;;;",
        "Set-Cookie: a\xff=b; Expires=no; Max-Age=x",
    ]
    site = Site(serve, {"/many": answer(b"", *many), "/large": answer(b"", large, *broken)})
    client.new(site.url)
    assert client.request("GET", "/large")["status"] == 200
    assert "large" not in client.cookies()
    for _ in range(3):
        client.request("GET", "/many")
    assert 50 <= len(client.cookies()) <= 180
    assert client.request("GET", "/")["status"] == 200
    assert client.outcomes() == ["ok"] * 5
