"""Did each process get the processor that it wanted?

One that wants its whole core and shares it with others sends at half of its speed and times at half
of its speed, though its loop need not be late by its limit: it is run again within milliseconds.
This module must not know checks or the target.
"""

from __future__ import annotations

from collections.abc import Iterable

from results.finding import Finding, Mark
from results.fitness.cause import cause
from results.health import (
    CPU_PERCENT,
    CPU_WAIT_PERCENT,
    LAG_P99_MS,
    STARVED_LAG_MS,
    STARVED_SPAN_S,
    STARVED_USE_PERCENT,
    STARVED_WAIT_PERCENT,
)
from results.judging.stretch import long_stretches, longest
from results.timeline import Health, Timeline


def starved(timeline: Timeline) -> list[Finding]:
    """Those that wanted their whole core, were kept from it, and were late for it. None where
    nobody counts waits."""
    found = []
    for source, waits in sorted(_waits_of_a_whole_core(timeline.health).items()):
        over = long_stretches(waits, over=STARVED_WAIT_PERCENT, least_s=STARVED_SPAN_S)
        if not over:
            continue
        marks = tuple(Mark(source, one.from_s, one.to_s) for one in over)
        text = (
            f"{source}: the process wanted its whole core for {longest(over).length_s:.0f} s and "
            f"did not get it: {cause(timeline.health, marks)}"
        )
        found.append(Finding("processor_starved", text, marks))
    return found


def _waits_of_a_whole_core(lines: Iterable[Health]) -> dict[str, list[tuple[float, float]]]:
    """(t_s, CPU wait in percent) by source; 0 in lines of processes that slept or were in time."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        used, waited = line.values.get(CPU_PERCENT), line.values.get(CPU_WAIT_PERCENT)
        if used is not None and waited is not None:
            is_whole = used + waited >= STARVED_USE_PERCENT
            is_late = line.values.get(LAG_P99_MS, 0.0) >= STARVED_LAG_MS
            counts = waited if is_whole and is_late else 0.0
            found.setdefault(line.source, []).append((line.t_s, counts))
    return found
