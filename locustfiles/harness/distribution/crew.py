"""The users of one process: takes on those of its share that are missing, lets the newest go.

Locust counts users that are on their way out as if they ran, and forgets them when the next order
comes: after a step down, or a return, too few run for good. Here only users that nobody has asked
to stop count, and each that was asked to is waited for to its end, whatever comes after.

Put in place once, at init: of Locust's worker it replaces `start_worker`, of the only process'
runner how it starts and stops users while a run goes on. Stopping all users at a run's end stays
Locust's. This module must not know who decides on the share, or why.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import gevent
from gevent.pool import Group
from locust import User
from locust.env import Environment
from locust.runners import (
    STATE_CLEANUP,
    STATE_RUNNING,
    LocalRunner,
    Runner,
    WorkerRunner,
)
from locust.user.task import LOCUST_STATE_STOPPING

from locustfiles.harness.arrivals.own_share import LOCAL
from locustfiles.harness.distribution.dispatch import Handout, install

FENCE_GRACE_S = 1.0
"""A fenced worker's requests in flight may end within this time; its share is then with others,
whose users need half a second before their first requests."""


class Crew:
    """One per process that sends load."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._numbers = itertools.count()
        self._order: WeakKeyDictionary[User, int] = WeakKeyDictionary()
        self._leaving: WeakSet[User] = WeakSet()

    def running(self) -> list[User]:
        """Users that nobody has asked to stop, the oldest first; those of one order count as of
        the same age."""
        found = self._running()
        for user in found:
            if user not in self._order:
                self._order[user] = next(self._numbers)
        return sorted(found, key=self._order.__getitem__)

    def counts(self) -> dict[str, int]:
        """Users that nobody has asked to stop, by class; no class without any."""
        return dict(Counter(type(user).__name__ for user in self._running()))

    def _running(self) -> list[User]:
        # gevent clears the arguments of a greenlet that has ended.
        alive = [one.args[0] for one in self._runner.user_greenlets if one.args and not one.dead]
        return [user for user in alive if not self._is_leaving(user)]

    def missing(self, share: Mapping[str, int]) -> dict[str, int]:
        """Users by class to start, so that the share runs."""
        counts = self.counts()
        return {n: due for n, count in share.items() if (due := count - counts.get(n, 0)) > 0}

    def let_go(self, share: Mapping[str, int]) -> None:
        """Ask those beyond the share to stop, the newest first, without waiting for them."""
        beyond: list[User] = []
        running = self.running()
        for name, count in share.items():
            of_class = [user for user in running if type(user).__name__ == name]
            beyond += of_class[count:]
        self._stop(beyond, float(self._runner.environment.stop_timeout or 0.0))

    def fence(self) -> None:
        """Stop everybody, also those who were asked before: requests in flight have a moment."""
        spawning = self._runner.spawning_greenlet
        if spawning is not None:
            spawning.kill(block=True)
        leaving = list(self._leaving)
        self._stop(self.running(), FENCE_GRACE_S)
        self._runner.greenlet.spawn(_end, [user.greenlet for user in leaving], FENCE_GRACE_S)

    def _is_leaving(self, user: User) -> bool:
        return user in self._leaving or user._state == LOCUST_STATE_STOPPING

    def _stop(self, users: Iterable[User], within_s: float) -> None:
        leaving = list(users)
        if not leaving:
            return
        self._leaving.update(leaving)
        for user in leaving:
            # In greenlets of their own: the one of a waiting user waits for its on_stop.
            self._runner.greenlet.spawn(user.stop, force=not within_s)
        if within_s:
            self._runner.greenlet.spawn(_end, [user.greenlet for user in leaving], within_s)


def _end(greenlets: list[gevent.Greenlet], within_s: float) -> None:
    group = Group()
    for greenlet in greenlets:
        group.add(greenlet)
    if not group.join(timeout=within_s):
        group.kill(block=True)


class WorkerCrew:
    """A worker's crew, and the share that it holds. `may_run` says whether it may send load now,
    `told` is called when it took a share."""

    def __init__(
        self, runner: WorkerRunner, may_run: Callable[[], bool], told: Callable[[], None]
    ) -> None:
        self._runner = runner
        self._may_run = may_run
        self._told = told
        self.crew = Crew(runner)
        self.share: dict[str, int] = {}
        runner.start_worker = self.take  # type: ignore[method-assign]

    def take(self, user_classes_count: dict[str, int], **kwargs: Any) -> None:
        """Locust's `start_worker`: what the master's spawn message asks for.

        Without a lease it is nothing: such a message was on its way for too long.
        """
        runner = self._runner
        asked = user_classes_count if self._may_run() else dict.fromkeys(user_classes_count, 0)
        runner.target_user_classes_count = asked
        runner.target_user_count = sum(asked.values())
        self.share = {name: count for name, count in asked.items() if count}
        self._told()
        if runner.environment.host:
            for user_class in runner.user_classes:
                user_class.host = runner.environment.host
        runner.spawn_users(self.crew.missing(asked))
        self.crew.let_go(asked)
        runner.spawning_complete(sum(runner.user_classes_count.values()))  # type: ignore[no-untyped-call]
        runner.update_state(STATE_RUNNING)

    def fence(self) -> None:
        """The lease ran out: nobody runs here, until another lease and another share come."""
        self.share = {}
        self.crew.fence()


class LocalCrew:
    """The only process' crew. `told` is what the dispatcher handed to it last."""

    def __init__(self, runner: LocalRunner, told: Callable[[], Mapping[str, int]]) -> None:
        self._runner = runner
        self._told = told
        self.crew = Crew(runner)
        self._spawn, self._stop_all = runner.spawn_users, runner.stop_users
        runner.spawn_users = self._start  # type: ignore[method-assign]
        runner.stop_users = self._stop  # type: ignore[method-assign]

    def _start(self, user_classes_spawn_count: dict[str, int], wait: bool = False) -> list[User]:
        return list(self._spawn(self.crew.missing(self._told()), wait) or ())

    def _stop(self, user_classes_stop_count: dict[str, int]) -> None:
        if self._runner.state == STATE_CLEANUP:
            self._stop_all(user_classes_stop_count)
        else:
            self.crew.let_go(self._told())


def local_crew(environment: Environment, runner: LocalRunner) -> LocalCrew:
    """Put dispatcher and crew of the only process in place."""
    handout = Handout(lambda: (LOCAL,))
    install(environment, handout)
    return LocalCrew(runner, lambda: handout.told.get(LOCAL, {}))
