"""The start barrier: a run's second 0 is set when every worker is ready for it.

The master's test_start holds the shape's clock; it asks all welcomed workers to make ready and
waits for their answers, at most `READY_TIMEOUT_S`. What takes a worker time before its first user
(collecting garbage, measuring its clock) is done by then, so that second 0 is the same instant of
the master's clock in all of them. A worker that stays silent is left out: it has had no load yet
and others send its share, so that the run is whole without it; should it answer later, it joins as
any worker does in mid-run. This module must not know books or shapes.
"""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from locustfiles.harness.distribution.clock_sync import ClockSync
from locustfiles.harness.distribution.hello import Welcome

PREPARE = "foundation_prepare"
"""Master to worker: make ready for the run that begins. {"round": …}"""
READY = "foundation_ready"
"""Worker to master: it is. {"round": …}"""

READY_TIMEOUT_S = 10.0
"""A worker makes ready in some tenths of a second; one that needs this long has no processor."""

LEFT_OUT = "worker_left_out"
"""Label on the timeline."""

POLL_S = 0.5
"""A worker that is lost while it is awaited sends nothing, so look for that too."""


logger = logging.getLogger(__name__)


class Barrier:
    """The master's side; one for all runs."""

    def __init__(self, runner: MasterRunner, welcome: Welcome) -> None:
        self._runner = runner
        self._welcome = welcome
        self._round = 0
        self._ready: set[str] = set()
        self._left_out: set[str] = set()
        self._news = Event()
        runner.register_message(READY, self._on_ready)

    def gather(self) -> tuple[str, ...]:
        """Wait until every worker is ready; returns those that did not answer and are left out.

        Raises TimeoutError when nobody answered.
        """
        self._round += 1
        self._ready.clear()
        for client_id in self._left_out:
            self._welcome.admit(client_id)
        self._left_out.clear()
        asked = set(self._runner.clients)
        for client_id in asked:
            self._runner.send_message(PREPARE, {"round": self._round}, client_id)
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while self._awaited(asked) and (left_s := deadline_s - time.monotonic()) > 0:
            self._news.wait(min(POLL_S, left_s))
            self._news.clear()
        silent = sorted(self._awaited(asked))
        if asked and not self._ready:
            raise TimeoutError(
                f"no worker was ready within {READY_TIMEOUT_S:.0f} s: see the workers' logs, and "
                "that their machines are not overloaded"
            )
        for client_id in silent:
            self._left_out.add(client_id)
            self._welcome.leave_out(client_id)
        return tuple(silent)

    def _awaited(self, asked: set[str]) -> set[str]:
        # Locust has found those that are missing to be dead or cut off.
        missing = {node.id for node in self._runner.clients.missing}
        return (asked & set(self._runner.clients)) - missing - self._ready

    def _on_ready(self, environment: Environment, msg: Message, **_: Any) -> None:
        if msg.data["round"] != self._round:
            return
        self._ready.add(msg.node_id)
        if msg.node_id in self._left_out:
            self._left_out.discard(msg.node_id)
            self._welcome.admit(msg.node_id)
        self._news.set()


def answer_prepare(runner: WorkerRunner, clock: ClockSync) -> None:
    """From now on this worker makes ready when the master asks for it, and says so."""

    def on_prepare(environment: Environment, msg: Message, **_: Any) -> None:
        if make_ready(clock):
            runner.send_message(READY, {"round": msg.data["round"]})
        else:
            logger.error("the master's clock cannot be read, so this worker is not ready")

    runner.register_message(PREPARE, on_prepare, concurrent=True)


def make_ready(clock: ClockSync) -> bool:
    """What is slow before the first user. Whether the clock's offset is known."""
    # Imports leave some 100,000 objects: collected now, and frozen, the load side's own collection
    # at the run's begin finds little.
    gc.collect()
    gc.freeze()
    return clock.measure()
