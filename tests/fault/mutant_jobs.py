"""A node whose jobs have a seeded bug, which the kill test must catch.

    python -m tests.fault.mutant_jobs amnesiac|repetitive|hurried

`amnesiac` reads no job back from its log; `repetitive` gives every end of a job an id of its own
and forgets which jobs are over, so that they end again after a restart; `hurried` takes latency
that a shutdown cut short for latency that was waited.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import uuid_utils

from service.__main__ import main
from service.events.store import EventStore
from service.workloads import jobs_log
from service.workloads.jobs import JobBook, Outcome, Snapshot
from service.workloads.jobs_queue import JobQueue


async def _nothing(store: EventStore) -> JobBook:
    return JobBook(Snapshot())


class _NeverOver(JobBook):
    """Does not take the log's word for it that a job is over."""

    reading = True

    def ended(self, job_id: bytes, kind: str, outcome: Outcome) -> None:
        if not self.reading:
            super().ended(job_id, kind, outcome)


def amnesiac() -> None:
    jobs_log.read_back = _nothing


def repetitive() -> None:
    honest = jobs_log.read_back

    async def forgetful(store: EventStore) -> JobBook:
        book = await honest(store)
        _NeverOver.reading = False
        return book

    setattr(jobs_log, "JobBook", _NeverOver)  # noqa: B010  (the name is not the module's to export)
    jobs_log.read_back = forgetful
    jobs_log.outcome_ids = lambda job_id: iter(lambda: uuid_utils.uuid7().bytes, b"")


def hurried() -> None:
    async def rest(self: JobQueue, remainder_s: float) -> float | None:
        return await self._emulation.wait(remainder_s)

    async def close(self: JobQueue) -> None:
        self._stopping.clear()
        await honest(self)

    def begin_shutdown(self: JobQueue) -> None:
        """Goes on as if nothing had been cut."""

    honest = JobQueue.close
    JobQueue._rest = rest  # type: ignore[method-assign]
    JobQueue.close = close  # type: ignore[method-assign]
    JobQueue.begin_shutdown = begin_shutdown  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "amnesiac": amnesiac,
    "repetitive": repetitive,
    "hurried": hurried,
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()
