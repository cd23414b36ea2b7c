"""What a run follows: the scenario's shape, or a person at the web UI (an ad-hoc run).

The shape has a plan, a length and a second 0 that lies ahead of its first users. An ad-hoc run has
none of it: its second 0 is its start, and it ends when it is stopped. This module must not know
books, or what is done when a run ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from locustfiles.harness.arrivals.open_load import PlannedArrivals
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.stress import stress_of
from results.errors import TimelineError
from results.stress import Stress
from results.timeline import Plan
from results.timeline_writer import require_recordable, require_recordable_length
from shapes.load import Load
from shapes.locust_shape import PhasedShape
from shapes.phased import planned_user_seconds, planned_users


@dataclass(frozen=True, slots=True)
class Course:
    """`elapsed_s` counts from `origin_us`, in microseconds since the epoch.

    `is_unplanned` runs were declared without a plan (unplanned.py); `ends_by_hand` those of them
    that end when a person says so. An ad-hoc run has neither profile, plan nor shape. `stress` is
    there when a check may end the plan.
    """

    origin_us: int
    elapsed_s: Callable[[], float]
    profile: Load | None = None
    plan: Plan | None = None
    fixed_users: int = 0
    shape: PhasedShape | None = None
    stress: Stress | None = None
    is_unplanned: bool = False
    ends_by_hand: bool = False

    @property
    def is_ad_hoc(self) -> bool:
        return self.profile is None and not self.is_unplanned

    def cut_short(self) -> str | None:
        """Why a run that ends now has not reached its end; None when it has.

        Whoever started users by hand also decides when they are done.
        """
        if self.profile is None:
            return None
        duration_s, elapsed_s = self.profile.duration_s, self.elapsed_s()
        if elapsed_s >= (duration_s if self.shape is None else self.shape.ends_s):
            return None
        return f"stopped after {max(0.0, elapsed_s):.0f} of {duration_s:.0f} s"


def course_of(
    shape: PhasedShape, scenario: Scenario, arrivals: Mapping[str, tuple[int, ...]] | None = None
) -> Course:
    """The shape's, with its second 0 set anew: nothing slow may follow until users start."""
    plan = planned(shape, scenario, arrivals)
    shape.reset_time()
    assert shape.began_s is not None
    # Not its wall clock: workers are on the time line of this process.
    origin_us = wall_us(shape.began_s)
    return Course(
        origin_us,
        shape.elapsed_s,
        shape.plan,
        plan,
        shape.fixed_users,
        shape,
        stress_of(shape, plan),
    )


def planned(
    shape: PhasedShape, scenario: Scenario, arrivals: Mapping[str, tuple[int, ...]] | None = None
) -> Plan:
    """What the shape will hand over, as the timeline holds it, and the open load's arrivals.

    Raises BadConfiguration for a length that no timeline can hold.
    """
    _require_length(shape.plan)
    return Plan.of(
        shape.plan,
        users=planned_users(shape.plan),
        user_seconds=planned_user_seconds(shape.plan),
        mean_cycle_s=scenario.mean_cycle_s,
        endpoint=scenario.endpoint,
        arrivals=arrivals,
    )


def require_recordable_plan(
    shape: PhasedShape, scenario: Scenario, arrivals: PlannedArrivals
) -> None:
    """Raises BadConfiguration for a plan that is too long for the timeline.

    Counts the arrivals ahead of the load, too.
    """
    _require_length(shape.plan)
    try:
        require_recordable(planned(shape, scenario, arrivals.of(shape.plan)))
    except TimelineError as error:
        raise BadConfiguration(str(error)) from error


def _require_length(load: Load) -> None:
    """Before anybody counts its seconds."""
    try:
        require_recordable_length(load.duration_s)
    except TimelineError as error:
        raise BadConfiguration(str(error)) from error


def ad_hoc_course() -> Course:
    """Begins now."""
    origin_us = wall_us(time.perf_counter())
    return Course(origin_us, lambda: (wall_us(time.perf_counter()) - origin_us) / 1e6)
