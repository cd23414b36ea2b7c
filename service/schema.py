"""The wire models: what goes over HTTP between a client and a node.

Imported by the node and by the load side, so it holds no I/O and imports nothing but pydantic and
the standard library. Timestamps are integer microseconds since the epoch on the wire; inputs may
also be RFC 3339 (A-8, D3).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

MAX_INTEGER = 2**63 - 1
"""SQLite's integers end here; anything larger is refused on the way in."""

MAX_JSON_DEPTH = 64
"""orjson parses 1,024 levels but prints only 254: an event in between could never be read back."""

MAX_BATCH_EVENTS = 10_000


def _micros(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        if info.context is not None:
            # Whoever counts the colons of a body cannot see those of a time any more.
            info.context[0] += value.count(":")
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a timestamp needs an offset, such as 2026-01-31T12:00:00Z")
        whole = int(moment.replace(microsecond=0).timestamp())
        return whole * 1_000_000 + moment.microsecond
    return value


Micros = Annotated[int, BeforeValidator(_micros), Field(strict=True, ge=0, le=MAX_INTEGER)]
"""Microseconds since the epoch; parsed from an integer or from RFC 3339 with an offset."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A type, stream or correlation id: printable, at most 200 characters."""


def _clients_own(id: UUID) -> UUID:
    # The bits first: `version` is dear on the hot path.
    if id.int >> 76 & 0xF == 8 and id.version == 8:
        raise ValueError("ids of version 8 are the node's own: use a UUIDv7")
    return id


ClientId = Annotated[
    UUID,
    AfterValidator(_clients_own),
    Field(description="made by the client, best a UUIDv7; version 8 is refused"),
]
"""The id of a write. Those of version 8 are kept for what the node derives from a write's id
(`intake.derived_id`): who knows the one can compute the other, and must not store it first."""


class NewEvent(BaseModel):
    """What a client sends to `POST /v1/events`: one event (A-5, A-8).

    `id` (UUIDv7) is the client's, so that a retry is the same write; the node makes one when it is
    missing. `expected_version` is the version that `stream` must have before this append:
    0 for a new stream; it needs `stream`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Name
    id: ClientId | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    correlation_id: Name | None = None
    created_at: Micros | None = None
    stream: Name | None = None
    expected_version: Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)] | None = None


class Event(BaseModel):
    """A stored event as the node returns it. `seq` is this node's commit order."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    seq: int
    type: str
    data: dict[str, Any]
    metadata: dict[str, Any]
    correlation_id: str
    created_at: int
    stored_at: int
    stream: str | None = None
    stream_version: int | None = None
    origin: str
    incarnation: int


class Receipt(BaseModel):
    """The acknowledgement of one event: it is on disk (G1). `duplicate` marks a retry (G3)."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    seq: int
    created_at: int
    correlation_id: str
    stream_version: int | None = None
    duplicate: bool = False


class BatchReceipt(BaseModel):
    """The acknowledgement of a batch, in the order sent."""

    receipts: list[Receipt]


class EventPage(BaseModel):
    """One page of a query; `next_cursor` is null on the last page."""

    events: list[Event]
    next_cursor: str | None = None


OrderBy = Literal["created_at", "-created_at", "seq", "-seq"]


class AuditRequest(BaseModel):
    """Ids to look for on this node, at most 10,000."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(max_length=MAX_BATCH_EVENTS)]


class AuditEntry(BaseModel):
    """One id that is stored here: where, and the hash of what its client supplied (hex)."""

    id: UUID
    seq: int
    content_hash: str
    origin: str


class AuditReply(BaseModel):
    """`found` in no particular order; ids that are not listed are not stored on this node."""

    node: str
    found: list[AuditEntry]
    missing: list[UUID]


SaasAction = Literal[
    "login",
    "dashboard_view",
    "profile_update",
    "data_query",
    "report_generation",
    "settings_change",
    "logout",
]


class SaasRequest(BaseModel):
    """Body of `POST /v1/saas/actions/{action}` (P1-5, P1-8). `id` makes a retry the same write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId
    user_id: Name
    payload: dict[str, Any] = Field(default_factory=dict)


class SaasReply(BaseModel):
    """`processing_time_ms` is the prescribed time (P1-6); `session` is set by login only."""

    id: UUID
    seq: int
    action: SaasAction
    node: str
    processing_time_ms: int
    duplicate: bool = False
    session: str | None = None
    result: dict[str, Any] = Field(default_factory=dict)


class ComponentHealth(BaseModel):
    """One component's state; `detail` says what to do when it is not `up`."""

    status: Literal["up", "degraded", "down"]
    detail: str = ""


class Health(BaseModel):
    """`GET /health`: 200 while `status` is up or degraded, 503 when it is down (A-3)."""

    status: Literal["up", "degraded", "down"]
    node: str
    roles: list[str]
    version: str
    incarnation: int
    components: dict[str, ComponentHealth]


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is stable and machine-readable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    correlation_id: str | None = None
