"""The one file of `shapes` that knows Locust: a shape that applies a profile, tick by tick.

A scenario subclasses `PhasedShape` and sets `profile`; the harness calls `configure` with the
options before the load starts. Life cycle of one run:

1. `start_shape` resets the time and calls `tick` about once a second in a greenlet of its own.
2. While the runner is still in its initial state (listeners of test_start may take seconds), the
   clock does not run: every tick asks for the first users and moves the beginning, which is a
   second after the tick.
3. From then on each tick hands over what the profile plans for the elapsed time, in the first half
   of a second of the profile: a tick that comes later waits for the next second.
4. Users of classes with Locust's `fixed_count` are asked for in addition, from the first tick to
   the load's end. `counts` says how many of which class the tick means; a dispatcher spreads them.
5. After the load's end, or once `end_now` was called, it asks for 0 users until they have stopped
   or `drain_timeout_s` passed, then returns None, upon which Locust ends the run.

The web UI may start another run on the same object: it begins at 1 again. A tick must not
fire events or send messages, nor wait longer than half a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import gevent
from locust import LoadTestShape, User
from locust.runners import STATE_INIT

from results.check import Check
from shapes.load import Load, load_of
from shapes.phased import Step, counts_at_tick, step_at
from shapes.profile import Profile

REPORT_MARGIN_S = 5.0
"""Added to the stop timeout while draining: workers report their user counts every 3 s."""

LEAD_S = 1.0
"""The first users start this long before second 0, as those of any later step do (phased.py)."""

LATEST_PHASE_S = 0.5
WAKE_MARGIN_S = 0.02
"""Ticks drift: every one takes a little over a second, on a master more. One that comes later than
`LATEST_PHASE_S` into its second waits for the next (and a little, lest it wakes before it): users
of a step at a whole second are handed over at least half a second ahead, with time to start."""

Tick = tuple[int, float] | tuple[int, float, list[type[User]] | None]


class PhasedShape(LoadTestShape):
    """Applies `profile` to all user classes, or to `classes`, or one of `profiles` to each class.

        profiles = {Browser: steady(200, 300), Checkout: ramp(per_s(1), per_s(12.5), 300)}

    A profile of arrivals per second is for classes that arrive (ArrivalUser), of which Locust
    starts no users. The phases are those of the first profile that has one at that moment.

    `until` is a check that is held against each phase while the run goes on; the plan ends where it
    breaks (results.stress).

    `began_wall_us` (microseconds since the epoch) and `began_s` (the clock's seconds) say when the
    load's second 0 was; both are None until a run began. `plan` is the scaled load, set by
    `configure`.
    """

    abstract = True
    profile: ClassVar[Profile | None] = None
    profiles: ClassVar[Mapping[type[User], Profile] | None] = None
    classes: ClassVar[tuple[type[User], ...] | None] = None
    until: ClassVar[Check | None] = None

    def __init__(
        self,
        *,
        clock_s: Callable[[], float] = time.perf_counter,
        wall_clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep_s: Callable[[float], None] = gevent.sleep,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock_s = clock_s
        self._wall_clock_us = wall_clock_us
        self._sleep_s = sleep_s
        self._scales = (1.0, 1.0)
        self._plan: Load | None = None
        self._users: tuple[type[User], ...] = ()
        self._last: Step | None = None
        self._ends_s: float | None = None
        self._drain_timeout_s: float | None = None
        self.counts: dict[str, int] = {}
        self.began_s: float | None = None
        self.began_wall_us: int | None = None

    def configure(
        self,
        *,
        time_scale: float = 1.0,
        load_scale: float = 1.0,
        users: Sequence[type[User]] = (),
        drain_timeout_s: float | None = None,
    ) -> None:
        """Set the scales, the classes that run, and how long users may take to stop at the end.

        `users` defaults to those of Locust's runner, `drain_timeout_s` to Locust's stop timeout
        plus `REPORT_MARGIN_S`. Raises ValueError for scales that a profile refuses, and for classes
        that do not fit the profiles.
        """
        self._scales = (time_scale, load_scale)
        self._users = tuple(users)
        self._plan = self._planned()
        self._drain_timeout_s = drain_timeout_s

    @property
    def plan(self) -> Load:
        """The scaled load, for the classes that run now: the web UI's picker may change them."""
        if self._plan is None or self._runs_others():
            self._plan = self._planned()
        return self._plan

    def _planned(self) -> Load:
        time_scale, load_scale = self._scales
        running = self._running()
        weights = {one.__name__: int(one.weight) for one in running if not one.fixed_count}
        fixed = {one.__name__: int(one.fixed_count) for one in running if one.fixed_count}
        profiles: Profile | dict[str, Profile] | None = self.profile
        if self.profiles is not None:
            if self.profile is not None:
                raise ValueError("a shape has one `profile` or `profiles` by class, not both")
            profiles = {one.__name__: each for one, each in self.profiles.items()}
        if profiles is None:
            raise ValueError("the shape has no profile: set `profile = steady(…)` in its class")
        return load_of(profiles, weights, fixed).scaled(time=time_scale, load=load_scale)

    def _running(self) -> Sequence[type[User]]:
        """Of `classes`, or of those that Locust runs."""
        known = self._users if self.runner is None else tuple(self.runner.user_classes)
        return self.classes or known or tuple(self.profiles or ())

    def _runs_others(self) -> bool:
        assert self._plan is not None
        named = {name for part in self._plan.parts for name in part.weights} | set(self._plan.fixed)
        return named != {one.__name__ for one in self._running()}

    @property
    def fixed_users(self) -> int:
        """Users beside the profile: the sum of `fixed_count`. The load scale leaves them alone."""
        return sum(self.plan.fixed.values())

    def reset_time(self) -> None:
        """Second 0 is `LEAD_S` from now, so that the first users are up when it begins.

        Locust calls it when a run starts, its master again after test_start.
        """
        super().reset_time()  # type: ignore[no-untyped-call]
        self.began_s = self._clock_s() + LEAD_S
        self.began_wall_us = self._wall_clock_us() + int(LEAD_S * 1e6)

    def elapsed_s(self) -> float:
        """Seconds since the load's second 0, negative during the lead; 0 before a run began."""
        return 0.0 if self.began_s is None else self._clock_s() - self.began_s

    def end_now(self) -> float:
        """End the plan at this moment, returned in seconds: users are taken away from now on."""
        if self._ends_s is None:
            self._ends_s = max(0.0, self.elapsed_s())
        return self._ends_s

    @property
    def ends_s(self) -> float:
        """When the plan is over: at the load's end, or when `end_now` was called."""
        return self.plan.duration_s if self._ends_s is None else self._ends_s

    def tick(self) -> Tick | None:
        assert self.runner is not None, "Locust attaches the runner before it ticks"
        previous = 0 if self._last is None else self._last.users
        if self.began_s is None or self.runner.state == STATE_INIT:
            self.reset_time()
            # A run of before, stopped in the web UI, left its last step here.
            previous = 0
            self._ends_s = None
        else:
            self._wait_for_phase()
        elapsed_s = self.elapsed_s()
        is_over = elapsed_s >= self.ends_s
        if is_over and self._drained(elapsed_s):
            return None
        # Past its end a load has no users.
        at_s = max(elapsed_s, self.plan.duration_s) if is_over else elapsed_s
        self._take(step_at(self.plan, at_s, previous), counts_at_tick(self.plan, at_s), previous)
        assert self._last is not None
        ask = self._last
        if self.classes is None:
            return ask.users, ask.spawn_rate
        return ask.users, ask.spawn_rate, list(self.classes)

    def _take(self, step: Step, counts: dict[str, int], previous: int) -> None:
        """Locust leaves the users alone when a tick returns the same tuple as the one before."""
        last = self._last
        changed, self.counts = counts != self.counts, counts
        if last is None or step.users != last.users or previous != last.users:
            self._last = step
        elif changed:
            self._last = Step(last.users, last.spawn_rate + 1.0)

    def _wait_for_phase(self) -> None:
        into_second_s = self.elapsed_s() % 1.0
        if into_second_s > LATEST_PHASE_S:
            self._sleep_s(1.0 - into_second_s + WAKE_MARGIN_S)

    def _drained(self, elapsed_s: float) -> bool:
        assert self.runner is not None
        limit_s = self._drain_timeout_s
        if limit_s is None:
            limit_s = (self.runner.environment.stop_timeout or 0.0) + REPORT_MARGIN_S
        asked = self._last is not None and self._last.users == 0
        return (asked and self.runner.user_count == 0) or elapsed_s > self.ends_s + limit_s
