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
   the profile's end. Locust starts them before all others and takes users away in reverse order,
   so that steps leave them alone.
5. After the profile's end it asks for 0 users until they have stopped or `drain_timeout_s` passed,
   then returns None, upon which Locust ends the run.

The web UI may start another run on the same object: it begins at 1 again. A tick must not
fire events or send messages, nor wait longer than half a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import gevent
from locust import LoadTestShape, User
from locust.runners import STATE_INIT

from shapes.phased import Step, step_at
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
    """Applies `profile` to all user classes, or to `classes` when they are set.

    `began_wall_us` (microseconds since the epoch) and `began_s` (the clock's seconds) say when the
    profile's second 0 was; both are None until a run began. `time_scale` and `load_scale` are set
    by `configure`.
    """

    abstract = True
    profile: ClassVar[Profile]
    classes: ClassVar[tuple[type[User], ...] | None] = None

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
        self._last: Step | None = None
        self._drain_timeout_s: float | None = None
        self.plan: Profile = self.profile
        self.began_s: float | None = None
        self.began_wall_us: int | None = None

    def configure(
        self,
        *,
        time_scale: float = 1.0,
        load_scale: float = 1.0,
        drain_timeout_s: float | None = None,
    ) -> None:
        """Set the scales, and how long users may take to stop at the end.

        `drain_timeout_s` defaults to Locust's stop timeout plus `REPORT_MARGIN_S`. Raises
        ValueError for scales that the profile refuses.
        """
        self.plan = self.profile.scaled(time=time_scale, load=load_scale)
        self._drain_timeout_s = drain_timeout_s

    @property
    def fixed_users(self) -> int:
        """Users beside the profile: the sum of `fixed_count`. The load scale leaves them alone.

        Of `classes`, or of those that Locust runs, which the web UI's class picker may change.
        """
        classes = self.classes or (() if self.runner is None else self.runner.user_classes)
        return sum(one.fixed_count for one in classes)

    def reset_time(self) -> None:
        """Second 0 is `LEAD_S` from now, so that the first users are up when it begins.

        Locust calls it when a run starts, its master again after test_start.
        """
        super().reset_time()  # type: ignore[no-untyped-call]
        self.began_s = self._clock_s() + LEAD_S
        self.began_wall_us = self._wall_clock_us() + int(LEAD_S * 1e6)

    def elapsed_s(self) -> float:
        """Seconds since the profile's second 0, negative during the lead; 0 before a run began."""
        return 0.0 if self.began_s is None else self._clock_s() - self.began_s

    def tick(self) -> Tick | None:
        assert self.runner is not None, "Locust attaches the runner before it ticks"
        previous = 0 if self._last is None else self._last.users
        if self.began_s is None or self.runner.state == STATE_INIT:
            self.reset_time()
            # A run of before, stopped in the web UI, left its last step here.
            previous = 0
        else:
            self._wait_for_phase()
        elapsed_s = self.elapsed_s()
        if elapsed_s >= self.plan.duration_s and self._drained(elapsed_s):
            return None
        step = step_at(self.plan, elapsed_s, previous, self.fixed_users)
        if self._last is None or step.users != self._last.users or previous != self._last.users:
            self._last = step
        # The same tuple as before makes Locust leave the users alone.
        ask = self._last
        if self.classes is None:
            return ask.users, ask.spawn_rate
        return ask.users, ask.spawn_rate, list(self.classes)

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
        return (asked and self.runner.user_count == 0) or elapsed_s > self.plan.duration_s + limit_s
