"""Locust's `stop` and `quit` of a worker, so that a run's end is carried out whoever asks for it.

A task may call `self.environment.runner.quit()`. Locust carries it out in the user's own greenlet,
which it kills first: what remained to be shipped would be lost, and the process would stay. Here
such a call returns at once, and a greenlet of its own does the rest. Put in place once, at init.

Locust quits by itself, too, after a minute without a heartbeat from the master, also when this
process slept through it, and would call that a success: `lost` is told instead. This module must
not know what is shipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import gevent
from locust.runners import MASTER_HEARTBEAT_TIMEOUT, WorkerRunner


class WayOut:
    """One per worker. `lost` ends the process."""

    def __init__(self, runner: WorkerRunner, lost: Callable[[], None]) -> None:
        self._runner = runner
        self._lost = lost
        self._under_way: dict[Callable[[], None], gevent.Greenlet] = {}
        self._stop, self._quit = runner.stop, runner.quit
        runner.stop = partial(self._carry_out, self._stop)  # type: ignore[method-assign]
        runner.quit = self._leave  # type: ignore[method-assign]

    def _leave(self) -> None:
        # Other callers' reasons are their own.
        is_locusts_own = gevent.getcurrent() in self._runner.greenlet
        if is_locusts_own and self._is_without_heartbeat():
            self._lost()
        else:
            self._carry_out(self._quit)

    def _is_without_heartbeat(self) -> bool:
        """As Locust's checker has found just now."""
        seen_s = self._runner.last_heartbeat_timestamp
        return seen_s is not None and seen_s < time.time() - MASTER_HEARTBEAT_TIMEOUT

    def _carry_out(self, way: Callable[[], None]) -> None:
        current = gevent.getcurrent()
        own = current in self._runner.greenlet or current in self._under_way.values()
        if own or not isinstance(current, gevent.Greenlet):
            # Locust's own, or the main greenlet.
            way()
            return
        carrier = self._under_way.get(way)
        if carrier is None or carrier.dead:
            carrier = self._under_way[way] = gevent.spawn(way)
        if current not in self._runner.user_greenlets:
            carrier.join()
