"""The plan as far as it was carried out: what a run that was cut short can be held to.

A check that broke may have ended the plan, which the timeline says. A run that was stopped or
killed sent no load from then on: its rates, windows and plots end there, not where they were
planned to. This module must not judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from results.timeline import End, EndReason, Timeline


def as_carried_out(timeline: Timeline) -> Timeline:
    """With the plan up to where the load ended; the same timeline where that is its end."""
    if timeline.plan is None:
        return timeline
    ends_s = _plan_ends_s(timeline, timeline.end)
    return timeline if ends_s is None else replace(timeline, plan=timeline.plan.ending(ends_s))


def _plan_ends_s(timeline: Timeline, end: End | None) -> float | None:
    """None: at its own end."""
    if end is not None and end.plan_ends_s is not None:
        return end.plan_ends_s
    if end is not None and end.reason is EndReason.COMPLETED:
        return None
    # A plan of no length would have no second to tell of.
    return float(max(1, *_loaded_until_s(timeline)))


def _loaded_until_s(timeline: Timeline) -> Iterator[int]:
    """Ends of the whole seconds in which there is known to have been load: something began, or
    users ran, also where a target that hangs lets them begin nothing."""
    yield 0
    for report in timeline.reports:
        begun = (max(e.started) for e in report.endpoints.values() if e.started)
        yield from (second + 1 for second in begun)
        if any(arrived.offered for arrived in report.arrivals.values()):
            yield report.second + 1
    yield from (math.floor(line.t_s) for line in timeline.progress if line.users)
