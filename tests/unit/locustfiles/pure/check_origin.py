"""URLs into origins and request targets."""

from __future__ import annotations

import pytest

from locustfiles.harness.http.origin import (
    basic_auth,
    parse_origin,
    request_target,
    split_absolute,
)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "label"),
    [
        ("http://a", "a", 80, "a", "a:80"),
        ("https://a", "a", 443, "a", "a:443"),
        ("http://a:443", "a", 443, "a:443", "a:443"),
        ("HTTP://A.Example:8001", "a.example", 8001, "a.example:8001", "a.example:8001"),
        ("http://127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1:1", "127.0.0.1:1"),
        ("http://[::1]:8001", "::1", 8001, "[::1]:8001", "[::1]:8001"),
        ("http://[::1]", "::1", 80, "[::1]", "[::1]:80"),
        ("http://bücher.example", "xn--bcher-kva.example", 80)
        + ("xn--bcher-kva.example",) * 1
        + ("xn--bcher-kva.example:80",),
    ],
)
def test_an_origin_has_its_texts(
    url: str, host: str, port: int, authority: str, label: str
) -> None:
    origin = parse_origin(url)
    assert (origin.host, origin.port) == (host, port)
    assert (origin.authority, origin.label) == (authority, label)
    assert origin.url == f"{origin.scheme}://{authority}"
    assert origin.authorization is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "ftp://a",
        "http://",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://[::1",
        "http://a b",
        "http://\x7f",
        "http://" + "ü" * 70,
    ],
)
def test_what_is_no_http_url_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|host name"):
        parse_origin(url)


def test_credentials_become_an_authorization() -> None:
    origin = parse_origin("http://me:p%40ss@a:1")
    assert origin.authorization == basic_auth("me", "p@ss")
    assert "me" not in origin.url
    assert parse_origin("http://me@a:1").authorization is None


def test_basic_auth_takes_text_and_bytes() -> None:
    assert basic_auth("Aladdin", b"open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a:1/b/c?d", ("http://a:1", "/b/c?d")),
        ("http://a", ("http://a", "")),
        ("http://a?b/c", ("http://a", "?b/c")),
        ("http://a#b?c", ("http://a", "#b?c")),
        ("https://[::1]:1/x", ("https://[::1]:1", "/x")),
    ],
)
def test_an_absolute_url_is_split_after_its_authority(url: str, parts: tuple[str, str]) -> None:
    assert split_absolute(url) == parts


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("?a=b", "/?a=b"),
        ("x", "/x"),
        ("/a#b", "/a"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/ü", "/%C3%BC"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/a\0", "/a%00"),
    ],
)
def test_a_target_is_safe_in_a_request_line(path: str, target: str) -> None:
    assert request_target(path) == target


def test_parameters_are_appended() -> None:
    assert request_target("/a", {"b": "c d", "e": ["f", "g"]}) == "/a?b=c+d&e=f&e=g"
    assert request_target("/a?x=1", [("b", 2)]) == "/a?x=1&b=2"
    assert request_target("/a", "b=c") == "/a?b=c"
    assert request_target("/a", b"b=c") == "/a?b=c"
    assert request_target("/a#frag", {"b": 1}) == "/a?b=1"
    assert request_target("/a", {}) == "/a"
