"""Correlation ids, tokens, problems, media types: what happens at the edge of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from service import body, correlation, errors, problem
from service.auth import Tokens
from service.errors import Forbidden, FoundationError, InvalidInput, Unauthorized

TRACE = b"0af7651916cd43dd8448eb211c80319c"


def test_a_correlation_id_comes_from_its_header_first() -> None:
    headers = {
        b"x-correlation-id": b"mine",
        b"traceparent": b"00-" + TRACE + b"-b7ad6b7169203331-01",
    }
    assert correlation.given(headers) == "mine"


def test_a_traceparent_gives_its_trace_id() -> None:
    assert correlation.given({b"traceparent": b"00-" + TRACE + b"-b7ad6b7169203331-01"}) == (
        TRACE.decode()
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-" + TRACE + b"-b7ad6b7169203331",
        b"ff-" + TRACE + b"-b7ad6b7169203331-01",
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
        b"00-" + TRACE.upper() + b"-b7ad6b7169203331-01",
        b"00-" + TRACE + b"-b7ad6b7169203331-01-more",
        b"00-" + TRACE + b"-b7ad6b7169203331-01\n",
        b"\xff\xfe",
    ],
)
def test_a_bad_traceparent_is_ignored(value: bytes) -> None:
    assert correlation.given({b"traceparent": value}) is None


@pytest.mark.parametrize("value", [b"", b"x" * 201, b"a\tb", b"\xc3\xa9", b"a\x00"])
def test_a_correlation_id_that_could_not_be_echoed_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidInput, match="X-Correlation-ID"):
        correlation.given({b"x-correlation-id": value})


def test_made_ids_differ() -> None:
    assert len({correlation.make() for _ in range(1_000)}) == 1_000


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token.encode()}


CLIENT, PEER = "client-token-0123", "peer-token-012345"


def tokens(client: str | None = CLIENT, peer: str | None = PEER) -> Tokens:
    return Tokens.of(client and SecretStr(client), peer and SecretStr(peer))  # type: ignore[arg-type]


def test_the_right_token_opens_its_own_routes_only() -> None:
    tokens().check("/v1/events", bearer(CLIENT))
    tokens().check("/v1/cluster/exchange", bearer(PEER))
    with pytest.raises(Unauthorized):
        tokens().check("/v1/events", bearer(PEER))
    with pytest.raises(Unauthorized):
        tokens().check("/v1/cluster/exchange", bearer(CLIENT))


def test_health_is_open_and_without_a_client_token_so_are_the_clients_routes() -> None:
    tokens().check("/health", {})
    tokens(client=None).check("/v1/events", {})


def test_peer_routes_are_closed_without_a_peer_token() -> None:
    with pytest.raises(Forbidden, match="FOUNDATION_PEER_TOKEN"):
        tokens(peer=None).check("/v1/cluster/exchange", bearer(CLIENT))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic " + CLIENT.encode(),
        b"Bearer " + CLIENT.encode()[:-1],
        b"Bearer " + CLIENT.encode() + b"x",
        b"Bearer \xff\xfe",
        CLIENT.encode(),
    ],
)
def test_any_other_authorization_is_refused(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        tokens().check("/metrics", {b"authorization": value})


def test_the_scheme_is_case_insensitive() -> None:
    tokens().check("/v1/events", {b"authorization": b"bEARER " + CLIENT.encode()})


def leaves(kind: type[FoundationError]) -> list[type[FoundationError]]:
    """`kind` and what the error tree derives from it; elsewhere a subclass may share its code."""
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(leaf for child in children for leaf in leaves(child))]


@pytest.mark.parametrize("kind", leaves(FoundationError))
def test_every_error_renders_as_a_problem(kind: type[FoundationError]) -> None:
    status, headers, text = problem.render(kind("what and how to mend it"), "cid")
    found: dict[str, Any] = json.loads(text)
    assert found == {
        "type": f"urn:foundation:problem:{kind.code}",
        "title": kind.code.replace("_", " "),
        "status": status,
        "detail": "what and how to mend it",
        "code": kind.code,
        "correlation_id": "cid",
    }
    named = dict(headers)
    assert named[b"content-length"] == str(len(text)).encode()
    assert (b"retry-after" in named) == (kind.retry_after_s is not None)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in leaves(FoundationError)]
    assert len(codes) == len(set(codes))


def test_an_overload_says_when_to_come_back() -> None:
    assert dict(problem.render(errors.Overloaded("full"), None)[1])[b"retry-after"] == b"1"


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON; charset=UTF-8",
        b'application/json;charset="utf-8"',
        b" application/json ",
    ],
)
def test_json_is_recognised_however_it_is_spelt(value: bytes) -> None:
    assert body.media_type({b"content-type": value}, body.JSON) == body.JSON


def test_a_missing_media_type_means_json() -> None:
    assert body.media_type({}, body.JSON) == body.JSON


@pytest.mark.parametrize(
    "value",
    [b"", b"text/plain", b"application/json; charset=latin-1", b"application/x-ndjson", b"\xff"],
)
def test_another_media_type_is_refused(value: bytes) -> None:
    with pytest.raises(errors.UnsupportedMediaType, match="application/json"):
        body.media_type({b"content-type": value}, body.JSON)
