"""From a shape with `until` to the stairs that its check is held against.

Every phase of the plan is a stair, at the highest level that it plans: users, or arrivals per
second where users do not change. This module must not know what a broken stair leads to.
"""

from __future__ import annotations

import math

from results.judging.live import require_live
from results.stress import Stair, Stress
from results.timeline import Plan
from results.windows import Window, phase_windows
from shapes.load import Load
from shapes.locust_shape import PhasedShape

_MICROSECOND_S = 1e-6
"""A stair's highest level is that of its half-open interval: at its end the next one begins."""


def stress_of(shape: PhasedShape, plan: Plan) -> Stress | None:
    """None without `until`. `plan` is the shape's, as the timeline holds it.

    Raises ValueError for a check that a run that goes on cannot be held to, and for a plan without
    a stair that sends load for a whole second.
    """
    if shape.until is None:
        return None
    require_live(shape.until)
    stairs = stairs_of(shape.plan, plan)
    if not stairs:
        raise ValueError("until: no phase plans any load: use stress(…) or stairs(…)")
    for stair in stairs:
        if not len(stair.window.seconds()[0]):
            raise ValueError(
                f"until: {stair.window.name} is shorter than a second, so that no check can be "
                "held against it: make it longer, or use a larger --time-scale"
            )
    return Stress(shape.until, stairs)


def stairs_of(load: Load, plan: Plan) -> list[Stair]:
    """One for each occurrence of a phase that plans any load, in order of time."""
    occurrences = [window for window in phase_windows(plan) if len(window.intervals) == 1]
    occurrences.sort(key=lambda window: window.intervals)
    users = [_peak_users(load, window) for window in occurrences]
    arrivals = [_peak_arrivals(load, window) for window in occurrences]
    is_open = bool(load.arrivals) and len(set(users)) == 1
    levels, unit = (arrivals, "arrivals/s") if is_open else (users, "users")
    return [
        Stair(window, level, unit, _planned_arrivals(plan, window))
        for window, level in zip(occurrences, levels, strict=True)
        if level
    ]


def _peak_users(load: Load, window: Window) -> float:
    return math.ceil(load.peak(*_closed(window)))


def _peak_arrivals(load: Load, window: Window) -> float:
    start_s, end_s = _closed(window)
    return sum(profile.peak(start_s, end_s) for profile in load.arrivals.values())


def _planned_arrivals(plan: Plan, window: Window) -> int:
    (seconds,) = window.seconds()
    return sum(sum(counts[seconds.start : seconds.stop]) for counts in plan.arrivals.values())


def _closed(window: Window) -> tuple[float, float]:
    ((start_s, end_s),) = window.intervals
    return start_s, end_s - _MICROSECOND_S
