"""Windows: the intervals that statistics are cut by.

A window is one half-open interval or several (a phase that occurs twice, seen as one). A second
belongs to the interval that holds its midpoint, so that every second belongs to exactly one phase.
No second of a fault is in a recovery or in the baseline. This module must not know what happened in
a window: `statistic.py` cuts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from results.timeline import Fault, Plan, Timeline

RUN = "run"
"""The window of everything that was recorded."""

BASELINE = "baseline"
"""The plan's time before the first fault; there is none without a fault."""

RECOVERY_S = 60.0
"""A recovery is at most this long: what is slow a minute after a fault is slow by itself."""


@dataclass(frozen=True, slots=True)
class Window:
    """`intervals` are (start_s, end_s), half-open, in order and disjoint.

    `is_union` marks what other windows hold already: all occurrences of a phase, or of a kind of
    fault.
    """

    name: str
    intervals: tuple[tuple[float, float], ...]
    is_union: bool = False

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
            window = Window(f"phase:{phase.name}", tuple(occurrences), nth > 1)
            found.append(window)
    return tuple(found)


def run_window(timeline: Timeline) -> Window:
    """Everything that was recorded: from second 0 or the first to the plan's end or the last."""
    seconds = [report.second for report in timeline.reports]
    seconds += [s for r in timeline.reports for e in r.endpoints.values() for s in e.started]
    planned_s = timeline.plan.duration_s if timeline.plan is not None else 0.0
    start_s = min(0, *seconds) if seconds else 0
    end_s = max(1, math.ceil(planned_s), *(second + 1 for second in seconds))
    return interval(RUN, start_s, end_s)


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """The time of one fault, from `start_s` to `end_s`, and of what follows it.

    `healed_s` is when it and those that overlap it were gone; None: never. `until_s` is when the
    next fault begins or the plan ends. `recovery` is None where no second is left for one.
    """

    fault: Fault
    start_s: float
    end_s: float
    healed_s: float | None
    until_s: float
    recovery: tuple[float, float] | None


def plan_end_s(timeline: Timeline) -> float:
    """Without a plan: of everything that was recorded."""
    if timeline.plan is not None:
        return timeline.plan.duration_s
    return run_window(timeline).intervals[-1][1]


def fault_spans(timeline: Timeline) -> tuple[FaultSpan, ...]:
    """Of each fault, in the order in which they began; those that overlap recover together."""
    ends_s = plan_end_s(timeline)
    groups: list[list[tuple[Fault, float, float]]] = []
    edge_s = -math.inf
    for span in sorted(
        ((fault, *_fault_interval(fault, ends_s)) for fault in timeline.faults),
        key=lambda span: (span[1], span[0].id),
    ):
        if span[1] >= edge_s:
            groups.append([])
        groups[-1].append(span)
        edge_s = max(edge_s, span[2])
    found: list[FaultSpan] = []
    for n, group in enumerate(groups):
        following = groups[n + 1][0][1] if n + 1 < len(groups) else ends_s
        found += _spans_of(group, min(following, ends_s))
    return tuple(sorted(found, key=lambda span: (span.fault.began_s, span.fault.id)))


def _fault_interval(fault: Fault, ends_s: float) -> tuple[float, float]:
    """One that never healed lasts to the plan's end; one that holds no second has that of its
    beginning."""
    start_s = fault.began_s
    end_s = ends_s if fault.healed_s is None else fault.healed_s
    if _holds_a_second(start_s, end_s):
        return start_s, end_s
    return float(math.floor(start_s)), math.floor(start_s) + 1.0


def _spans_of(group: Sequence[tuple[Fault, float, float]], until_s: float) -> Iterable[FaultSpan]:
    healings = [fault.healed_s for fault, _, _ in group if fault.healed_s is not None]
    healed_s = max(healings) if len(healings) == len(group) else None
    begins_s = max(end_s for _, _, end_s in group)
    stops_s = min(begins_s + RECOVERY_S, until_s)
    has_recovery = healed_s is not None and _holds_a_second(begins_s, stops_s)
    recovery = (begins_s, stops_s) if has_recovery else None
    for fault, start_s, end_s in group:
        yield FaultSpan(fault, start_s, end_s, healed_s, until_s, recovery)


def _holds_a_second(start_s: float, end_s: float) -> bool:
    return math.ceil(start_s - 0.5) < math.ceil(end_s - 0.5)


def baseline_window(timeline: Timeline) -> Window | None:
    """From second 0 to the first fault; None without a fault, or without a second before it."""
    start_s = min((span.start_s for span in fault_spans(timeline)), default=None)
    if start_s is None:
        return None
    start_s = min(start_s, plan_end_s(timeline))
    return interval(BASELINE, 0.0, start_s) if _holds_a_second(0.0, start_s) else None


def fault_windows(timeline: Timeline) -> tuple[Window, ...]:
    """`fault:ID` and `recovery:ID` for each fault, and `:KIND` for all of a kind.

    A kind has a union where it occurs more than once.
    """
    spans = fault_spans(timeline)
    found: list[Window] = []
    for name, intervals in (
        ("fault", {span.fault.id: (span.start_s, span.end_s) for span in spans}),
        ("recovery", {span.fault.id: span.recovery for span in spans if span.recovery}),
    ):
        found += [interval(f"{name}:{id}", *times) for id, times in intervals.items()]
        for kind in dict.fromkeys(span.fault.kind for span in spans):
            ids = [span.fault.id for span in spans if span.fault.kind == kind]
            times = [intervals[id] for id in ids if id in intervals]
            if times and len(ids) > 1:
                found.append(Window(f"{name}:{kind}", _united(times), is_union=True))
    return tuple(found)


def _united(intervals: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """In order, those that overlap or touch as one."""
    found: list[tuple[float, float]] = []
    for start_s, end_s in sorted(intervals):
        if found and start_s <= found[-1][1]:
            start_s, end_s = found[-1][0], max(found.pop()[1], end_s)
        found.append((start_s, end_s))
    return tuple(found)


def standard_windows(timeline: Timeline) -> tuple[Window, ...]:
    """`run`, every phase, and with faults `baseline`, every fault and every recovery."""
    phases = phase_windows(timeline.plan) if timeline.plan is not None else ()
    if not timeline.faults:
        return (run_window(timeline), *phases)
    baseline = baseline_window(timeline)
    before = () if baseline is None else (baseline,)
    return (run_window(timeline), *phases, *before, *fault_windows(timeline))
