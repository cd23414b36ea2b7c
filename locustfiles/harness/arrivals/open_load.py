"""The open part of a scenario's load: which classes arrive, how many, and who starts them.

Between the shape, which plans by class name, and the scheduler, which starts sessions of classes.
This module must not know what becomes of an arrival.
"""

from __future__ import annotations

from collections.abc import Iterable

from locust import User
from locust.env import Environment
from locust.runners import Runner

from locustfiles.harness.arrivals.arrival_user import ArrivalUser, refuse_what_cannot_arrive
from locustfiles.harness.arrivals.own_share import OwnShare, WholeShare
from locustfiles.harness.arrivals.scheduler import Scheduler, sequence_of
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.load_side import LoadSide
from results.check import Check
from results.measure import Measure
from shapes.arrivals import counts_by_second
from shapes.load import Load
from shapes.locust_shape import PhasedShape
from shapes.profile import Profile


def open_loads(load: Load, classes: Iterable[type[User]]) -> dict[type[ArrivalUser], Profile]:
    """The open profile of each class that has one."""
    profiles = load.arrivals
    return {
        one: profiles[one.__name__]
        for one in classes
        if issubclass(one, ArrivalUser) and one.__name__ in profiles
    }


def require_sound_arrivals(load: Load, classes: Iterable[type[User]]) -> None:
    """Raises BadConfiguration where a profile's unit and its user class do not fit, and for classes
    whose sessions could not serve."""
    by_name = {one.__name__: one for one in classes}
    for name in load.arrivals:
        kind = by_name.get(name)
        if kind is not None and not issubclass(kind, ArrivalUser):
            raise BadConfiguration(
                f"{name} has a profile of arrivals per second, but is no ArrivalUser: make "
                "ArrivalUser its base, or plan users instead"
            )
    users = {name for part in load.closed for name in part.weights} | load.fixed.keys()
    for kind in by_name.values():
        if not issubclass(kind, ArrivalUser):
            continue
        refuse_what_cannot_arrive(kind)
        if kind.__name__ in users:
            raise BadConfiguration(
                f"{kind.__name__} is an ArrivalUser, but its profile plans users: plan arrivals, "
                "such as steady(per_s(12.5), 60), or take another base"
            )


def require_sound_checks(load: Load, checks: Iterable[Check], endpoint: str | None) -> None:
    """Raises BadConfiguration for checks that this load could never meet or make sense of."""
    has_users = any(part.profile.peak(0.0, part.profile.duration_s) > 0 for part in load.closed)
    for check in checks:
        if check.measure is Measure.UNSENT and not load.arrivals:
            raise BadConfiguration(
                f"the check {check.id!r} counts arrivals, but the load has none: leave it out, or "
                "plan arrivals per second"
            )
        is_of_all = check.measure is Measure.ACHIEVED and check.endpoint is None
        if is_of_all and load.arrivals and has_users and endpoint is None:
            raise BadConfiguration(
                f"the check {check.id!r} would count the arrivals' requests as those of users: "
                "name the users' requests in the scenario's endpoint, such as 'GET /browse*'"
            )


def planned_arrivals(
    load: Load, classes: Iterable[type[User]], seed: int
) -> dict[str, tuple[int, ...]]:
    """How many arrivals of each class begin in each second: exactly those that are sent.

    Goes through the whole sequence, 0.5 s for a million of them: not while a load runs.
    """
    return {
        kind.__name__: counts_by_second(sequence_of(kind, profile, seed), load.duration_s)
        for kind, profile in open_loads(load, classes).items()
    }


class PlannedArrivals:
    """`planned_arrivals` of the classes that a runner has, counted ahead of the load and kept."""

    def __init__(self, runner: Runner, seed: int) -> None:
        self._runner = runner
        self._seed = seed
        self._counted: tuple[Load, dict[str, tuple[int, ...]]] | None = None

    def of(self, load: Load) -> dict[str, tuple[int, ...]]:
        """Counted anew only for another load: a person may pick other classes between two runs."""
        if self._counted is None or self._counted[0] is not load:
            counts = planned_arrivals(load, self._runner.user_classes, self._seed)
            self._counted = (load, counts)
        return self._counted[1]


def most_sessions(load: Load, classes: Iterable[type[User]]) -> int:
    """That the open part may have at once, over all processes."""
    return sum(kind.max_sessions for kind in open_loads(load, classes))


def begin_arrivals(
    environment: Environment, load_side: LoadSide, share: OwnShare | None = None
) -> None:
    """Have this process start its arrivals; all of them unless it has a share."""
    shape = environment.shape_class
    if load_side.plan.ad_hoc or not isinstance(shape, PhasedShape):
        return
    loads = open_loads(shape.plan, environment.user_classes)
    if not loads:
        return
    load_side.arrivals = scheduler = Scheduler(
        environment,
        load_side.recorder,
        share or WholeShare(),
        loads,
        seed=load_side.plan.seed,
        origin_us=load_side.plan.origin_us,
        failed=load_side.user_failed,
    )
    scheduler.start()


def refuse_ad_hoc(classes: Iterable[type[User]]) -> str | None:
    """Why these classes cannot be run by hand; None when they can."""
    names = sorted(one.__name__ for one in classes if issubclass(one, ArrivalUser))
    if not names:
        return None
    return (
        f"{', '.join(names)}: arrivals follow a profile, and an ad-hoc run has none: choose the "
        "scenario's shape, or classes that are no ArrivalUser"
    )
