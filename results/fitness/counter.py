"""Counters in health lines: what each source has counted so far, and when it rose.

This module must not know what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from results.finding import Mark
from results.health import readings_by_source
from results.judging.stretch import FIRST_SPAN_S
from results.timeline import Health


def worst_by_source(lines: Iterable[Health], name: str) -> dict[str, float]:
    """The most that each source has counted."""
    readings = readings_by_source(lines, name)
    return {source: max(value for _, value in seen) for source, seen in sorted(readings.items())}


def rises(lines: Iterable[Health], name: str) -> tuple[Mark, ...]:
    """From the line before a rise to the line that tells of it; rises that touch are one."""
    found: list[Mark] = []
    for source, seen in sorted(readings_by_source(lines, name).items()):
        before_s, most = None, 0.0
        for t_s, value in sorted(seen):
            since_s = t_s - FIRST_SPAN_S if before_s is None else before_s
            if value > most:
                most = value
                if found and (found[-1].source, found[-1].to_s) == (source, since_s):
                    since_s = found.pop().from_s
                found.append(Mark(source, since_s, t_s))
            before_s = t_s
    return tuple(found)
