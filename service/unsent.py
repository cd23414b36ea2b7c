"""What clients have not taken yet of their answers: counted for each connection and in all.

An answer that is written stays in memory until the client reads it, so a few clients that ask for
large answers and do not read would fill the node. Asking a transport costs, so only answers above
SMALL_BYTES are looked at when they are written, and everything twice a second. Small ones need no
more: a connection whose client does not read takes 64 KiB of them, then its requests wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

SMALL_BYTES: Final = 16 * 2**10

DONE_FACTOR: Final = 2
"""The answer to what was done already, a write, may take as much again as reads leave: it cannot
be refused any more, only lost."""


@dataclass(slots=True)
class HeldBytes:
    """What the node holds for all connections: `total` bytes of bodies that have arrived and are
    not answered yet, `requests` that are complete and not answered, so that a client that sends
    slowly holds nobody's place, and `unsent` bytes of answers that were not taken."""

    total: int = 0
    requests: int = 0
    unsent: int = 0


class Unsent:
    """One connection's. Life: made with it -> `wrote`, `look` … -> `end` when it is lost."""

    def __init__(
        self, held: HeldBytes, transport: asyncio.Transport, max_unsent_bytes: int
    ) -> None:
        self._held = held
        self._transport = transport
        self._max_bytes = max_unsent_bytes
        self._counted_bytes = 0
        self._last_bytes = 0

    def has_room(self, size_bytes: int, *, done: bool) -> bool:
        """Whether an answer may be held; `done` when refusing it would undo nothing."""
        max_bytes = self._max_bytes * (DONE_FACTOR if done else 1)
        return size_bytes <= SMALL_BYTES or self._held.unsent + size_bytes <= max_bytes

    @contextmanager
    def waiting(self, size_bytes: int) -> Iterator[None]:
        """Count an answer that waits for its turn to be written."""
        self._held.unsent += size_bytes
        try:
            yield
        finally:
            self._held.unsent -= size_bytes

    def wrote(self, size_bytes: int) -> None:
        """An answer, or a part of one, was given to the transport."""
        if size_bytes > SMALL_BYTES:
            self._last_bytes = size_bytes
            self.look()

    def look(self) -> None:
        """Ask the transport. A large answer counts whole until its last byte is taken, since that
        is how long it is in memory."""
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes == 0:
            self._last_bytes = 0
        self._count(max(waiting_bytes, self._last_bytes))

    def end(self) -> None:
        self._count(0)

    def _count(self, size_bytes: int) -> None:
        self._held.unsent += size_bytes - self._counted_bytes
        self._counted_bytes = size_bytes
