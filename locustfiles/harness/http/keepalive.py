"""The kept connections of one user: idle ones per origin, and when to replace them.

A server closes what was idle for too long, and the client learns of it only when it sends. So a
request on a kept connection may be sent once more on a fresh one, under rules that keep a write
from being denied that may have happened. This module must not know names, samples or Locust.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from locustfiles.harness.http.compose import Headers
from locustfiles.harness.http.connection import Connection, Limits, Reply
from locustfiles.harness.http.connector import connect
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.tls import insecure_context, verifying_context
from locustfiles.harness.http.transport_error import (
    ConnectionClosed,
    ConnectionReset,
    GeneratorExhausted,
    NeverSent,
)
from locustfiles.harness.http.upload import Upload


class Settings(NamedTuple):
    """How a session behaves; times in seconds. `ssl_context` overrides `insecure`.

    `idle_connections` bounds what is kept per origin; `cookies` says whether those that a target
    sets are kept.
    """

    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    insecure: bool = False
    default_headers: Headers | None = None
    ssl_context: Callable[[], ssl.SSLContext] | None = None
    limits: Limits = Limits()
    max_redirects: int = 30
    idle_connections: int = 10
    cookies: bool = True


class KeptConnections:
    """See the module's docstring. `reconnects` counts kept connections that were found closed;
    `on_reconnect` is told their origin's URL. `opened` counts connections that came about, and
    `exchanges` what they were wanted for, redirects included.

    Requests that are under way at once use a connection each; all of them are kept, up to the
    settings' `idle_connections`.
    """

    __slots__ = (
        "_idle", "_on_reconnect", "_resolver", "_settings", "_spare", "exchanges", "opened",
        "reconnects",
    )  # fmt: skip

    def __init__(
        self,
        resolver: Resolver,
        settings: Settings,
        on_reconnect: Callable[[str], None] | None,
    ) -> None:
        self.opened = 0
        self.reconnects = 0
        self.exchanges = 0
        self._resolver = resolver
        self._settings = settings
        self._on_reconnect = on_reconnect
        self._idle: dict[str, Connection] = {}
        self._spare: list[tuple[str, Connection]] | None = None
        """Beside the first of each origin; few users have any."""

    @property
    def idle(self) -> list[str]:
        """The origin of each kept connection that is still open, as far as is known."""
        kept = [*self._idle.items(), *(self._spare or ())]
        return [url for url, connection in kept if not connection.closed]

    def exchange(
        self,
        origin: Origin,
        payload: bytes | Upload,
        bodiless: bool,
        timeout_s: float,
        start_s: float,
    ) -> Reply:
        """One exchange on a kept connection, or on a fresh one.

        A kept connection that ends before the first byte of a response is replaced once, with the
        same bytes and so the same ids, unless the body cannot be sent twice. If the replacement
        cannot even be opened, the first failure is the one to report: that attempt may have taken
        effect, and "refused" would deny it.
        """
        url = origin.url
        deadline = start_s + timeout_s
        self.exchanges += 1
        connection = self._idle.pop(url, None)
        kept = connection is not None and not connection.closed
        if not kept:
            kept, connection = self._another(origin, connection, deadline)
        assert connection is not None
        try:
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        except (ConnectionClosed, ConnectionReset) as error:
            connection = self._replacement(
                origin, payload, connection if kept else None, error, deadline
            )
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        if not connection.closed and self._idle.setdefault(url, connection) is not connection:
            self.give_back(origin, connection)
        return reply

    def begin(
        self,
        origin: Origin,
        payload: bytes | Upload,
        bodiless: bool,
        timeout_s: float,
        start_s: float,
    ) -> tuple[Connection, Reply]:
        """As `exchange`, until the head: the caller reads the body, and gives the connection back
        or closes it.
        """
        deadline = start_s + timeout_s
        self.exchanges += 1
        kept, connection = self._another(origin, self._idle.pop(origin.url, None), deadline)
        try:
            return connection, connection.begin(payload, bodiless, timeout_s, deadline)
        except (ConnectionClosed, ConnectionReset) as error:
            connection = self._replacement(
                origin, payload, connection if kept else None, error, deadline
            )
            return connection, connection.begin(payload, bodiless, timeout_s, deadline)

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep an open connection for the next request, unless there are enough."""
        if self._idle.setdefault(origin.url, connection) is connection:
            return
        if self._idle[origin.url].closed:
            self._idle[origin.url] = connection
            return
        spare = [pair for pair in self._spare or () if not pair[1].closed]
        if sum(url == origin.url for url, _ in spare) < self._settings.idle_connections - 1:
            spare.append((origin.url, connection))
        else:
            connection.close()
        self._spare = spare

    def _another(
        self, origin: Origin, found: Connection | None, deadline: float
    ) -> tuple[bool, Connection]:
        """`found` if it is open, else a spare one, else a fresh one; whether it was kept."""
        if found is not None:
            if not found.closed:
                return True, found
            self._count_reconnect(origin)
        spare = self._take_spare(origin) if self._spare else None
        if spare is not None:
            return True, spare
        return False, self._open(origin, deadline)

    def _take_spare(self, origin: Origin) -> Connection | None:
        kept = [pair for pair in self._spare or () if not pair[1].closed]
        found = next((pair for pair in kept if pair[0] == origin.url), None)
        self._spare = [pair for pair in kept if pair is not found]
        return None if found is None else found[1]

    def _replacement(
        self,
        origin: Origin,
        payload: bytes | Upload,
        kept: Connection | None,
        error: ConnectionClosed | ConnectionReset,
        deadline: float,
    ) -> Connection:
        """A fresh connection in place of a kept one that ended with `error`, or raises that."""
        if kept is None or not kept.untouched:
            raise error
        if not isinstance(payload, bytes) and not payload.rewind():
            raise error
        self._count_reconnect(origin)
        try:
            return self._open(origin, deadline)
        except NeverSent:
            raise error from None

    def open_ahead(self, origin: Origin, timeout_s: float) -> None:
        """Open a connection before its first request, unless there is one.

        A failure is left to that request, which will meet it again and report it.
        """
        if origin.url in self._idle:
            return
        try:
            connection = self._open(origin, perf_counter() + timeout_s)
        except NeverSent:
            return
        self.give_back(origin, connection)

    def _open(self, origin: Origin, deadline: float) -> Connection:
        settings = self._settings
        now = perf_counter()
        connect_deadline = min(deadline, now + settings.connect_timeout_s)
        try:
            addresses = self._resolver.addresses(origin, max(connect_deadline - now, 0.0))
            context = self._ssl_context() if origin.scheme == "https" else None
            sock, tls = connect(origin, addresses, context, connect_deadline)
        except GeneratorExhausted:
            # Says nothing of the addresses, and another look-up would take descriptors as well.
            raise
        except NeverSent:
            self._resolver.forget(origin)
            raise
        self.opened += 1
        return Connection(origin, sock, tls, settings.limits)

    def _ssl_context(self) -> ssl.SSLContext:
        settings = self._settings
        if settings.ssl_context is not None:
            return settings.ssl_context()
        return insecure_context() if settings.insecure else verifying_context()

    def _count_reconnect(self, origin: Origin) -> None:
        self.reconnects += 1
        if self._on_reconnect is not None:
            self._on_reconnect(origin.url)

    def close(self) -> None:
        """Close what is idle. Requests made later open new connections."""
        while self._idle:
            self._idle.popitem()[1].close()
        while self._spare:
            self._spare.pop()[1].close()

    def __del__(self) -> None:
        # The event loop holds an idle connection's watcher, so that nobody else would close it.
        self.close()
