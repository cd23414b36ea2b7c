"""How an open load goes on, for the progress line: from reports and health lines of all processes.

This module must not know Locust or print anything.
"""

from __future__ import annotations

from results.arrival import ArrivalsNow
from results.health import SESSIONS, SESSIONS_BUSY
from results.second import SecondReport
from results.timeline import Health

RECENT_SECONDS = 60
"""Whose arrivals are kept apart, for the rate that is shown."""

HEARD_WITHIN_S = 5.0
"""A process says once a second how many sessions it has; one that is silent is not counted."""


class ArrivalsSoFar:
    """One per run with an open load."""

    def __init__(self) -> None:
        self._offered: dict[int, int] = {}
        self._unsent = 0
        self._sessions: dict[str, Health] = {}

    def take_second(self, report: SecondReport) -> None:
        for arrived in report.arrivals.values():
            self._offered[report.second] = self._offered.get(report.second, 0) + arrived.offered
            self._unsent += arrived.offered - arrived.started
        if len(self._offered) > RECENT_SECONDS:
            del self._offered[min(self._offered)]

    def take_health(self, health: Health) -> None:
        if SESSIONS in health.values:
            self._sessions[health.source] = health

    def at(self, second: int) -> ArrivalsNow:
        """As of the latest second before it that is complete."""
        complete = max((s for s in self._offered if s < second), default=second)
        heard = [h.values for h in self._sessions.values() if second - h.t_s <= HEARD_WITHIN_S]
        return ArrivalsNow(
            rate_per_s=float(self._offered.get(complete, 0)),
            sessions=int(sum(values[SESSIONS] for values in heard)),
            busy=int(sum(values.get(SESSIONS_BUSY, 0) for values in heard)),
            unsent=self._unsent,
        )
