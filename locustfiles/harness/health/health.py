"""How this process does: one line of figures a second, in every process of a run.

A generator that is slow measures itself; these lines are what tells (`results.health` names the
figures and their limits, docs/generator_health.md explains them). Life cycle:

1. made when a run begins in this process, with the probes of those who know more;
2. `run` is a greenlet that reads the loop's lag until it is killed;
3. `take` gives the figures since it was called before, about once a second.

The cost of all of it is in docs/generator_health.md. This module must not judge, nor know where a
line goes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import gevent

from locustfiles.harness.health.process_figures import ProcessFigures
from results.health import LAG_MAX_MS, LAG_P99_MS, LATENESS_MAX_MS, LATENESS_P99_MS

LAG_INTERVAL_S = 0.02
"""50 readings of the loop's lag a second: enough to see a stall, too few to cause one. Of so few
the 99th percentile is the latest, which the limit was set by (D15). Of 200 it would not see a loop
that stands still for 300 ms in every second: one of the 140 readings that are left."""

IDLE_S = 60.0
"""The greenlet of the timer has nothing to do but to be killed."""

MAX_READINGS = 5_000
"""Of the lag between two lines: 100 s of them. Nobody takes a line for longer than that only when
the greenlet that does has died, which voids the run by itself."""


class Lateness(Protocol):
    """How late the arrivals of this process's open load started."""

    def take(self) -> tuple[float, float] | None:
        """99th percentile and most in ms since it was called before; None when none was due."""


Probe = Callable[[], Mapping[str, float]]
"""Figures of somebody else, for this line."""


def late_arrivals(lateness: Lateness | None) -> dict[str, float]:
    """Its figures for a line; none without an open load, or when no arrival was due."""
    taken = None if lateness is None else lateness.take()
    if taken is None:
        return {}
    p99_ms, most_ms = taken
    return {LATENESS_P99_MS: round(p99_ms, 3), LATENESS_MAX_MS: round(most_ms, 3)}


class HealthMeter:
    """One per process and run."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes
        self._process = ProcessFigures()
        self._lags_ms: list[float] = []
        self._fired_s = 0.0

    def run(self) -> None:
        """Read the loop's lag until the greenlet is killed."""
        # A timer that calls back in the hub costs half of a greenlet that sleeps and wakes.
        timer = gevent.get_hub().loop.timer(LAG_INTERVAL_S, LAG_INTERVAL_S)
        self._fired_s = time.perf_counter()
        timer.start(self._read_lag, update=True)
        try:
            while True:
                gevent.sleep(IDLE_S)
        finally:
            timer.stop()
            timer.close()

    def _read_lag(self) -> None:
        """The timer fires again an interval after it was due, or at once where that is over: so the
        firing after a late one is early, and no second lag."""
        now_s = time.perf_counter()
        lag_ms = (now_s - self._fired_s - LAG_INTERVAL_S) * 1000
        self._fired_s = now_s
        if len(self._lags_ms) < MAX_READINGS:
            self._lags_ms.append(max(0.0, lag_ms))

    def take(self) -> dict[str, float]:
        """The figures of one line. What nobody measured since the one before is absent."""
        values = self._process.read()
        values |= self._lag()
        for probe in self._probes:
            values |= probe()
        return values

    def _lag(self) -> dict[str, float]:
        lags_ms, self._lags_ms = sorted(self._lags_ms), []
        if not lags_ms:
            return {}
        p99_ms = lags_ms[math.ceil(0.99 * len(lags_ms)) - 1]
        return {LAG_P99_MS: round(p99_ms, 3), LAG_MAX_MS: round(lags_ms[-1], 3)}
