"""Jobs in the log: what a job, its end and a snapshot are written as, and how they are read back.

All are own events of the stream `$jobs`. A job and its end have ids that follow from the client's,
and completed and failed share one: a job that runs twice, because the node died between its work
and its end, still ends once. An event that has the id of an end without being one, as a log of
before may hold, is passed over. This module decides nothing about when a job runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from typing import Any, Final, TypeVar
from uuid import UUID

import uuid_utils
from pydantic import BaseModel, Field, ValidationError

from service.content import JOB_ENQUEUED, JOBS_STREAM, of_job
from service.errors import EventNotFound, StorageError
from service.events import intake
from service.events.own import newest_own, own_events
from service.events.store import EventStore, Stored, Write
from service.schema import Event
from service.schema_jobs import JobKind, JobRequest, JobState
from service.workloads.jobs import Job, JobBook, Outcome, Snapshot

STREAM: Final = JOBS_STREAM
ENQUEUED: Final = JOB_ENQUEUED
COMPLETED: Final = "background_job_completed"
FAILED: Final = "background_job_failed"
SNAPSHOT: Final = "jobs_snapshot"
M = TypeVar("M", bound=BaseModel)

_STATE: Final[dict[str, JobState]] = {COMPLETED: "completed", FAILED: "failed"}


class _Enqueued(BaseModel):
    kind: JobKind
    payload: dict[str, Any]


class _Ended(BaseModel):
    job: UUID
    kind: JobKind
    attempt: int
    processing_time_ms: float | None = None
    result: dict[str, Any] | None = None
    error: str | None = None


class _Snapshot(BaseModel):
    finished_through: int
    counted_through: int
    completed: dict[str, int] = Field(default_factory=dict)
    failed: dict[str, int] = Field(default_factory=dict)


def outcome_ids(job_id: bytes) -> Iterator[bytes]:
    """The ids that a job's end may have, whichever way it ends: the first that is no other event's.

    Clients cannot store events under such ids, so there is an end to the others'.
    """
    yield intake.derived_id(job_id, "job outcome")
    for number in count(2):
        yield intake.derived_id(job_id, f"job outcome {number}")


def enqueue_write(asked: JobRequest, correlation_id: str, now: int) -> Write:
    """Raises MalformedJson for a payload that cannot be stored."""
    content = of_job(asked.kind, asked.payload)
    return intake.workload_write(
        id=asked.id.bytes,
        type=ENQUEUED,
        data=content,
        client=content,
        correlation_id=correlation_id,
        created_at=now,
        stream=STREAM,
    )


def completed_write(
    job: Job,
    result: dict[str, Any],
    processing_time_ms: float,
    *,
    node: str,
    correlation_id: str,
    now: int,
) -> Write:
    """P1-10's `background_job_completed`."""
    return _outcome_write(
        job,
        COMPLETED,
        {"processing_time_ms": processing_time_ms, "result": result},
        node=node,
        correlation_id=correlation_id,
        now=now,
    )


def failed_write(job: Job, error: str, *, node: str, correlation_id: str, now: int) -> Write:
    return _outcome_write(
        job, FAILED, {"error": error}, node=node, correlation_id=correlation_id, now=now
    )


def _outcome_write(
    job: Job, type_: str, more: dict[str, Any], *, node: str, correlation_id: str, now: int
) -> Write:
    head = {"job": str(UUID(bytes=job.id)), "kind": job.kind}
    return intake.workload_write(
        id=next(outcome_ids(job.id)),
        type=type_,
        data={**head, "attempt": job.attempt, "node": node, **more},
        # What an attempt found or took does not make it another outcome.
        client={**head},
        correlation_id=correlation_id,
        created_at=now,
        stream=STREAM,
    )


def snapshot_write(snapshot: Snapshot, now: int) -> Write:
    id = uuid_utils.uuid7()
    return intake.workload_write(
        id=id.bytes,
        type=SNAPSHOT,
        data=asdict(snapshot),
        client=asdict(snapshot),
        correlation_id=str(id),
        created_at=now,
        stream=STREAM,
    )


async def read_back(store: EventStore) -> JobBook:
    """The jobs of this log: from the last snapshot on. Raises as the store's query."""
    newest = await newest_own(store, SNAPSHOT)
    snapshot = Snapshot()
    if newest is not None:
        snapshot = Snapshot(**_read(_Snapshot, newest).model_dump())
    book = JobBook(snapshot)
    async for event in own_events(store, (ENQUEUED, COMPLETED, FAILED), snapshot.finished_through):
        if event.type == ENQUEUED:
            book.enqueued(job_of(event))
        else:
            ended = _read(_Ended, event)
            book.ended(ended.job.bytes, ended.kind, outcome_of(event))
    return book


async def outcome_at(store: EventStore, id: bytes) -> Outcome | None:
    """The end that has this id; None when the event that has it ends no job.

    Raises as the store's get.
    """
    event = await store.get(id)
    return outcome_of(event) if event.stream == STREAM and event.type in _STATE else None


async def find(store: EventStore, job_id: bytes) -> Job | None:
    """A job that memory has forgotten, from the log; None for one that never was.

    Raises as the store's get.
    """
    event = await _own(store, job_id)
    if event is None or event.type != ENQUEUED:
        return None
    job = job_of(event)
    for id in outcome_ids(job_id):
        try:
            job.outcome = await outcome_at(store, id)
        except EventNotFound:
            return job
        if job.outcome is not None:
            job.attempt = job.outcome.attempt
            return job
    return job


def _read(model: type[M], event: Event) -> M:
    """The data of an own event. Raises StorageError for what another version of the node wrote."""
    try:
        return model.model_validate(event.data)
    except ValidationError as error:
        raise StorageError(
            f"own event {event.id} ({event.type}) is not of the form that this version writes:"
            f" start the version that wrote it ({error.error_count()} faults)"
        ) from None


async def _own(store: EventStore, event_id: bytes) -> Event | None:
    try:
        event = await store.get(event_id)
    except EventNotFound:
        return None
    return event if event.stream == STREAM else None


def job_of(event: Event) -> Job:
    """The job of a `job_enqueued`, as it was when it was queued."""
    return Job(event.id.bytes, _read(_Enqueued, event).kind, event.seq, event.created_at)


def payload_of(event: Event) -> dict[str, Any]:
    return _read(_Enqueued, event).payload


def outcome_of(event: Event) -> Outcome:
    """The end that a `background_job_completed` or `_failed` tells of."""
    ended = _read(_Ended, event)
    return _outcome(event.type, event.seq, event.created_at, ended)


def outcome_of_write(write: Write, stored: Stored) -> Outcome:
    """The same of what has just been stored."""
    ended = _Ended.model_validate_json(write.data)
    return _outcome(write.type, stored.seq, stored.created_at, ended)


def _outcome(type_: str, seq: int, at: int, ended: _Ended) -> Outcome:
    return Outcome(
        _STATE[type_],
        seq,
        at,
        ended.attempt,
        ended.processing_time_ms,
        ended.result,
        ended.error,
    )
