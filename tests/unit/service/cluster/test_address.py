"""Peers' addresses: exactly scheme, host and port, others only, each once."""

from __future__ import annotations

import pytest

from service.cluster.address import MAX_PEERS, is_own, peer_url, peer_urls
from service.errors import ConfigurationError
from service.settings import load


@pytest.mark.parametrize(
    "text, url",
    [
        ("http://10.0.0.5:8001", "http://10.0.0.5:8001"),
        ("HTTP://Node-2.Example:8001", "http://node-2.example:8001"),
        ("https://node_2", "https://node_2:443"),
        ("http://node", "http://node:80"),
        ("http://[::1]:8001", "http://[::1]:8001"),
    ],
)
def test_an_address_is_written_in_one_way(text: str, url: str) -> None:
    assert peer_url(text) == url
    assert peer_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.5:8001",
        "ftp://node:8001",
        "http://",
        "http://:8001",
        "http://node:8001/",
        "http://node:8001/v1",
        "http://node:8001?",
        "http://node:8001#",
        "http://node:8001?a=b",
        "http://user:password@node:8001",
        "http://@node:8001",
        "http://node:port",
        "http://node:",
        "http://node:65536",
        "http://node:-1",
        "http://node:0",
        "http://no de:8001",
        "http://node:8001\r\nHost: other",
        "http://node\\other:8001",
        "http://[::1:8001",
        "http://[node]:8001",
        "http://nöde:8001",
        "http://-node:8001",
        "http://" + "n" * 300 + ":8001",
    ],
)
def test_what_is_more_or_less_than_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"scheme, host and port|port 0"):
        peer_url(text)


def test_a_password_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(ValueError) as caught:
        peer_url("http://ada:hunter2@node:8001")
    assert "hunter2" not in str(caught.value)


def test_a_second_of_the_same_and_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        peer_urls(["http://a:80", "http://b:80", "http://A"])
    many = [f"http://node:{port}" for port in range(1, MAX_PEERS + 2)]
    assert len(peer_urls(many[:-1])) == MAX_PEERS
    with pytest.raises(ValueError, match="at most 50"):
        peer_urls(many)


@pytest.mark.parametrize(
    "url, own",
    [
        ("http://127.0.0.1:8001", True),
        ("http://localhost:8001", True),
        ("http://[::1]:8001", True),
        ("http://127.0.0.1:8002", False),
        ("http://10.0.0.5:8001", False),
        ("http://node-1:9000", True),
    ],
)
def test_a_node_knows_its_own_address(url: str, own: bool) -> None:
    for host in ("127.0.0.1", "0.0.0.0", "::", "localhost"):
        known = {"advertised_url": "http://Node-1:9000", "host": host, "port": 8001}
        assert is_own(url, **known) is own  # type: ignore[arg-type]
    assert not is_own("http://10.0.0.5:8001", advertised_url=None, host="10.0.0.6", port=8001)
    assert is_own("http://10.0.0.5:8001", advertised_url=None, host="10.0.0.5", port=8001)


def test_a_port_that_is_not_chosen_yet_is_nobodys() -> None:
    assert not is_own("http://127.0.0.1:8001", advertised_url=None, host="127.0.0.1", port=0)


def test_the_setting_takes_a_list_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_PEERS", "http://127.0.0.1:8002, https://node-3")
    assert load().peers == ("http://127.0.0.1:8002", "https://node-3:443")
    assert load(peers=["http://b:1"]).peers == ("http://b:1",)
    monkeypatch.setenv("FOUNDATION_PEERS", "")
    assert load().peers == ()


@pytest.mark.parametrize(
    "value, message",
    [
        ("http://127.0.0.1:8001", "is this node"),
        ("http://127.0.0.1:8002,http://127.0.0.1:8002", "named twice"),
        ("http://127.0.0.1:8002/v1", "scheme, host and port alone"),
    ],
)
def test_a_bad_setting_names_the_variable(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOUNDATION_PEERS", value)
    with pytest.raises(ConfigurationError, match=rf"FOUNDATION_PEERS: .*{message}"):
        load()
