"""Were the workers' times on the master's clock?

Each worker measures how far its clock is from the master's with every beat, and corrects its times
by it; its health lines say what was found. This module must not know how it is measured.
"""

from __future__ import annotations

from results.finding import Finding, Mark
from results.health import (
    CLOCK_MOVED_LIMIT_MS,
    CLOCK_OFFSET_LIMIT_MS,
    CLOCK_OFFSET_MS,
    CLOCK_UNCERTAINTY_LIMIT_MS,
    CLOCK_UNCERTAINTY_MS,
    CLOCK_UNCERTAINTY_SPAN_S,
    readings_by_source,
)
from results.judging.stretch import long_stretches, longest
from results.timeline import Timeline

SYNCHRONISE = "synchronise the machine's clock (NTP, chrony)"


def clock_offset(timeline: Timeline) -> list[Finding]:
    """A clock that is too far off, though its times are corrected."""
    found = []
    for source, readings in sorted(readings_by_source(timeline.health, CLOCK_OFFSET_MS).items()):
        over = [(t_s, value) for t_s, value in readings if abs(value) > CLOCK_OFFSET_LIMIT_MS]
        if not over:
            continue
        worst_ms = max((value for _, value in over), key=abs)
        text = (
            f"{source}: its clock was {abs(worst_ms) / 1000:.1f} s {_way(worst_ms)} the master's, "
            f"more than {CLOCK_OFFSET_LIMIT_MS / 1000:.0f} s: its times are corrected, but not "
            f"what its users send, such as ids and tokens with a time: {SYNCHRONISE}"
        )
        found.append(Finding("clock_offset", text, (_over_all(source, over),)))
    return found


def clock_uncertainty(timeline: Timeline) -> list[Finding]:
    """Nobody knows well enough how far the clock is off."""
    found = []
    by_source = readings_by_source(timeline.health, CLOCK_UNCERTAINTY_MS)
    for source, readings in sorted(by_source.items()):
        over = long_stretches(
            readings, over=CLOCK_UNCERTAINTY_LIMIT_MS, least_s=CLOCK_UNCERTAINTY_SPAN_S
        )
        if not over:
            continue
        worst_ms = max(one.worst for one in over)
        text = (
            f"{source}: its clock's distance from the master's was known to within "
            f"{worst_ms:,.0f} ms only, not {CLOCK_UNCERTAINTY_LIMIT_MS:.0f} ms, for "
            f"{longest(over).length_s:.0f} s: bring master and worker nearer together, or give "
            "both more cores"
        )
        marks = tuple(Mark(source, one.from_s, one.to_s) for one in over)
        found.append(Finding("clock_uncertainty", text, marks))
    return found


def clock_moved(timeline: Timeline) -> list[Finding]:
    """A clock that went at another pace than the master's, or was halted with its machine.

    Only what the uncertainties cannot explain counts.
    """
    uncertain = readings_by_source(timeline.health, CLOCK_UNCERTAINTY_MS)
    found = []
    for source, readings in sorted(readings_by_source(timeline.health, CLOCK_OFFSET_MS).items()):
        within = dict(uncertain.get(source, ()))
        low_ms, low_s = min((value + within.get(t_s, 0.0), t_s) for t_s, value in readings)
        high_ms, high_s = max((value - within.get(t_s, 0.0), t_s) for t_s, value in readings)
        moved_ms = high_ms - low_ms
        if moved_ms <= CLOCK_MOVED_LIMIT_MS:
            continue
        first_s, last_s = sorted((low_s, high_s))
        text = (
            f"{source}: its clock moved by {moved_ms:,.0f} ms against the master's between second "
            f"{first_s:.0f} and {last_s:.0f}, more than {CLOCK_MOVED_LIMIT_MS:.0f} ms, so its "
            "times cannot be corrected: see whether that machine was suspended or migrated"
        )
        found.append(Finding("clock_moved", text, (Mark(source, first_s, last_s),)))
    return found


def _way(offset_ms: float) -> str:
    """The offset is the master's clock minus the worker's."""
    return "behind" if offset_ms > 0 else "ahead of"


def _over_all(source: str, readings: list[tuple[float, float]]) -> Mark:
    times_s = [t_s for t_s, _ in readings]
    return Mark(source, min(times_s) - 1.0, max(times_s))
