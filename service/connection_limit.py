"""The limits that one connection is held to (D10); `protocol.py` holds it to them."""

from __future__ import annotations

from dataclasses import dataclass

FRAMING_FACTOR = 8
"""Bytes of chunk framing that a byte of body may come with: chunks of one byte take five."""

LINGER_S = 1.0
"""How long a refused client may go on sending before the connection is cut: closing at once would
reset it, and the reset can overtake the answer."""

REFUSED_BACKLOG = 1_024
"""Connections over the maximum that may linger for their 503; beyond these they are just cut."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Sizes in bytes, times in seconds. `large_bodies` are the paths with the larger limit."""

    max_header_bytes: int
    max_body_bytes: int
    max_large_body_bytes: int
    large_bodies: frozenset[bytes]
    header_deadline_s: float
    body_deadline_s: float
    keep_alive_s: float
    max_connections: int
    max_held_bytes: int
    max_requests: int = 5_000

    def body_bytes(self, target: bytes) -> int:
        """The limit of a body that is sent to `target`, a path with or without a query."""
        large = target.partition(b"?")[0] in self.large_bodies
        return self.max_large_body_bytes if large else self.max_body_bytes
