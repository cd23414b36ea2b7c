"""Background jobs as a part of the node: routes, health, metrics over the queue (P1-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Annotated, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Request
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response
from starlette.types import Receive

from service import body as bodies
from service import correlation
from service.dispatch import Answer, FastRequest, FastRoute
from service.events import intake
from service.part import Base, Part
from service.schema import ComponentHealth
from service.schema_jobs import MAX_WAIT_S, JobReceipt, JobRequest, JobStatus, JobSummary
from service.twin import Twin, problems
from service.workloads.jobs import KINDS, Job, prescribed_ms
from service.workloads.jobs_queue import JobQueue, QueueLimits
from service.workloads.jobs_work import JobWork

SUBMIT: Final = "POST /v1/jobs"
BACKUPS: Final = "backups"
"""Folder of the backups, in the node's data directory."""

QUEUE_DEGRADED: Final = 0.8

_REQUEST = TypeAdapter(JobRequest)


class _Patience(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 0


class JobsPart(Part):
    """`/v1/jobs` of one node."""

    name = "jobs"

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._node = settings.name
        self._clock_us = base.clock_us
        self._queue = JobQueue(
            base.store,
            JobWork(base.store, settings.data / BACKUPS, settings.name, base.clock_us),
            base.emulation,
            base.telemetry,
            base.log,
            node=settings.name,
            limits=QueueLimits(workers=settings.job_workers, waiting=settings.job_queue),
            clock_us=base.clock_us,
        )

    async def submit(self, request: FastRequest) -> Answer:
        """202 with a JobReceipt once the job is on disk."""
        bodies.media_type(request.headers, bodies.JSON)
        asked = intake.decode(_REQUEST, await bodies.read(request.receive))
        correlation_id = request.correlation_id or correlation.make()
        job, stored = await self._queue.submit(asked, correlation_id)
        receipt = {
            "id": asked.id,
            "kind": job.kind,
            # It may run already, but what is acknowledged is that it is queued.
            "state": job.state if stored.duplicate else "queued",
            "seq": stored.seq,
            "node": self._node,
            "prescribed_ms": prescribed_ms(job.kind, job.id),
            "duplicate": stored.duplicate,
        }
        return Answer(202, orjson.dumps(receipt), correlation_id)

    async def status(self, job_id: UUID, wait_s: float, receive: Receive) -> Response:
        """200 with a JobStatus, at once or when the job is over."""
        job = await self._queue.find(job_id.bytes)
        headers = {}
        if wait_s > 0 and job.outcome is None:
            held_s = await self._hold(job, wait_s, receive)
            # The wait is the client's wish: it must not count as the node's slowness.
            headers["server-timing"] = f"emulated;dur={1_000 * held_s:.3f}"
        return Response(_status(job), media_type="application/json", headers=headers)

    async def _hold(self, job: Job, wait_s: float, receive: Receive) -> float:
        """As the queue's `wait`, but no longer than the client keeps its side open: the poll of one
        that has gone would keep a place among those that wait."""
        started_s = perf_counter()
        waiting = asyncio.ensure_future(self._queue.wait(job, wait_s))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                waiting.result()
        finally:
            waiting.cancel()
            leaving.cancel()
        return perf_counter() - started_s

    async def summary(self) -> bytes:
        """A JobSummary as JSON."""
        await self._queue.ready()
        book = self._queue.book
        oldest = book.oldest()
        waited_us = 0 if oldest is None else max(0, self._clock_us() - oldest.enqueued_at)
        return orjson.dumps(
            {
                "workers": self._queue.limits.workers,
                "queued": book.queued,
                "running": book.running,
                "completed": book.completed.total(),
                "failed": book.failed.total(),
                "oldest_queued_s": waited_us / 1e6,
            }
        )

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        return {("POST", SUBMIT.removeprefix("POST ")): (SUBMIT, self.submit)}

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {SUBMIT: JobRequest}

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/jobs", tags=["workloads"])

        @router.post(
            "", status_code=202, response_model=JobReceipt, responses=problems(409, 413, 415)
        )
        async def submit_job() -> Response:
            """Queue one background job (P1-10); 202 once it is on disk, so that it survives a
            crash and runs. 503 when too many wait."""
            return Twin(self.submit)

        @router.get("", response_model=JobSummary, responses=problems())
        async def get_jobs() -> Response:
            """How many jobs wait, run and are over, and how long the oldest has waited."""
            return Response(await self.summary(), media_type="application/json")

        @router.get("/{id}", response_model=JobStatus, responses=problems(404))
        async def get_job(
            request: Request, id: UUID, patience: Annotated[_Patience, Query()]
        ) -> Response:
            """One job: at once when it is over, else when it ends or after `wait_s`. The time that
            the answer was held is stated in Server-Timing as emulated."""
            return await self.status(id, patience.wait_s, request.receive)

        return (router,)

    async def recover(self) -> None:
        await self._queue.recover()

    def health(self) -> ComponentHealth:
        queue = self._queue
        if not queue.is_recovered:
            return ComponentHealth(status="degraded", detail="jobs are being read back: wait")
        share = queue.book.queued / queue.limits.waiting
        detail = f"{queue.book.queued} queued ({share:.0%} of bound), {queue.book.running} running"
        if queue.blocked:
            detail += f", {queue.blocked} done but the disk does not take their end: see disk"
        elif queue.shortage is not None:
            detail += f", {len(queue.postponed)} of them postponed: {queue.shortage}"
        elif share > QUEUE_DEGRADED:
            detail += ": send less or add nodes"
        else:
            return ComponentHealth(status="up", detail=detail)
        return ComponentHealth(status="degraded", detail=detail)

    def metrics(self) -> Iterable[Metric]:
        book = self._queue.book
        for name, text, value in (
            ("foundation_jobs_queued", "Jobs that wait", book.queued),
            ("foundation_jobs_running", "Jobs that run", book.running),
            ("foundation_jobs_polls_held", "Requests that wait for a job", self._queue.held),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        for name, text, counts in (
            ("foundation_jobs_completed", "Jobs completed since the log began", book.completed),
            ("foundation_jobs_failed", "Jobs given up since the log began", book.failed),
        ):
            family = CounterMetricFamily(name, text, labels=["kind"])
            for kind in KINDS:
                family.add_metric([kind], counts[kind])
            yield family

    def begin_shutdown(self) -> None:
        self._queue.begin_shutdown()

    async def close(self) -> None:
        await self._queue.close()


async def _gone(receive: Receive) -> None:
    """Until the client has closed its connection, or its side of it."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _status(job: Job) -> bytes:
    outcome = job.outcome
    return orjson.dumps(
        {
            "id": UUID(bytes=job.id),
            "kind": job.kind,
            "state": job.state,
            "attempt": job.attempt,
            "enqueued_at": job.enqueued_at,
            "completed_at": None if outcome is None else outcome.at,
            "processing_time_ms": None if outcome is None else outcome.processing_time_ms,
            "result": None if outcome is None else outcome.result,
            "error": None if outcome is None else outcome.error,
        }
    )
