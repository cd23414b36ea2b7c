"""ArrivalUser: what a locustfile writes for an open load, whose tasks start at their own times.

    class Buyer(ArrivalUser):
        max_sessions = 200

        @task
        def buy(self):
            self.client.post("/orders", json={"item": self.random.randrange(100)})

An instance is a *session*: a client with its connections, kept and used again. Locust starts none;
the scheduler of each process gives an idle one every arrival that is due, for one task. Which task,
and what `self.random` yields in it, is a function of the seed and the arrival's index, so that the
same load is sent from any number of processes. This module must not know clocks or pools.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from locust import TaskSet
from locust.env import Environment
from locust.user.wait_time import constant

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.scenario_user import ScenarioUser
from locustfiles.harness.user import FoundationUser
from shapes.arrivals import Spacing, choice

__all__ = ["ArrivalUser", "FoundationArrivalUser", "refuse_what_cannot_arrive", "stream_of"]


class ArrivalUser(ScenarioUser):
    """A session of an open load; see the module's docstring.

    `max_sessions` bounds the sessions of the whole run, each process having its share, rounded up:
    arrivals that find none idle and no room for another are *unsent*. `min_sessions` are made
    before the load begins, so that the first arrivals need not wait for connections and `on_start`.
    `spacing` is "even" or "poisson" (shapes.arrivals).

    `arrival` is the index of the arrival that the session serves. A task is a plain function or
    method: a TaskSet keeps state from one task to the next, which sessions do not. `on_start` and
    `on_stop` run once a session; StopUser in a task ends its session, and another one takes over.
    """

    abstract = True
    max_sessions: ClassVar[int] = 1000
    min_sessions: ClassVar[int] = 0
    spacing: ClassVar[Spacing] = "even"

    wait_time = constant(0)
    start_spread_s = 0.0

    def __init__(self, environment: Environment) -> None:
        self._stream = stream_of(LoadSide.of(environment).plan.seed, type(self).__name__)
        self._random = random.Random()
        self._is_seeded = True
        self.arrival: int | None = None
        super().__init__(environment)

    # A property, since seeding costs more than all else of an arrival, and many need none.
    @property
    def random(self) -> random.Random:
        if not self._is_seeded:
            self._is_seeded = True
            self._random.seed(f"{self._stream}:{self.arrival}")
        return self._random

    @random.setter
    def random(self, source: random.Random) -> None:
        self._random = source

    def on_start(self) -> None:
        """Connect to what will be loaded. A subclass calls `super().on_start()` first."""
        for origin in self.origins:
            self.client.connect(origin)

    def serve(self, arrival: int, intended_us: int) -> None:
        """Run the task of that arrival. Its first request's latency counts from `intended_us` too.

        Raises whatever the task raises.
        """
        self.arrival = arrival
        self._is_seeded = False
        self.client.intended_us = intended_us
        tasks: list[Any] = self.tasks
        task = tasks[choice(self._stream, arrival) % len(tasks)]
        try:
            task(self)
        finally:
            # A task may send nothing; the next one's request is not the first of this one.
            self.client.intended_us = None


class FoundationArrivalUser(ArrivalUser, FoundationUser):
    """An ArrivalUser with Foundation's nodes and typed client, as FoundationUser has them."""

    abstract = True


def stream_of(seed: int, name: str) -> str:
    """What all random choices of a user class derive from: the same in every process."""
    return f"{seed}:{name}"


def refuse_what_cannot_arrive(kind: type[ArrivalUser]) -> None:
    """Raises BadConfiguration, with the remedy, for a class whose sessions could not serve."""
    name = kind.__name__
    if not kind.tasks:
        raise BadConfiguration(f"{name} has no tasks: decorate one of its methods with @task")
    for task in kind.tasks:
        if isinstance(task, type) and issubclass(task, TaskSet):
            raise BadConfiguration(
                f"{name} has the TaskSet {task.__name__}, but an arrival runs one task: make its "
                f"tasks methods of {name}, or let one method do its steps in order"
            )
    if kind.wait_time is not ArrivalUser.wait_time:
        raise BadConfiguration(
            f"{name} has a wait_time, but its tasks start when its profile says: leave it out"
        )
    if kind.fixed_count:
        raise BadConfiguration(
            f"{name} has a fixed_count, but Locust starts no users of it: leave it out, and say "
            "with max_sessions how many sessions there may be"
        )
    least, most = kind.min_sessions, kind.max_sessions
    for number in (least, most):
        if isinstance(number, bool) or not isinstance(number, int):
            raise BadConfiguration(f"{name}: sessions are counted in whole numbers, not {number!r}")
    if not 0 <= least <= most or most < 1:
        raise BadConfiguration(
            f"{name} keeps {least} to {most} sessions: set 0 <= min_sessions <= max_sessions, and "
            "max_sessions to 1 or more"
        )
    if kind.spacing not in ("even", "poisson"):
        raise BadConfiguration(f'{name}: spacing is "even" or "poisson", not {kind.spacing!r}')
