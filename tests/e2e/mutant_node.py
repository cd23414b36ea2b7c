"""A node with a seeded bug, which the Foundation scenarios must find.

    python -m tests.e2e.mutant_node altered|generous|slow|disabled|backward|cached

`altered` changes an event on the way back (F1-4); `generous` counts twice (F1-7); `slow` takes
200 ms more for each append (F3-8); `disabled` makes no path updatable (F2-2); `backward` sometimes
answers a flag's first version again (oddity 11); `cached` answers from a cache that is a second
old, so that a writer does not find what it wrote (F2-3).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any

from service.__main__ import main
from service.config.logic import Configuration
from service.events.sqlite import SqliteEventStore
from service.events.store import Stored, Write
from service.schema import Event
from service.telemetry.series import NO_TAGS, Tags, Telemetry

Mutate = Callable[[], None]


def altered() -> None:
    get = SqliteEventStore.get

    async def changed(self: SqliteEventStore, event_id: bytes) -> Event:
        event = await get(self, event_id)
        return event.model_copy(update={"data": {**event.data, "lines_changed": 26}})

    SqliteEventStore.get = changed  # type: ignore[method-assign]


def generous() -> None:
    emit = Telemetry.count

    def twice(self: Telemetry, path: str, tags: Tags = NO_TAGS, n: float = 1) -> None:
        emit(self, path, tags, 2 * n)

    Telemetry.count = twice  # type: ignore[method-assign]


def slow() -> None:
    append = SqliteEventStore.append

    async def slowed(self: SqliteEventStore, write: Write, **more: Any) -> Stored:
        await asyncio.sleep(0.2)
        return await append(self, write, **more)

    SqliteEventStore.append = slowed  # type: ignore[method-assign]


def disabled() -> None:
    def nothing(self: Configuration) -> tuple[tuple[str, ...], list[str]]:
        return (), []

    Configuration.updatable = nothing  # type: ignore[method-assign]


def backward() -> None:
    reply, numbers = Configuration.reply, count(1)
    first: dict[str, bytes] = {}

    def stale(self: Configuration, path: str) -> bytes:
        now = reply(self, path)
        if b'"version":1,' in now:
            first[path] = now
        return first.get(path, now) if next(numbers) % 50 == 0 else now

    Configuration.reply = stale  # type: ignore[method-assign]


def cached() -> None:
    reply = Configuration.reply
    kept: dict[str, tuple[float, bytes]] = {}

    def old(self: Configuration, path: str) -> bytes:
        since_s, text = kept.get(path, (0.0, b""))
        if monotonic() - since_s > 1.0:
            text = reply(self, path)
            kept[path] = (monotonic(), text)
        return text

    Configuration.reply = old  # type: ignore[method-assign]


BUGS: dict[str, Mutate] = {
    bug.__name__: bug for bug in (altered, generous, slow, disabled, backward, cached)
}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    main()
