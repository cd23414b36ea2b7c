"""How many sockets this process's HTTP clients have open, and what became of its connections.

The generator's health needs the figures every second, over all users: so they are process-wide
plain integers, which whoever opens or closes a socket moves (0.03 us each). They are cumulative and
never reset: a reader takes differences. This module must not import anything of the client's.
"""

from __future__ import annotations


class SocketCount:
    """`created` and `closed` count sockets, `connected` those that a target accepted,
    TLS included.

    gevent switches at I/O only, so that an increment cannot be torn.
    """

    __slots__ = ("closed", "connected", "created")

    def __init__(self) -> None:
        self.created = 0
        self.connected = 0
        self.closed = 0


SOCKETS = SocketCount()
"""The process's own. A forked load process inherits what its parent had counted so far."""


def open_sockets() -> int:
    """Sockets of HTTP clients that are open now, those that are still connecting included."""
    return SOCKETS.created - SOCKETS.closed


def opened() -> int:
    """Connections that came about since the process began."""
    return SOCKETS.connected
