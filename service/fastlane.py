"""The hot routes as bare handlers, dispatched before FastAPI's router (D2).

They do what FastAPI's routes do, with the same models, errors and answers, for a third of the CPU
(12,400 against 5,000 requests/s on one core, design D2). Each also has a documented twin among
FastAPI's routes that calls the same handler, so a request that the look-up here misses (a percent-
encoded path, say) is answered the same. This module must not know how events are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from service import body as bodies
from service import correlation
from service.dispatch import Answer, FastRequest, FastRoute
from service.errors import InvalidInput
from service.events.intake import Intake, decode
from service.events.store import EventStore, Stored
from service.part import Part
from service.schema import AuditEntry, AuditReply, AuditRequest

EVENT: Final = "POST /v1/events"
BATCH: Final = "POST /v1/events/batch"
AUDIT: Final = "POST /v1/events/audit"
GET_EVENT: Final = "GET /v1/events/{id}"

_EVENTS_PREFIX: Final = "/v1/events/"
_UUID_PATH_CHARS: Final = len(_EVENTS_PREFIX) + 36


_AUDIT = TypeAdapter(AuditRequest)


class FastLane:
    """The hot routes of one node."""

    def __init__(self, store: EventStore, intake: Intake, parts: Sequence[Part]) -> None:
        self._store = store
        self._intake = intake
        self._get: FastRoute = (GET_EVENT, self.get_event)
        self._posts: dict[str, FastRoute] = {
            "/v1/events": (EVENT, self.post_event),
            "/v1/events/batch": (BATCH, self.post_batch),
            "/v1/events/audit": (AUDIT, self.post_audit),
        }
        self._others: dict[str, dict[str, FastRoute | None]] = {}
        self._prefixes: dict[str, tuple[tuple[str, FastRoute], ...]] = {}
        for part in parts:
            for (method, path), route in part.fast_routes().items():
                self._add(method, path, route)

    def _add(self, method: str, path: str, route: FastRoute | None) -> None:
        if route is None:
            assert method != "POST", "no prefix of POST has an exception"
            self._others.setdefault(method, {})[path] = None
        elif path.endswith("/"):
            self._prefixes[method] = (*self._prefixes.get(method, ()), (path, route))
        elif method == "POST":
            self._posts[path] = route
        else:
            self._others.setdefault(method, {})[path] = route

    def find(self, method: str, path: str) -> FastRoute | None:
        """The hot route for this request, if it is one."""
        if method == "POST":
            found = self._posts.get(path)
            if found is not None:
                return found
        elif method == "GET" and len(path) == _UUID_PATH_CHARS and path.startswith(_EVENTS_PREFIX):
            return self._get
        elif method in self._others and path in self._others[method]:
            return self._others[method][path]
        for prefix, route in self._prefixes.get(method, ()):
            if path.startswith(prefix):
                return route
        return None

    async def post_event(self, request: FastRequest) -> Answer:
        """201 with a Receipt once the event is on disk, 200 for a retry."""
        bodies.media_type(request.headers, bodies.JSON)
        body = await bodies.read(request.receive)
        write = self._intake.one(body, request.correlation_id)
        stored = await self._store.append(write)
        return Answer(
            200 if stored.duplicate else 201,
            orjson.dumps(_receipt(stored)),
            request.correlation_id or stored.correlation_id,
        )

    async def post_batch(self, request: FastRequest) -> Answer:
        """201 with a BatchReceipt once all are on disk, 200 when all had been before."""
        kind = bodies.media_type(request.headers, bodies.JSON, bodies.NDJSON)
        body = await bodies.read(request.receive)
        correlation_id = request.correlation_id or correlation.make()
        writes = await self._intake.batch(body, correlation_id, lines=kind == bodies.NDJSON)
        stored = await self._store.append_batch(writes)
        return Answer(
            200 if all(one.duplicate for one in stored) else 201, _receipts(stored), correlation_id
        )

    async def get_event(self, request: FastRequest) -> Answer:
        """200 with the Event."""
        try:
            event_id = UUID(request.path[len(_EVENTS_PREFIX) :])
        except ValueError:
            raise InvalidInput("id: not a UUID") from None
        event = await self._store.get(event_id.bytes)
        return Answer(
            200,
            event.model_dump_json().encode("utf-8"),
            request.correlation_id or event.correlation_id,
        )

    async def post_audit(self, request: FastRequest) -> Answer:
        """200 with an AuditReply: which of the ids are stored on this node."""
        bodies.media_type(request.headers, bodies.JSON)
        wanted = decode(_AUDIT, await bodies.read(request.receive))
        ids = list(dict.fromkeys(wanted.ids))
        hits = await self._store.audit([one.bytes for one in ids])
        found = {hit.id for hit in hits}
        reply = AuditReply(
            node=self._store.origin,
            found=[
                AuditEntry(
                    id=UUID(bytes=hit.id),
                    seq=hit.seq,
                    content_hash=hit.content_hash.hex(),
                    origin=hit.origin,
                )
                for hit in hits
            ],
            missing=[one for one in ids if one.bytes not in found],
        )
        return Answer(
            200,
            reply.model_dump_json().encode("utf-8"),
            request.correlation_id or correlation.make(),
        )


def _receipt(stored: Stored) -> dict[str, object]:
    """A `schema.Receipt`."""
    # Cut from the hex digits: 0.5 us with orjson, against 3.0 with a UUID object (measured).
    digits = stored.id.hex()
    return {
        "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
        "seq": stored.seq,
        "created_at": stored.created_at,
        "correlation_id": stored.correlation_id,
        "stream_version": stored.stream_version,
        "duplicate": stored.duplicate,
    }


def _receipts(stored: Sequence[Stored]) -> bytes:
    return orjson.dumps({"receipts": [_receipt(one) for one in stored]})
