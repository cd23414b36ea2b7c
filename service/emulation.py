"""Emulated downstream latency: the labelled rest of a prescribed processing time (D9).

A handler does its real work first and waits here for what is left. One timer per wait; when the
node shuts down every wait ends at once, since nothing that is stored depends on it.
"""

from __future__ import annotations

import asyncio


class EmulatedLatency:
    """Waits of this node, scaled by `scale` (FOUNDATION_EMULATED_LATENCY; 0 turns them off)."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._waits: set[asyncio.Future[None]] = set()
        self._ended = False

    @property
    def is_on(self) -> bool:
        """Whether a handler that finishes early will be made to wait."""
        return self._scale > 0 and not self._ended

    async def wait(self, remainder_s: float) -> float:
        """Wait `remainder_s` x scale; returns the seconds intended, which Server-Timing states.

        An overslept wait therefore counts against the node. A wait that the shutdown cut short
        returns what was waited.
        """
        intended_s = remainder_s * self._scale
        if intended_s <= 0 or self._ended:
            return 0.0
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        future = loop.create_future()
        timer = loop.call_later(intended_s, _finish, future)
        self._waits.add(future)
        try:
            await future
        finally:
            timer.cancel()
            self._waits.discard(future)
        return min(intended_s, loop.time() - started_s) if self._ended else intended_s

    def end(self) -> None:
        """Cut every wait short, now and from now on."""
        self._ended = True
        for future in list(self._waits):
            _finish(future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
