"""The event routes: the documented twins of the fast lane's, and the ordinary ones.

A twin calls the fast lane's own handler, so only its documentation could differ, and
`tests/contract/test_node_api.py` holds that to what the handler takes and answers.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from service.events.store import EventStore
from service.fastlane import FastLane
from service.feed_stream import FeedSource
from service.query_string import POSITION, feed_start, parse
from service.schema import (
    AuditReply,
    BatchReceipt,
    Event,
    EventPage,
    Receipt,
)
from service.twin import Twin, problems


def twin_routes(lane: FastLane) -> APIRouter:
    """The hot routes, for OpenAPI and for requests that the fast look-up misses."""
    router = APIRouter(prefix="/v1/events", tags=["events"])

    @router.post(
        "",
        status_code=201,
        response_model=Receipt,
        responses={200: {"model": Receipt, "description": "a retry"}, **problems(409, 413, 415)},
    )
    async def store_event() -> Response:
        """Store one event: 201 once it is on disk, 200 with the original for a retry of its id."""
        return Twin(lane.post_event)

    @router.post(
        "/batch",
        status_code=201,
        response_model=BatchReceipt,
        responses={
            200: {"model": BatchReceipt, "description": "all are retries"},
            **problems(409, 413, 415),
        },
    )
    async def store_batch() -> Response:
        """Store up to 10,000 events, all or none: a JSON array, or NDJSON with one a line."""
        return Twin(lane.post_batch)

    @router.post("/audit", response_model=AuditReply, responses=problems(413, 415))
    async def audit_events() -> Response:
        """Which of up to 10,000 ids are stored on this node, with their content hashes."""
        return Twin(lane.post_audit)

    return router


def event_twin(lane: FastLane) -> APIRouter:
    """`GET /v1/events/{id}`, apart since its pattern must come after every fixed path."""
    router = APIRouter(prefix="/v1/events", tags=["events"])

    @router.get("/{id}", response_model=Event, responses=problems(404))
    async def get_event(id: Annotated[str, Path(json_schema_extra={"format": "uuid"})]) -> Response:
        """One event by its id, as this node stored it."""
        return Twin(lane.get_event)

    return router


def event_routes(store: EventStore, feeds: FeedSource, *, node: str) -> APIRouter:
    """Query and feed."""
    router = APIRouter(prefix="/v1/events", tags=["events"])

    @router.get("", response_model=EventPage, responses=problems())
    async def query_events(request: Request) -> Response:
        """Events of this node by type, time (half-open), correlation id, stream and
        `metadata.<key>`, in order of `order_by`, continued by `cursor`.

        `scope=cluster` answers for this node alone, as the header X-Scope says, until nodes
        replicate.
        """
        page = await store.query(parse(request.query_params.multi_items()))
        body = EventPage(events=list(page.events), next_cursor=page.next_cursor)
        return Response(
            body.model_dump_json(),
            media_type="application/json",
            headers={"x-scope": f"local; node={node}"},
        )

    @router.get(
        "/feed",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}, **problems()},
    )
    async def follow_events(
        request: Request,
        after: Annotated[
            str | None, Query(description="a seq; 0 for all", json_schema_extra=POSITION)
        ] = None,
        last_event_id: Annotated[str | None, Header(json_schema_extra=POSITION)] = None,
    ) -> Response:
        """Every event with seq > `after` as server-sent events: catch-up, then live (G8).

        `Last-Event-ID` goes before `after`, as a reconnecting EventSource sends both. Without
        either the feed starts at the next event. `X-Last-Seq` is where the log ends now, so that a
        consumer knows how far behind it is.
        """
        start = feed_start(request.query_params.multi_items(), last_event_id)
        last_seq = store.stats().last_seq
        return feeds.open(last_seq if start is None else start, last_seq)

    return router
