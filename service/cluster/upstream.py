"""The way from this node to others: one aiohttp session, bounded in every direction.

Only addresses that are configured (FOUNDATION_PEERS) are ever given to it. It follows no redirect,
reads no proxy and no password from the environment, keeps no cookie, unpacks nothing, and holds no
more of an answer than its limit. aiohttp's errors become ours here and nowhere else, told apart by
what matters to the caller: nothing was sent (NoUpstream), it may have taken effect (PeerLost,
GatewayTimeout), it makes no sense (BadGateway).

Life cycle: made without a loop -> the session is opened at the first use, on the loop -> `close`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from service.errors import BadGateway, GatewayTimeout, NoUpstream, PeerLost

CONNECT_TIMEOUT_S = 1.0
MAX_CONNECTIONS = 1_200
"""The gateway's 1,000 requests in flight, and room for health and feeds of 50 peers."""

MAX_REPLY_BYTES = 2**20
KEEP_ALIVE_S = 30.0
"""Below a node's own 75 s, so that a connection is rarely closed under a request."""

_MAX_HEADER_BYTES = 8_190


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's whole answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Upstream:
    """Requests to peers, each with the node's own client token (`token`) as its bearer."""

    def __init__(self, token: str | None) -> None:
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(
        self,
        method: str,
        url: URL,
        *,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request and its whole answer within `timeout_s`.

        Raises NoUpstream, PeerLost, GatewayTimeout, BadGateway.
        """
        session = self._open()
        with _translated(url):
            async with session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=_timeout(timeout_s),
            ) as response:
                return Reply(response.status, response.headers, await _bounded(response, url))

    @contextlib.asynccontextmanager
    async def stream(self, url: URL, *, timeout_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read bit by bit within `timeout_s`; its connection ends with the block.

        Raises as `ask`, also for what goes wrong while the caller reads in the block.
        """
        session = self._open()
        with _translated(url):
            response = await session.get(url, allow_redirects=False, timeout=_timeout(timeout_s))
            try:
                yield response
            finally:
                response.close()

    async def close(self) -> None:
        """Ends every connection; no request can be made afterwards."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise NoUpstream("this node is shutting down: use another one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                auto_decompress=False,
                trust_env=False,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session


def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    """Exact also above 5 s, where aiohttp would round up to a whole second."""
    assert total_s > 0, "aiohttp takes 0 for no limit"
    return aiohttp.ClientTimeout(
        total=total_s, sock_connect=CONNECT_TIMEOUT_S, ceil_threshold=float("inf")
    )


async def _bounded(response: aiohttp.ClientResponse, url: URL) -> bytes:
    """The whole body; the connection is dropped when it is longer than its limit."""
    declared = response.content_length
    if declared is not None and declared <= MAX_REPLY_BYTES:
        return await response.read()
    parts: list[bytes] = []
    size_bytes = 0
    if declared is None:
        async for part in response.content.iter_any():
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > MAX_REPLY_BYTES:
                break
        else:
            return b"".join(parts)
    response.close()
    raise BadGateway(f"{url.origin()} answered more than {MAX_REPLY_BYTES} bytes")


@contextlib.contextmanager
def _translated(url: URL) -> Iterator[None]:
    """aiohttp's errors as ours. The order matters: some of its classes are several at once."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
        raise NoUpstream(f"{url.origin()} cannot be reached: {_reason(error)}") from None
    except TimeoutError:
        raise GatewayTimeout(
            f"{url.origin()} did not answer in time: whether it did anything is unknown, send the "
            "same id again"
        ) from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        raise PeerLost(
            f"{url.origin()} ended the connection before its answer was complete "
            f"({_reason(error)}): whether it did anything is unknown, send the same id again"
        ) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise BadGateway(
            f"{url.origin()} answered something else than HTTP: {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    """A short reason: an errno's text where there is one, never a whole answer."""
    inner = getattr(error, "os_error", None) or error
    number = getattr(inner, "errno", None)
    return os.strerror(number) if number and number > 0 else type(error).__name__
