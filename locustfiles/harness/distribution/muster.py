"""The master's side of beats: who is here, and what follows when that changes.

Life cycle: made at init, through all runs; `begin` and `end` frame a run. A worker is here when its
beats come and show that it hears the answers; without one for the length of a lease it is away. On
each change of who is here, in a run: the users are handed out anew at once, a new epoch divides the
arrivals, and `Notes` puts it on the timeline. What was told and not taken is told again.

Beats are answered in the greenlet that takes the workers' messages, so nothing here may wait. This
module must not know books, or how users are divided.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner

from locustfiles.harness.distribution.beat import ANSWER, BEAT, EPOCHS
from locustfiles.harness.distribution.dispatch import Handout, install
from locustfiles.harness.distribution.lease import (
    EPOCH_AHEAD_S,
    LEASE_S,
    Absence,
    Attendance,
    Change,
    Silence,
)
from locustfiles.harness.http.clock import own_wall_us
from shapes.epoch import Epoch, Epochs

WATCH_S = 0.1
"""Leases are looked at this often."""

STOOD_STILL_S = 0.5
"""A turn that took longer than this was no waiting: beats may lie unread."""

OVERDUE_S = 1.2
"""Two beats, and a little for a busy machine."""

TELL_AGAIN_S = 1.5
"""For a worker to say that it holds what it was told: two beats, and time to start users."""

logger = logging.getLogger(__name__)


class Notes(Protocol):
    """Takes what is to be recorded of a run. Times are seconds since its second 0."""

    def joined(self, worker: str, t_s: float) -> None: ...
    def away(
        self, worker: str, t_s: float, heard_s: float, ended_s: float, share: float, others: int
    ) -> None: ...
    def left(self, worker: str, t_s: float, share: float, others: int) -> None: ...
    def back(self, worker: str, t_s: float) -> None: ...
    def epoch(self, epoch: Epoch, t_s: float) -> None: ...


@dataclass(slots=True)
class _Run:
    run_id: str
    elapsed_s: Callable[[], float]
    notes: Notes
    epochs: Epochs = field(default_factory=Epochs)
    done: set[str] = field(default_factory=set)
    is_stopping: bool = False
    has_ended_arrivals: bool = False


class Muster:
    """One per master. `is_welcome` says which workers may have users at all, `master` is its id."""

    def __init__(
        self,
        environment: Environment,
        runner: MasterRunner,
        is_welcome: Callable[[str], bool] = lambda worker: True,
        master: str = "",
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._is_welcome = is_welcome
        self._master = master
        self._attendance = Attendance()
        self._awake = Silence(STOOD_STILL_S)
        self._told_s: dict[str, float] = {}
        self._users: dict[str, int] = {}
        self._run: _Run | None = None
        self.is_deserted = False
        """Whether no worker was left when the run was stopped."""
        self.handout = Handout(self.present)
        install(environment, self.handout, self._hand_out)
        runner.register_message(BEAT, self._on_beat)
        stopping: Any = environment.events.test_stopping
        stopping.add_listener(self._on_stopping)
        runner.greenlet.spawn(self._watch)

    def present(self) -> tuple[str, ...]:
        """Workers that are here, in the order in which they came first."""
        return tuple(one for one in self._attendance.present() if self._is_welcome(one))

    def users(self) -> int:
        """Users that run on the workers that are here, by their latest beats. Whose beat is
        overdue may be dead, and does not count."""
        now_s = time.perf_counter()
        return sum(
            self._users.get(worker, 0)
            for worker in self.present()
            if self._attendance.unheard_s(worker, now_s) < OVERDUE_S
        )

    def begin(self, run_id: str, elapsed_s: Callable[[], float], notes: Notes) -> None:
        """A run starts; whoever is here shares its arrivals from the beginning."""
        self._run = _Run(run_id, elapsed_s, notes)
        self.is_deserted = False
        self._told_s.clear()
        for worker in self._attendance.present():
            if not self._is_welcome(worker):
                # Left out by the start barrier: it has nothing to lose, and joins when it is ready.
                self._attendance.forget(worker)
        self._add_epoch(self._run)

    def end(self) -> None:
        """The run is over."""
        self._run = None

    def _on_stopping(self, **_: Any) -> None:
        # From here on users go for good, and workers take no messages while they wait for them.
        if self._run is not None and not self._run.is_stopping:
            self._run.is_stopping = True
            self.is_deserted = not any(one in self._runner.clients for one in self.present())

    # Beats

    def _on_beat(self, environment: Environment, msg: Message, **_: Any) -> None:
        t1_us = own_wall_us()
        worker, said = msg.node_id, msg.data
        hears = said["seen_us"] is not None and t1_us - said["seen_us"] < LEASE_S * 1e6
        run = self._run
        has_left = run is not None and worker in run.done
        # Locust forgets workers that quit, and those that were away for a minute.
        is_member = self._is_welcome(worker) and worker in self._runner.clients
        leases = hears and is_member and not has_left
        change = self._attendance.renew(worker, time.perf_counter()) if leases else None
        rows: list[list[object]] = []
        if run is not None:
            known = said["epochs"] if said["run_id"] == run.run_id else 0
            rows = run.epochs.as_wire()[known:]
        answer = {
            "t0_us": said["t0_us"],
            "t1_us": t1_us,
            "t2_us": own_wall_us(),
            "lease_s": LEASE_S if leases else 0.0,
            "master": self._master,
            "run_id": None if run is None else run.run_id,
            "epochs": rows,
        }
        self._send(ANSWER, answer, worker)
        if not leases:
            return
        self._users[worker] = sum(said["users"].values())
        self._runner.clients[worker].user_classes_count = dict(said["users"])
        if change is not None:
            self._came(worker, change)
        self._compare(worker, said["share"])

    def _compare(self, worker: str, share: dict[str, int]) -> None:
        """Hand out what became due, and tell again what a worker has not taken."""
        took_it = self.handout.confirm(worker, share)
        if took_it:
            self._told_s.pop(worker, None)
        now_s = time.perf_counter()
        told_s = self._told_s.get(worker, now_s) if not took_it else now_s
        if not took_it:
            self._told_s.setdefault(worker, now_s)
        if self.handout.is_due() or now_s - told_s > TELL_AGAIN_S:
            self._hand_out()

    # Changes

    def _watch(self) -> None:
        while True:
            gevent.sleep(WATCH_S)
            try:
                self._look(time.perf_counter())
            except Exception:
                # The edge of the greenlet: whoever is lost next must still be noticed.
                logger.exception("who is here could not be looked at")

    def _look(self, now_s: float) -> None:
        self._attendance.excuse(self._awake.pass_time(now_s), now_s)
        self._awake.heard()
        if self._run is not None and self._run.is_stopping:
            # Workers that wait for their users read no answers, and so get no leases.
            return
        if absences := self._attendance.lapse(now_s):
            self._lost(absences, now_s)

    def _lost(self, absences: Sequence[Absence], now_s: float) -> None:
        """Their leases ran out in the same moment."""
        for absence in absences:
            self._forget_users(absence.worker)
        run = self._run
        if run is None or run.is_stopping:
            return
        shares = self._take_shares([absence.worker for absence in absences])
        others, t_s = len(self.present()), run.elapsed_s()
        for absence in absences:
            ended_s = t_s - (now_s - absence.ended_s)
            heard_s = t_s - (now_s - absence.heard_s)
            run.notes.away(absence.worker, t_s, heard_s, ended_s, shares[absence.worker], others)
        self._add_epoch(run)

    def left(self, worker: str) -> None:
        """It has said that it is done with the run, which goes on: others need not wait for the
        end of its lease, and its beats until it is gone renew none."""
        run = self._run
        if run is None or run.is_stopping:
            return
        run.done.add(worker)
        if not self._attendance.end(worker):
            return
        self._forget_users(worker)
        shares = self._take_shares([worker])
        run.notes.left(worker, run.elapsed_s(), shares[worker], len(self.present()))
        self._add_epoch(run)

    def _forget_users(self, worker: str) -> None:
        self._users.pop(worker, None)
        if worker in self._runner.clients:
            # Locust counts the dead for another second, and those of a late report for ever.
            self._runner.clients[worker].user_classes_count = {}

    def _take_shares(self, workers: Sequence[str]) -> dict[str, float]:
        """What each of those had of the load, which others get now: once for all of them, or the
        second would seem to have had what the first one's end has brought it."""
        even = 1 / (len(self.present()) + len(workers))
        shares = {worker: self.handout.part_of(worker) or even for worker in workers}
        self._hand_out()
        return shares

    def _came(self, worker: str, change: Change) -> None:
        run = self._run
        if run is None or run.is_stopping:
            return
        t_s = run.elapsed_s()
        if change is Change.BACK:
            run.notes.back(worker, t_s)
        elif t_s > 0:
            run.notes.joined(worker, t_s)
        self._hand_out()
        self._add_epoch(run)

    def _add_epoch(self, run: _Run) -> None:
        latest, workers = run.epochs.latest, self.present()
        if run.has_ended_arrivals or (latest is not None and latest.workers == workers):
            return
        # Read here, so that no beat is answered between that and the epoch's being there.
        t_s = run.elapsed_s()
        if latest is None:
            # Nobody decides on anything before it knows the first, so that needs no time ahead.
            epoch = Epoch(0, 0, workers)
        else:
            from_us = max(latest.from_us, int((t_s + EPOCH_AHEAD_S) * 1e6))
            epoch = Epoch(latest.number + 1, from_us, workers)
        run.epochs.add(epoch)
        if epoch.number and t_s > 0:
            run.notes.epoch(epoch, t_s)
        self._tell_epochs(run)

    def end_arrivals(self, from_us: int) -> None:
        """What is intended from then on is nobody's, whoever comes or goes: the plan ends there.

        It may be less than `EPOCH_AHEAD_S` away: a worker that hears of it late sends what is its
        own a little longer, at most until it is stopped, and never what is another's.
        """
        run = self._run
        if run is None or run.has_ended_arrivals or run.epochs.latest is None:
            return
        run.has_ended_arrivals = True
        latest = run.epochs.latest
        run.epochs.add(Epoch(latest.number + 1, max(from_us, latest.from_us), ()))
        self._tell_epochs(run)

    def _tell_epochs(self, run: _Run) -> None:
        for worker in self.present():
            self._send(EPOCHS, {"run_id": run.run_id, "epochs": run.epochs.as_wire()}, worker)

    # Messages

    def _hand_out(self) -> None:
        """Locust's spawn message, to those for whom something changes or was not taken.

        All of them are sent here: a worker drops what is not newer than what it took last, and
        only stamps of one clock that never goes back are in the order of their orders.
        """
        run = self._run
        if run is None or run.is_stopping or not self.handout.counts:
            return
        if self._runner.state not in (STATE_SPAWNING, STATE_RUNNING):
            return
        before = self.handout.told
        now_s = time.perf_counter()
        for worker, share in self.handout.shares().items():
            is_late = now_s - self._told_s.get(worker, now_s) > TELL_AGAIN_S
            if share == before.get(worker) and not is_late:
                continue
            self._told_s[worker] = now_s
            options = self._environment.parsed_options
            job = {
                "timestamp": own_wall_us() / 1e6,
                "user_classes_count": share,
                "host": self._environment.host,
                "stop_timeout": self._environment.stop_timeout,
                "parsed_options": {} if options is None else vars(options),
            }
            self._send("spawn", job, worker)

    def _send(self, kind: str, data: dict[str, Any], worker: str) -> None:
        try:
            self._runner.send_message(kind, data, worker)
        except RPCError as error:
            logger.warning("a message could not be sent to worker %s: %s", worker, error)
