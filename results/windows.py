"""Windows: the intervals that statistics are cut by.

A window is one half-open interval or several (a phase that occurs twice, seen as one). A second
belongs to the interval that holds its midpoint, so that every second belongs to exactly one phase.
This module must not know what happened in a window: `statistic.py` cuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from results.timeline import Plan, Timeline

RUN = "run"
"""The window of everything that was recorded."""


@dataclass(frozen=True, slots=True)
class Window:
    """`intervals` are (start_s, end_s), half-open, in order and disjoint."""

    name: str
    intervals: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        edge = -math.inf
        for start_s, end_s in self.intervals:
            if not (math.isfinite(start_s) and math.isfinite(end_s)) or start_s < edge:
                raise ValueError(f"window {self.name!r}: intervals must be finite and in order")
            if end_s <= start_s:
                raise ValueError(
                    f"window {self.name!r}: [{start_s}, {end_s}) is empty, end it after its start"
                )
            edge = end_s

    @property
    def length_s(self) -> float:
        """Of all intervals together."""
        return math.fsum(end_s - start_s for start_s, end_s in self.intervals)

    def seconds(self) -> list[range]:
        """The whole seconds of each interval: those s with start <= s + 0.5 < end."""
        return [
            range(math.ceil(start_s - 0.5), math.ceil(end_s - 0.5))
            for start_s, end_s in self.intervals
        ]


def interval(name: str, start_s: float, end_s: float) -> Window:
    """Any interval as a window. Raises ValueError when it is empty or not finite."""
    return Window(name, ((start_s, end_s),))


def phase_windows(plan: Plan) -> tuple[Window, ...]:
    """`phase:NAME` for each phase; one that occurs n times also has `phase:NAME#1` to `#n`.

    In order of time, a union after its last occurrence.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    for phase in plan.phases:
        spans.setdefault(phase.name, []).append((phase.start_s, phase.end_s))
    seen: dict[str, int] = {}
    found: list[Window] = []
    for phase in plan.phases:
        occurrences = spans[phase.name]
        seen[phase.name] = nth = seen.get(phase.name, 0) + 1
        if len(occurrences) > 1:
            found.append(interval(f"phase:{phase.name}#{nth}", phase.start_s, phase.end_s))
        if nth == len(occurrences):
            found.append(Window(f"phase:{phase.name}", tuple(occurrences)))
    return tuple(found)


def run_window(timeline: Timeline) -> Window:
    """Everything that was recorded: from second 0 or the first to the plan's end or the last."""
    seconds = [report.second for report in timeline.reports]
    seconds += [s for r in timeline.reports for e in r.endpoints.values() for s in e.started]
    planned_s = timeline.plan.duration_s if timeline.plan is not None else 0.0
    start_s = min(0, *seconds) if seconds else 0
    end_s = max(1, math.ceil(planned_s), *(second + 1 for second in seconds))
    return interval(RUN, start_s, end_s)


def standard_windows(timeline: Timeline) -> tuple[Window, ...]:
    """`run` and every phase."""
    phases = phase_windows(timeline.plan) if timeline.plan is not None else ()
    return (run_window(timeline), *phases)
