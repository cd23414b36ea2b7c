"""One change of a name at a time: whoever changes it holds its turn, others wait and look again.

A turn lasts until the change is stored and applied, also when the request that made it is gone:
otherwise another could decide on a state that the log has already left. No I/O of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from service.errors import Overloaded
from service.registry.model import Key

TURN_S = 5.0
"""How long a change waits for the one before it, which waits for the disk."""

T = TypeVar("T")


class Turns:
    """The names that are being changed."""

    def __init__(self) -> None:
        self._held: dict[Key, asyncio.Event] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held)

    async def wait(self, key: Key) -> None:
        """Return when nobody is changing the name. Raises Overloaded.

        The caller decides and calls `hold` without an await in between.
        """
        try:
            async with asyncio.timeout(TURN_S):
                while (held := self._held.get(key)) is not None:
                    await held.wait()
        except TimeoutError:
            raise Overloaded(f"{key}: another change of it is still being stored: retry") from None

    async def hold(self, keys: Sequence[Key], change: Coroutine[Any, Any, T]) -> T:
        """Run `change` to its end while holding the turn of `keys`, which nobody else may hold."""
        assert not any(key in self._held for key in keys), keys
        done = asyncio.Event()
        self._held.update(dict.fromkeys(keys, done))
        running = asyncio.ensure_future(change)

        def release(_: object) -> None:
            for key in keys:
                del self._held[key]
            done.set()

        running.add_done_callback(release)
        return await asyncio.shield(running)
