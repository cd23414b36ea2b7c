"""The books of one run, kept by the process that owns it: the only one, or the master.

Everything that load sides ship is written to the timeline as it arrives; at the end the verdict is
computed from that file alone. Life cycle:

1. opened at test_start: header, plan, checks;
2. `take` for each report of a load side, `tick` once a second;
3. `close` writes the end, `judge` reads the timeline back and files the verdict.

A disk that fills up does not end the run: from the first write that fails on, nothing more is
written, and what is on disk is judged as INCONCLUSIVE. This module must not know Locust or print
anything.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from locustfiles.harness import note_book
from locustfiles.harness.arrivals.arrivals_so_far import ArrivalsSoFar
from locustfiles.harness.ledger_book import LedgerBook
from results.arrival import ArrivalsNow
from results.audit.audit import Audit
from results.bundle.filing import file_verdict
from results.check import Check
from results.errors import TimelineError
from results.field import Fields
from results.health import RECORDER_FAILURES, WORKERS_LOST, WRITE_MAX_MS
from results.judging.abort import CHECK_ABORTED, aborts_of
from results.judging.ledger_doubt import LATE_WRITES, late_texts
from results.note import sound_text
from results.replay import judge_run, replay
from results.run_folder import RunFolder
from results.run_lock import RunLock
from results.second import SecondReport
from results.stress import Found, Stress
from results.timeline import (
    OWNER,
    Annotation,
    End,
    EndReason,
    Header,
    Health,
    Plan,
    Progress,
    TargetSample,
)
from results.timeline_reader import read_timeline
from results.timeline_writer import TimelineWriter
from results.verdict import Judgement
from shapes.load import Load

RECENT_SECONDS = 60
"""Whose requests are kept apart, for the rate that is shown: reports are seldom older than 2 s."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moment:
    """The run at one second, for the progress line."""

    second: int
    phase: str | None
    planned_users: int
    ended: int
    rate_per_s: float
    errors: int
    arrivals: ArrivalsNow | None = None


class RunBook:
    """`folder` is this run's own, with its manifest. Times are seconds since the origin.

    `failures` counts what went wrong in recording, of any kind; any voids the run. `lock` tells
    others that the folder is in use, until somebody releases it.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        header: Header,
        plan: Plan | None,
        checks: Sequence[Check],
        profile: Load | None,
        elapsed_s: Callable[[], float],
        fixed_users: int = 0,
        stress: Stress | None = None,
    ) -> None:
        """An ad-hoc run has no plan and no profile.

        Raises TimelineError when the timeline cannot be begun.
        """
        self.folder = folder
        self.failures = 0
        self._profile = profile
        self._elapsed_s = elapsed_s
        self._fixed_users = fixed_users
        self._stress = stress
        self._aborts = aborts_of(checks, plan, ad_hoc=header.ad_hoc)
        self._is_limit_told = False
        self._plan_ends_s: float | None = None
        self._arrivals = ArrivalsSoFar() if plan is not None and plan.arrivals else None
        self._ended_by_second: dict[int, int] = {}
        self._ended = 0
        self._errors = 0
        self._lost: set[str] = set()
        self._slowest_write_s = 0.0
        self._broken = False
        self._stopped_s: float | None = None
        self._end: End | None = None
        self._ledger = LedgerBook(folder)
        self._timeline = TimelineWriter(folder.timeline, header)
        self.lock = RunLock.take(folder.path)
        self.notes = note_book.NoteBook(self._timeline, self._write)
        if plan is not None:
            self._timeline.plan(plan)
        self._timeline.checks([check.as_dict() for check in checks])

    def take(self, kind: str, report: dict[str, Any]) -> None:
        """Write a load side's report. Raises ValueError when it is not one."""
        if kind == "second":
            second = SecondReport.from_dict(report)
            self._count(second)
            self._write(self._timeline.second, second)
            self._aborts.take(second)
            if self._stress is not None:
                self._stress.take(second)
        elif kind == "health":
            health = Health(report["t_s"], report["source"], report["values"])
            self._health(health)
            if self._arrivals is not None:
                self._arrivals.take_health(health)
        elif kind == "writes":
            self._timed(self._ledger.take, report)
        elif kind == "annotation":
            fields = Fields(report, kind)
            # Such as an endpoint's name, as a client gave it.
            text = sound_text(fields.text("text"))
            note = Annotation(fields.number("t_s"), fields.text("label"), text)
            self._write(self._timeline.annotation, note)
        elif kind in note_book.KINDS:
            self.notes.take_shipped(kind, report)
        else:
            raise ValueError(f"a load side ships no report of kind {kind!r}")

    def _count(self, report: SecondReport) -> None:
        if self._arrivals is not None:
            self._arrivals.take_second(report)
        ended = sum(endpoint.ended for endpoint in report.endpoints.values())
        self._ended += ended
        self._errors += sum(sum(e.errors.values()) for e in report.endpoints.values())
        recent = self._ended_by_second
        recent[report.second] = recent.get(report.second, 0) + ended
        if len(recent) > RECENT_SECONDS:
            del recent[min(recent)]

    def tick(self, users: int, planned: int | None) -> Moment:
        """Write how many users run now, and how many the shape, or a person, has asked for.

        Returns the run as of the last second that is complete.
        """
        elapsed_s = self._elapsed_s()
        self._write(self._timeline.progress, Progress(round(elapsed_s, 3), users, planned))
        second = int(elapsed_s // 1)
        phases = () if self._profile is None else self._profile.phases()
        phase = next((p.name for p in phases if p.start_s <= elapsed_s < p.end_s), None)
        if self._has_ended(elapsed_s):
            phase = None
        complete = max((s for s in self._ended_by_second if s < second), default=second)
        return Moment(
            second=second,
            phase=phase,
            planned_users=self._planned_users(max(0.0, elapsed_s), asked=planned or 0),
            ended=self._ended,
            rate_per_s=float(self._ended_by_second.get(complete, 0)),
            errors=self._errors,
            arrivals=None if self._arrivals is None else self._arrivals.at(second),
        )

    def _planned_users(self, t_s: float, *, asked: int) -> int:
        if self._profile is None:
            return asked
        if self._has_ended(t_s):
            return 0
        return round(self._profile.target(t_s)) + self._fixed_users

    def _has_ended(self, t_s: float) -> bool:
        """Whether the plan is over, by itself or because a check broke."""
        return self._profile is not None and t_s >= self._ends_s(self._profile)

    def _ends_s(self, profile: Load) -> float:
        return profile.duration_s if self._plan_ends_s is None else self._plan_ends_s

    def target(self, sample: TargetSample) -> None:
        """Write how one node of the target is. After the end it is too late, and dropped."""
        if self._end is None:
            self._write(self._timeline.target, sample)

    def worker_lost(self, worker: str) -> None:
        """Note a worker that is gone; the verdict is INCONCLUSIVE from here on."""
        if worker in self._lost:
            return
        self._lost.add(worker)
        t_s = round(self._elapsed_s(), 3)
        text = f"worker {worker} was lost"
        self._write(self._timeline.annotation, Annotation(t_s, "worker_lost", text))
        self._health(Health(t_s, OWNER, {WORKERS_LOST: len(self._lost)}))

    def limit_found(self) -> str | None:
        """What the shape's check has found so far, once, when it broke; to be asked once a second.

        What it has found in the end is written then: requests may still be under way.
        """
        if self._stress is None or self._is_limit_told:
            return None
        found = self._stress.step(self._elapsed_s())
        if found is None:
            return None
        self._is_limit_told = True
        return found.text

    def broken_check(self) -> str | None:
        """The first check with `abort` that is broken; to be asked once a second until there is one
        or nobody could end the run for it any more. The timeline has it from then on."""
        elapsed_s = self._elapsed_s()
        broken = self._aborts.step(elapsed_s)
        if broken is None:
            return None
        note = Annotation(round(elapsed_s, 3), CHECK_ABORTED, broken.annotation_text)
        self._write(self._timeline.annotation, note)
        return broken.text

    def plan_ends(self, at_s: float) -> float:
        """The plan ends in that second, before its end; returns the moment, a whole second."""
        self._plan_ends_s = float(math.ceil(at_s))
        return self._plan_ends_s

    def _conclude(self, found: Found) -> None:
        t_s = round(self._elapsed_s(), 3)
        self._write(self._timeline.annotation, Annotation(t_s, found.label, found.text))
        assert self._profile is not None, "stairs are of a plan"
        # In the plan's last second at the latest: users that drain after it are no part of it.
        last_s = math.ceil(self._ends_s(self._profile)) - 1
        self._write(self._timeline.second, found.report(min(int(t_s), last_s)))

    def stop_clock(self) -> None:
        """All that was sent is recorded: what takes time from here on is no part of the run, and
        the ledger is as the audit finds it."""
        self._stopped_s = self._elapsed_s()
        self._ledger.close()

    def close(
        self, aborted: str | None, sent: dict[str, int], writes: Mapping[str, int] | None = None
    ) -> None:
        """Write the end. `sent` is how many second reports each load side *says* it has sent,
        `writes` how many of writes."""
        t_s = round(self._elapsed_s() if self._stopped_s is None else self._stopped_s, 3)
        self.notes.close(t_s)
        if self._stress is not None:
            self._conclude(self._stress.close(t_s))
            sent = {**sent, OWNER: 1}
        self._ledger.close()
        for text in late_texts(self._ledger.late):
            self._write(self._timeline.annotation, Annotation(t_s, LATE_WRITES, sound_text(text)))
        self.failures += self._ledger.failures
        if self.failures:
            self._health(Health(t_s, OWNER, {RECORDER_FAILURES: self.failures}))
        reason = EndReason.COMPLETED if aborted is None else EndReason.ABORTED
        self._end = End(t_s, reason, aborted or "", sent, self._plan_ends_s, writes or {})
        self._write(self._timeline.end, self._end)
        try:
            self._timeline.close()
        except TimelineError as error:
            self._break(error)

    def judge(self, audit: Audit | None = None) -> Judgement:
        """The verdict from timeline and ledger on disk, also filed: see `filing.file_verdict`.

        `audit` is the one that this process has made, if any. Raises ResultsError when the files
        cannot be read back.
        """
        if self._broken:
            judgement = self._judge_broken(audit)
        else:
            judgement = replay(self.folder.timeline, audit)
        return file_verdict(self.folder, judgement)

    def _judge_broken(self, audit: Audit | None) -> Judgement:
        """As if the disk had taken the end, and the failure with it."""
        timeline = read_timeline(self.folder.timeline)
        assert self._end is not None, "closed first"
        failed = Health(self._end.t_s, OWNER, {RECORDER_FAILURES: self.failures})
        whole = replace(timeline, end=self._end, health=(*timeline.health, failed))
        return judge_run(whole, self.folder, audit)

    def _health(self, health: Health) -> None:
        self._write(self._timeline.health, health)

    def _write(self, write: Callable[[Any], None], record: object) -> None:
        if self._broken:
            return
        try:
            self._timed(write, record)
        except TimelineError as error:
            self._break(error)

    def _timed(self, write: Callable[[Any], None], record: object) -> None:
        before_s = time.perf_counter()
        try:
            write(record)
        finally:
            took_s = time.perf_counter() - before_s
            self._slowest_write_s = max(self._slowest_write_s, took_s)

    def slowest_write(self) -> dict[str, float]:
        """The longest write since it was asked for before, as a figure of health: this process
        does nothing else meanwhile."""
        slowest_s, self._slowest_write_s = self._slowest_write_s, 0.0
        return {WRITE_MAX_MS: round(slowest_s * 1000, 3)}

    def _break(self, error: TimelineError) -> None:
        if not self._broken:
            logger.error("recording failed; the verdict will be INCONCLUSIVE: %s", error)
        self._broken = True
        self.failures += 1
