"""LeanHttpSession over TLS: a certificate that verifies, ones that do not, and broken peers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.e2e.lean_http.scripted import Client, Peer, ScriptedServer, answer

Serve = Callable[..., ScriptedServer]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def context_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def always(peer: Peer) -> None:
    peer.serve(answer(b"sealed"))


def test_a_trusted_certificate_is_accepted_and_the_connection_kept(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    server = serve(always, context=context_for(authority, "127.0.0.1"))
    client.new(server.url, ca=ca_file)
    for _ in range(3):
        reply = client.request("GET", "/")
        assert (reply["error"], reply["content"]) == (None, "sealed")
    assert server.connections == 1
    assert client.state()["samples"][0]["node"] == server.url


def test_the_server_name_is_sent(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    names: list[str | None] = []
    context = context_for(authority, "localhost")
    context.sni_callback = lambda sock, name, _: names.append(name)
    server = serve(always, context=context)
    client.new(f"https://localhost:{server.port}", ca=ca_file)
    assert client.request("GET", "/")["content"] == "sealed"
    assert names == ["localhost"]


def test_an_unknown_authority_is_refused_by_default(
    client: Client, serve: Serve, authority: trustme.CA
) -> None:
    server = serve(always, context=context_for(authority, "127.0.0.1"))
    reply = client.request("GET", f"{server.url}/")
    assert reply["error"].startswith(
        f"TlsFailure: {server.label} has a certificate that does not verify"
    )
    assert (reply["status"], client.outcomes()) == (0, ["other"])


def test_a_certificate_for_another_name_is_refused(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    server = serve(always, context=context_for(authority, "elsewhere.example"))
    client.new(server.url, ca=ca_file)
    assert "does not verify" in client.request("GET", "/")["error"]


def test_insecure_accepts_any_certificate(
    client: Client, serve: Serve, authority: trustme.CA
) -> None:
    server = serve(always, context=context_for(authority, "elsewhere.example"))
    client.new(server.url, settings={"insecure": True})
    assert client.request("GET", "/")["content"] == "sealed"


def test_a_server_without_tls_fails_the_handshake(client: Client, serve: Serve) -> None:
    server = serve(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    reply = client.request("GET", f"https://{server.label}/", timeout=5)
    assert reply["error"].startswith(f"TlsFailure: {server.label} ")


@pytest.mark.parametrize("hang_up", [Peer.close, Peer.reset])
def test_a_server_that_leaves_the_handshake_is_named(
    client: Client, serve: Serve, hang_up: Callable[[Peer], None]
) -> None:
    server = serve(hang_up)
    reply = client.request("GET", f"https://{server.label}/", timeout=5)
    # A reset may overtake the client's look at whether it is connected.
    kind = reply["error"].partition(":")[0]
    assert kind == "TlsFailure" or (kind == "ConnectReset" and hang_up is Peer.reset)
    assert server.label in reply["error"]


def test_a_server_that_never_shakes_hands_is_left_at_the_connect_limit(
    client: Client, serve: Serve
) -> None:
    client.new(settings={"connect_timeout_s": 0.2})
    server = serve(Peer.hold)
    reply = client.request("GET", f"https://{server.label}/")
    assert "did not finish the TLS handshake within 0.2 s" in reply["error"]
    assert client.outcomes() == ["timeout"]


def test_large_bodies_pass_in_both_directions(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(b"z" * len(request)))

    server = serve(script, context=context_for(authority, "127.0.0.1"))
    client.new(server.url, ca=ca_file)
    reply = client.request("POST", "/", data_bytes=3_000_000)
    assert reply["size"] > 3_000_000


def test_a_body_until_close_needs_the_farewell(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    """Without close_notify an attacker could cut the body where it pleases."""
    context = context_for(authority, "127.0.0.1")
    body = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"

    def with_farewell(peer: Peer) -> None:
        peer.read_request()
        peer.send(body)
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.sock.unwrap()

    def without(peer: Peer) -> None:
        peer.read_request()
        peer.send(body)

    polite, rude = serve(with_farewell, context=context), serve(without, context=context)
    client.new(ca=ca_file)
    assert client.request("GET", f"{polite.url}/")["content"] == "until the end"
    assert "in mid-response" in client.request("GET", f"{rude.url}/")["error"]


def test_a_kept_connection_that_closes_is_replaced(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer(b"one"))
        peer.read_request()
        if peer.number > 1:
            peer.send(answer(b"two"))

    server = serve(script, context=context_for(authority, "127.0.0.1"))
    client.new(server.url, ca=ca_file)
    assert client.request("GET", "/")["content"] == "one"
    assert client.request("GET", "/")["content"] == "one"
    assert client.request("GET", "/")["content"] == "two"
    assert client.state()["reconnects"] == 1


def test_bodies_are_streamed_both_ways_over_tls(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    requests: list[bytes] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            requests.append(request)
            peer.send(answer(b"z" * 5_000_000))

    server = serve(script, context=context_for(authority, "127.0.0.1"))
    client.new(server.url, ca=ca_file)
    for source, size in (("file", 300_000), ("pieces", 100_008)):
        reply = client.request("POST", "/", source=source)
        assert (reply["error"], reply["size"]) == (None, 5_000_000)
        assert len(requests[-1].partition(b"\r\n\r\n")[2]) == size
    given = client.stream("GET", "/", ["read", 10], ["sleep", 0.05], ["size"])["given"]
    assert (given[0], given[2]) == ("z" * 10, 4_999_990)
    assert server.connections == 1
    assert client.outcomes() == ["ok"] * 3


def test_a_streamed_body_that_tls_cuts_off_is_a_failure(
    client: Client, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    """Without the farewell nobody knows whether a body without a length was whole."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the close")
        peer.sock.shutdown(2)

    server = serve(script, context=context_for(authority, "127.0.0.1"))
    client.new(server.url, ca=ca_file)
    reply = client.stream("GET", "/", ["read", 100], ["read"])
    assert reply["given"][0].startswith("until")
    assert reply["error"].startswith(("ConnectionClosed: ", "ConnectionReset: "))
    assert client.outcomes() == ["reset"]
