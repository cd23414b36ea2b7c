"""Were all workers there to the end?

A worker that was away leaves a hole in the load until others have its share, also when it comes
back. This module must not know checks or the target.
"""

from __future__ import annotations

from results.absence import Absence, absences
from results.finding import Finding, Mark
from results.fitness.counter import rises, worst_by_source
from results.health import WORKERS_LOST
from results.timeline import Timeline

WORKER_AWAY = "worker_away"
"""Code of a worker that was away and came back."""


def workers_lost(timeline: Timeline) -> list[Finding]:
    """Those that did not come back, and those that did."""
    known = absences(timeline.health)
    lost = [one for one in known if one.back_s is None]
    found = [
        Finding(WORKERS_LOST, f"{one.source} {one.text()}; see its log", (_mark(one),))
        for one in lost
    ]
    count = max(worst_by_source(timeline.health, WORKERS_LOST).values(), default=0.0)
    if further := count - len(lost):
        text = (
            f"{further:.0f} worker(s) were lost during the run: their load and their last seconds "
            "are missing; see the workers' logs"
        )
        if further > 0:
            found.append(Finding(WORKERS_LOST, text, rises(timeline.health, WORKERS_LOST)))
    found += [
        Finding(
            WORKER_AWAY,
            f"{one.source} {one.text()}; see its log, and the link between it and the master",
            (_mark(one),),
        )
        for one in known
        if one.back_s is not None
    ]
    return found


def _mark(one: Absence) -> Mark:
    """From what it has not reported, or not sent, to when others had its share."""
    began_s = one.heard_s
    if one.back_s is None and one.last_second is not None:
        began_s = min(began_s, one.last_second + 1.0)
    ended_s = one.taken_s
    if not one.others and one.back_s is not None:
        ended_s = one.back_s
    return Mark(one.source, began_s, max(began_s, ended_s))
