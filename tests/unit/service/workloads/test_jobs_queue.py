"""The queue of jobs over a real store: one end each, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import structlog
import structlog.testing
import uuid_utils

from service.emulation import EmulatedLatency
from service.errors import IdConflict, NotFound, Overloaded, ShuttingDown, StorageError
from service.events.database import connect_sqlite
from service.events.own import own_events
from service.events.sqlite import SqliteEventStore, StoreLimits, wall_clock_us
from service.events.writer import WriterLimits
from service.schema import Event
from service.schema_jobs import JobKind, JobRequest
from service.telemetry.series import Telemetry
from service.workloads import jobs_log
from service.workloads.jobs import Job
from service.workloads.jobs_queue import JobQueue, QueueLimits, Work
from service.workloads.jobs_work import JobWork
from tests.event import make_write

GUARD_S = 20.0
LIMITS = QueueLimits(backoff_s=0.01, postpone_s=0.01, disk_retry_s=0.01)
Do = Callable[[JobKind, bytes, dict[str, Any]], Awaitable[dict[str, Any]]]


class Scripted:
    """Work that does what the test says, and counts what it was asked for."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self.calls: Counter[bytes] = Counter()

    async def do(self, kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls[job_id] += 1
        return await self._do(kind, job_id, payload)


async def nothing(kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
    return {"payload": payload}


class Disk:
    """A store whose disk can be full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: sqlite3.Connection | None = None
        self.store: SqliteEventStore

    async def open(self) -> None:
        self._writer = None
        self.store = await SqliteEventStore.open(
            self._path,
            node="node-1",
            connect=self._connect,
            limits=StoreLimits(writer=WriterLimits(probe_every_s=0.05)),
        )

    def _connect(self, path: Path, *, read_only: bool) -> sqlite3.Connection:
        connection = connect_sqlite(path, read_only=read_only)
        self._writer = self._writer or connection
        return connection

    def fill(self) -> None:
        assert self._writer is not None
        [(pages,)] = self._writer.execute("PRAGMA page_count").fetchall()
        self._writer.execute(f"PRAGMA max_page_count = {pages}")

    def make_room(self) -> None:
        assert self._writer is not None
        self._writer.execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    made = Disk(tmp_path / "events.db")
    await made.open()
    try:
        yield made
    finally:
        await made.store.close()


@asynccontextmanager
async def queue_on(
    disk: Disk,
    work: Work | None = None,
    *,
    limits: QueueLimits = LIMITS,
    emulation: EmulatedLatency | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[JobQueue]:
    """A recovered queue, ended as a node ends it."""
    queue = JobQueue(
        disk.store,
        work or Scripted(nothing),
        emulation or EmulatedLatency(0),
        telemetry or Telemetry(),
        structlog.get_logger(),
        node="node-1",
        limits=limits,
        clock_us=wall_clock_us,
    )
    await queue.recover()
    try:
        yield queue
    finally:
        await queue.close()


def request(kind: JobKind = "email_delivery", **payload: Any) -> JobRequest:
    return JobRequest(id=UUID(str(uuid_utils.uuid7())), kind=kind, payload=payload)


async def submit(queue: JobQueue, asked: JobRequest) -> Job:
    job, _ = await queue.submit(asked, "correlation")
    return job


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = monotonic() + GUARD_S
    while not condition():
        assert monotonic() < deadline_s, "it did not come to pass"
        await asyncio.sleep(0.005)


async def over(queue: JobQueue, *jobs: Job) -> None:
    for job in jobs:
        await queue.wait(job, GUARD_S)
        assert job.outcome is not None


async def ends(disk: Disk) -> list[Event]:
    types = (jobs_log.COMPLETED, jobs_log.FAILED)
    return [event async for event in own_events(disk.store, types)]


async def test_a_job_is_on_disk_runs_and_ends_once(disk: Disk) -> None:
    telemetry = Telemetry()
    async with queue_on(disk, telemetry=telemetry) as queue:
        asked = request(to="a@example.org")
        job, stored = await queue.submit(asked, "correlation-1")
        enqueued = await disk.store.get(asked.id.bytes)
        assert (enqueued.type, enqueued.stream, enqueued.seq) == (
            "job_enqueued",
            "$jobs",
            stored.seq,
        )
        await over(queue, job)
        [end] = await ends(disk)
    assert end.type == "background_job_completed"
    assert end.correlation_id == "correlation-1"
    assert end.data["job"] == str(asked.id)
    assert end.data["result"] == {"payload": {"to": "a@example.org"}}
    assert (end.data["node"], end.data["attempt"]) == ("node-1", 1)
    [counted] = telemetry.counters()
    assert counted == ("background_jobs/completed", {"kind": "email_delivery"}, 1)


async def test_a_retry_is_the_same_job_and_other_content_a_conflict(disk: Disk) -> None:
    work = Scripted(nothing)
    async with queue_on(disk, work) as queue:
        asked = request(n=1)
        first = await submit(queue, asked)
        again, stored = await queue.submit(asked, "another correlation")
        assert again is first and stored.duplicate
        for other in (
            asked.model_copy(update={"kind": "data_cleanup"}),
            asked.model_copy(update={"payload": {"n": 2}}),
        ):
            with pytest.raises(IdConflict):
                await submit(queue, other)
        await over(queue, first)
        again, stored = await queue.submit(asked, "c")
        assert (again.state, stored.duplicate) == ("completed", True)
    assert work.calls == {asked.id.bytes: 1}
    assert len(await ends(disk)) == 1


async def test_retries_at_once_are_one_job(disk: Disk) -> None:
    work = Scripted(nothing)
    async with queue_on(disk, work) as queue:
        asked = request()
        replies = await asyncio.gather(*(queue.submit(asked, f"c{n}") for n in range(20)))
        assert sum(not stored.duplicate for _, stored in replies) == 1
        assert len({id(job) for job, _ in replies}) == 1
        await over(queue, replies[0][0])
    assert work.calls == {asked.id.bytes: 1}


async def test_no_more_jobs_run_at_once_than_there_are_workers(disk: Disk) -> None:
    running = most = 0

    async def work(kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)  # the work's own length
        running -= 1
        return {}

    async with queue_on(disk, Scripted(work), limits=replace(LIMITS, workers=3)) as queue:
        jobs = [await submit(queue, request()) for _ in range(20)]
        await over(queue, *jobs)
    assert most == 3


async def test_a_job_whose_work_fails_is_tried_three_times_and_then_failed_once(
    disk: Disk,
) -> None:
    async def broken(*_: Any) -> dict[str, Any]:
        raise ValueError("a seeded fault")

    work, telemetry = Scripted(broken), Telemetry()
    async with queue_on(disk, work, telemetry=telemetry) as queue:
        job = await submit(queue, request())
        await over(queue, job)
        assert (job.state, job.attempt) == ("failed", 3)
        assert queue.book.failed == {"email_delivery": 1}
    assert work.calls == {job.id: 3}
    [end] = await ends(disk)
    assert (end.type, end.data["error"]) == ("background_job_failed", "ValueError: a seeded fault")
    assert [one.path for one in telemetry.counters()] == ["background_jobs/failed"]


@pytest.mark.parametrize("fault", [ValueError("x"), asyncio.CancelledError(), RuntimeError("y")])
async def test_a_job_that_fails_twice_completes_on_the_third_attempt(
    disk: Disk, fault: BaseException
) -> None:
    async def shaky(kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
        if work.calls[job_id] < 3:
            raise fault
        return {}

    work = Scripted(shaky)
    async with queue_on(disk, work) as queue:
        job = await submit(queue, request())
        await over(queue, job)
    assert (job.state, job.attempt) == ("completed", 3)


async def test_what_the_node_is_short_of_is_not_counted_as_an_attempt(disk: Disk) -> None:
    async def starved(kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
        if work.calls[job_id] < 8:
            raise StorageError("no room") if work.calls[job_id] % 2 else Overloaded("busy")
        return {}

    work = Scripted(starved)
    async with queue_on(disk, work) as queue:
        job = await submit(queue, request())
        await over(queue, job)
    assert (job.state, job.attempt, work.calls[job.id]) == ("completed", 1, 8)


async def test_a_full_queue_refuses_new_jobs_and_knows_its_own(disk: Disk) -> None:
    gate = asyncio.Event()

    async def held(*_: Any) -> dict[str, Any]:
        await gate.wait()
        return {}

    async with queue_on(
        disk, Scripted(held), limits=replace(LIMITS, workers=1, waiting=3)
    ) as queue:
        accepted = [request() for _ in range(4)]
        jobs = [await submit(queue, asked) for asked in accepted]
        refused = request()
        with pytest.raises(Overloaded, match="3 jobs wait"):
            await submit(queue, refused)
        assert not await disk.store.audit([refused.id.bytes])
        assert (await queue.submit(accepted[3], "c"))[1].duplicate
        storm = [queue.submit(request(), "c") for _ in range(10)]
        assert all(
            isinstance(one, Overloaded)
            for one in await asyncio.gather(*storm, return_exceptions=True)
        )
        gate.set()
        await over(queue, *jobs)
        assert (await submit(queue, refused)).state in ("queued", "running")


async def test_many_at_once_cannot_pass_the_bound_together(disk: Disk) -> None:
    gate = asyncio.Event()

    async def held(*_: Any) -> dict[str, Any]:
        await gate.wait()
        return {}

    async with queue_on(
        disk, Scripted(held), limits=replace(LIMITS, workers=1, waiting=5)
    ) as queue:
        found = await asyncio.gather(
            *(queue.submit(request(), "c") for _ in range(50)), return_exceptions=True
        )
        refused = [one for one in found if isinstance(one, Overloaded)]
        assert len(refused) + queue.book.queued + queue.book.running == 50
        assert queue.book.queued <= 5
        gate.set()


async def test_a_shutdown_leaves_running_jobs_unfinished_and_they_run_again(disk: Disk) -> None:
    emulation, work = EmulatedLatency(1), Scripted(nothing)
    async with queue_on(disk, work, emulation=emulation) as queue:
        jobs = [await submit(queue, request()) for _ in range(6)]
        await until(lambda: len(work.calls) == 4)
        emulation.end()
        queue.begin_shutdown()
        await queue.close()
        assert await ends(disk) == []
        with pytest.raises(ShuttingDown):
            await queue.submit(request(), "c")
    again = Scripted(nothing)
    async with queue_on(disk, again) as queue:
        found = [await queue.find(job.id) for job in jobs]
        await over(queue, *found)
    assert again.calls == {job.id: 1 for job in jobs}
    assert len(await ends(disk)) == 6


async def test_latency_that_is_cut_ends_no_job_before_the_node_says_that_it_stops(
    disk: Disk,
) -> None:
    emulation, work = EmulatedLatency(1), Scripted(nothing)
    async with queue_on(disk, work, emulation=emulation) as queue:
        job = await submit(queue, request())
        await until(lambda: work.calls[job.id] == 1)
        emulation.end()
        for _ in range(20):
            await asyncio.sleep(0)
        assert job.state != "completed"
    assert await ends(disk) == []


async def test_the_time_of_a_job_is_the_prescribed_one(disk: Disk) -> None:
    async with queue_on(disk, emulation=EmulatedLatency(0.02)) as queue:
        job = await submit(queue, request())
        await over(queue, job)
    assert job.outcome is not None and job.outcome.processing_time_ms is not None
    assert 501 * 0.02 - 5 < job.outcome.processing_time_ms < 1_500 * 0.02 + GUARD_S * 1_000


async def test_a_full_disk_delays_the_end_of_a_job_and_loses_nothing(disk: Disk) -> None:
    gate = asyncio.Event()

    async def held(*_: Any) -> dict[str, Any]:
        await gate.wait()
        return {"text": "x" * 100_000}  # more than the pages that the database has already take

    work = Scripted(held)
    async with queue_on(disk, work) as queue:
        job = await submit(queue, request())
        await until(lambda: work.calls[job.id] == 1)
        disk.fill()
        # Fill the pages that the database has already: only then is the disk full.
        with pytest.raises(StorageError):
            for _ in range(1_000):
                await disk.store.append(make_write(data={"text": "x" * 2_000}))
        refused = request(text="x" * 100_000)
        with pytest.raises(StorageError):
            await submit(queue, refused)
        gate.set()
        await until(lambda: queue.blocked == 1)
        assert job.state == "running"
        assert await queue.wait(job, 0.05) > 0
        assert job.outcome is None and await ends(disk) == []
        disk.make_room()
        await over(queue, job)
        assert queue.blocked == 0
        with pytest.raises(NotFound):
            await queue.find(refused.id.bytes)
    assert work.calls == {job.id: 1}
    assert len(await ends(disk)) == 1


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_an_end_that_is_on_disk_already_stands(disk: Disk, state: str) -> None:
    """Another life of the node wrote it, and this one did not know."""
    gate = asyncio.Event()

    async def held(*_: Any) -> dict[str, Any]:
        await gate.wait()
        return {"from": "this life"}

    work, telemetry = Scripted(held), Telemetry()
    async with queue_on(disk, work, telemetry=telemetry) as queue:
        job = await submit(queue, request())
        await until(lambda: work.calls[job.id] == 1)
        before = Job(job.id, job.kind, job.seq, job.enqueued_at, attempt=2)
        if state == "completed":
            write = jobs_log.completed_write(
                before, {"from": "before"}, 7.5, node="node-1", correlation_id="c", now=1
            )
        else:
            write = jobs_log.failed_write(
                before, "from before", node="node-1", correlation_id="c", now=1
            )
        await disk.store.append(write)
        gate.set()
        await over(queue, job)
    assert job.outcome is not None
    assert (job.state, job.attempt) == (state, 2)
    assert "before" in str(job.outcome.result or job.outcome.error)
    assert [event.data["attempt"] for event in await ends(disk)] == [2]


async def test_a_snapshot_bounds_what_is_read_back_and_the_log_answers_for_the_rest(
    disk: Disk,
) -> None:
    limits = replace(LIMITS, snapshot_every=5)
    async with queue_on(disk, limits=limits) as queue:
        jobs = [await submit(queue, request()) for _ in range(23)]
        await over(queue, *jobs)
    snapshots = [event async for event in own_events(disk.store, (jobs_log.SNAPSHOT,))]
    assert len(snapshots) >= 3
    through = snapshots[-1].data["finished_through"]
    assert through > jobs[5].seq
    async with queue_on(disk, limits=limits) as queue:
        assert (queue.book.completed.total(), queue.book.queued) == (23, 0)
        assert queue.book.get(jobs[0].id) is None
        old = await queue.find(jobs[0].id)
        assert old.outcome == jobs[0].outcome
        assert (old.kind, old.enqueued_at, old.state) == (
            jobs[0].kind,
            jobs[0].enqueued_at,
            "completed",
        )


async def test_a_retry_of_a_forgotten_job_does_not_run_it_again(disk: Disk) -> None:
    asked = [request() for _ in range(6)]
    async with queue_on(disk, limits=replace(LIMITS, snapshot_every=5)) as queue:
        await over(queue, *[await submit(queue, one) for one in asked])
    work = Scripted(nothing)
    async with queue_on(disk, work) as queue:
        assert queue.book.get(asked[0].id.bytes) is None
        job, stored = await queue.submit(asked[0], "c")
        assert (job.state, stored.duplicate) == ("completed", True)
    assert not work.calls


async def test_a_job_that_is_on_disk_and_unknown_is_run_when_it_is_sent_again(disk: Disk) -> None:
    """Its request was cut off between the disk and the queue."""
    async with queue_on(disk) as queue:
        asked = request()
        await disk.store.append(jobs_log.enqueue_write(asked, "c", wall_clock_us()))
        job, stored = await queue.submit(asked, "c")
        assert stored.duplicate
        await over(queue, job)
    assert len(await ends(disk)) == 1


async def test_no_snapshot_goes_past_a_job_whose_request_was_cancelled(disk: Disk) -> None:
    limits = replace(LIMITS, snapshot_every=1)
    async with queue_on(disk, limits=limits) as queue:
        asked = request()
        cut = asyncio.create_task(queue.submit(asked, "c"))
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        for _ in range(3):
            await over(queue, await submit(queue, request()))
    async with queue_on(disk, limits=limits) as queue:
        await over(queue, await queue.find(asked.id.bytes))


async def test_events_of_clients_are_no_jobs(disk: Disk) -> None:
    forged = make_write(type="job_enqueued", data={"kind": "email_delivery", "payload": {}})
    await disk.store.append(forged)
    async with queue_on(disk) as queue:
        assert queue.book.queued == queue.book.running == 0
        with pytest.raises(NotFound):
            await queue.find(forged.id)


async def test_an_own_event_of_another_form_stops_the_recovery_with_a_remedy(disk: Disk) -> None:
    await disk.store.append(make_write(type="job_enqueued", data={"kind": "new"}, stream="$jobs"))
    with pytest.raises(StorageError, match="start the version that wrote it"):
        async with queue_on(disk):
            pass


async def test_waits_end_with_the_job_the_time_or_the_node_and_are_bounded(disk: Disk) -> None:
    gate = asyncio.Event()

    async def held(*_: Any) -> dict[str, Any]:
        await gate.wait()
        return {}

    async with queue_on(disk, Scripted(held), limits=replace(LIMITS, held=2)) as queue:
        job = await submit(queue, request())
        assert await queue.wait(job, 0) == 0
        assert await queue.wait(job, 0.01) > 0
        waits = [asyncio.create_task(queue.wait(job, GUARD_S)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="wait for jobs to end"):
            await queue.wait(job, GUARD_S)
        gate.set()
        assert all(held_s < GUARD_S for held_s in await asyncio.gather(*waits))
        assert job.state == "completed"
        gate.clear()
        late = await submit(queue, request())
        waits = [asyncio.create_task(queue.wait(late, GUARD_S)) for _ in range(2)]
        await asyncio.sleep(0)
        waits.pop().cancel()
        await asyncio.sleep(0)
        waits.append(asyncio.create_task(queue.wait(late, GUARD_S)))
        await asyncio.sleep(0)
        queue.begin_shutdown()
        assert all(held_s < GUARD_S for held_s in await asyncio.gather(*waits))
        assert late.outcome is None


async def test_jobs_wait_for_the_recovery_or_are_refused(disk: Disk) -> None:
    queue = JobQueue(
        disk.store,
        Scripted(nothing),
        EmulatedLatency(0),
        Telemetry(),
        structlog.get_logger(),
        node="node-1",
        limits=replace(LIMITS, recovery_s=0.02),
        clock_us=wall_clock_us,
    )
    with pytest.raises(Overloaded, match="read back"):
        await queue.submit(request(), "c")
    with pytest.raises(Overloaded, match="read back"):
        await queue.find(b"i" * 16)
    await queue.recover()
    await over(queue, await submit(queue, request()))
    await queue.close()


@pytest.mark.parametrize("kind", ["email_delivery", "report_generation", "data_cleanup"])
async def test_every_kind_of_work_is_done_over_a_real_store(
    disk: Disk, kind: JobKind, tmp_path: Path
) -> None:
    action = {"action": "login", "processing_time_ms": 5}
    await disk.store.append(make_write(type="user_action", data=action, created_at=wall_clock_us()))
    work = JobWork(disk.store, tmp_path / "backups", "node-1", wall_clock_us)
    async with queue_on(disk, work) as queue:
        jobs = [
            await submit(queue, request(one))
            for one in (kind, "backup_creation", "analytics_aggregation")
        ]
        await over(queue, *jobs)
    assert [job.state for job in jobs] == ["completed"] * 3
    [backup] = (tmp_path / "backups").iterdir()
    assert backup.name == f"{UUID(bytes=jobs[1].id)}.jsonl"
    assert jobs[2].outcome is not None and jobs[2].outcome.result is not None
    assert jobs[2].outcome.result["types"]["user_action"] == 1


async def test_a_backup_that_a_full_disk_refuses_is_made_when_there_is_room(
    disk: Disk, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    asked = request("backup_creation")
    full = folder / f"{asked.id}.partial"
    full.symlink_to("/dev/full")
    work = JobWork(disk.store, folder, "node-1", wall_clock_us)
    with structlog.testing.capture_logs() as lines:
        async with queue_on(disk, work, limits=replace(LIMITS, postpone_s=0.2)) as queue:
            job = await submit(queue, asked)
            await until(lambda: queue.shortage is not None)
            assert list(queue.postponed) == [job.id] and job.outcome is None
            assert "No space left on device: make room" in str(queue.shortage)
            await over(queue, job)
            assert queue.shortage is None
    assert (job.state, job.attempt) == ("completed", 1)
    assert [line["event"] for line in lines] == ["a job is postponed"]


async def test_a_backup_for_which_there_is_no_folder_fails_and_says_why(
    disk: Disk, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.write_text("a file in the way")
    work = JobWork(disk.store, folder, "node-1", wall_clock_us)
    async with queue_on(disk, work) as queue:
        job = await submit(queue, request("backup_creation"))
        await over(queue, job)
        assert queue.shortage is None
    assert (job.state, job.attempt) == ("failed", 3)
    assert job.outcome is not None and job.outcome.error is not None
    assert "File exists: let `backups` in the data directory be a folder" in job.outcome.error
    assert str(tmp_path) not in job.outcome.error


async def test_jobs_that_wait_for_the_same_shortage_are_told_of_once(disk: Disk) -> None:
    async def starved(kind: JobKind, job_id: bytes, payload: dict[str, Any]) -> dict[str, Any]:
        if work.calls[job_id] < 6:
            raise StorageError("no room")
        return {}

    work = Scripted(starved)
    with structlog.testing.capture_logs() as lines:
        async with queue_on(disk, work, limits=replace(LIMITS, workers=20)) as queue:
            jobs = [await submit(queue, request()) for _ in range(20)]
            await over(queue, *jobs)
            assert not queue.postponed
    assert all(work.calls[job.id] == 6 for job in jobs)
    assert [line["error"] for line in lines] == ["no room"]


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        ({"to": "\u00e9 " * 2_000}, "failed"),
        ({"subject": "\u00e9 =?utf-8?q? " * 2_000}, "completed"),
        ({"body": "\u00e9=\n" * 2_000}, "completed"),
    ],
)
async def test_a_mail_is_rendered_beside_the_loop_whatever_is_in_it(
    disk: Disk, tmp_path: Path, payload: dict[str, Any], state: str
) -> None:
    work = JobWork(disk.store, tmp_path / "backups", "node-1", wall_clock_us)
    turns = 0
    mail = asyncio.ensure_future(work.do("email_delivery", b"i" * 16, payload))
    while not mail.done():
        await asyncio.sleep(0)
        turns += 1
    # On the loop it would be done in the task's first turn, and everything else wait for it.
    assert turns > 2
    found = "failed" if mail.exception() else "completed"
    assert found == state


async def test_an_event_that_has_the_id_of_a_job_s_end_neither_ends_nor_stops_it(
    disk: Disk,
) -> None:
    """No client can store one any more, but a log of before may hold it."""
    plain, forged, queued, twice = (request(n=n) for n in range(4))
    for asked, ends, type, stream in (
        (plain, 1, "test", None),
        (forged, 1, jobs_log.COMPLETED, None),
        (queued, 1, jobs_log.ENQUEUED, jobs_log.STREAM),
        (twice, 2, jobs_log.FAILED, None),
    ):
        data: dict[str, object] = {"job": str(asked.id), "kind": asked.kind, "attempt": 1}
        data |= {"error": "forged", "payload": {}}
        for id in islice(jobs_log.outcome_ids(asked.id.bytes), ends):
            await disk.store.append(make_write(id=id, type=type, data=data, stream=stream))
    work, everyone = Scripted(nothing), (plain, forged, queued, twice)
    async with queue_on(disk, work) as queue:
        jobs = [await submit(queue, asked) for asked in everyone]
        await over(queue, *jobs)
        await until(lambda: queue.book.running == 0)
        assert [job.state for job in jobs] == ["completed"] * 4
        assert queue.blocked == 0
    for asked in everyone:
        found = await jobs_log.find(disk.store, asked.id.bytes)
        assert found is not None and found.outcome is not None
        assert found.outcome.result == {"payload": asked.payload}
    assert [end.data["job"] for end in await ends_of(disk, everyone)] == [
        str(asked.id) for asked in everyone
    ]
    calls = dict(work.calls)
    async with queue_on(disk, work) as queue:
        found_again = [await queue.find(asked.id.bytes) for asked in everyone]
        assert all(job.outcome for job in found_again)
    assert {id: work.calls[id] for id in calls} == calls, "what has ended runs again"


async def ends_of(disk: Disk, asked: Sequence[JobRequest]) -> list[Event]:
    """The ends of these jobs, in their order."""
    ids = [str(one.id) for one in asked]
    found = [end for end in await ends(disk) if end.data["job"] in ids]
    return sorted(found, key=lambda end: ids.index(end.data["job"]))
