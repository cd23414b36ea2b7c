"""What can go wrong between a request and its response, as one small tree of exceptions.

Locust groups failures by the exception's text, so the text names the target and what it did, and
never anything that differs from request to request (no ephemeral ports, no addresses of objects).
`outcome` says how the request counts downstream. These are reported, not raised: the session puts
them on the response. This module must not import Locust or gevent.
"""

from __future__ import annotations

from typing import ClassVar

from results.sample import Outcome


class TransportError(Exception):
    """Root. `target` is host:port as the user named it; the message is `target detail`."""

    outcome: ClassVar[Outcome] = Outcome.OTHER

    def __init__(self, target: str, detail: str) -> None:
        super().__init__(target, detail)
        self.target = target
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.target} {self.detail}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self}"


class NeverSent(TransportError):
    """No connection came about, so that the target cannot have seen the request."""


class HostUnresolvable(NeverSent):
    """The resolver knows no address of the host, or did not answer in time."""


class ConnectionRefused(NeverSent):
    """Nothing listens on the port."""

    outcome = Outcome.REFUSED


class ConnectTimeout(NeverSent):
    """Neither accepted nor refused before the limit."""

    outcome = Outcome.TIMEOUT


class ConnectReset(NeverSent):
    """The peer reset the connection before anything of the request was sent."""

    outcome = Outcome.RESET


class GeneratorExhausted(NeverSent):
    """This machine had no file descriptors, ports or memory left for a connection."""

    outcome = Outcome.LOCAL


class ConnectFailed(NeverSent):
    """Any other failure to connect, such as no route."""


class TlsFailure(NeverSent):
    """The TLS handshake failed: certificate, host name, protocol."""


class ConnectionReset(TransportError):
    """The peer reset the connection; whether it handled the request is unknown."""

    outcome = Outcome.RESET


class ConnectionClosed(TransportError):
    """The peer closed the connection before the response was whole; as `ConnectionReset`."""

    outcome = Outcome.RESET


class DeadlineExceeded(TransportError):
    """The response was not whole when the request's time was up; it may still take effect."""

    outcome = Outcome.TIMEOUT


class MalformedResponse(TransportError):
    """What came is not HTTP, or its body is not what its headers say."""

    outcome = Outcome.MALFORMED


class ResponseTooLarge(MalformedResponse):
    """More headers or more body than the session's limits allow."""
