"""What a process that sends load keeps of a run: recorder, ledger, health, its share of the seed.

Exists once per run in the only process and in each worker. Life cycle:

1. made at test_start from the run's plan, and put on Locust's environment;
2. `run` is a greenlet: about every second it ships the writes, the closed seconds and one line of
   health;
3. at test_stopping no more arrivals start; `drain` waits for those of an open load in flight;
4. `finish` ships what is left, after the users have stopped; `detach` takes it off again.

Encoding yields to the users between slices, so that recording never stalls the load. This module
must not know where reports go: `ship` takes them.
"""

from __future__ import annotations

import gc
import itertools
import logging
import math
import random
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

import gevent
from locust import TaskSet, User
from locust.env import Environment

from locustfiles.harness.event_recorder import EventRecorder
from locustfiles.harness.health.health import HealthMeter, Lateness, Probe, late_arrivals
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.socket_count import open_sockets
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.target.allowed_target import Allowance
from locustfiles.harness.target.guarded_resolver import GuardedResolver
from results.health import OPEN_SOCKETS, RECONNECTS, USER_ERRORS, USERS
from results.judging.untimed import UNTIMED
from results.ledger.ledger import Ledger
from results.recorder import Recorder
from results.sample import Sample
from results.stress import CAPACITY
from shapes.locust_shape import PhasedShape

ENVIRONMENT_ATTRIBUTE = "foundation_load_side"
SAMPLE_SINK = "sample_sink"
RECONNECT_SINK = "reconnect_sink"
"""Attributes of Locust's environment that LeanHttpUser looks for."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Requests leave few cycles: look every 50,000 objects, not every 700."""

MAX_ERROR_KINDS = 20
"""Kinds of users' exceptions that are put on the timeline; what comes after is only counted."""

logger = logging.getLogger(__name__)

_COUNTED = "foundation_counted"
"""Mark of a user's exception: one that ends its user comes by two ways."""

Ship = Callable[[str, dict[str, Any]], None]
"""Takes a kind (`second`, `writes`, `health`, `annotation`) and a report that msgpack carries, and
JSON all but that of `writes`."""


class Arriving(Protocol):
    """What starts the arrivals of an open load (scheduler.py)."""

    @property
    def lateness(self) -> Lateness: ...

    def figures(self) -> dict[str, float]:
        """For a line of health."""

    def close(self) -> None:
        """Start nothing from now on."""

    def finish(self, timeout_s: float) -> None:
        """Let what is in flight end within that time from `close`, then cancel it."""


def first_request_delay_s(elapsed_s: float, share: float) -> float:
    """Wait of a user that starts at `elapsed_s`; `share` in [0, 1) is its random place.

    Users of a step start up to a second before it. Their first requests are spread over the
    second that is centred on the step, from half a second before to half a second after it, so
    that what is sent neither runs ahead of the plan nor lags it.
    """
    return max(0.0, math.floor(elapsed_s) + 0.5 + share - elapsed_s)


def sink_of(recorder: Recorder, ledger: Ledger) -> Callable[[Sample], None]:
    """What takes the samples: 0.1 us more for those that are no write."""
    count, enter = recorder.record, ledger.record

    def take(sample: Sample) -> None:
        count(sample)
        if sample.write_id is not None:
            enter(sample)

    return take


class LoadSide:
    """`source` names this process in its reports; `worker_index` separates its random streams."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        source: str,
        worker_index: int,
        users: Callable[[], int],
        ship: Ship,
        probes: Collection[Probe] = (),
    ) -> None:
        """`probes` add figures of this process to its lines of health."""
        self.plan = plan
        self.source = source
        self.recorder = Recorder(source=source, origin_us=plan.origin_us)
        self.ledger = Ledger(source=source, origin_us=plan.origin_us)
        self.take = sink_of(self.recorder, self.ledger)
        self._events = EventRecorder(self.take, self._note_untimed, self._note_misnamed)
        self.reconnects = 0
        self.arrivals: Arriving | None = None
        self.unmet: set[str] = set()
        self.shared: dict[str, Any] = {}
        self._is_stress = False
        self._worker_index = worker_index
        self._user_numbers = itertools.count()
        self._users = users
        self._ship = ship
        self.user_errors = 0
        self._errors_shipped = 0
        self._error_kinds: dict[str, bool] = {}
        self._meter = HealthMeter(self._figures, *probes)

    @classmethod
    def of(cls, environment: Environment) -> LoadSide:
        """The load side of the run that `environment` is in. Raises LookupError outside of one."""
        found = getattr(environment, ENVIRONMENT_ATTRIBUTE, None)
        if not isinstance(found, cls):
            raise LookupError("no run has started: call strap_in(Scenario(…)) in the locustfile")
        return found

    def attach(self, environment: Environment) -> None:
        """Make users that start from now on report here."""
        # Streams differ by worker: forked workers inherit one state of the global generator.
        random.seed(f"{self.plan.seed}:{self._worker_index}")
        setattr(environment, ENVIRONMENT_ATTRIBUTE, self)
        shape = environment.shape_class
        self._is_stress = isinstance(shape, PhasedShape) and shape.until is not None
        # What is alive now stays so; with thousands of users a full collection is a stall of the
        # generator that the target's latency would be blamed for.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        setattr(environment, SAMPLE_SINK, self.take)
        setattr(environment, RECONNECT_SINK, self._count_reconnect)
        self._events.attach(environment)
        LeanHttpUser.resolver = GuardedResolver(Allowance.of(self.plan.allow_target))
        user_error: Any = environment.events.user_error
        user_error.add_listener(self._on_user_error)
        stopping: Any = environment.events.test_stopping
        stopping.add_listener(self._on_stopping)

    def detach(self, environment: Environment) -> None:
        """The run is over: a user that starts now is refused rather than recorded nowhere."""
        if getattr(environment, ENVIRONMENT_ATTRIBUTE, None) is self:
            for name in (ENVIRONMENT_ATTRIBUTE, SAMPLE_SINK, RECONNECT_SINK):
                delattr(environment, name)
            self._events.detach(environment)
            user_error: Any = environment.events.user_error
            user_error.remove_listener(self._on_user_error)
            stopping: Any = environment.events.test_stopping
            stopping.remove_listener(self._on_stopping)

    def next_user_number(self) -> int:
        """Numbers the users of this process from 0, in the order in which they start."""
        return next(self._user_numbers)

    def random_of_user(self, number: int) -> random.Random:
        """That user's own random stream: a function of seed, worker and number."""
        return random.Random(f"{self.plan.seed}:{self._worker_index}:{number}")

    def elapsed_s(self) -> float:
        """Seconds since second 0 of the profile; negative before it."""
        return (wall_us(time.perf_counter()) - self.plan.origin_us) / 1e6

    @property
    def phase(self) -> str | None:
        """The profile's phase now."""
        return self.plan.phase_at(self.elapsed_s())

    def observe(self, name: str, value: float) -> None:
        """Record one value of a figure, now.

        Raises ValueError for `capacity` where the shape has an `until`, which finds that figure.
        """
        if self._is_stress and name == CAPACITY:
            raise ValueError(
                f"the figure {CAPACITY!r} is what the shape's `until` finds: use another name"
            )
        self.recorder.observe(name, value, wall_us(time.perf_counter()))

    def user_failed(self, kind: type[User], error: BaseException) -> None:
        """Count an exception that a user of that class raised, once: any makes the generator
        unfit."""
        if getattr(error, _COUNTED, False):
            return
        setattr(error, _COUNTED, True)
        self._count_user_error(f"{type(error).__name__} in {kind.__name__}")

    def _note_misnamed(self, error: ValueError) -> None:
        """A write that is in no ledger, by the locustfile's fault."""
        text = f"ValueError in the context of a request: {error}"
        if text not in self._error_kinds:
            logger.error("a write is not in the ledger: %s", text)
        self._count_user_error(text)

    def _count_user_error(self, text: str) -> None:
        self.user_errors += 1
        if len(self._error_kinds) < MAX_ERROR_KINDS:
            self._error_kinds.setdefault(text, False)

    def _on_user_error(self, user_instance: User | TaskSet, exception: Exception, **_: Any) -> None:
        user = user_instance.user if isinstance(user_instance, TaskSet) else user_instance
        self.user_failed(type(user), exception)

    def _on_stopping(self, **_: Any) -> None:
        if self.arrivals is not None:
            self.arrivals.close()

    def run(self) -> None:
        """Ship once a second until the greenlet is killed; measures the loop's lag in between."""
        lag = gevent.spawn(self._meter.run)
        try:
            while True:
                now_us = wall_us(time.perf_counter())
                into_second_us = (now_us - self.plan.origin_us) % 1_000_000
                # A little after the second's end, so that its last samples are in.
                gevent.sleep((1_050_000 - into_second_us) / 1e6)
                self._ship_writes()
                self._ship_closed(wall_us(time.perf_counter()))
                self._ship_health()
        finally:
            lag.kill(block=False)

    def drain(self, timeout_s: float) -> None:
        """Wait until no arrival of an open load is in flight, while `run` still tells how this
        process does. Users have ended before."""
        if self.arrivals is not None:
            self.arrivals.finish(timeout_s)

    def finish(self) -> None:
        """Ship everything that is left. Call it once, when no user runs any more."""
        self._ship_closed(None)
        if self.user_errors > self._errors_shipped:
            self._ship_values(round(self.elapsed_s(), 3), {})
        # Last, since others run in between: what is recorded after it would be in no report.
        self._ship_writes()

    def _ship_writes(self) -> None:
        while (report := self.ledger.take()) is not None:
            self._ship("writes", report.as_dict())
            gevent.sleep(0)

    def _ship_closed(self, now_us: int | None) -> None:
        self.recorder.close(now_us)
        for report in self.recorder.reports():
            if report is None:
                gevent.sleep(0)
            else:
                self._ship("second", report.as_dict())

    def _figures(self) -> dict[str, float]:
        return {
            USERS: self._users(),
            RECONNECTS: self.reconnects,
            OPEN_SOCKETS: open_sockets(),
            **self._figures_of_arrivals(),
        }

    def _figures_of_arrivals(self) -> dict[str, float]:
        if self.arrivals is None:
            return {}
        return self.arrivals.figures() | late_arrivals(self.arrivals.lateness)

    def _ship_health(self) -> None:
        self._ship_values(round(self.elapsed_s(), 3), self._meter.take())

    def _ship_values(self, t_s: float, values: dict[str, float]) -> None:
        """A line of health, and what users raised since the one before it."""
        for kind in [kind for kind, is_told in self._error_kinds.items() if not is_told]:
            self._error_kinds[kind] = True
            self._ship("annotation", {"t_s": t_s, "label": USER_ERRORS, "text": kind})
        self._errors_shipped = self.user_errors
        values[USER_ERRORS] = self.user_errors
        self._ship("health", {"t_s": t_s, "source": self.source, "values": values})

    def _note_untimed(self, endpoint: str) -> None:
        t_s = round(self.elapsed_s(), 3)
        self._ship("annotation", {"t_s": t_s, "label": UNTIMED, "text": endpoint})

    def _count_reconnect(self, _origin: str) -> None:
        self.reconnects += 1
