"""Whether a part's state has been read back; requests that come before wait for it, within limits.

A node serves before its parts have read their logs: what needs no state is answered at once, and
what does is held for some seconds rather than refused, since the log is mostly short. Life: made
-> `ready` once the state is there, or `end` when the node stops; both end every wait.
"""

from __future__ import annotations

import asyncio
from typing import Final

from service.errors import Overloaded, ShuttingDown

WAIT_S: Final = 5.0
"""Less than a client's own 8 s, so that it hears why."""


class Readiness:
    """`what` is named in the refusal: "the jobs"."""

    def __init__(self, what: str, limit_s: float = WAIT_S) -> None:
        self.is_ready = False
        self._what = what
        self._limit_s = limit_s
        self._stopped = False
        self._settled = asyncio.Event()

    def ready(self) -> None:
        self.is_ready = True
        self._settled.set()

    def end(self) -> None:
        """The node stops: what waits now, or comes later in vain, is refused."""
        self._stopped = True
        self._settled.set()

    def check(self) -> None:
        """Raises Overloaded when the state is not there now."""
        if not self.is_ready:
            raise Overloaded(f"{self._what} is still being read back from the log: try again")

    async def wait(self) -> None:
        """Until the state is there. Raises Overloaded when that takes long, ShuttingDown."""
        if self.is_ready:
            return
        try:
            async with asyncio.timeout(self._limit_s):
                await self._settled.wait()
        except TimeoutError:
            pass
        if self._stopped and not self.is_ready:
            raise ShuttingDown("the node is shutting down: ask another node")
        self.check()
