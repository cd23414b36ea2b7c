"""Headers compiled, found and parsed."""

from __future__ import annotations

import pytest

from locustfiles.harness.http.header import (
    ResponseHeaders,
    compile_headers,
    emulated_us,
    final_head,
    lower_head,
)

HEAD = b"HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two:  two \r\nX-ONE: 2\r\n\r\nbody: no\r\n\r\n"


def test_response_headers_ignore_case_and_join_repeats() -> None:
    headers = ResponseHeaders(HEAD)
    assert headers["x-one"] == headers["X-One"] == "1, 2"
    assert headers.get_all("X-one") == ["1", "2"]
    not_a_name: object = 3
    assert (headers["X-Two"], "X-TWO" in headers, not_a_name in headers) == ("two", True, False)
    assert (list(headers), len(headers)) == (["X-One", "x-two"], 2)
    assert headers.get("body") is None
    assert headers.get_all("none") == []
    with pytest.raises(KeyError):
        headers["none"]


def test_folded_lines_and_lines_without_a_colon_do_no_harm() -> None:
    headers = ResponseHeaders(b"HTTP/1.1 200 OK\r\n folded\r\nA: b\r\n\tc\r\nnonsense\r\n\r\n")
    assert dict(headers) == {"A": "b c"}


def test_no_bytes_are_no_headers() -> None:
    assert dict(ResponseHeaders(b"")) == {}
    assert (lower_head(b""), emulated_us(b"")) == (b"", 0)


def test_the_final_head_is_found_behind_interim_ones() -> None:
    interim = b"HTTP/1.1 103 Early\r\nA: early\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nA: final"
    assert final_head(interim * 3 + final + b"\r\n\r\nbody") == final
    assert final_head(final) == final
    assert lower_head(interim + final + b"\r\n\r\nBODY") == final.lower()


@pytest.mark.parametrize(
    ("value", "expected_us"),
    [
        ("emulated;dur=12.345", 12_345),
        ("work;dur=0.210, emulated;dur=200", 200_000),
        ('emulated;desc="x";dur="1.5"', 1_500),
        ("Emulated ; dur = 3", 3_000),
        ("emulated", 0),
        ("emulated;dur=", 0),
        ("emulated;dur=abc", 0),
        ("emulated;dur=-5", 0),
        ("emulated;dur=nan", 0),
        ("emulated;dur=inf", 0),
        ("emulated;dur=1e400", 0),
        ("notemulated;dur=5", 0),
        ("", 0),
    ],
)
def test_the_emulated_wait_is_read_or_zero(value: str, expected_us: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nA: b\r\nServer-Timing: {value}\r\nC: d\r\n\r\nbody".encode()
    assert emulated_us(lower_head(head)) == expected_us


def test_the_emulated_wait_may_be_in_a_second_header_and_never_in_the_body() -> None:
    two = b"HTTP/1.1 200 OK\r\nServer-Timing: work;dur=1\r\nSERVER-TIMING: emulated;dur=2\r\n\r\n"
    assert emulated_us(lower_head(two)) == 2_000
    body = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\r\nserver-timing: emulated;dur=2\r\n"
    assert emulated_us(lower_head(body)) == 0


def test_headers_are_compiled_to_lines() -> None:
    block = compile_headers({"X-A": "b", "x-c": b"d\xe9"})
    assert block.text == "X-A: b\r\nx-c: d\xe9\r\n"
    assert block.names == {"x-a", "x-c"}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", "x", ValueError),
        ("A B", "x", ValueError),
        ("A:", "x", ValueError),
        ("Ä", "x", ValueError),
        ("A\r\nB", "x", ValueError),
        ("A", "x\ny", ValueError),
        ("A", "x\ry", ValueError),
        ("A", b"x\0y", ValueError),
        ("A", "\u20ac", ValueError),
        ("Content-Length", "1", ValueError),
        ("transfer-ENCODING", "chunked", ValueError),
        ("Expect", "100-continue", ValueError),
        ("A", 1, TypeError),
        ("A", None, TypeError),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(
    name: str, value: str | bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        compile_headers({name: value})
