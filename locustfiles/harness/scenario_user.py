"""The base class of every scenario's users: a LeanHttpUser that takes part in a run.

Its choices come from the run's seed, so that the same seed gives each user the same script; its
first request comes at its own moment around the step that it starts for. This module must not know
any scenario, nor what is loaded: `FoundationUser` (user.py) adds Foundation's nodes and client.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent
from locust.env import Environment

from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.load_side import LoadSide, first_request_delay_s
from locustfiles.harness.pace import PacedWait, pace_of
from results.figure import UNMET

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_WITHIN_S = 0.4
"""A tick's users connect within this time; the first of their requests follow at half a second."""


class ScenarioUser(LeanHttpUser):
    """A user of a service on `host`, given by the class or by Locust's `--host`.

    With Locust's `constant_pacing` or `constant_throughput` the latency of each iteration's first
    request also counts from the start that the pace intended (pace.py).

    `number` counts the users of a process from 0. A subclass that overrides `on_start` calls
    `super().on_start()` first.

    `timeout_s` is below the scenario's stop timeout (10 s), so that a request that hangs when its
    user is stopped still counts as a timeout: killed in mid-request it would count as unknown.
    """

    abstract = True
    timeout_s = 8.0

    def __init__(self, environment: Environment) -> None:
        self._load_side = LoadSide.of(environment)
        self.number = self._load_side.next_user_number()
        super().__init__(environment)
        if (pace_s := pace_of(type(self).wait_time)) is not None:
            paced = PacedWait(self, pace_s, self._intend)
            self.wait_time = paced  # type: ignore[method-assign]

    def _intend(self, start_us: int) -> None:
        self.client.intended_us = start_us

    @property
    def origins(self) -> Sequence[str]:
        """URLs of the hosts that this user will load: it connects to them before it begins."""
        return () if self.host is None else (self.host,)

    def make_random(self) -> random.Random:
        return self._load_side.random_of_user(self.number)

    def start(self, group: Any) -> Any:
        """Locust's start. An exception that ends the user is counted also where Locust tells nobody
        of it: one of `on_stop`, or a task's InterruptTaskSet."""
        greenlet = super().start(group)
        greenlet.rawlink(self._note_end)
        return greenlet

    def stop(self, force: bool = False) -> bool:
        """Locust's stop. An iteration that the user waits for will not come, so that what `on_stop`
        sends must not count from its intended start. One whose time is now may still begin."""
        intended_us = self.client.intended_us
        if intended_us is not None and intended_us > wall_us(time.perf_counter()):
            self.client.intended_us = None
        stopped: bool = super().stop(force)
        return stopped

    def _note_end(self, greenlet: gevent.Greenlet) -> None:
        if greenlet.exception is not None:
            self._load_side.user_failed(type(self), greenlet.exception)

    def on_start(self) -> None:
        """Connect, then wait for this user's own moment around the step that it starts for.

        In an ad-hoc run users start at once.

        Thousands of connections take a second of CPU, which the second before a step has to spare
        and the first second of the step does not.
        """
        share = self.random.random()
        if self._load_side.plan.ad_hoc:
            # There is no step to be in time for: Locust's spawn rate spreads these users.
            for origin in self.origins:
                self.client.connect(origin)
            return
        began_s = self._load_side.elapsed_s()
        due_s = began_s + first_request_delay_s(began_s, share)
        gevent.sleep(share * CONNECT_WITHIN_S)
        for origin in self.origins:
            self.client.connect(origin)
        gevent.sleep(max(0.0, due_s - self._load_side.elapsed_s()))

    @property
    def phase(self) -> str | None:
        """Name of the profile's phase at this moment, the same in every process; None outside.

        Before second 0, in the second in which the first users start, there is none either.
        """
        return self._load_side.phase

    def observe(self, name: str, value: float = 1.0) -> None:
        """Record one value of the figure `name`, which `results.check.figure` checks.

        It counts in the second in which it is observed. At most 100 names in a run, finite values
        (ValueError otherwise). It is no request: latencies and error rates do not know it. The
        name `capacity` is refused (ValueError) where the shape has an `until`, which finds it.
        """
        self._load_side.observe(name, value)

    def expect(self, holds: bool, what: str) -> None:
        """State what must hold of what the target answered: the figure `unmet` gets 0 or 1.

        A scenario checks it with `figure("unmet", "sum", at_most=0)`; without a single statement
        that is INCONCLUSIVE. The first breach of each `what` in a process is logged as an error.
        """
        self._load_side.observe(UNMET, float(not holds))
        if not holds and what not in self._load_side.unmet:
            self._load_side.unmet.add(what)
            logger.error("not as expected: %s (%s)", what, self.host)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """What all users of this process share in this run under `name`; made at the first call."""
        shared = self._load_side.shared
        if name not in shared:
            shared[name] = make()
        found: T = shared[name]
        return found

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`, uniformly, from this user's own stream."""
        return choices[int(self.random.random() * len(choices))]
