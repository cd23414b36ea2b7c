"""How the master of a run does, and whether its workers' reports come in time.

The master sends no load, but it hands out the plan every second and writes everything down: one
that is slow makes a load that is off its plan, and one whose disk stalls hears nobody meanwhile.
Life cycle: made when a run begins; `run` is a greenlet until the run's end. This module must not
judge, nor decide who is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import gevent

from locustfiles.harness.health.health import HealthMeter, Probe
from locustfiles.harness.health.report_watch import ReportWatch
from results.health import MASTER, USERS

INTO_SECOND_S = 0.05
"""A line is written this far into each second, as load sides do."""


class MasterHealth:
    """`take` writes a line of health, `done` are workers of which nothing is expected any more."""

    def __init__(
        self,
        *,
        elapsed_s: Callable[[], float],
        users: Callable[[], int],
        done: Callable[[], Collection[str]],
        take: Callable[[str, dict[str, Any]], None],
        probes: Collection[Probe] = (),
    ) -> None:
        self._elapsed_s = elapsed_s
        self._done = done
        self._take = take
        self._meter = HealthMeter(lambda: {USERS: users()}, *probes)
        self._reports = ReportWatch()

    def expect(self, worker: str, source: str) -> None:
        """That worker takes part: its lines are due from the origin on, or from now."""
        self._reports.expect(worker, source, max(0.0, self._elapsed_s()))

    def heard(self, worker: str, source: str) -> None:
        """A line of health of that worker came, just now."""
        self._reports.heard(worker, source, self._elapsed_s())

    def run(self) -> None:
        """Write a line every second until the greenlet is killed."""
        lag = gevent.spawn(self._meter.run)
        try:
            while True:
                gevent.sleep(1.0 - (self._elapsed_s() - INTO_SECOND_S) % 1.0)
                self._write(MASTER, self._meter.take())
                missing = self._reports.look(self._elapsed_s(), excused=self._done())
                for source, values in missing.items():
                    self._write(source, dict(values))
        finally:
            lag.kill(block=False)

    def _write(self, source: str, values: dict[str, float]) -> None:
        t_s = round(self._elapsed_s(), 3)
        self._take("health", {"t_s": t_s, "source": source, "values": values})
