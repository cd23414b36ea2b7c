"""Which hosts may be loaded without being asked for, and what `--allow-target` changes."""

from __future__ import annotations

import argparse
import socket

import pytest

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.origin import parse_origin
from locustfiles.harness.target.allowed_target import Allowance, allowed_targets, host_of
from locustfiles.harness.target.guarded_resolver import GuardedResolver, TargetNotAllowed

NOBODY = Allowance()


def literal(host: str) -> list[str]:
    """A resolver that knows addresses only."""
    return [host]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.255.1",
        "169.254.1.1",
        "::1",
        "::",
        "fd12::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
    ],
)
def test_this_machine_and_private_networks_need_no_permission(address: str) -> None:
    assert NOBODY.why_not(address, literal) is None


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "203.0.113.5",
        "198.18.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "172.32.0.1",
        "172.15.255.255",
        "192.169.0.1",
        "11.0.0.1",
        "0.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "2001:db8::1",
        "fec0::1",
        "64:ff9b::0a00:0001",
        "::ffff:8.8.8.8",
    ],
)
def test_every_other_address_is_refused_with_the_remedy(address: str) -> None:
    reason = NOBODY.why_not(address, literal)
    assert reason is not None and reason.endswith(f"--allow-target {address}")


def test_every_address_of_a_name_must_be_allowed() -> None:
    answers = {"mixed": ["10.0.0.1", "203.0.113.5"], "inner": ["10.0.0.1", "::1"]}
    assert NOBODY.why_not("inner", answers.__getitem__) is None
    reason = NOBODY.why_not("mixed", answers.__getitem__)
    assert reason is not None
    assert "mixed resolves to 203.0.113.5" in reason and "--allow-target mixed" in reason
    assert Allowance.of(["203.0.113.5"]).why_not("mixed", answers.__getitem__) is None
    assert Allowance.of(["203.0.113.6"]).why_not("mixed", answers.__getitem__) is not None


def test_a_name_that_is_allowed_may_resolve_to_any_address() -> None:
    allowed = Allowance.of(allowed_targets("Shop.Example."))
    answers = {"shop.example": ["203.0.113.5"], "a.shop.example": ["203.0.113.5"]}
    assert allowed.why_not("shop.example", answers.__getitem__) is None
    assert allowed.why_not("SHOP.example.", {"SHOP.example.": ["8.8.8.8"]}.__getitem__) is None
    assert allowed.why_not("a.shop.example", answers.__getitem__) is not None, "no subdomains"


def test_a_network_allows_its_addresses_alone() -> None:
    allowed = Allowance.of(allowed_targets("203.0.113.0/24,[2001:db8::1]"))
    for inside in ("203.0.113.1", "203.0.113.255", "2001:db8::1"):
        assert allowed.why_not(inside, literal) is None
    for outside in ("203.0.114.1", "2001:db8::2"):
        assert allowed.why_not(outside, literal) is not None


def test_a_number_that_stands_for_an_address_is_resolved_like_any_name() -> None:
    """`http://3405803781` is 203.0.113.5 to every resolver."""
    reason = NOBODY.why_not("3405803781", lambda _: ["203.0.113.5"])
    assert reason is not None and "resolves to 203.0.113.5" in reason


def test_what_cannot_be_resolved_is_left_to_the_reachability_check() -> None:
    def fail(host: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert NOBODY.why_not("nowhere.invalid", fail) is None


def test_an_answer_that_is_no_address_is_not_allowed() -> None:
    assert NOBODY.why_not("odd", lambda _: ["/run/some.sock"]) is not None


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a.example", ["a.example"]),
        (" A.example. ,203.0.113.5,", ["a.example", "203.0.113.5/32"]),
        ("203.0.113.0/24", ["203.0.113.0/24"]),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("[2001:db8::5]", ["2001:db8::5/128"]),
        ("münchen.example", ["münchen.example"]),
        ("under_score", ["under_score"]),
    ],
)
def test_hosts_addresses_and_networks_can_be_allowed(text: str, items: list[str]) -> None:
    assert allowed_targets(text) == items


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no host given"),
        (" , ", "no host given"),
        ("*", "is not a host"),
        ("*.example", "is not a host"),
        ("http://a.example", "is not a host"),
        ("a.example:80", "is not a host"),
        ("a.example/path", "is not a host"),
        ("user:hidden@a.example", "is not a host"),
        ("a b", "is not a host"),
        (".", "is not a host"),
        ("a..b", "is not a host"),
        ("203.0.113.5/24", "is not a host"),
        ("0.0.0.0/0", "allows too much"),
        ("0.0.0.0/7", "allows too much"),
        ("::/0", "allows too much"),
        ("2001::/31", "allows too much"),
    ],
)
def test_what_is_no_host_is_refused_without_what_may_be_secret(text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        allowed_targets(text)
    assert says in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://A.example:80/x", "a.example"),
        ("https://user:pw@a.example", "a.example"),
        ("http://[::1]:80", "::1"),
        ("localhost:50051", "localhost"),
        ("postgresql://db.example/x", "db.example"),
        ("203.0.113.5", "203.0.113.5"),
        ("//a.example/x", "a.example"),
        ("http://a.example/x y", "a.example"),
        ("", None),
        ("/path", None),
        ("unix:///run/x.sock", None),
    ],
)
def test_the_host_is_found_in_urls_and_in_what_other_clients_take(
    target: str, host: str | None
) -> None:
    assert host_of(target) == host


@pytest.mark.parametrize(
    "target",
    [
        "http://8.8.8.8\\@127.0.0.1/",
        "http://user:hidden@8.8.8.8\\@127.0.0.1/",
        "8.8.8.8\\@127.0.0.1:80",
        "http://127.0.0.1\n@8.8.8.8/",
        "http://8.8\t.8.8",
        " http://8.8.8.8",
        "http://127.0.0.1 .example",
        "http:/8.8.8.8",
        "HTTP:8.8.8.8",
        "https:///8.8.8.8",
        "///8.8.8.8",
        "http://:80",
        "http://[::1",
    ],
)
def test_a_target_whose_host_clients_may_read_otherwise_is_refused(target: str) -> None:
    """urllib3 sends `http://8.8.8.8\\@127.0.0.1/` to 8.8.8.8."""
    with pytest.raises(BadConfiguration) as caught:
        NOBODY.require([target], literal)
    assert "write it as http://host:port" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_first_target_that_may_not_be_loaded_is_named() -> None:
    NOBODY.require(["http://127.0.0.1:1", "localhost:2"], lambda _: ["127.0.0.1"])
    with pytest.raises(BadConfiguration) as caught:
        NOBODY.require(["http://10.0.0.1", "https://203.0.113.5/a", "http://8.8.8.8"], literal)
    assert "not an allowed target: 203.0.113.5" in str(caught.value)


def test_a_lean_client_is_given_no_address_outside_of_the_allowance() -> None:
    guarded = GuardedResolver(NOBODY)
    assert guarded.addresses(parse_origin("http://127.0.0.1:9"), 1.0)
    for _ in range(2):
        with pytest.raises(TargetNotAllowed) as caught:
            guarded.addresses(parse_origin("http://203.0.113.5"), 1.0)
        assert "203.0.113.5:80 is not an allowed target" in str(caught.value)
    allowing = GuardedResolver(Allowance.of(["203.0.113.5"]))
    assert allowing.addresses(parse_origin("http://203.0.113.5"), 1.0)
