"""Is everything that was recorded here, and did it come in time: no report lost or late, no sample
dropped, no recorder broken?

This module must not know checks or the target.
"""

from __future__ import annotations

from itertools import pairwise

from results.absence import absences
from results.finding import Finding, Mark
from results.fitness.counter import rises, worst_by_source
from results.health import (
    MISSED_REPORTS,
    RECORDER_FAILURES,
    SAMPLES_DROPPED,
    UNHEARD_LIMIT_S,
    UNHEARD_S,
    readings_by_source,
)
from results.timeline import EndReason, Timeline


def recorder_failures(timeline: Timeline) -> list[Finding]:
    count = max(worst_by_source(timeline.health, RECORDER_FAILURES).values(), default=0.0)
    if not count:
        return []
    text = f"recording or shipping of results failed {count:.0f} time(s): see the log"
    return [Finding(RECORDER_FAILURES, text, rises(timeline.health, RECORDER_FAILURES))]


def samples_dropped(timeline: Timeline) -> list[Finding]:
    """As health lines say, and as reports say."""
    found = []
    count = max(worst_by_source(timeline.health, SAMPLES_DROPPED).values(), default=0.0)
    if count:
        text = f"{count:.0f} samples were dropped because results were not shipped in time"
        found.append(Finding(SAMPLES_DROPPED, text, rises(timeline.health, SAMPLES_DROPPED)))
    worst: dict[str, int] = {}
    for report in timeline.reports:
        worst[report.source] = max(worst.get(report.source, 0), report.dropped)
    return found + [
        Finding(
            SAMPLES_DROPPED,
            f"{source} dropped {count:,} samples because its reports were not shipped in time",
        )
        for source, count in sorted(worst.items())
        if count
    ]


def reports_lost(timeline: Timeline) -> list[Finding]:
    """Missing ones, and sources that never said how many there are: the last may be missing."""
    silent: list[str] = []
    if timeline.end is not None and timeline.end.reason is EndReason.COMPLETED:
        sources = {report.source for report in timeline.reports}
        # Of a worker that was lost, `worker.py` says what is missing.
        lost = {one.source for one in absences(timeline.health) if one.back_s is None}
        silent = sorted(sources - timeline.end.reports.keys() - lost)
    return [
        Finding(
            "reports_lost",
            f"{source} never said how many reports it sent, so its last seconds may be missing: "
            "see its log",
        )
        for source in silent
    ] + [
        Finding(
            "reports_lost",
            f"{count} report(s) of {source} never arrived: that many seconds are missing",
            _holes(timeline, source),
        )
        for source, count in timeline.lost_reports().items()
    ]


def _holes(timeline: Timeline, source: str) -> tuple[Mark, ...]:
    """Where its sequence breaks: the seconds of the reports before and after, and those between."""
    seconds = {r.sequence: r.second for r in timeline.reports if r.source == source}
    if not seconds:
        return ()
    known = sorted(seconds)
    found = []
    for before, after in pairwise(known):
        if after - before > 1:
            first, last = sorted((seconds[before], seconds[after]))
            found.append(Mark(source, first, last + 1.0))
    sent = 0 if timeline.end is None else timeline.end.reports.get(source, 0)
    if known[0] > 0:
        found.insert(0, Mark(source, 0.0, seconds[known[0]] + 1.0))
    if sent > known[-1] + 1 and timeline.end is not None:
        found.append(Mark(source, seconds[known[-1]], timeline.end.t_s))
    return tuple(mark for mark in found if mark.length_s > 0)


def reports_late(timeline: Timeline) -> list[Finding]:
    """Sources that the master heard nothing of for too long, though all may have come later."""
    missed = worst_by_source(timeline.health, MISSED_REPORTS)
    found = []
    for source, unheard in sorted(readings_by_source(timeline.health, UNHEARD_S).items()):
        silences = _silences(source, unheard)
        if not silences:
            continue
        longest_s = max(mark.length_s for mark in silences)
        text = (
            f"{source}: the master heard nothing of it for {longest_s:.0f} s at a stretch "
            f"({missed.get(source, 0.0):.0f} reports were late or never came): look at its log, "
            "its machine and its link to the master"
        )
        found.append(Finding("reports_late", text, tuple(silences)))
    return found


def _silences(source: str, unheard: list[tuple[float, float]]) -> list[Mark]:
    """From the last sign of life to each line that tells of a silence that is too long."""
    return [
        Mark(source, t_s - silent_s, t_s)
        for t_s, silent_s in sorted(unheard)
        if silent_s > UNHEARD_LIMIT_S
    ]
