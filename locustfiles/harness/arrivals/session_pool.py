"""The sessions of one ArrivalUser class in one process: as many as arrivals need at once.

A session is made when an arrival finds none idle, up to the process's share of the class's limit,
and is kept. The one that was used last is taken first, so that its connection is warm and the rest
may be closed by the target. Life cycle of a session, which is a greenlet:

1. made for an arrival, or ahead of the load; `on_start` runs once;
2. serves arrivals, one at a time, waiting idle in between;
3. ends by StopUser, by `finish`, or because `on_start` failed; `on_stop` runs, connections close.

How late the generator was with an arrival is known when its session's greenlet has its turn. What
`on_start` takes after that, to connect or to log in, is up to the target: it is no lateness.

This module must not know when arrivals are due.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.hub import Waiter, get_hub
from locust import User
from locust.env import Environment
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from locust.runners import locust_exception_handler

from locustfiles.harness.arrivals.arrival_user import ArrivalUser
from locustfiles.harness.arrivals.lateness import Lateness
from locustfiles.harness.http.clock import wall_us
from results.arrival import Unsent
from results.recorder import Recorder

LATEST_START_US = 1_000_000
"""An arrival that could not be begun within a second of its time is unsent. The generator was late
by less on any machine that keeps up (p99 below 10 ms), and by more only when it stood still: what
it then sent in a burst would be no load that anybody planned. Nor is what a session could only
begin later than that, since it was not ready: see `Unsent`."""

MAX_TRACEBACKS = 20
"""Of a class's exceptions that are logged: at thousands of arrivals a second a broken task would
fill the disk. All of them are counted."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """`intended_us` is its intended start in microseconds since the epoch."""

    index: int
    intended_us: int


Failed = Callable[[type[User], BaseException], None]
"""Counts an exception of a user's own."""


class SessionPool:
    """`limit` says how many sessions this process may have now, `failed` counts exceptions."""

    def __init__(
        self,
        kind: type[ArrivalUser],
        environment: Environment,
        recorder: Recorder,
        lateness: Lateness,
        limit: Callable[[], int],
        *,
        failed: Failed,
    ) -> None:
        self.kind = kind
        self.name = kind.__name__
        self.environment = environment
        self.recorder = recorder
        self.lateness = lateness
        self._limit = limit
        self._failed = failed
        self._idle: list[_Session] = []
        self._sessions: set[_Session] = set()
        self._tracebacks = 0
        self.is_closed = False

    @property
    def size(self) -> int:
        return len(self._sessions)

    @property
    def busy(self) -> int:
        """Sessions that serve an arrival, or begin or end."""
        return len(self._sessions) - len(self._idle)

    def prepare(self) -> None:
        """Make a session ahead of the load."""
        self._make(None)

    def take(self, arrival: Arrival) -> bool:
        """Have an idle session, or a new one, serve it. False: there is none and no room."""
        if self._idle:
            self._idle.pop().give(arrival)
            return True
        if self.size >= self._limit():
            return False
        self._make(arrival)
        return True

    def _make(self, arrival: Arrival | None) -> None:
        session = _Session(self, arrival)
        self._sessions.add(session)
        session.greenlet.start()

    def put_back(self, session: _Session) -> None:
        self._idle.append(session)

    def forget(self, session: _Session) -> None:
        """It has ended."""
        self._sessions.discard(session)
        if session in self._idle:
            self._idle.remove(session)

    def refuse(self, arrival: Arrival, why: Unsent) -> None:
        """No session is to have it."""
        self.lateness.add(now_us() - arrival.intended_us)
        self.unsent(arrival, why)

    def unsent(self, arrival: Arrival, why: Unsent) -> None:
        """Count what was refused, or not begun by the session that had it."""
        self.recorder.arrival(self.name, arrival.intended_us, unsent=why)

    def failed(self, user: ArrivalUser | None, error: BaseException) -> None:
        """A task, `on_start` or making the user raised: Locust is told as well, as of any user."""
        self._failed(self.kind, error)
        if user is not None:
            user_error: Any = self.environment.events.user_error
            user_error.fire(user_instance=user, exception=error, tb=error.__traceback__)
        self._tracebacks += 1
        if self._tracebacks <= MAX_TRACEBACKS:
            logger.error("%s\n%s", error, "".join(traceback.format_exception(error)))
            if self._tracebacks == MAX_TRACEBACKS:
                logger.error("further exceptions of %s are only counted", self.name)

    def finish(self, timeout_s: float) -> None:
        """Let arrivals that are served end within that time, then cancel them; end all sessions."""
        self.is_closed = True
        for session in list(self._idle):
            session.give(None)
        greenlets = [session.greenlet for session in self._sessions]
        gevent.joinall(greenlets, timeout=timeout_s)
        gevent.killall(greenlets, block=False)
        # Not killall's own timeout, which it raises: what was recorded is still to be shipped.
        gevent.joinall(greenlets, timeout=KILL_TIMEOUT_S)
        if diehards := [greenlet for greenlet in greenlets if not greenlet.dead]:
            logger.error(
                "%d session(s) of %s did not end within %.0f s of being cancelled: let on_stop "
                "be quick; what it still does is not recorded",
                len(diehards),
                self.name,
                KILL_TIMEOUT_S,
            )
            gevent.killall(diehards, block=False)


KILL_TIMEOUT_S = 5.0
"""For `on_stop` of sessions that were cancelled."""


_NOT_OF_THE_SCENARIO = (gevent.GreenletExit, KeyboardInterrupt)
"""What others raise in a session's greenlet: it is cancelled, or the whole process is."""

_ENDS_OF_A_TASK = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately)
"""Locust's own ways to leave a task early: none is an error."""


class _Session:
    """One user of the pool in its greenlet. `_arrival` is what it is to serve, or serves."""

    __slots__ = ("_arrival", "_pool", "_waiter", "greenlet")

    def __init__(self, pool: SessionPool, arrival: Arrival | None) -> None:
        self._pool = pool
        self._arrival = arrival
        self._waiter: Any = None
        self.greenlet = gevent.Greenlet(self._run)
        self.greenlet.link_exception(locust_exception_handler(pool.environment))

    def give(self, arrival: Arrival | None) -> None:
        """Wake it up, which is idle, in the loop's next turn. None: end."""
        self._arrival = arrival
        assert self._waiter is not None
        get_hub().loop.run_callback(self._waiter.switch, arrival)

    def _run(self) -> None:
        pool = self._pool
        why = Unsent.SESSION_FAILED
        try:
            self._take_up()
            if (user := self._made()) is not None:
                self._live(user)
        except gevent.GreenletExit:
            why = Unsent.STOPPED
            raise
        finally:
            pool.forget(self)
            if (arrival := self._arrival) is not None:
                # It was given one and has not begun it.
                if why is Unsent.STOPPED and _is_too_late(arrival):
                    why = Unsent.SESSION_LATE
                pool.unsent(arrival, why)

    def _take_up(self) -> None:
        """Its turn has come to begin with what it was given, unless the generator missed it."""
        if (arrival := self._arrival) is None:
            return
        self._pool.lateness.add(now_us() - arrival.intended_us)
        if _is_too_late(arrival):
            self._arrival = None
            self._pool.unsent(arrival, Unsent.LATE)

    def _made(self) -> ArrivalUser | None:
        try:
            return self._pool.kind(self._pool.environment)
        except (StopTest, *_NOT_OF_THE_SCENARIO):
            raise
        except BaseException as error:
            # An edge, as below: what a scenario's own code raises is counted.
            self._pool.failed(None, error)
            return None

    def _live(self, user: ArrivalUser) -> None:
        """From `on_start` to `on_stop`, which runs in the cases in which Locust runs it."""
        pool = self._pool
        try:
            try:
                user.on_start()
                self._serve_all(user)
            except (StopUser, StopTest, gevent.GreenletExit):
                user.on_stop()  # type: ignore[no-untyped-call]
                raise
            user.on_stop()  # type: ignore[no-untyped-call]
        except StopUser:
            pass
        except (StopTest, *_NOT_OF_THE_SCENARIO):
            raise
        except BaseException as error:
            pool.failed(user, error)
        finally:
            user.client.close()

    def _serve_all(self, user: ArrivalUser) -> None:
        pool = self._pool
        while True:
            if (arrival := self._arrival) is not None:
                self._serve(user, arrival)
            if pool.is_closed:
                return
            self._waiter = Waiter(get_hub())
            pool.put_back(self)
            if self._waiter.get() is None:
                return
            self._take_up()

    def _serve(self, user: ArrivalUser, arrival: Arrival) -> None:
        pool, self._arrival = self._pool, None
        if _is_too_late(arrival):
            pool.unsent(arrival, Unsent.SESSION_LATE)
            return
        pool.recorder.arrival(pool.name, arrival.intended_us)
        try:
            user.serve(arrival.index, arrival.intended_us)
        except (StopUser, StopTest):
            pool.recorder.arrival_done(pool.name, now_us())
            raise
        except _ENDS_OF_A_TASK:
            pass
        except _NOT_OF_THE_SCENARIO:
            # It is cancelled, and never completes.
            raise
        except BaseException as error:
            # The edge: a task's own exception ends the task, as in Locust, not the session. Also
            # one that is no Exception: a gevent.Timeout would end the session in silence.
            pool.failed(user, error)
        pool.recorder.arrival_done(pool.name, now_us())


def _is_too_late(arrival: Arrival) -> bool:
    return now_us() - arrival.intended_us > LATEST_START_US


def now_us() -> int:
    """Microseconds since the epoch, on the process's time line."""
    return wall_us(time.perf_counter())
