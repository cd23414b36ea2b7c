"""The durable queue of background jobs: accepts, runs, ends them (P1-10).

Life cycle: made -> `recover` reads the unfinished jobs back and starts them -> `submit` and `wait`
-> `begin_shutdown` ends every wait -> `close` gives the running jobs up. A job runs at least once
and ends once: it is over when its outcome is on disk, under an id that follows from the job's own.
What a shutdown or a crash cuts short is not over and runs again; it is never ended early because
its emulated latency was cut. This module must not know HTTP or how events are laid out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from service import correlation
from service.emulation import EmulatedLatency
from service.errors import FoundationError, IdConflict, NotFound, Overloaded, ShuttingDown
from service.events.store import EventStore, Stored, Write
from service.readiness import WAIT_S, Readiness
from service.schema_jobs import JobKind, JobRequest
from service.telemetry.series import Telemetry
from service.workloads import jobs_log
from service.workloads.jobs import Job, JobBook, Outcome, Snapshot, prescribed_ms

MAX_ERROR_CHARS: Final = 500
_END_S: Final = 0.5
"""For what is being recorded when the node ends; a part has a second."""


class Work(Protocol):
    """What a job does; see `jobs_work.py`."""

    async def do(self, kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`waiting` jobs at most are accepted and not taken yet; `held` are waits for an end.

    The second attempt comes `backoff_s` after the first, each later one after twice as long; one
    that the node could not serve does not count and is made again after `postpone_s`. Requests wait
    `recovery_s` at most for the jobs to be read back.
    """

    workers: int = 4
    waiting: int = 10_000
    held: int = 1_000
    snapshot_every: int = 1_000
    attempts: int = 3
    backoff_s: float = 0.5
    postpone_s: float = 2.0
    disk_retry_s: float = 0.5
    recovery_s: float = WAIT_S


class JobQueue:
    """The jobs of one node. `clock_us` is the wall clock, `node` its name."""

    def __init__(
        self,
        store: EventStore,
        work: Work,
        emulation: EmulatedLatency,
        telemetry: Telemetry,
        log: FilteringBoundLogger,
        *,
        node: str,
        limits: QueueLimits,
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._work = work
        self._emulation = emulation
        self._telemetry = telemetry
        self._log = log
        self._node = node
        self.limits = limits
        self._clock_us = clock_us
        self.book = JobBook(Snapshot())
        self.blocked = 0
        """Jobs whose work is done and whose end the disk does not take."""
        self.postponed: dict[bytes, str] = {}
        """Jobs whose last attempt the node could not serve, and what it was short of."""
        self._readiness = Readiness("the job queue", limits.recovery_s)
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[bytes, set[asyncio.Future[None]]] = {}
        self._holding = 0

    @property
    def held(self) -> int:
        """Waits for a job's end."""
        return self._holding

    @property
    def is_recovered(self) -> bool:
        return self._readiness.is_ready

    @property
    def shortage(self) -> str | None:
        """What the job that was postponed last waits for; None while none is."""
        return next(reversed(self.postponed.values()), None)

    async def recover(self) -> None:
        """Read the jobs back and run what is unfinished. Raises as the store's query."""
        self.book = await jobs_log.read_back(self._store)
        self._readiness.ready()
        self._start_next()

    async def ready(self) -> None:
        """Until the jobs are read back. Raises Overloaded when that takes long, ShuttingDown."""
        if self._stopping.is_set():
            raise ShuttingDown("the node is shutting down: ask another node")
        await self._readiness.wait()

    async def submit(self, asked: JobRequest, correlation_id: str) -> tuple[Job, Stored]:
        """Queue a job; it is on disk when this returns.

        Raises Overloaded when too many wait, IdConflict for another content under the same id, and
        whatever else the store's append raises; nothing is stored then.
        """
        await self.ready()
        book, id = self.book, asked.id.bytes
        if book.get(id) is None and book.queued + book.announced >= self.limits.waiting:
            raise Overloaded(
                f"{book.queued} jobs wait for a worker: retry with the same id after the time in"
                " Retry-After, or use another node"
            )
        token = object()
        book.announce(token)
        try:
            write = jobs_log.enqueue_write(asked, correlation_id, self._clock_us())
            stored = await self._store.append(write)
            job = book.get(id)
            if job is None:
                # A retry whose job memory has forgotten may be over long since.
                job = await jobs_log.find(self._store, id) if stored.duplicate else None
                job = job or Job(id, asked.kind, stored.seq, stored.created_at)
                if job.outcome is None:
                    job = book.enqueued(job)
        except Exception:
            book.withdraw(token)
            raise
        # A cancelled request withdraws nothing: its job may be on disk all the same.
        book.withdraw(token)
        self._start_next()
        return job, stored

    async def find(self, job_id: bytes) -> Job:
        """Raises NotFound."""
        await self.ready()
        job = self.book.get(job_id) or await jobs_log.find(self._store, job_id)
        # It may have been queued while the log was read: what the book has lives on.
        job = self.book.get(job_id) or job
        if job is None:
            raise NotFound("no job of this id was accepted by this node")
        return job

    async def wait(self, job: Job, wait_s: float) -> float:
        """Until the job is over, `wait_s` have passed or the node stops; the seconds waited.

        Raises Overloaded when too many wait already.
        """
        if wait_s <= 0 or job.outcome is not None or self._stopping.is_set():
            return 0.0
        if self._holding >= self.limits.held:
            raise Overloaded(f"{self._holding} requests wait for jobs to end: ask without wait_s")
        started_s = perf_counter()
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits = self._held.setdefault(job.id, set())
        waits.add(end)
        self._holding += 1
        try:
            async with asyncio.timeout(wait_s):
                await end
        except TimeoutError:
            pass
        finally:
            self._holding -= 1
            waits.discard(end)
            if not waits and self._held.get(job.id) is waits:
                del self._held[job.id]
        return perf_counter() - started_s

    def begin_shutdown(self) -> None:
        """End every wait now; what runs is left unfinished unless it is being recorded already."""
        self._stopping.set()
        self._readiness.end()
        for job_id in list(self._held):
            self._end_waits(job_id)

    async def close(self) -> None:
        """Give up what runs: it is on disk as unfinished."""
        self.begin_shutdown()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_next(self) -> None:
        """Give waiting jobs to workers that are free."""
        while len(self._tasks) < self.limits.workers and not self._stopping.is_set():
            job = self.book.take()
            if job is None:
                return
            task = asyncio.create_task(self._run(job), name="background-job")
            self._tasks.add(task)
            task.add_done_callback(partial(self._ran, job))

    def _ran(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("a job's worker failed", exc_info=error)
        if job.running and not self._stopping.is_set():
            self._give_back(job)
        self._start_next()

    def _give_back(self, job: Job) -> None:
        """Another attempt is due after a while, longer with each."""
        self.book.release(job)
        delay_s = self.limits.backoff_s * 2 ** min(job.attempt - 1, self.limits.attempts)
        asyncio.get_running_loop().call_later(delay_s, self._again, job)

    def _again(self, job: Job) -> None:
        if not self._stopping.is_set():
            self.book.waits(job)
            self._start_next()

    async def _run(self, job: Job) -> None:
        """One attempt, and what follows from it."""
        started_s = perf_counter()
        correlation_id = correlation.make()
        try:
            event = await self._store.get(job.id)
            correlation_id = event.correlation_id
            result = await self._work.do(job.kind, job.id, jobs_log.payload_of(event))
        except asyncio.CancelledError:
            if self._stopping.is_set():
                raise
            self.postponed.pop(job.id, None)
            await self._attempt_failed(job, "cancelled", correlation_id)
            return
        except Exception as error:
            # The edge of a job: whatever its work raises is an attempt that failed.
            if isinstance(error, FoundationError) and error.status == 503:
                self._postpone(job, error)
            else:
                self.postponed.pop(job.id, None)
                await self._attempt_failed(job, f"{type(error).__name__}: {error}", correlation_id)
            return
        self.postponed.pop(job.id, None)
        work_s = perf_counter() - started_s
        emulated_s = await self._rest(prescribed_ms(job.kind, job.id) / 1_000 - work_s)
        if emulated_s is None:
            return
        write = jobs_log.completed_write(
            job,
            result,
            round(1_000 * (work_s + emulated_s), 3),
            node=self._node,
            correlation_id=correlation_id,
            now=self._clock_us(),
        )
        await self._record(job, write)

    async def _rest(self, remainder_s: float) -> float | None:
        """Wait the rest of the prescribed time; None when the shutdown cut it short."""
        was_on = self._emulation.is_on
        emulated_s = await self._emulation.wait(remainder_s)
        cut = self._stopping.is_set() or was_on != self._emulation.is_on
        return None if cut else emulated_s

    def _postpone(self, job: Job, error: FoundationError) -> None:
        """The node was short of something, a disk or a connection: that is no fault of the job."""
        reason = str(error)
        # One line for all jobs that wait for the same: the rest is health's to say.
        if reason not in (self.postponed.get(job.id), self.shortage):
            self._log.warning("a job is postponed", kind=job.kind, code=error.code, error=reason)
        self.postponed.pop(job.id, None)
        self.postponed[job.id] = reason
        self.book.postpone(job)
        asyncio.get_running_loop().call_later(self.limits.postpone_s, self._again, job)

    async def _attempt_failed(self, job: Job, reason: str, correlation_id: str) -> None:
        """Another attempt after a while, or the end of the job."""
        if self._stopping.is_set():
            return
        self._log.warning("a job failed", kind=job.kind, attempt=job.attempt, error=reason[:200])
        if job.attempt < self.limits.attempts:
            self._give_back(job)
            return
        write = jobs_log.failed_write(
            job,
            reason[:MAX_ERROR_CHARS],
            node=self._node,
            correlation_id=correlation_id,
            now=self._clock_us(),
        )
        await self._record(job, write)

    async def _record(self, job: Job, write: Write) -> None:
        """Make a job's end durable, however long that takes; then it counts, and all are told."""
        outcome = await self._store_patiently(job, write)
        if outcome is None:
            return
        self.book.ended(job.id, job.kind, outcome)
        self._end_waits(job.id)
        self._telemetry.count(f"background_jobs/{outcome.state}", {"kind": job.kind})
        due = self.book.ended_since_snapshot >= self.limits.snapshot_every
        if due and not self._stopping.is_set():
            await self._snapshot()

    async def _store_patiently(self, job: Job, write: Write) -> Outcome | None:
        """Append until the disk takes it; None when the node stops before."""
        blocked = False
        try:
            while not self._stopping.is_set():
                try:
                    return await self._store_outcome(job, write)
                except FoundationError as error:
                    if not blocked:
                        self._log.warning("the end of a job waits for the disk", error=str(error))
                        blocked = True
                        self.blocked += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.limits.disk_retry_s):
                        await self._stopping.wait()
            return None
        finally:
            self.blocked -= blocked

    async def _store_outcome(self, job: Job, write: Write) -> Outcome:
        """What the log then holds: the first end that was written, should there be one already."""
        for id in jobs_log.outcome_ids(job.id):
            try:
                stored = await self._store.append(write._replace(id=id))
                if not stored.duplicate:
                    return jobs_log.outcome_of_write(write, stored)
            except IdConflict:
                pass
            outcome = await jobs_log.outcome_at(self._store, id)
            if outcome is not None:
                return outcome
            self._log.warning("another event has the id of a job's end", id=str(UUID(bytes=id)))
        raise AssertionError("the ids have no end")

    async def _snapshot(self) -> None:
        book = self.book
        book.ended_since_snapshot = 0
        try:
            await self._store.append(jobs_log.snapshot_write(book.snapshot(), self._clock_us()))
        except FoundationError as error:
            book.ended_since_snapshot = self.limits.snapshot_every  # again with the next end
            self._log.warning("no snapshot of the jobs", code=error.code, error=str(error))

    def _end_waits(self, job_id: bytes) -> None:
        for end in self._held.pop(job_id, ()):
            if not end.done():
                end.set_result(None)
