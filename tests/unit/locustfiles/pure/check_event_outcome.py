"""How a failure counts that somebody else's client reports."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import BadStatusLine, RemoteDisconnected
from types import SimpleNamespace

import gevent
import pytest
import requests
import urllib3
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.exception import CatchResponseError, ResponseError

from locustfiles.harness.event_outcome import outcome_of, status_of
from results.sample import Outcome


def answered(status: object, error: object = None) -> SimpleNamespace:
    return SimpleNamespace(status_code=status, error=error)


def wrapped(*chain: BaseException) -> BaseException:
    """The first exception, raised while the next one was handled, and so on."""
    try:
        if len(chain) == 1:
            raise chain[0]
        try:
            raise wrapped(*chain[1:])
        except BaseException:
            raise chain[0]  # noqa: B904 (the context is what is tested)
    except BaseException as error:
        return error


def reading_timed_out() -> BaseException:
    pool = urllib3.HTTPConnectionPool("a")
    return requests.ReadTimeout(urllib3.exceptions.ReadTimeoutError(pool, "/", "timed out"))


def refused_by_requests() -> BaseException:
    inner = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    reason = urllib3.exceptions.NewConnectionError(urllib3.connection.HTTPConnection("a"), "no")
    reason.__cause__ = inner
    pool = urllib3.HTTPConnectionPool("a")
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, "/", reason))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TimeoutError(), Outcome.TIMEOUT),
        (TimeoutError("timed out"), Outcome.TIMEOUT),
        (gevent.Timeout(1), Outcome.TIMEOUT),
        (requests.ConnectTimeout(), Outcome.TIMEOUT),
        (reading_timed_out(), Outcome.TIMEOUT),
        (ConnectionRefusedError(), Outcome.REFUSED),
        (refused_by_requests(), Outcome.REFUSED),
        (ConnectionResetError(), Outcome.RESET),
        (BrokenPipeError(), Outcome.RESET),
        (RemoteDisconnected("closed"), Outcome.RESET),
        (HTTPConnectionClosed("closed"), Outcome.RESET),
        (HTTPParseError("odd"), Outcome.MALFORMED),
        (BadStatusLine("odd"), Outcome.MALFORMED),
        (requests.exceptions.ContentDecodingError(), Outcome.MALFORMED),
        (requests.ConnectionError(ConnectionResetError()), Outcome.RESET),
        (wrapped(requests.ConnectionError(), ConnectionRefusedError()), Outcome.REFUSED),
        (OSError(errno.EMFILE, "too many"), Outcome.LOCAL),
        (requests.ConnectionError(OSError(errno.EADDRNOTAVAIL, "none")), Outcome.LOCAL),
        (ssl.SSLError(1, "odd"), Outcome.OTHER),
        (socket.gaierror(-2, "unknown"), Outcome.OTHER),
        (ValueError("odd"), Outcome.OTHER),
        (AssertionError("odd"), Outcome.CHECK),
        (CatchResponseError("odd"), Outcome.CHECK),
        ("a text", Outcome.OTHER),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_without_a_response_tells_the_kind(error: object, outcome: Outcome) -> None:
    assert outcome_of(error, None) is outcome


@pytest.mark.parametrize(
    ("error", "response", "outcome"),
    [
        (requests.HTTPError("404"), answered(404), Outcome.HTTP_4XX),
        (LocustBadStatusCode("/", code=500), answered(500), Outcome.HTTP_5XX),
        (CatchResponseError("odd"), answered(200), Outcome.CHECK),
        (ResponseError("odd"), answered(200), Outcome.CHECK),
        (ValueError("odd"), answered(200), Outcome.CHECK),
        (CatchResponseError("odd"), answered(503), Outcome.HTTP_5XX),
        (CatchResponseError("odd"), answered(0, ConnectionResetError()), Outcome.RESET),
        (CatchResponseError("odd"), answered(0), Outcome.CHECK),
        (RetriesExceeded("loop"), answered(302), Outcome.OTHER),
        ("a text", answered(500), Outcome.HTTP_5XX),
        ("a text", answered(200), Outcome.CHECK),
    ],
)
def test_a_response_tells_what_the_exception_does_not(
    error: object, response: object, outcome: Outcome
) -> None:
    assert outcome_of(error, response) is outcome


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert outcome_of(first, None) is Outcome.OTHER


def test_a_very_long_chain_is_not_walked_to_its_end() -> None:
    chain: list[BaseException] = [ValueError(str(number)) for number in range(200)]
    for outer, inner in zip(chain, [*chain[1:], TimeoutError()], strict=True):
        outer.__cause__ = inner
    assert outcome_of(chain[0], None) is Outcome.OTHER
    assert outcome_of(chain[-5], None) is Outcome.TIMEOUT, "the control: a short one is"


@pytest.mark.parametrize("status", [None, 0, -1, 99, 1000, "200", 200.0, True])
def test_what_is_no_http_status_is_none(status: object) -> None:
    assert status_of(answered(status)) == 0


def test_a_status_is_read_from_any_clients_response() -> None:
    assert status_of(answered(204)) == 204
    assert status_of(None) == 0
