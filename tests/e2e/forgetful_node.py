"""A node with a seeded bug: it acknowledges every eighth event without storing it.

    python -m tests.e2e.forgetful_node

The positive control of the test that nothing acknowledged is lost at SIGTERM.
"""

from __future__ import annotations

from itertools import count

from service.__main__ import main
from service.events.sqlite import SqliteEventStore
from service.events.store import Stored, Write

_numbers = count(1)
_append = SqliteEventStore.append


async def _forgetful(self: SqliteEventStore, write: Write, *, patience_s: float = 0.0) -> Stored:
    if next(_numbers) % 8 == 0:
        return Stored(write.id, 1, write.created_at, write.correlation_id, None, False)
    return await _append(self, write, patience_s=patience_s)


if __name__ == "__main__":
    SqliteEventStore.append = _forgetful  # type: ignore[method-assign]
    main()
