"""The Foundation node's API as typed calls on a LeanHttpSession.

Every declared write carries an id made here (UUIDv7, D11), so that whatever is retried is the same
write, and the sample names it for the ledger. The calls that make up a load (`saas_action`,
`append`, `append_batch`) read the few fields that matter out of the reply; the others validate it
with the wire models. A reply that is not what the API promises is a failed check. Each call
returns None when the request failed: it has been counted, and a load goes on.

This module must not reach asyncio or a database, and must not pick nodes for a scenario.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from locustfiles.harness.api.analytics import AnalyticsClient
from locustfiles.harness.api.config import ConfigClient
from locustfiles.harness.api.jobs import JobClient
from locustfiles.harness.api.telemetry import TelemetryClient
from locustfiles.harness.caller import (
    NOTHING,
    Caller,
    Mismatch,
    row_id_of,
    validated,
    write_id_of,
)
from locustfiles.harness.digest import client_digest, with_digest
from locustfiles.harness.http.header import HeaderBlock
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession
from service.content import USER_ACTION, of_action
from service.schema import AuditReply, Event, EventPage, Health, NewEvent, OrderBy, SaasAction

SAAS_NAME = "/v1/saas/actions/{action}"
GATEWAY_NAME = "/v1/gateway/saas/actions/{action}"
EVENTS_NAME = "/v1/events"
BATCH_NAME = "/v1/events/batch"
EVENT_NAME = "/v1/events/{id}"
AUDIT_NAME = "/v1/events/audit"
HEALTH_NAME = "/health"


class Acknowledged(NamedTuple):
    """One write that a node says is on disk. `id` is the 16 bytes that the client chose."""

    id: bytes
    seq: int
    duplicate: bool
    stream_version: int | None = None


class SaasResult(NamedTuple):
    """An action that was carried out. `session` is set by login only."""

    id: bytes
    seq: int
    node: str
    duplicate: bool
    session: str | None


class FoundationClient:
    """Calls on `nodes` (URLs without a trailing slash) through one user's session.

    `config`, `telemetry`, `jobs` and `analytics` hold the calls of these parts of the node. `node`
    picks the target of a call and defaults to the first. `write_id` (16 bytes) is for
    writing the same again; it is made when missing. `intended_us` is the arrival's intended start.
    """

    def __init__(self, session: LeanHttpSession, nodes: Sequence[str], token: str | None) -> None:
        self.caller = caller = Caller(session, nodes, token)
        self.session = session
        self.nodes = caller.nodes
        self.config = ConfigClient(caller)
        self.telemetry = TelemetryClient(caller)
        self.jobs = JobClient(caller)
        self.analytics = AnalyticsClient(caller)
        self._session_token: str | None = None
        self._session_headers = caller.json_headers

    # What a load is made of

    def saas_action(
        self,
        action: SaasAction,
        user_id: str,
        *,
        node: str | None = None,
        session: str | None = None,
        payload: Mapping[str, Any] = NOTHING,
        via_gateway: bool = False,
        write_id: bytes | None = None,
        intended_us: int | None = None,
    ) -> SaasResult | None:
        """Carry out one action (P1-5) for `user_id`, in `session` if there is one.

        With `via_gateway` the node is a gateway, which forwards to an app node (D12).
        """
        route = GATEWAY_NAME if via_gateway else SAAS_NAME
        key, text = write_id_of(write_id)
        return self.caller.send(
            "POST",
            f"{node or self.nodes[0]}{route.format(action=action)}",
            route,
            lambda reply: _saas_result(reply, key, text),
            body=orjson.dumps({"id": text, "user_id": user_id, "payload": payload}),
            headers=self.caller.json_headers if session is None else self._with_session(session),
            write_id=key,
            digest=client_digest(USER_ACTION, None, of_action(action, user_id, payload)),
            intended_us=intended_us,
        )

    def append(
        self,
        type: str,
        data: Mapping[str, Any] = NOTHING,
        *,
        node: str | None = None,
        write_id: bytes | None = None,
        intended_us: int | None = None,
        **fields: Any,
    ) -> Acknowledged | None:
        """Store one event. `fields` are NewEvent's others: metadata, stream, expected_version…"""
        key, text = write_id_of(write_id)
        event, digest = with_digest({"type": type, "id": text, "data": data, **fields})
        return self.caller.send(
            "POST",
            self.caller.url(node, "/v1/events"),
            EVENTS_NAME,
            lambda reply: _acknowledged(orjson.loads(reply.content), key, text),
            body=orjson.dumps(event),
            write_id=key,
            digest=digest,
            intended_us=intended_us,
        )

    def append_batch(
        self,
        events: Sequence[Mapping[str, Any] | NewEvent],
        *,
        node: str | None = None,
        intended_us: int | None = None,
    ) -> tuple[Acknowledged, ...] | None:
        """Store all or none (G2), in order; events without an id get one."""
        rows: list[dict[str, Any]] = []
        digests: list[bytes] = []
        ids: list[tuple[bytes, str]] = []
        for event in events:
            row = event.model_dump(exclude_unset=True) if isinstance(event, NewEvent) else event
            key, text = row_id_of(row.get("id"))
            ids.append((key, text))
            sent, digest = with_digest({**row, "id": text})
            rows.append(sent)
            digests.append(digest)
        return self.caller.send(
            "POST",
            self.caller.url(node, "/v1/events/batch"),
            BATCH_NAME,
            lambda reply: _batch(reply, ids),
            body=orjson.dumps(rows),
            write_id=b"".join(key for key, _ in ids) or None,
            digest=b"".join(digests) or None,
            intended_us=intended_us,
        )

    # What looks at a node

    def get(self, event_id: bytes | UUID | str, *, node: str | None = None) -> Event | None:
        """One event by its id; None when the node does not have it (counted as a 4xx)."""
        return self.caller.read(f"/v1/events/{row_id_of(event_id)[1]}", EVENT_NAME, Event, node)

    def query(
        self,
        *,
        node: str | None = None,
        metadata: Mapping[str, str] = NOTHING,
        order_by: OrderBy | None = None,
        name: str = EVENTS_NAME,
        **filters: str | int,
    ) -> EventPage | None:
        """One page. `filters` are the API's: type, correlation_id, created_after, limit, cursor…

        `name` is what it counts under, where kinds of queries are to be told apart.
        """
        params: dict[str, object] = {key: value for key, value in filters.items()}
        params |= {f"metadata.{key}": value for key, value in metadata.items()}
        if order_by is not None:
            params["order_by"] = order_by
        return self.caller.read("/v1/events", name, EventPage, node, params=params)

    def audit(
        self, ids: Sequence[bytes | UUID | str], *, node: str | None = None
    ) -> AuditReply | None:
        """Which of `ids` (at most 10,000) the node has stored."""
        return self.caller.send(
            "POST",
            self.caller.url(node, "/v1/events/audit"),
            AUDIT_NAME,
            lambda reply: AuditReply.model_validate_json(reply.content),
            body=orjson.dumps({"ids": [row_id_of(each)[1] for each in ids]}),
        )

    def health(self, *, node: str | None = None) -> Health | None:
        """The node's own account; also when it answers 503 because it is down (A-3)."""
        with self.session.get(
            self.caller.url(node, "/health"),
            name=HEALTH_NAME,
            headers=self.caller.headers,
            catch_response=True,
            allow_redirects=False,
        ) as response:
            return validated(response, Health) if response.status_code in (200, 503) else None
        return None

    def _with_session(self, token: str) -> HeaderBlock:
        """A user has one session at a time, so the last block is kept."""
        if token != self._session_token:
            self._session_headers = self.caller.json_headers_with("X-Session", token)
            self._session_token = token
        return self._session_headers


def _saas_result(reply: Response, key: bytes, text: str) -> SaasResult:
    fields = orjson.loads(reply.content)
    if fields["id"] != text:
        raise Mismatch("another id")
    session = fields.get("session")
    return SaasResult(key, fields["seq"], fields["node"], fields.get("duplicate", False), session)


def _acknowledged(fields: dict[str, Any], key: bytes, text: str) -> Acknowledged:
    if fields["id"] != text:
        raise Mismatch("another id")
    version = fields.get("stream_version")
    return Acknowledged(key, fields["seq"], fields.get("duplicate", False), version)


def _batch(reply: Response, ids: Sequence[tuple[bytes, str]]) -> tuple[Acknowledged, ...]:
    receipts = orjson.loads(reply.content)["receipts"]
    if len(receipts) != len(ids):
        raise Mismatch("another number of receipts")
    return tuple(
        _acknowledged(fields, key, text) for fields, (key, text) in zip(receipts, ids, strict=True)
    )
