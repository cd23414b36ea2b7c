"""Emulated downstream latency: the labelled rest of a prescribed processing time (D9).

A handler does its real work first and waits here for what is left. Waits end on a grid of a few
milliseconds, the nearest point to each, so that those that end together share one timer and one
turn of the loop (as the kernel's timer slack does); what is stated is what was really intended.
When the node shuts down every wait ends at once, since nothing that is stored depends on it.
"""

from __future__ import annotations

import asyncio

SLACK_S = 0.004
"""At 2,400 waits a second ten end at once. The nearest point errs by 1 ms on average, either way,
so that the mean processing time stays as prescribed."""


class EmulatedLatency:
    """Waits of this node, scaled by `scale` (FOUNDATION_EMULATED_LATENCY; 0 turns them off)."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._waits: dict[int, list[asyncio.Future[None]]] = {}
        self._ended = False

    @property
    def is_on(self) -> bool:
        """Whether a handler that finishes early will be made to wait."""
        return self._scale > 0 and not self._ended

    async def wait(self, remainder_s: float) -> float:
        """Wait `remainder_s` x scale, to the grid; returns the seconds that were intended.

        Server-Timing states them, so that an overslept wait counts against the node. A wait that
        the shutdown cut short returns what was waited.
        """
        if remainder_s <= 0 or not self.is_on:
            return 0.0
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        point = round((started_s + remainder_s * self._scale) / SLACK_S)
        intended_s = point * SLACK_S - started_s
        if intended_s <= 0:
            return 0.0
        waits = self._waits.get(point)
        if waits is None:
            waits = self._waits[point] = []
            loop.call_at(point * SLACK_S, self._end_at, point)
        future = loop.create_future()
        waits.append(future)
        await future
        return min(intended_s, loop.time() - started_s) if self._ended else intended_s

    def _end_at(self, point: int) -> None:
        for future in self._waits.pop(point, ()):
            if not future.done():
                future.set_result(None)

    def end(self) -> None:
        """Cut every wait short, now and from now on."""
        self._ended = True
        for point in list(self._waits):
            self._end_at(point)
