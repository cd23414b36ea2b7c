"""The hosts of a service that is not Foundation: which they are, and what answers there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from locust import FastHttpUser, HttpUser, User

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.target.service_host import (
    ServiceHost,
    hosts_of,
    require_answers,
    service_url,
    without_host,
)


class Lean(LeanHttpUser):
    host = "http://lean:1"


class Homeless(LeanHttpUser):
    pass


class Stock(HttpUser):
    host = "http://stock:1"


class Fast(FastHttpUser):
    host = "http://stock:1"


class Other(User):
    host = "localhost:50051"


class Nowhere(User):
    pass


def test_the_hosts_are_those_of_the_classes_each_once() -> None:
    found = hosts_of([Stock, Fast, Lean, Other, Nowhere], None)
    assert [host.url for host in found] == ["http://lean:1", "http://stock:1", "localhost:50051"]


def test_a_host_that_is_given_is_every_classs_and_a_lean_user_speaks_for_it() -> None:
    assert hosts_of([Stock, Lean, Other], "http://a") == (ServiceHost("http://a", Lean),)


def test_who_has_no_host_is_named() -> None:
    assert without_host([Lean, Homeless, Nowhere], None) == ["Homeless"]
    assert without_host([Homeless], "http://a") == []


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a:1", "http://a:1"),
        ("http://a:1/", "http://a:1"),
        ("https://a/base/path/", "https://a/base/path"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://a/@you", "http://a/@you"),
    ],
)
def test_the_url_of_a_service_may_have_a_path(text: str, url: str) -> None:
    assert service_url(text) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "http://host:port"),
        ("a:1", "http://host:port"),
        ("ftp://a", "http://host:port"),
        ("http://", "http://host:port"),
        ("http://a:0", "http://host:port"),
        ("http://a:70000", "http://host:port"),
        ("http://a b", "http://host:port"),
        ("http://a/\x1b[2J", "http://host:port"),
        ("http://a?key=hidden", "leave out '?'"),
        ("http://a/b#hidden", "leave out '?'"),
        ("http://user:hidden@a", "before the '@'"),
        ("hidden@a", "before the '@'"),
    ],
)
def test_a_url_that_is_none_is_refused_without_what_may_be_secret(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        service_url(text)
    assert says in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hidden@a:1/b@c", "http://a:1/b@c"),
        ("hidden@a:1", "a:1"),
        ("http://a/b@c", "http://a/b@c"),
    ],
)
def test_a_password_is_shown_nowhere(url: str, shown: str) -> None:
    assert ServiceHost(url, Stock).shown == shown


@contextmanager
def answering(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """One connection is accepted and answered; its request is in the list. None: never."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(65_536))
                connection.sendall(answer or b"")

        thread = threading.Thread(target=serve, daemon=True)
        if answer is not None:
            thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", received
        if answer is not None:
            thread.join(10)


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "503 Busy"])
@pytest.mark.parametrize("user", [Lean, Stock, Fast])
def test_any_http_answer_counts_as_reachable(status: str, user: type[User]) -> None:
    # Its body never ends.
    with answering(f"HTTP/1.1 {status}\r\nContent-Length: 99\r\n\r\n".encode()) as (at, received):
        require_answers([ServiceHost(f"http://me:secret@{at}/base?x", user)])
    assert received[0].startswith(b"GET /base?x HTTP/1.1\r\n")
    assert b"Authorization: Basic bWU6c2VjcmV0\r\n" in received[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b"SSH-2.0-odd\r\n", "not in HTTP"), (b"", "cannot be reached")],
    ids=["another protocol", "closed"],
)
def test_what_does_not_speak_http_is_told(answer: bytes, says: str) -> None:
    with answering(answer) as (at, _), pytest.raises(BadConfiguration) as caught:
        require_answers([ServiceHost(f"http://me:hidden@{at}", Lean)])
    assert says in str(caught.value) and at in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_port_that_nobody_listens_on_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(BadConfiguration, match="refused"):
            require_answers([ServiceHost(f"http://127.0.0.1:{port}", Stock)])


def test_who_does_not_answer_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locustfiles.harness.target.service_host.TIMEOUT_S", 0.2)
    with answering(None) as (at, _), pytest.raises(BadConfiguration, match="did not answer within"):
        require_answers([ServiceHost(f"http://{at}", Stock)])


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(BadConfiguration, match="not known"):
        require_answers([ServiceHost("http://nobody.invalid", Lean)])


def test_clients_of_other_protocols_and_of_proxies_are_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Behind(FastHttpUser):
        proxy_host = "proxy"

    require_answers([ServiceHost("localhost:1", Other), ServiceHost("http://127.0.0.1:1", Other)])
    require_answers([ServiceHost("http://127.0.0.1:1", Behind)])
    require_answers([ServiceHost("127.0.0.1:1", Stock)])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    require_answers([ServiceHost("http://127.0.0.1:1", Stock)])
    with pytest.raises(BadConfiguration):
        require_answers([ServiceHost("http://127.0.0.1:1", Lean)])
