"""Starts the arrivals of an open load at their intended times, whatever the system does (D14).

One per process that sends load; not a Locust user. Every process makes the whole sequence of each
class and keeps those that its epochs say are its own. Life cycle of one run:

1. made when the load side begins; `start` prepares sessions and begins to wait for arrivals;
2. at its intended time every own arrival is given to a session, or is *unsent* for want of one;
3. `close` at test_stopping: what is due after it is not started;
4. `finish` at test_stop: arrivals in flight may end within the stop timeout, then are cancelled.

A worker decides on no arrival beyond its lease: who does not hear the master may have lost its
share to others. Of its own, what is up to a second late when it hears again is sent, and what is
later is unsent; what others took over is not its own. This module must not know what a task does.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import gevent
from locust.env import Environment

from locustfiles.harness.arrivals.arrival_user import ArrivalUser, stream_of
from locustfiles.harness.arrivals.lateness import Lateness
from locustfiles.harness.arrivals.own_share import OwnShare, may_decide
from locustfiles.harness.arrivals.session_pool import (
    LATEST_START_US,
    Arrival,
    Failed,
    SessionPool,
    now_us,
)
from results.arrival import Unsent
from results.health import RECORDER_FAILURES, SESSIONS, SESSIONS_BUSY
from results.recorder import Recorder
from shapes.arrivals import Arrivals, ProfileLike

LONGEST_WAIT_S = 0.5
"""Between two looks at the clock, which may be shifted while the next arrival is awaited."""

LEASE_POLL_S = 0.05
"""While no lease or epoch covers the arrival that is due."""

PREPARED_BEFORE_S = 0.2
"""Sessions that are made ahead of the load are made by then, evenly over the time until then."""

SKIPPED_AT_ONCE = 5_000
"""Arrivals of others between two turns of the loop, for a worker that joins late: 3 ms of them."""

BATCH_US = 2_000
"""Arrivals that are overdue are handed over for so long at a stretch, then sessions may send."""

logger = logging.getLogger(__name__)


class Scheduler:
    """`loads` are the open profiles by user class, `origin_us` the run's second 0."""

    def __init__(
        self,
        environment: Environment,
        recorder: Recorder,
        share: OwnShare,
        loads: Mapping[type[ArrivalUser], ProfileLike],
        *,
        seed: int,
        origin_us: int,
        failed: Failed,
    ) -> None:
        self.lateness = Lateness()
        self._share = share
        self._origin_us = origin_us
        self._pools = [
            SessionPool(
                kind,
                environment,
                recorder,
                self.lateness,
                partial(_part_of, kind.max_sessions, share),
                failed=failed,
            )
            for kind in loads
        ]
        self._sequence = _merged([sequence_of(kind, one, seed) for kind, one in loads.items()])
        self._closed_at_us: int | None = None
        self._greenlet = gevent.Greenlet(self._run_guarded)
        self._failures = 0
        self._stood_since_us = 0

    def start(self) -> None:
        """Begin, in a greenlet that ends with the last arrival or after `close`."""
        self._greenlet.start()

    def figures(self) -> dict[str, float]:
        """For the line of health."""
        found: dict[str, float] = {
            SESSIONS: sum(pool.size for pool in self._pools),
            SESSIONS_BUSY: sum(pool.busy for pool in self._pools),
        }
        if self._failures:
            found[RECORDER_FAILURES] = self._failures
        return found

    def _run_guarded(self) -> None:
        try:
            self._run()
        except Exception:
            # The edge of the greenlet: nothing arrives any more, and the run is void.
            self._failures += 1
            logger.exception("no more arrivals are started; the verdict will be INCONCLUSIVE")

    def close(self) -> None:
        """Start nothing from now on. Idempotent."""
        if self._closed_at_us is None:
            self._closed_at_us = self._now_us()

    def finish(self, timeout_s: float) -> None:
        """End all sessions; those that serve an arrival have `timeout_s` to end by themselves.

        Counted from `close`. Call it once, while health is still told.
        """
        self.close()
        assert self._closed_at_us is not None
        ends_us = self._closed_at_us + int(timeout_s * 1e6)
        # It has little left to do: to count what was due before the end.
        self._greenlet.join(max(LONGEST_WAIT_S, timeout_s))
        self._greenlet.kill()
        left_s = max(0.0, (ends_us - self._now_us()) / 1e6)
        finishing = [gevent.spawn(pool.finish, left_s) for pool in self._pools]
        gevent.joinall(finishing, raise_error=True)

    def _now_us(self) -> int:
        return now_us() - self._origin_us

    def _run(self) -> None:
        share = self._share
        while share.epochs.latest is None:
            if self._closed_at_us is not None:
                return
            gevent.sleep(LEASE_POLL_S)
        self._prepare()
        mine_from_us = min(
            (e.from_us for e in share.epochs if share.worker in e.workers), default=0
        )
        self._stood_since_us = self._now_us()
        for count, (t_us, order, index) in enumerate(self._sequence):
            if t_us < mine_from_us:
                if count % SKIPPED_AT_ONCE == 0:
                    gevent.sleep(0)
                continue
            if not self._await(t_us):
                return
            if share.epochs.owner(index, t_us) == share.worker:
                self._decide(self._pools[order], Arrival(index, self._origin_us + t_us), t_us)

    def _prepare(self) -> None:
        """Make the sessions that are wanted ahead of the load, one after the other."""
        counts = [_part_of(pool.kind.min_sessions, self._share) for pool in self._pools]
        left_s = -self._now_us() / 1e6 - PREPARED_BEFORE_S
        pause_s = max(0.0, left_s) / max(1, sum(counts))
        for pool, count in zip(self._pools, counts, strict=True):
            for _ in range(count):
                pool.prepare()
                gevent.sleep(pause_s)

    def _decide(self, pool: SessionPool, arrival: Arrival, t_us: int) -> None:
        if self._closed_at_us is not None:
            pool.refuse(arrival, Unsent.STOPPED)
        elif self._now_us() - t_us > LATEST_START_US:
            pool.refuse(arrival, Unsent.LATE)
        elif not pool.take(arrival):
            pool.refuse(arrival, Unsent.NO_SESSION)

    def _await(self, t_us: int) -> bool:
        """Until an arrival of that time may be decided on; False: never, the run ends before."""
        while True:
            if self._closed_at_us is not None and t_us > self._closed_at_us:
                return False
            at_us = self._now_us()
            if at_us < t_us:
                self._sleep(min(LONGEST_WAIT_S, (t_us - at_us) / 1e6))
            elif not may_decide(self._share, t_us):
                if self._closed_at_us is not None:
                    return False
                self._sleep(LEASE_POLL_S)
            else:
                if at_us - self._stood_since_us > BATCH_US:
                    # Overdue arrivals must not keep those that were handed over from being sent.
                    gevent.sleep(0)
                    self._stood_since_us = self._now_us()
                return True

    def _sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)
        self._stood_since_us = self._now_us()


def _part_of(whole: int, share: OwnShare) -> int:
    """What of a number for the whole run this process has, rounded up."""
    crews = [len(epoch.workers) for epoch in share.epochs if epoch.workers]
    return math.ceil(whole / (crews[-1] if crews else 1))


def sequence_of(kind: type[ArrivalUser], profile: ProfileLike, seed: int) -> Arrivals:
    """The arrivals of a class: for who starts them, and for who plans them."""
    return Arrivals(profile, stream_of(seed, kind.__name__), kind.spacing)


def _merged(sequences: Sequence[Arrivals]) -> Iterator[tuple[int, int, int]]:
    """(t_us, order of the class, index), in order of time."""
    streams = [_ordered(order, sequence) for order, sequence in enumerate(sequences)]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams)


def _ordered(order: int, sequence: Arrivals) -> Iterator[tuple[int, int, int]]:
    for index, t_us in sequence:
        yield t_us, order, index
