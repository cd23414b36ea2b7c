"""Wire models of background jobs (P1-10). No I/O, only pydantic."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.schema import ClientId

JobKind = Literal[
    "email_delivery",
    "report_generation",
    "data_cleanup",
    "analytics_aggregation",
    "backup_creation",
]
JobState = Literal["queued", "running", "completed", "failed"]

MAX_WAIT_S = 20


class JobRequest(BaseModel):
    """Body of `POST /v1/jobs`. `id` makes a retry the same job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId
    kind: JobKind
    payload: dict[str, Any] = Field(default_factory=dict)


class JobReceipt(BaseModel):
    """The job is on disk: `seq` is that of its event. A retry tells the job's state now."""

    id: UUID
    kind: JobKind
    state: JobState
    seq: int
    node: str
    prescribed_ms: int
    duplicate: bool = False


class JobStatus(BaseModel):
    """`attempt` is 0 until a worker takes the job. Moments are microseconds since the epoch."""

    id: UUID
    kind: JobKind
    state: JobState
    attempt: int
    enqueued_at: int
    completed_at: int | None
    processing_time_ms: float | None
    result: dict[str, Any] | None
    error: str | None


class JobSummary(BaseModel):
    """`GET /v1/jobs`. `completed` and `failed` count since this node's log began."""

    workers: int
    queued: int
    running: int
    completed: int
    failed: int
    oldest_queued_s: float
