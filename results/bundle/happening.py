"""What happened in a run, as a list of moments: phases, faults, workers, notes and the end.

For a person who looks at a run, above all at one that was killed. This module must not judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from results.timeline import OWNER, Timeline


class Moment(NamedTuple):
    """Seconds since the run's origin, and what happened then in words."""

    t_s: float
    text: str


def moments(timeline: Timeline) -> list[Moment]:
    """In order of time. Nothing of a plan that lies beyond what was recorded."""
    last_s = recorded_until_s(timeline)
    found = [one for one in _planned(timeline) if one.t_s <= last_s]
    found += [Moment(note.t_s, f"{note.label}: {note.text}") for note in timeline.annotations]
    for fault in timeline.faults:
        whom = f" on {fault.node}" if fault.node else ""
        found.append(Moment(fault.began_s, f"fault {fault.id} ({fault.kind}) began{whom}"))
        if fault.healed_s is not None:
            found.append(Moment(fault.healed_s, f"fault {fault.id} was healed"))
    found.sort(key=lambda one: one.t_s)
    if timeline.end is None:
        return [*found, Moment(last_s, "the last that was recorded")]
    detail = f": {timeline.end.detail}" if timeline.end.detail else ""
    return [*found, Moment(timeline.end.t_s, f"the run's end, {timeline.end.reason}{detail}")]


def _planned(timeline: Timeline) -> Iterator[Moment]:
    if timeline.plan is not None:
        for phase in timeline.plan.phases:
            yield Moment(phase.start_s, f"phase {phase.name} begins, until {phase.end_s:g} s")


def recorded_until_s(timeline: Timeline) -> float:
    """When the last line was written that says so."""
    seconds = [report.second + 1.0 for report in timeline.reports if report.source != OWNER]
    seconds += [line.t_s for line in timeline.progress]
    seconds += [line.t_s for line in timeline.health]
    seconds += [line.t_s for line in timeline.annotations]
    return max([0.0, *seconds])
