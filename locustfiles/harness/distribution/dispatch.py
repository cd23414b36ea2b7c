"""Hands users to the workers, in place of Locust's own dispatcher.

Locust's goes on from what it handed out before, so that a worker that leaves in the wrong moment,
or comes back, ends in another division, or in users that nobody takes away again (30 instead of 20
after a link was down and up). Here a division is a function of the users by class and of the
workers that are here (shapes/share.py), and is worked out anew each time.

A tick of our shape is one round: its `counts` say how many users of which class. Any other load (a
person at the web UI, another shape) is ramped in rounds by Locust's spawn rate, in Locust's own
order of classes. In a master only `deliver` sends anybody anything, so that all orders come from
one place, in one order; what Locust itself sends goes to nobody. This module must not know how it
is found out who is here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import gevent
from locust import User
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerNode

from shapes.locust_shape import PhasedShape
from shapes.share import Shares, grant, spread

NOBODY = "nobody"
"""Locust's master needs a worker to hand out to; a message to one that is not there is dropped."""

logger = logging.getLogger(__name__)


class Handout:
    """What was handed to whom, in one run. It outlives Locust's dispatchers.

    `present` are the workers that may get users, in their order. A worker may still run what it was
    told before until it has confirmed what it was told last; one that left may run none, since its
    lease is over.
    """

    def __init__(self, present: Callable[[], Sequence[str]]) -> None:
        self._present = present
        self.begin()

    def begin(self) -> None:
        """A run starts: nobody has users."""
        self.counts: dict[str, int] = {}
        self.order: list[str] = []
        self.told: Shares = {}
        self._may_run: Shares = {}

    def shares(self) -> Shares:
        """What each worker is to run from now on; it counts as told, so hand it out."""
        granted = self._granted()
        self._may_run = {
            worker: {
                name: max(count, self._may_run.get(worker, {}).get(name, 0))
                for name, count in share.items()
            }
            for worker, share in granted.items()
        }
        self.told = granted
        return {worker: dict(share) for worker, share in granted.items()}

    def part_of(self, worker: str) -> float:
        """Of all users that are handed out, those that this worker was told of: 0 to 1."""
        users = sum(self.counts.values())
        return sum(self.told.get(worker, {}).values()) / users if users else 0.0

    def is_due(self) -> bool:
        """Whether somebody is to be told something new."""
        return bool(self.counts) and self._granted() != self.told

    def _granted(self) -> Shares:
        return grant(spread(self.counts, self._present()), self._may_run)

    def confirm(self, worker: str, share: Mapping[str, int]) -> bool:
        """A worker says what it holds. Whether that is what it was told last.

        `share` leaves out classes of which it holds none.
        """
        told = self.told.get(worker)
        if told is None:
            return True
        if {name: count for name, count in told.items() if count} != dict(share):
            return False
        self._may_run[worker] = dict(told)
        return True


class HarnessDispatcher(UsersDispatcher):
    """Made by Locust for each run, once more when it has dropped a worker for good.

    `handout` holds what has to survive that.
    """

    def __init__(
        self,
        worker_nodes: list[WorkerNode],
        user_classes: list[type[User]],
        *,
        environment: Environment,
        handout: Handout,
        deliver: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(worker_nodes=worker_nodes, user_classes=user_classes)
        self._environment = environment
        self._handout = handout
        self._deliver = deliver
        self._rounds: Generator[Shares, None, None] = iter(())  # type: ignore[assignment]
        runner = environment.runner
        assert runner is not None
        if runner.state not in (STATE_SPAWNING, STATE_RUNNING):
            handout.begin()

    @property
    def dispatch_in_progress(self) -> bool:
        """Always, so that Locust never divides anew by itself: it does so in the greenlet that
        takes the workers' messages, where a ramp would keep their beats from being heard."""
        return True

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Who is here is found out by beats, not by Locust."""

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """As above."""

    def new_dispatch(
        self,
        target_user_count: int,
        spawn_rate: float,
        user_classes: list[type[User]] | None = None,
    ) -> None:
        """Raises ValueError as Locust's own does."""
        super().new_dispatch(target_user_count, spawn_rate, user_classes)
        planned = self._planned()
        self._rounds = self._ramp(target_user_count) if planned is None else self._tick(planned)

    def __next__(self) -> Shares:
        return next(self._rounds)

    def _planned(self) -> Mapping[str, int] | None:
        """Users by class, when it is our shape that asks."""
        shape, runner = self._environment.shape_class, self._environment.runner
        assert runner is not None
        if runner.shape_greenlet is None or not isinstance(shape, PhasedShape):
            return None
        return shape.counts

    def _tick(self, planned: Mapping[str, int]) -> Generator[Shares, None, None]:
        yield self._hand_out(planned)

    def _ramp(self, target: int) -> Generator[Shares, None, None]:
        """A round's users at a time, the last ones first when they are to go."""
        order = self._handout.order
        while True:
            round_end = min(target, len(order) + self._user_count_per_dispatch_iteration)
            while len(order) < round_end and (name := next(self._user_generator)) is not None:
                order.append(name)
            least = max(target, len(order) - self._user_count_per_dispatch_iteration)
            if order[least:]:
                del order[least:]
                self._try_dispatch_fixed = True
            yield self._hand_out(Counter(order))
            if len(order) == target or len(order) < round_end:
                return
            gevent.sleep(self._wait_between_dispatch)

    def _hand_out(self, counts: Mapping[str, int]) -> Shares:
        names = [one.__name__ for one in self._original_user_classes]
        self._handout.counts = {name: counts.get(name, 0) for name in names}
        if self._deliver is None:
            return self._handout.shares()
        self._deliver()
        # Locust adds them up, to say how many there are to be.
        return {NOBODY: dict(self._handout.counts)}

    def _get_user_current_count(self, user: str) -> int:
        # Locust's generator of classes asks, to know which fixed users are missing.
        return self._handout.order.count(user)


class _Ended(gevent.GreenletExit):  # type: ignore[misc]
    """Ends a start of users that is no longer wanted."""


class Starts:
    """Locust's `start` of a master, which ramps for as long as that takes, in whatever greenlet.

    Locust forgets its dispatcher at a run's end, but the ramp would go on: workers would be sent
    users that nobody records, and the run would be called running once more. So a ramp ends with
    its run, and when another begins. After Locust has dropped a worker for good it starts anew in
    the greenlet of its heartbeats, which a ramp would hold up; nobody needs that, since who is here
    is found out by beats.
    """

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self._runner = runner
        self._start = runner.start
        self._begun: UsersDispatcher | None = None
        self._going: set[Any] = set()
        runner.start = self._guarded  # type: ignore[method-assign]
        stopping: Any = environment.events.test_stopping
        stopping.add_listener(self._on_stopping)

    def _guarded(self, *given: Any, **named: Any) -> None:
        runner = self._runner
        goes_on = runner.state in (STATE_SPAWNING, STATE_RUNNING)
        if goes_on and runner._users_dispatcher is None and self._begun is not None:
            # Only then it is gone in mid-run.
            runner._users_dispatcher = self._begun
            return
        self._end_others()
        current = gevent.getcurrent()
        self._going.add(current)
        try:
            self._start(*given, **named)
        except _Ended:
            logger.debug(
                "users are no longer started: the run is over, or they were asked for anew"
            )
        finally:
            self._going.discard(current)

    def made(self, dispatcher: UsersDispatcher) -> None:
        """Locust has begun a run with it."""
        self._begun = dispatcher

    def _on_stopping(self, **_: Any) -> None:
        self._begun = None
        self._end_others()

    def _end_others(self) -> None:
        for one in self._going - {gevent.getcurrent()}:
            gevent.kill(one, _Ended)


def install(
    environment: Environment, handout: Handout, deliver: Callable[[], None] | None = None
) -> None:
    """Have Locust use it. The handout is the process's; one dispatcher a run shares it.

    A master gives `deliver`, which tells each worker what the handout says.
    """
    runner = environment.runner
    starts = Starts(environment, runner) if isinstance(runner, MasterRunner) else None

    def make(**given: Any) -> HarnessDispatcher:
        made = HarnessDispatcher(**given, environment=environment, handout=handout, deliver=deliver)
        if starts is not None:
            starts.made(made)
        return made

    environment.dispatcher_class = make  # type: ignore[assignment]
    if starts is not None and environment.parsed_options is not None:
        # Locust's own rebalancing would divide a second time, from what it remembers.
        environment.parsed_options.enable_rebalancing = False
