"""The kept connections of one user: one idle connection per origin, and when to replace it.

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
from locustfiles.harness.http.socket_count import SOCKETS
from locustfiles.harness.http.tls import insecure_context, verifying_context
from locustfiles.harness.http.transport_error import (
    ConnectionClosed,
    ConnectionReset,
    GeneratorExhausted,
    NeverSent,
)


class Settings(NamedTuple):
    """How a session behaves; times in seconds. `ssl_context` overrides `insecure`."""

    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    insecure: bool = False
    default_headers: Headers | None = None
    ssl_context: Callable[[], ssl.SSLContext] | None = None
    limits: Limits = Limits()


class KeptConnections:
    """See the module's docstring. `reconnects` counts kept connections that were found closed;
    `on_reconnect` is told their origin's URL.

    Two requests at once use two connections, of which one is kept.
    """

    def __init__(
        self,
        resolver: Resolver,
        settings: Settings,
        on_reconnect: Callable[[str], None] | None,
    ) -> None:
        self.reconnects = 0
        self._resolver = resolver
        self._settings = settings
        self._on_reconnect = on_reconnect
        self._idle: dict[str, Connection] = {}

    @property
    def idle(self) -> list[str]:
        """Origins with a kept connection that is still open, as far as is known."""
        return [url for url, connection in self._idle.items() if not connection.closed]

    def exchange(
        self, origin: Origin, payload: bytes, bodiless: bool, timeout_s: float, start_s: float
    ) -> Reply:
        """One exchange on the kept connection, or on a fresh one.

        A kept connection that ends before the first byte of a response is replaced once, with the
        same bytes and so the same ids. If the replacement cannot even be opened, the first failure
        is the one to report: that attempt may have taken effect, and "refused" would deny it.
        """
        deadline = start_s + timeout_s
        connection = self._idle.pop(origin.url, None)
        if connection is not None and connection.closed:
            self._count_reconnect(origin)
            connection = None
        kept = connection is not None
        if connection is None:
            connection = self._open(origin, deadline)
        elif connection.exchanges:
            SOCKETS.reused += 1
        try:
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        except (ConnectionClosed, ConnectionReset) as error:
            if not kept or not connection.untouched:
                raise
            self._count_reconnect(origin)
            try:
                connection = self._open(origin, deadline)
            except NeverSent:
                raise error from None
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        if (
            not connection.closed
            and self._idle.setdefault(origin.url, connection) is not connection
        ):
            connection.close()
        return reply

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
        if self._idle.setdefault(origin.url, connection) is not connection:
            connection.close()

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

    def __del__(self) -> None:
        # The event loop holds an idle connection's watcher, so that nobody else would close it.
        self.close()
