"""Prescribed processing times of P1's actions (P1-6), and how an id decides one. Pure."""

from __future__ import annotations

from typing import Final

from service.schema import SaasAction

RANGES_MS: Final[dict[SaasAction, tuple[int, int]]] = {
    "login": (51, 150),
    "dashboard_view": (101, 300),
    "profile_update": (201, 500),
    "data_query": (301, 800),
    "report_generation": (501, 1_500),
    "settings_change": (101, 250),
    "logout": (26, 75),
}
"""P1-6's true ranges, both ends included, in milliseconds. Their means average 346.9 ms."""

_FIBONACCI = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def prescribed_ms(action: SaasAction, request_id: bytes) -> int:
    """The time that `action` is to take, drawn from P1-6's range by the client's id."""
    return uniform_ms(*RANGES_MS[action], request_id)


def uniform_ms(low: int, high: int, request_id: bytes) -> int:
    """A whole number of milliseconds from `low` to `high`, both included, that the id decides.

    The id decides, so that a retry on any node prescribes the same. Fibonacci hashing (Knuth, The
    Art of Computer Programming 3, section 6.4) of the id's low 64 bits spreads ids that merely
    count as well as random ones; multiplying the top 32 bits by the span maps them uniformly.
    """
    spread = (int.from_bytes(request_id[8:], "big") * _FIBONACCI & _MASK) >> 32
    return low + (spread * (high - low + 1) >> 32)
