"""A run that was declared without a plan: Locust's own options, or another shape, say who runs.

It has no phases and no planned load, so that checks of them are refused before it begins. It ends
where `--run-time` or the shape ends it; without either the person who started it decides. This
module must not know books or verdicts.
"""

from __future__ import annotations

import time

from locust.env import Environment

from locustfiles.harness.arrivals.arrival_user import ArrivalUser
from locustfiles.harness.course import Course
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.options import Options, parsed_options
from locustfiles.harness.scenario import Scenario
from results.check import Check, expanded
from results.measure import Measure
from results.windows import RUN
from shapes.locust_shape import PhasedShape

NEED_A_PLAN = (Measure.ACHIEVED, Measure.UNSENT)


def require_unplanned(scenario: Scenario, options: Options, environment: Environment) -> None:
    """Raises BadConfiguration for what means nothing without a plan."""
    shape = environment.shape_class
    if isinstance(shape, PhasedShape):
        raise BadConfiguration(
            f"{scenario.id} declares no shape, but the locustfile has {type(shape).__name__}, "
            f"which is a plan: run it with strap_in(Scenario(shape={type(shape).__name__}, …))"
        )
    for user in environment.user_classes:
        if issubclass(user, ArrivalUser):
            raise BadConfiguration(
                f"{user.__name__} arrives as a profile says, and {scenario.id} has none: give the "
                "scenario a PhasedShape with a profile for it"
            )
    for name in ("time_scale", "load_scale"):
        if getattr(options, name) != 1.0:
            raise BadConfiguration(
                f"--{name.replace('_', '-')} scales a plan, and {scenario.id} has none: leave it "
                "out, and say how many users run, and how long, with -u, -r and -t"
            )
    for check in scenario.checks:
        _require_no_plan(scenario, check)
    try:
        expanded(scenario.checks, [RUN])
    except ValueError as error:
        raise BadConfiguration(f"{scenario.id}: {error}") from None


def _require_no_plan(scenario: Scenario, check: Check) -> None:
    other = None if check.figure is None else check.figure.over
    planned = [name for name in (check.window, other) if name and name.startswith("phase:")]
    if check.measure not in NEED_A_PLAN and not planned:
        return
    what = "a plan" if check.measure in NEED_A_PLAN else "phases"
    raise BadConfiguration(
        f"{scenario.place(check)}: the check {check.id!r} needs {what}, and this run has none: "
        "check the whole run, or give the scenario a PhasedShape (docs/own_service.md)"
    )


def unplanned_course(environment: Environment) -> Course:
    """Begins now."""
    options = parsed_options(environment)
    has_end = bool(options.run_time) or environment.shape_class is not None
    origin_us = wall_us(time.perf_counter())
    return Course(
        origin_us,
        lambda: (wall_us(time.perf_counter()) - origin_us) / 1e6,
        is_unplanned=True,
        ends_by_hand=not has_end,
    )


def users_wanted(environment: Environment) -> int:
    """As far as the command line tells: a web UI asks later, and a shape may want any number."""
    options = parsed_options(environment)
    if not options.headless or environment.shape_class is not None:
        return 0
    return int(options.num_users or 1)
