"""The analytics consumer's wire models (P1-11, oddity 18)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.schema import ClientId

MAX_PASS_EVENTS = 1_000


class AnalyticsRequest(BaseModel):
    """Body of `POST /v1/analytics/passes`: read on, by at most `limit` events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId
    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_PASS_EVENTS)] = 50


class AnalyticsNode(BaseModel):
    """One app node's log as the consumer sees it.

    `cursor` is the seq of the last event read, `last_seq` where the log ended when it was read
    last, `lag_events` their difference, `lag_s` the age of the last event read while there are
    more (0 when caught up, null when nothing was ever read). `error` says why it could not be read.
    """

    node: str | None
    url: str
    processed: int
    cursor: int
    last_seq: int
    lag_events: int
    lag_s: float | None
    error: str | None = None


class AnalyticsTotals(BaseModel):
    """`GET /v1/analytics`: as of the last pass. `processed` is that pass's, `lag_s` the greatest.

    `actions` counts the events `user_action` by action, over all passes.
    """

    processed: int
    nodes: list[AnalyticsNode]
    processed_total: int
    lag_events: int
    lag_s: float
    actions: dict[str, int]


class AnalyticsPass(AnalyticsTotals):
    """The answer to a pass; `duplicate` marks a retry, which counted nothing again."""

    id: UUID
    duplicate: bool = False
