"""A worker's beats: it tells the master what it runs and gets a lease, its epochs and the time.

Life cycle: made at init; `run` is a greenlet that beats every half second, and at once when there
is something to say. A beat carries when the worker last heard from the master, since only one that
hears gets a lease. In each turn, also in the first after this process stood still:

1. a lease that ran out fences: users stop, arrivals no longer start;
2. then a beat is sent;
3. its answer brings new epochs and extends the lease from the moment at which the beat was sent,
   and so the shorter one by which arrivals are decided on: within that no epoch can be missing.

This module must not know how users are started, or what becomes of a worker whose master is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import WorkerRunner

from locustfiles.harness.distribution.lease import (
    ARRIVAL_LEASE_S,
    BEAT_S,
    LEASE_S,
    OwnLease,
    Silence,
)
from locustfiles.harness.http.clock import own_wall_us, shift_us
from shapes.epoch import Epochs, epochs_of

BEAT = "foundation_beat"
"""Worker to master: {"t0_us": its own time, "seen_us": the master's time in the last answer that
came, "run_id", "share": users by class that it holds, "users": those that run, "epochs": how many
it knows}."""
ANSWER = "foundation_beat_answer"
"""Master to worker: {"t0_us": as asked, "t1_us": when the beat came, "t2_us": when this left,
"lease_s": 0 for a worker that has not shown that it hears, "master": its id, "run_id", "epochs":
those beyond what the worker knows}."""
EPOCHS = "foundation_epochs"
"""Master to worker, at once when there is another: {"run_id", "epochs": all}."""

LAST_MESSAGES = frozenset({"stop", "quit"})
"""Locust's, after which nobody starts here; those who run may end within the stop timeout."""

AWAKE_STEP_S = 1.0
"""A turn that took longer than twice a beat was no waiting: this process stood still."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a worker says of itself. Users by class; classes without any are left out."""

    share: Mapping[str, int]
    users: Mapping[str, int]


class WorkerShare:
    """A worker's share of one run's arrivals (own_share.OwnShare), as its beats tell."""

    def __init__(self, beat: WorkerBeat, worker: str, origin_us: int) -> None:
        self._beat = beat
        self._origin_us = origin_us
        self.worker = worker
        self.epochs = beat.epochs

    def lease_until_us(self) -> int | None:
        return self._beat.decides_until_us() - self._origin_us


class WorkerBeat:
    """One per worker, through all its runs.

    `holding` says what runs here, `fence` stops it. `exchanged` takes the four times of an answer,
    `answered` gets the id of the master that did, `missing` for how long none has (seconds of awake
    time), `unread` the same while this worker reads no messages. `master_runs` gets the id of the
    run that the master is in with every answer, None outside of one.
    """

    def __init__(
        self,
        runner: WorkerRunner,
        *,
        holding: Callable[[], Holding],
        fence: Callable[[], None],
        exchanged: Callable[[int, int, int, int], None],
        answered: Callable[[str], None] = lambda master: None,
        missing: Callable[[float], None] = lambda for_s: None,
        unread: Callable[[float], None] = lambda for_s: None,
        master_runs: Callable[[str | None], None] = lambda run_id: None,
    ) -> None:
        self._runner = runner
        self._holding = holding
        self._fence = fence
        self._exchanged = exchanged
        self._answered = answered
        self._missing = missing
        self._unread = unread
        self._master_runs = master_runs
        self._lease = OwnLease()
        self._decides = OwnLease()
        self._silence = Silence(AWAKE_STEP_S)
        self._since_answer = Silence(AWAKE_STEP_S)
        self._is_fenced = True
        self._seen_us: int | None = None
        self._now = Event()
        self._run_id: str | None = None
        self.master_run: str | None = None
        """The run that the master is in, by what it has told last."""
        self.epochs = Epochs()
        runner.register_message(ANSWER, self._on_answer)
        runner.register_message(EPOCHS, self._on_epochs)
        self._is_handling = False
        self._handle = runner.handle_message
        runner.handle_message = self._handle_message  # type: ignore[method-assign]

    def begin(self, run_id: str, origin_us: int) -> WorkerShare:
        """A run starts here: its epochs are those that have come already, and those that will."""
        self._follow(run_id)
        self.beat_now()
        return WorkerShare(self, self._runner.client_id, origin_us)

    def may_send(self) -> bool:
        """Whether the lease lasts."""
        return self._lease.lasts(own_wall_us())

    def decides_until_us(self) -> int:
        """The arrivals before it are those whose epochs are all known. On the run's clock,
        microseconds since the epoch; long ago without an answer in this run."""
        return self._decides.until_us + shift_us()

    def beat_now(self) -> None:
        """Do not wait for the next turn."""
        self._now.set()

    def run(self) -> None:
        """Until the greenlet is killed."""
        while True:
            try:
                self._turn()
            except Exception:
                # The edge of the greenlet. Without beats the master gives the share away, and the
                # next turn still fences.
                logger.exception("a beat failed")
            until_fence_s = (self._lease.until_us - own_wall_us()) / 1e6
            wait_s = BEAT_S if self._is_fenced else min(BEAT_S, max(0.0, until_fence_s))
            self._now.wait(wait_s)
            self._now.clear()
            # Others have their turn, however often it is asked for.
            gevent.sleep(0)

    def _handle_message(self, msg: Message) -> None:
        """Locust's worker takes one message at a time, and on `stop` sleeps for as long as users
        may need: answers lie unread meanwhile, which says nothing about the master."""
        self._is_handling = True
        if msg.type in LAST_MESSAGES:
            # No lease is needed to let users go, and none that runs out meanwhile is a finding.
            self._is_fenced = True
        try:
            self._handle(msg)
        finally:
            self._is_handling = False

    def _turn(self) -> None:
        now_s = time.perf_counter()
        self._silence.pass_time(now_s)
        self._since_answer.pass_time(now_s)
        if self._is_handling:
            self._silence.heard()
        if not self._is_fenced and not self.may_send():
            self._is_fenced = True
            logger.warning("the master has not renewed the lease: users stop until it does")
            self._fence()
        if self._silence.missing_s > BEAT_S:
            self._missing(self._silence.missing_s)
        elif self._since_answer.missing_s > BEAT_S:
            self._unread(self._since_answer.missing_s)
        holding = self._holding()
        beat = {
            "t0_us": own_wall_us(),
            "seen_us": self._seen_us,
            "run_id": self._run_id,
            "share": dict(holding.share),
            "users": dict(holding.users),
            "epochs": len(self.epochs),
        }
        try:
            self._runner.send_message(BEAT, beat)
        except RPCError as error:
            logger.warning("a beat could not be sent to the master: %s", error)

    def _on_answer(self, environment: Environment, msg: Message, **_: Any) -> None:
        t3_us = own_wall_us()
        said = msg.data
        self._exchanged(said["t0_us"], said["t1_us"], said["t2_us"], t3_us)
        before_us, self._seen_us = self._seen_us, said["t2_us"]
        self._silence.heard()
        self._since_answer.heard()
        self._answered(said["master"])
        self._take_epochs(said)
        if said["lease_s"] > 0:
            self._lease.extend(said["t0_us"], said["lease_s"])
            self._decides.extend(said["t0_us"], min(said["lease_s"], ARRIVAL_LEASE_S))
            if self.may_send():
                self._is_fenced = False
        elif before_us is None or self._seen_us - before_us >= LEASE_S * 1e6:
            # The beat could not show that this worker hears; the next one can.
            self._now.set()
        self.master_run = said["run_id"]
        self._master_runs(said["run_id"])

    def _on_epochs(self, environment: Environment, msg: Message, **_: Any) -> None:
        self._take_epochs(msg.data)

    def _take_epochs(self, said: Mapping[str, Any]) -> None:
        if said["run_id"] is None:
            return
        self.master_run = said["run_id"]
        self._follow(said["run_id"])
        for epoch in epochs_of(said["epochs"]):
            self.epochs.add(epoch)

    def _follow(self, run_id: str) -> None:
        if run_id != self._run_id:
            self._run_id = run_id
            self.epochs = Epochs()
            self._decides = OwnLease()
