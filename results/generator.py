"""Was the generator fit? A slow or broken one measures itself, and its run proves nothing (D15).

Asks every module of `results.fitness`, one for each subject. Each finding is one sentence that says
what was seen, what the limit is and what to do, and marks the seconds in which it was so. This
module must not know checks or the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from results.finding import Finding, joined
from results.fitness.clock import clock_moved, clock_offset, clock_uncertainty
from results.fitness.descriptor import descriptors, exhausted
from results.fitness.load import nothing_sent, users_missing
from results.fitness.loop import lag, lateness, unwatched
from results.fitness.processor import starved
from results.fitness.report import recorder_failures, reports_late, reports_lost, samples_dropped
from results.fitness.user import user_errors
from results.fitness.worker import workers_lost
from results.timeline import Timeline
from results.windows import run_window

Judge = Callable[[Timeline], list[Finding]]

JUDGES: tuple[Judge, ...] = (
    nothing_sent,
    exhausted,
    descriptors,
    unwatched,
    lag,
    starved,
    lateness,
    clock_offset,
    clock_uncertainty,
    clock_moved,
    workers_lost,
    recorder_failures,
    samples_dropped,
    user_errors,
    users_missing,
    reports_lost,
    reports_late,
)
"""In the order in which their findings are told."""


def assess(timeline: Timeline) -> tuple[Finding, ...]:
    """Empty when the generator was fit. Marks lie within the run, those of one source apart."""
    found = [finding for judge in JUDGES for finding in judge(timeline)]
    ((start_s, end_s),) = run_window(timeline).intervals
    return tuple(_within(finding, start_s, end_s) for finding in found)


def _within(finding: Finding, start_s: float, end_s: float) -> Finding:
    marks = (mark.within(start_s, end_s) for mark in finding.marks)
    return replace(finding, marks=joined(mark for mark in marks if mark is not None))


def worst_health(timeline: Timeline) -> dict[str, dict[str, float]]:
    """The largest value of each figure by source, for the verdict's document.

    By its size: only a clock's offset has a sign.
    """
    worst: dict[str, dict[str, float]] = {}
    for line in timeline.health:
        figures = worst.setdefault(line.source, {})
        for name, value in line.values.items():
            figures[name] = max(figures.get(name, value), value, key=abs)
    return worst
