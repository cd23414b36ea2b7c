"""A worker's clock on the master's: a few quick exchanges when it makes ready, then every beat.

The worker sends its time, the master answers with when that came and when the answer left; what is
known from it is in `ClockOffset`. This module must not know what else beats are for.
"""

from __future__ import annotations

from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from locustfiles.harness.distribution.clock_offset import ClockOffset
from locustfiles.harness.http.clock import own_wall_us, shift
from results.health import CLOCK_OFFSET_MS, CLOCK_UNCERTAINTY_MS

ASK = "foundation_clock"
"""Worker to master: {"t0_us": its own time}."""
ANSWER = "foundation_clock_answer"
"""Master to worker: {"t0_us": as asked, "t1_us": when it came, "t2_us": when this left}."""

QUICK_EXCHANGES = 8
"""One in eight finds both loops idle, even on busy processors (RFC 5905 keeps eight, too)."""

QUICK_TIMEOUT_S = 3.0
"""For all of them: eight round trips around the globe take two and a half seconds."""


def answer_clock(runner: MasterRunner) -> None:
    """From now on the master tells its time to workers."""

    def on_ask(environment: Environment, msg: Message, **_: Any) -> None:
        t1_us = own_wall_us()
        times = {"t0_us": msg.data["t0_us"], "t1_us": t1_us, "t2_us": own_wall_us()}
        runner.send_message(ANSWER, times, msg.node_id)

    runner.register_message(ASK, on_ask)


class ClockSync:
    """One per worker. `offset` is what is known so far."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._answered = Event()
        self.offset = ClockOffset()
        runner.register_message(ANSWER, self._on_answer)

    def take(self, t0_us: int, t1_us: int, t2_us: int, t3_us: int) -> None:
        """One exchange: t0 and t3 by `own_wall_us` here, t1 and t2 on the master's clock."""
        if self.offset.add(t0_us, t1_us, t2_us, t3_us):
            shift(self.offset.offset_us)

    def measure(self) -> bool:
        """Exchange quickly; whether the offset is known after it. Takes at most 3 s."""
        with gevent.Timeout(QUICK_TIMEOUT_S, False):
            for _ in range(QUICK_EXCHANGES):
                self._answered.clear()
                self._runner.send_message(ASK, {"t0_us": own_wall_us()})
                self._answered.wait()
        return self.offset.is_known

    def figures(self) -> dict[str, float]:
        """For a line of health; none while nothing is known."""
        uncertainty_us = self.offset.uncertainty_us
        if uncertainty_us is None:
            return {}
        return {
            CLOCK_OFFSET_MS: self.offset.offset_us / 1000,
            CLOCK_UNCERTAINTY_MS: uncertainty_us / 1000,
        }

    def _on_answer(self, environment: Environment, msg: Message, **_: Any) -> None:
        t3_us = own_wall_us()
        self.take(msg.data["t0_us"], msg.data["t1_us"], msg.data["t2_us"], t3_us)
        self._answered.set()
