"""The sessions of one ArrivalUser class in one process: as many as arrivals need at once.

A session is made when an arrival finds none idle, up to the process's share of the class's limit,
and is kept. The one that was used last is taken first, so that its connection is warm and the rest
may be closed by the target. Life cycle of a session, which is a greenlet:

1. made for an arrival, or ahead of the load; `on_start` runs once;
2. serves arrivals, one at a time, waiting idle in between;
3. ends by StopUser, by `finish`, or because `on_start` failed; `on_stop` runs, connections close.

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
from locust.exception import StopTest, StopUser
from locust.runners import locust_exception_handler

from locustfiles.harness.arrivals.arrival_user import ArrivalUser
from locustfiles.harness.arrivals.lateness import Lateness
from locustfiles.harness.http.clock import wall_us
from results.arrival import Unsent
from results.recorder import Recorder

LATEST_START_US = 1_000_000
"""An arrival that could not be begun within a second of its time is unsent. The generator was late
by less on any machine that keeps up (p99 below 10 ms), and by more only when it stood still: what
it then sent in a burst would be no load that anybody planned."""

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
        self.lateness.add(now_us() - arrival.intended_us)
        self.recorder.arrival(self.name, arrival.intended_us, unsent=why)

    def failed(self, user: ArrivalUser | None, error: Exception) -> None:
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
        gevent.killall(greenlets, block=True, timeout=KILL_TIMEOUT_S)


KILL_TIMEOUT_S = 5.0
"""For `on_stop` of sessions that were cancelled."""


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
        try:
            if (user := self._made()) is not None:
                self._live(user)
        finally:
            pool.forget(self)
            if self._arrival is not None:
                # It was given one and has not begun it.
                why = Unsent.STOPPED if pool.is_closed else Unsent.SESSION_FAILED
                pool.refuse(self._arrival, why)

    def _made(self) -> ArrivalUser | None:
        try:
            return self._pool.kind(self._pool.environment)
        except StopTest:
            raise
        except Exception as error:
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
        except (StopUser, gevent.GreenletExit):
            pass
        except StopTest:
            raise
        except Exception as error:
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

    def _serve(self, user: ArrivalUser, arrival: Arrival) -> None:
        pool, self._arrival = self._pool, None
        late_us = now_us() - arrival.intended_us
        if pool.is_closed:
            pool.refuse(arrival, Unsent.STOPPED)
            return
        if late_us > LATEST_START_US:
            pool.refuse(arrival, Unsent.LATE)
            return
        pool.lateness.add(late_us)
        pool.recorder.arrival(pool.name, arrival.intended_us)
        try:
            user.serve(arrival.index, arrival.intended_us)
        except (StopUser, StopTest):
            pool.recorder.arrival_done(pool.name, now_us())
            raise
        except Exception as error:
            # The edge: a task's own exception ends the task, as in Locust, not the session.
            pool.failed(user, error)
        pool.recorder.arrival_done(pool.name, now_us())


def now_us() -> int:
    """Microseconds since the epoch, on the process's time line."""
    return wall_us(time.perf_counter())
