"""What kind of failure an exception of somebody else's HTTP client, or of any client, stands for.

A client's exception often wraps the one that tells: requests wraps urllib3, which wraps the
socket's. So the chain is walked from the outside to the inside, and the first that tells decides.
What no exception tells, the response's status does. Pure; this module must not import a client: it
knows their exceptions by the names of their classes.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator
from http.client import HTTPException

from results.sample import Outcome

MAX_LINKS = 20
"""Of a chain of exceptions that wrap each other; a real one has four."""

_BY_CLASS: tuple[tuple[type[BaseException], Outcome], ...] = (
    (TimeoutError, Outcome.TIMEOUT),
    (ConnectionRefusedError, Outcome.REFUSED),
    # Also http.client's RemoteDisconnected: closed before the first byte of an answer.
    (ConnectionError, Outcome.RESET),
    (ssl.SSLError, Outcome.OTHER),
    (HTTPException, Outcome.MALFORMED),
)
"""Python's own. `requests.ConnectionError` and its like are not among them."""

_BY_NAME: dict[str, Outcome | None] = {
    # requests, urllib3; a NewConnectionError is a ConnectTimeoutError there, whatever its cause
    "NewConnectionError": None,
    "Timeout": Outcome.TIMEOUT,
    "ConnectTimeout": Outcome.TIMEOUT,
    "ReadTimeout": Outcome.TIMEOUT,
    "ConnectTimeoutError": Outcome.TIMEOUT,
    "ReadTimeoutError": Outcome.TIMEOUT,
    "IncompleteRead": Outcome.RESET,
    "ContentDecodingError": Outcome.MALFORMED,
    "DecodeError": Outcome.MALFORMED,
    "InvalidChunkLength": Outcome.MALFORMED,
    "TooManyRedirects": Outcome.OTHER,
    # geventhttpclient
    "HTTPConnectionClosed": Outcome.RESET,
    "EmptyResponse": Outcome.RESET,
    "HTTPParseError": Outcome.MALFORMED,
    "HTTPProtocolViolationError": Outcome.MALFORMED,
    "RetriesExceeded": Outcome.OTHER,
    "UnsupportedRedirectSchemeError": Outcome.OTHER,
    # Locust: what the locustfile found wrong with the content of a good status
    "CatchResponseError": Outcome.CHECK,
    "ResponseError": Outcome.CHECK,
    "AssertionError": Outcome.CHECK,
}

_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""As the LeanHttpUser: this machine had no descriptors, ports or memory left."""


def status_of(response: object) -> int:
    """The HTTP status of a client's response, 0 where there is none."""
    status = getattr(response, "status_code", 0)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 999:
        return 0
    return status


def outcome_of(exception: object, response: object) -> Outcome:
    """Of a request that failed. Never OK.

    A failure that the locustfile marked keeps the kind that the request had anyway: a 503 is one
    of the server, whatever the mark says.
    """
    for cause in (getattr(response, "error", None), exception):
        if isinstance(cause, BaseException):
            found = _told_by(cause)
            if found not in (None, Outcome.CHECK):
                return found
    status = status_of(response)
    if status >= 500:
        return Outcome.HTTP_5XX
    if status >= 400:
        return Outcome.HTTP_4XX
    marked = isinstance(exception, BaseException) and _told_by(exception) is Outcome.CHECK
    return Outcome.CHECK if status or marked else Outcome.OTHER


def _told_by(error: BaseException) -> Outcome | None:
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in _LOCAL:
            return Outcome.LOCAL
        if (found := _told_by_one(link)) is not None:
            return found
    return None


def _told_by_one(link: BaseException) -> Outcome | None:
    for kind in type(link).__mro__:
        if kind.__name__ in _BY_NAME:
            return _BY_NAME[kind.__name__]
    return next((outcome for known, outcome in _BY_CLASS if isinstance(link, known)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it wraps, outermost first: its cause, its `reason`, its arguments."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < MAX_LINKS:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (getattr(link, "reason", None), *link.args, link.__cause__)
        waiting += [one for one in inner if isinstance(one, BaseException)]
        if link.__context__ is not None and not link.__suppress_context__:
            waiting.append(link.__context__)
