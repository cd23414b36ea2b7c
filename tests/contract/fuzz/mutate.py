"""Small damage to a request that was made from the document: what no schema would think of.

Each mutation is one edit of the body, the query or the headers, drawn from a seeded generator; a
write may also come once more as it was. The request stays whole HTTP with a true Content-Length, so
that its answer is held to the document; broken framing has its own tests. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from uuid import UUID

from tests.contract.fuzz.request import FuzzRequest

_TOKENS = (
    b"null", b"true", b"-1", b"0", b"9223372036854775807", b"9223372036854775808", b"-0.0",
    b"18446744073709551616", b"1e999", b"-1e-999", b"NaN", b"Infinity", b"9" * 400, b'""', b"[]",
    b"{}", b'"\\u0000"', b'"\\ud800"', b'"\x00"', b"\xff\xfe", b"\xc0\x80", b"[" * 70 + b"]" * 70,
    b'{"a":' * 70 + b"1" + b"}" * 70, b'{"id":1,"id":1}', b'"' + b"x" * 5_000 + b'"', b"\xef\xbb",
    b"1970-01-01T00:00:00Z", b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"', b"//",
    b'"$own"', b'"feed"', b'"updatable"', b"'; DROP TABLE events; --", b"%00", b"%", b"..", b"\\",
)  # fmt: skip
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PARAMETERS = ("type", "limit", "cursor", "after", "prefix", "wait_s", "owner", "order_by", "x")
_VALUES = ("", "%00", "%ff", "-1", "0", "9" * 30, "1e3", "null", "%F0%9F%98%80", "a" * 2_000, "+")
_HEADERS = (
    ("x-correlation-id", "\x7f"), ("x-correlation-id", "x" * 300), ("traceparent", "00-0"),
    ("x-session", "."), ("x-session", "a.b"), ("x-session", "\xff" * 50), ("last-event-id", "x"),
    ("last-event-id", "9" * 25), ("content-type", "application/json; charset=utf-16"),
    ("content-type", "text/plain"), ("content-type", "\xe4"), ("content-type", ""),
    ("content-type", "application/x-ndjson"), ("authorization", "Bearer x"), ("accept", "x/y;q=z"),
    ("expect", "else"), ("if-none-match", "*"), ("range", "bytes=0-0"), ("cookie", "a=b;;"),
    ("x-forwarded-for", "::1"), ("te", "trailers"), ("upgrade", "h2c"),
    ("content-encoding", "gzip"),
)  # fmt: skip


def mutate(request: FuzzRequest, random: Random) -> FuzzRequest:
    """One more or less broken neighbour of `request`."""
    edits: list[Callable[[FuzzRequest, Random], FuzzRequest]] = [_query, _header]
    if request.body:
        edits += [_cut, _insert, _replace, _flip, _repeat, _insert, _replace]
    if _UUID.search(request.body):
        edits += [_again, _renew]
    return random.choice(edits)(replace(request, source="mutated"), random)


def _again(request: FuzzRequest, random: Random) -> FuzzRequest:
    """The same once more: a retry, or a conflict with what has changed since."""
    return replace(request, source="repeated")


def _renew(request: FuzzRequest, random: Random) -> FuzzRequest:
    """The same under new ids: a new write."""

    def new_id(_: re.Match[bytes]) -> bytes:
        return str(UUID(int=random.getrandbits(128), version=4)).encode()

    return replace(request, body=_UUID.sub(new_id, request.body))


def _cut(request: FuzzRequest, random: Random) -> FuzzRequest:
    return replace(request, body=request.body[: random.randrange(len(request.body))])


def _insert(request: FuzzRequest, random: Random) -> FuzzRequest:
    at = random.randrange(len(request.body) + 1)
    body = request.body[:at] + random.choice(_TOKENS) + request.body[at:]
    return replace(request, body=body)


def _replace(request: FuzzRequest, random: Random) -> FuzzRequest:
    """A value: what stands between a colon and the next comma or bracket."""
    starts = [at + 1 for at, byte in enumerate(request.body) if byte == ord(":")]
    start = random.choice(starts or [0])
    end = start
    while end < len(request.body) and request.body[end : end + 1] not in (b",", b"}", b"]"):
        end += 1
    body = request.body[:start] + random.choice(_TOKENS) + request.body[end:]
    return replace(request, body=body)


def _flip(request: FuzzRequest, random: Random) -> FuzzRequest:
    body = bytearray(request.body)
    for _ in range(random.randint(1, 4)):
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return replace(request, body=bytes(body))


def _repeat(request: FuzzRequest, random: Random) -> FuzzRequest:
    start = random.randrange(len(request.body))
    end = min(len(request.body), start + random.randint(1, 64))
    part = request.body[start:end] * random.randint(2, 100)
    return replace(request, body=request.body[:start] + part + request.body[end:])


def _query(request: FuzzRequest, random: Random) -> FuzzRequest:
    pair = f"{random.choice(_PARAMETERS)}={random.choice(_VALUES)}"
    joint = "&" if "?" in request.target else "?"
    return replace(request, target=request.target + joint + pair)


def _header(request: FuzzRequest, random: Random) -> FuzzRequest:
    name, value = random.choice(_HEADERS)
    kept = tuple(pair for pair in request.headers if pair[0].lower() != name)
    return replace(request, headers=(*kept, (name, value)))
