"""Which ids were counted before, so that a retry is not counted again (D11).

Telemetry is not in the log: what is remembered is the last ids of this process, and a retry that
comes later than that, or after a restart, counts again. No I/O, no clock.
"""

from __future__ import annotations

REMEMBERED_IDS = 10_000
"""At P1's 4,917 requests a second that is two seconds of a client that sends an id with each."""


class CountedIds:
    """The last `capacity` ids, the oldest forgotten first."""

    def __init__(self, capacity: int = REMEMBERED_IDS) -> None:
        self._capacity = capacity
        self._ids: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def is_new(self, id: bytes) -> bool:
        """Whether this id was not seen; it is remembered from now on."""
        if id in self._ids:
            return False
        self._ids[id] = None
        if len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]
        return True
