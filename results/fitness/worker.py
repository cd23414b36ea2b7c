"""Were all workers there to the end?

This module must not know checks or the target.
"""

from __future__ import annotations

from results.finding import Finding
from results.fitness.counter import rises, worst_by_source
from results.health import WORKERS_LOST
from results.timeline import Timeline


def workers_lost(timeline: Timeline) -> list[Finding]:
    count = max(worst_by_source(timeline.health, WORKERS_LOST).values(), default=0.0)
    if not count:
        return []
    text = (
        f"{count:.0f} worker(s) were lost during the run: their load and their last seconds are "
        "missing; see the workers' logs"
    )
    return [Finding(WORKERS_LOST, text, rises(timeline.health, WORKERS_LOST))]
