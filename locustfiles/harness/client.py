"""The Foundation node's API as typed calls on a LeanHttpSession.

Every declared write carries an id made here (UUIDv7, D11), so that whatever is retried is the same
write, and the sample names it for the ledger. The calls that make up a load (`saas_action`,
`append`, `append_batch`) read the few fields that matter out of the reply; the others validate it
with the wire models. A reply that is not what the API promises is a failed check. Each call
returns None when the request failed: it has been counted, and a load goes on.

This module must not reach asyncio or a database, and must not pick nodes for a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import orjson
import uuid_utils
from pydantic import BaseModel, ValidationError

from locustfiles.harness.http.header import HeaderBlock, compile_headers
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession
from service.schema import (
    AuditReply,
    Event,
    EventPage,
    Health,
    NewEvent,
    OrderBy,
    SaasAction,
)

SAAS_NAME = "/v1/saas/actions/{action}"
EVENTS_NAME = "/v1/events"
BATCH_NAME = "/v1/events/batch"
EVENT_NAME = "/v1/events/{id}"
AUDIT_NAME = "/v1/events/audit"
HEALTH_NAME = "/health"

_NO_PAYLOAD: Mapping[str, Any] = {}

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


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


class WrongReply(Exception):
    """A 2xx whose body is not what the API promises; the text is stable, for Locust to group."""

    def __repr__(self) -> str:
        return f"WrongReply: {self}"


class FoundationClient:
    """Calls on `nodes` (URLs without a trailing slash) through one user's session.

    `node` picks the target of a call and defaults to the first. `write_id` (16 bytes) is for
    writing the same again; it is made when missing. `intended_us` is the arrival's intended start.
    """

    def __init__(self, session: LeanHttpSession, nodes: Sequence[str], token: str | None) -> None:
        if not nodes:
            raise ValueError("a client needs at least one node's URL")
        self.session = session
        self.nodes = tuple(node.rstrip("/") for node in nodes)
        self._own = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers = compile_headers(self._own)
        self._own["Content-Type"] = "application/json"
        self._json_headers = compile_headers(self._own)
        self._session_token: str | None = None
        self._session_headers = self._json_headers

    # What a load is made of

    def saas_action(
        self,
        action: SaasAction,
        user_id: str,
        *,
        node: str | None = None,
        session: str | None = None,
        payload: Mapping[str, Any] = _NO_PAYLOAD,
        write_id: bytes | None = None,
        intended_us: int | None = None,
    ) -> SaasResult | None:
        """Carry out one action (P1-5) for `user_id`, in `session` if there is one."""
        key, text = _write_id(write_id)
        return self._call(
            "POST",
            f"{node or self.nodes[0]}/v1/saas/actions/{action}",
            SAAS_NAME,
            lambda reply: _saas_result(reply, key, text),
            body=orjson.dumps({"id": text, "user_id": user_id, "payload": payload}),
            headers=self._json_headers if session is None else self._with_session(session),
            write_id=key,
            intended_us=intended_us,
        )

    def append(
        self,
        type: str,
        data: Mapping[str, Any] = _NO_PAYLOAD,
        *,
        node: str | None = None,
        write_id: bytes | None = None,
        intended_us: int | None = None,
        **fields: Any,
    ) -> Acknowledged | None:
        """Store one event. `fields` are NewEvent's others: metadata, stream, expected_version…"""
        key, text = _write_id(write_id)
        return self._call(
            "POST",
            f"{node or self.nodes[0]}/v1/events",
            EVENTS_NAME,
            lambda reply: _acknowledged(orjson.loads(reply.content), key, text),
            body=orjson.dumps({"type": type, "id": text, "data": data, **fields}),
            headers=self._json_headers,
            write_id=key,
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
        ids: list[tuple[bytes, str]] = []
        for event in events:
            row = event.model_dump(exclude_unset=True) if isinstance(event, NewEvent) else event
            key, text = _row_id(row.get("id"))
            ids.append((key, text))
            rows.append({**row, "id": text})
        return self._call(
            "POST",
            f"{node or self.nodes[0]}/v1/events/batch",
            BATCH_NAME,
            lambda reply: _batch(reply, ids),
            body=orjson.dumps(rows),
            headers=self._json_headers,
            write_id=None,
            intended_us=intended_us,
        )

    # What looks at a node

    def get(self, event_id: bytes | UUID | str, *, node: str | None = None) -> Event | None:
        """One event by its id; None when the node does not have it (counted as a 4xx)."""
        return self._read(f"/v1/events/{_row_id(event_id)[1]}", EVENT_NAME, Event, node)

    def query(
        self,
        *,
        node: str | None = None,
        metadata: Mapping[str, str] = _NO_PAYLOAD,
        order_by: OrderBy | None = None,
        **filters: str | int,
    ) -> EventPage | None:
        """One page. `filters` are the API's: type, correlation_id, created_after, limit, cursor…"""
        params: dict[str, object] = {key: value for key, value in filters.items()}
        params |= {f"metadata.{key}": value for key, value in metadata.items()}
        if order_by is not None:
            params["order_by"] = order_by
        return self._read("/v1/events", EVENTS_NAME, EventPage, node, params=params)

    def audit(
        self, ids: Sequence[bytes | UUID | str], *, node: str | None = None
    ) -> AuditReply | None:
        """Which of `ids` (at most 10,000) the node has stored."""
        return self._call(
            "POST",
            f"{node or self.nodes[0]}/v1/events/audit",
            AUDIT_NAME,
            lambda reply: AuditReply.model_validate_json(reply.content),
            body=orjson.dumps({"ids": [_row_id(each)[1] for each in ids]}),
            headers=self._json_headers,
        )

    def health(self, *, node: str | None = None) -> Health | None:
        """The node's own account; also when it answers 503 because it is down (A-3)."""
        with self.session.get(
            f"{node or self.nodes[0]}/health",
            name=HEALTH_NAME,
            headers=self._headers,
            catch_response=True,
        ) as response:
            return _validated(response, Health) if response.status_code in (200, 503) else None
        return None

    # How a call is made

    def _read(
        self,
        path: str,
        name: str,
        model: type[M],
        node: str | None,
        params: Mapping[str, object] | None = None,
    ) -> M | None:
        with self.session.get(
            f"{node or self.nodes[0]}{path}",
            name=name,
            params=params,
            headers=self._headers,
            catch_response=True,
        ) as response:
            return _validated(response, model) if response.ok else None
        return None

    def _call(
        self,
        method: str,
        url: str,
        name: str,
        read: Callable[[Response], T],
        *,
        body: bytes,
        headers: HeaderBlock,
        write_id: bytes | None = None,
        intended_us: int | None = None,
    ) -> T | None:
        """Send JSON; what `read` makes of a good reply, else None."""
        response = self.session.request(
            method,
            url,
            name,
            body,
            True,
            headers=headers,
            write_id=write_id,
            intended_us=intended_us,
        )
        with response:
            if not response.ok:
                return None
            try:
                return read(response)
            except (ValueError, KeyError, TypeError) as error:
                response.failure(_wrong_reply(name, error))
        return None

    def _with_session(self, token: str) -> HeaderBlock:
        """A user has one session at a time, so the last block is kept."""
        if token != self._session_token:
            self._session_headers = compile_headers({**self._own, "X-Session": token})
            self._session_token = token
        return self._session_headers


def _validated(response: Response, model: type[M]) -> M | None:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        response.failure(_wrong_reply(response.request_meta["name"], error))
        return None


def _wrong_reply(name: str, error: Exception) -> WrongReply:
    detail = str(error) if isinstance(error, _Mismatch) else type(error).__name__
    return WrongReply(f"the reply of {name} is not what the API promises ({detail})")


class _Mismatch(ValueError):
    """The reply is well-formed and about something else."""


def _write_id(given: bytes | None) -> tuple[bytes, str]:
    """An id as bytes, for the sample, and as text, for the wire."""
    if given is None:
        made = uuid_utils.uuid7()
        return made.bytes, str(made)
    return given, str(UUID(bytes=given))


def _row_id(given: object) -> tuple[bytes, str]:
    if given is None or isinstance(given, bytes):
        return _write_id(given)
    parsed = given if isinstance(given, UUID) else UUID(str(given))
    return parsed.bytes, str(parsed)


def _saas_result(reply: Response, key: bytes, text: str) -> SaasResult:
    fields = orjson.loads(reply.content)
    if fields["id"] != text:
        raise _Mismatch("another id")
    session = fields.get("session")
    return SaasResult(key, fields["seq"], fields["node"], fields.get("duplicate", False), session)


def _acknowledged(fields: dict[str, Any], key: bytes, text: str) -> Acknowledged:
    if fields["id"] != text:
        raise _Mismatch("another id")
    version = fields.get("stream_version")
    return Acknowledged(key, fields["seq"], fields.get("duplicate", False), version)


def _batch(reply: Response, ids: Sequence[tuple[bytes, str]]) -> tuple[Acknowledged, ...]:
    receipts = orjson.loads(reply.content)["receipts"]
    if len(receipts) != len(ids):
        raise _Mismatch("another number of receipts")
    return tuple(
        _acknowledged(fields, key, text) for fields, (key, text) in zip(receipts, ids, strict=True)
    )
