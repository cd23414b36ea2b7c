"""Whether the reports of every worker come in time, as the master sees it.

A worker says every second how it does. One whose lines stop coming is stalled, cut off or gone; its
lines may all come later, but until then the run is steered without them. Pure: times are given, in
seconds since the run's origin. This module must not know how reports travel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from results.health import MISSED_REPORTS, UNHEARD_S

IN_TIME_S = 2.0
"""A line of health follows the one before it after a second; the second one is for a tick of the
loop on either side and for the way."""

LOOK_S = 1.0
"""The master looks about once a second."""


@dataclass(slots=True)
class _Source:
    """`heard_s` is when its latest line came, `counted` how many it has missed since then."""

    name: str
    heard_s: float
    counted: int = 0
    missed: int = 0


class ReportWatch:
    """One per run of a master. Workers are known by Locust's id, their lines by their source."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._looked_s: float | None = None

    def expect(self, worker: str, source: str, at_s: float) -> None:
        """Lines of that worker are due from then on, though none has come yet."""
        self._sources.setdefault(worker, _Source(source, at_s))

    def heard(self, worker: str, source: str, at_s: float) -> None:
        """A line of health of that worker came."""
        known = self._sources.get(worker)
        if known is None:
            self._sources[worker] = _Source(source, at_s)
        else:
            known.heard_s, known.counted = at_s, 0

    def look(self, at_s: float, *, excused: Collection[str] = ()) -> dict[str, Mapping[str, float]]:
        """By source, the figures of those whose lines are missing now; call it every second.

        `excused` are the workers that are done or known to be away: nothing is expected of them,
        nor of the time in which they were. Time in which the master itself did not look is no
        silence of theirs either.
        """
        stalled_s = 0.0 if self._looked_s is None else at_s - self._looked_s - LOOK_S
        self._looked_s = at_s
        found: dict[str, Mapping[str, float]] = {}
        for worker, source in self._sources.items():
            if stalled_s > LOOK_S:
                source.heard_s += stalled_s
            if worker in excused:
                source.heard_s, source.counted = at_s, 0
            unheard_s = at_s - source.heard_s
            missing = max(0, int(unheard_s - IN_TIME_S + 1.0))
            if not missing:
                continue
            source.missed += max(0, missing - source.counted)
            source.counted = max(missing, source.counted)
            found[source.name] = {
                MISSED_REPORTS: source.missed,
                UNHEARD_S: round(unheard_s, 3),
            }
        return found
