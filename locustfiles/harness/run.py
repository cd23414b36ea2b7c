"""What lives as long as one run, in the process that owns it: the only one, or the master.

Life cycle: made at test_start; `watch` is a greenlet of it; `collect` has the load sides ship what
is left when its users have stopped. This module must not know options, folders or verdicts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import gevent
from locust.runners import (
    STATE_CLEANUP,
    STATE_STOPPED,
    STATE_STOPPING,
    LocalRunner,
    MasterRunner,
)

from locustfiles.harness.audit.auditing import Progress
from locustfiles.harness.audit.run_audit import RunAudit
from locustfiles.harness.course import Course
from locustfiles.harness.distribution.attendance_notes import AttendanceNotes
from locustfiles.harness.distribution.roll import WorkerRoll
from locustfiles.harness.distribution.worker import source_of
from locustfiles.harness.health.master_health import MasterHealth
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.options import parsed_options
from locustfiles.harness.run_book import Moment, RunBook
from results.audit.audit import Audit

WATCH_PHASE_S = 0.75
"""Progress is noted this far into each second: the shape ticks in its first half."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """`load_side` exists in the only process, `roll`, `health` and `attendance` in a master.

    `writes` holds, by source, how many reports of writes each load side says it sent, if any.
    """

    run_id: str
    book: RunBook
    course: Course
    runner: LocalRunner | MasterRunner
    users: Callable[[], int]
    load_side: LoadSide | None = None
    roll: WorkerRoll | None = None
    health: MasterHealth | None = None
    attendance: AttendanceNotes | None = None
    end_arrivals: Callable[[int], None] | None = None
    greenlets: list[gevent.Greenlet] = field(default_factory=list)
    writes: dict[str, int] = field(default_factory=dict)
    audit: RunAudit | None = None
    audited: Audit | None = None
    interrupted: str | None = None
    is_ending: bool = False
    ended_by_hand: bool = False
    _is_ended_by_check: bool = field(default=False, init=False)

    def note_interrupt(self, *, by_person: bool) -> None:
        """An interrupt came. A run that is being ended is ABORTED: it waits no longer.

        So is one without a plan that goes on, but for one that a person ends as it was begun:
        without any end.
        """
        if not self.is_ending:
            self.ended_by_hand = by_person and self.course.ends_by_hand
            if self.course.is_unplanned and not self.ended_by_hand:
                self.interrupted = f"interrupted after {max(0.0, self.course.elapsed_s()):.0f} s"
            return
        if self.audit is not None:
            self.interrupted = self.interrupted or "interrupted while its writes were audited"
            self.audit.give_up()
        self.interrupted = self.interrupted or "interrupted while results were collected"
        if self.roll is not None:
            self.roll.give_up()

    def guarded(self, work: Callable[[], None]) -> None:
        """The edge of a background greenlet: a failure voids the run, its first one is logged."""
        try:
            work()
        except (Exception, gevent.Timeout):
            self.book.failures += 1
            if self.book.failures == 1:
                logger.exception("recording failed; the verdict will be INCONCLUSIVE")

    def take(self, worker: str, kind: str, report: dict[str, Any]) -> None:
        """Write what a worker has shipped. Raises ValueError or KeyError when it is no report."""
        self.book.take(kind, report)
        if kind == "second" and self.attendance is not None:
            self.attendance.reported(report)
        if kind == "health" and self.health is not None:
            self.health.heard(worker, report["source"])

    def note(self, label: str, text: str) -> None:
        """Put what happened now on the timeline."""
        t_s = round(self.course.elapsed_s(), 3)
        note = {"t_s": t_s, "label": label, "text": text}
        self.guarded(lambda: self.book.take("annotation", note))

    def begin_health(self, roll: WorkerRoll, sources: Mapping[str, str]) -> None:
        """The master's own lines of health, from now until the run's end.

        `sources` names, by worker, those that take part from the beginning.
        """
        self.health = MasterHealth(
            elapsed_s=self.course.elapsed_s,
            users=self.users,
            done=lambda: roll.done() | self._away(),
            take=self.book.take,
            probes=(self.book.slowest_write,),
        )
        for worker, source in sources.items():
            self.health.expect(worker, source)
        self.greenlets.append(gevent.spawn(self.guarded, self.health.run))

    def _away(self) -> frozenset[str]:
        return frozenset() if self.attendance is None else self.attendance.away_now()

    def begin_attendance(self, runner: MasterRunner, roll: WorkerRoll) -> AttendanceNotes:
        """What is written of workers that come and go."""
        self.attendance = AttendanceNotes(
            source=lambda worker: source_of(runner.worker_indexes.get(worker, -1)),
            is_done=lambda worker: worker in roll.done(),
            annotate=lambda note: self.guarded(lambda: self.book.take("annotation", asdict(note))),
            health=lambda line: self.guarded(lambda: self.book.take("health", asdict(line))),
        )
        return self.attendance

    def watch(self, show: Callable[[Moment, int], None] | None) -> None:
        """Note every second how many users run, until the greenlet is killed."""
        while True:
            gevent.sleep(1.0 - (self.course.elapsed_s() - WATCH_PHASE_S) % 1.0)
            users = self.users()
            moment = self.book.tick(users, self._asked_users())
            if show is not None:
                show(moment, users)
            self._end_where_a_check_broke()

    def _end_where_a_check_broke(self) -> None:
        """The plan ends there, and the run as it does at any plan's end."""
        why = self.book.limit_found()
        if self._is_over:
            # The last stair may break while its users leave.
            return
        why = why or self.book.broken_check()
        if why is None:
            return
        self._is_ended_by_check = True
        logger.warning("%s: the %s ends here", why, "run" if self.course.shape is None else "plan")
        if self.course.shape is None:
            self._end_without_plan()
            return
        ends_s = self.book.plan_ends(self.course.shape.end_now())
        if self.end_arrivals is not None:
            self.end_arrivals(int(ends_s * 1e6))

    @property
    def _is_over(self) -> bool:
        shape = self.course.shape
        is_stopping = self.runner.state in (STATE_STOPPING, STATE_STOPPED, STATE_CLEANUP)
        is_past = shape is not None and shape.elapsed_s() >= shape.ends_s
        return self._is_ended_by_check or self.is_ending or is_stopping or is_past

    def _end_without_plan(self) -> None:
        """As Locust itself ends a run when its time is over; in a greenlet that outlives this one,
        which the run's end kills."""
        is_headless = parsed_options(self.runner.environment).headless
        gevent.spawn(self.runner.quit if is_headless else self.runner.stop)

    def _asked_users(self) -> int | None:
        """What the shape's latest tick, or a person, has asked for."""
        if self.course.profile is None:
            return self.runner.target_user_count
        tick = self.runner.shape_last_tick
        return None if tick is None else tick[0]

    def _note_lost_workers(self) -> None:
        """Those that went while the run was ended, when nobody looks at leases any more."""
        for worker in self.roll.lost() if self.roll is not None else ():
            if worker not in self._away():
                self.book.worker_lost(worker)

    def begin_audit(self, audit: RunAudit, progress: Progress) -> None:
        """Look every write up, once all load sides have shipped what they had."""
        self.audit = audit
        self.audited = audit.make(self.interrupted, lambda: self.book.notes.under_way, progress)

    def collect(self, timeout_s: float, sent: dict[str, int]) -> None:
        """Have every load side ship what is left, and note in `sent` what each says it sent."""
        if self.roll is not None:
            silent = self.roll.collect(timeout_s)
            sent.update(self.roll.sent)
            self.writes.update(self.roll.writes)
            self.book.failures += self.roll.failures + len(silent)
            for worker in sorted(silent):
                logger.error("worker %s never said that it is done: results are missing", worker)
            self._note_lost_workers()
        elif self.load_side is not None:
            try:
                self.load_side.drain(self.runner.environment.stop_timeout or 0.0)
            finally:
                # Whatever became of its end: what was recorded is shipped.
                gevent.killall(self.greenlets)
                self.load_side.finish()
                sent[self.load_side.source] = self.load_side.recorder.sequence
                if self.load_side.ledger.sequence:
                    self.writes[self.load_side.source] = self.load_side.ledger.sequence
