"""P1's workload: seven actions of a SaaS, each real work, a durable event, a labelled wait (D9).

One request, in order: session -> the action's own work -> the event `user_action` is on disk ->
what is left of the prescribed time is waited as emulated latency -> the answer, with both parts in
Server-Timing. The event carries the client's id, so a retry on any node is the same write (D11).

Life cycle: made at start -> `recover` reads the ended sessions and the last actions back from the
log, in the background, while requests without a session are already served -> used until the end.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from time import perf_counter
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from service import body as bodies
from service import correlation
from service.content import USER_ACTION, of_action, without_secrets
from service.dispatch import Answer, FastRequest
from service.emulation import EmulatedLatency
from service.errors import Forbidden, Unauthorized
from service.events import intake
from service.events.store import EventQuery, EventStore, Stored, Write
from service.readiness import Readiness
from service.schema import Event, SaasAction, SaasRequest
from service.telemetry.meter import Meter
from service.workloads.saas_activity import RECENT_ACTIONS, Action, RecentActivity
from service.workloads.saas_session import EndedSessions, Session, SessionSigner
from service.workloads.saas_timing import prescribed_ms
from service.workloads.saas_work import SaasWork

SESSION_ENDED: Final = "session_ended"
SESSION_HEADER: Final = b"x-session"
PATIENCE_S = 0.005
"""At 2,400 actions/s on a node this makes groups of some twelve events instead of two: 48 us of
CPU an event instead of 182 (measured with the store alone)."""
_RECOVERY_PAGE = 1_000

_REQUEST = TypeAdapter(SaasRequest)


_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Ending(BaseModel):
    """The data of `session_ended`: which session, when it would have expired, by which logout."""

    session: _Hex
    expires_at: Annotated[int, Field(strict=True)]
    by: _Hex
    proof: _Hex


class SaasWorkload:
    """`POST /v1/saas/actions/{action}` of one node. `clock_us` is the wall clock."""

    def __init__(
        self,
        store: EventStore,
        meter: Meter,
        emulation: EmulatedLatency,
        signer: SessionSigner,
        ended: EndedSessions,
        *,
        node: str,
        require_session: bool,
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._meter = meter
        self._emulation = emulation
        self._signer = signer
        self._ended = ended
        self._node = node
        self._require_session = require_session
        self._clock_us = clock_us
        self._activity = RecentActivity()
        self._work = SaasWork(self._activity, store)
        self._readiness = Readiness("the list of ended sessions")

    async def act(self, action: SaasAction, request: FastRequest) -> Answer:
        """Serve one action. Raises what the store raises, Unauthorized, Forbidden, InvalidInput."""
        bodies.media_type(request.headers, bodies.JSON)
        raw = await bodies.read(request.receive)
        started_s = perf_counter()
        asked = intake.decode(_REQUEST, raw)
        session = await self._session(action, asked, request.headers.get(SESSION_HEADER))
        now = self._clock_us()
        work = await self._work.prepare(action, asked, now)
        prescribed = prescribed_ms(action, asked.id.bytes)
        correlation_id = request.correlation_id or correlation.make()
        stored = await self._store_action(action, asked, session, prescribed, now, correlation_id)
        session_token = None
        if action == "login":
            session_token = self._signer.issue(stored.id, asked.user_id, stored.created_at)
        result = work.repeat() if stored.duplicate else work.finish()
        if not stored.duplicate:
            self._activity.add(Action(now, asked.user_id, action, prescribed))
        work_s = perf_counter() - started_s
        remainder_s = prescribed / 1_000 - work_s
        if stored.duplicate:
            remainder_s = rest_of_a_retry_s(prescribed, stored.created_at, self._clock_us())
        emulated_ms = 1_000 * await self._emulation.wait(remainder_s)
        work_ms = 1_000 * work_s
        if not stored.duplicate:
            self._meter.processed(action, work_ms + emulated_ms)
        return Answer(
            200 if stored.duplicate else 201,
            self._reply(action, asked.id, stored, prescribed, session_token, result),
            correlation_id,
            ((b"server-timing", b"work;dur=%.3f, emulated;dur=%.3f" % (work_ms, emulated_ms)),),
        )

    async def recover(self) -> None:
        """Read back what the log knows: the sessions ended within their life, the last actions.

        Raises what the store raises; until it has succeeded, sessions are answered 503.
        """
        oldest = self._clock_us() - self._signer.ttl_us
        cursor = None
        while True:
            page = await self._store.query(
                EventQuery(
                    type=SESSION_ENDED,
                    created_after=max(0, oldest),
                    order_by="-created_at",
                    limit=_RECOVERY_PAGE,
                    cursor=cursor,
                )
            )
            for event in page.events:
                self._end_again(event.data)
            cursor = page.next_cursor
            if cursor is None:
                break
        page = await self._store.query(
            EventQuery(type=USER_ACTION, order_by="-created_at", limit=RECENT_ACTIONS)
        )
        actions = (_action_of(event) for event in reversed(page.events))
        self._activity.seed(action for action in actions if action is not None)
        self._readiness.ready()

    def begin_shutdown(self) -> None:
        """Nobody waits for the recovery any more."""
        self._readiness.end()

    def _end_again(self, data: dict[str, Any]) -> None:
        """End a session as its event says; anybody can post events, so only with our proof."""
        try:
            fact = _Ending.model_validate(data)
        except ValidationError:
            return
        session_id, by = bytes.fromhex(fact.session), bytes.fromhex(fact.by)
        if hmac.compare_digest(fact.proof, self._signer.proof(session_id)):
            self._ended.end(session_id, fact.expires_at, by)

    async def _session(
        self, action: SaasAction, asked: SaasRequest, token: bytes | None
    ) -> Session | None:
        """The request's session, or None: the uniform mix has none and is served (P1-5)."""
        if action == "login":
            return None
        if token is None:
            if self._require_session:
                raise Unauthorized("this node wants a session: log in and send X-Session")
            return None
        session = self._signer.verify(token.decode("latin-1"), self._clock_us())
        if session.user_id != asked.user_id:
            raise Forbidden("the session belongs to another user")
        if not self._readiness.is_ready:
            await self._readiness.wait()
        self._ended.check(session, asked.id.bytes)
        return session

    async def _store_action(
        self,
        action: SaasAction,
        asked: SaasRequest,
        session: Session | None,
        prescribed: int,
        now: int,
        correlation_id: str,
    ) -> Stored:
        # The prescribed time is waited anyway: let others share the commit.
        patience_s = PATIENCE_S if self._emulation.is_on else 0.0
        payload = without_secrets(asked.payload)
        write = intake.workload_write(
            id=asked.id.bytes,
            type=USER_ACTION,
            data={
                "user_id": asked.user_id,
                "action": action,
                "processing_time_ms": prescribed,
                "node": self._node,
            },
            metadata={"payload": payload} if payload else None,
            client=of_action(action, asked.user_id, payload),
            correlation_id=correlation_id,
            created_at=now,
        )
        if action != "logout" or session is None:
            return await self._store.append(write, patience_s=patience_s)
        stored, _ = await self._store.append_batch(
            [write, self._ending(asked, session, now, correlation_id)], patience_s=patience_s
        )
        self._ended.end(session.id, session.expires_at, asked.id.bytes)
        return stored

    def _ending(self, asked: SaasRequest, session: Session, now: int, correlation_id: str) -> Write:
        """The event that ends a session for good, stored in one batch with its logout."""
        # The fields of `_Ending`, which validates them when they are read back.
        fact = {
            "session": session.id.hex(),
            "expires_at": session.expires_at,
            "by": asked.id.hex,
            "proof": self._signer.proof(session.id),
        }
        return intake.workload_write(
            id=intake.derived_id(asked.id.bytes, SESSION_ENDED),
            type=SESSION_ENDED,
            data=fact,
            client=fact,
            correlation_id=correlation_id,
            created_at=now,
        )

    def _reply(
        self,
        action: SaasAction,
        action_id: UUID,
        stored: Stored,
        prescribed: int,
        session: str | None,
        result: dict[str, Any],
    ) -> bytes:
        """A `schema.SaasReply`."""
        return orjson.dumps(
            {
                "id": action_id,
                "seq": stored.seq,
                "action": action,
                "node": self._node,
                "processing_time_ms": prescribed,
                "duplicate": stored.duplicate,
                "session": session,
                "result": result,
            }
        )


def rest_of_a_retry_s(prescribed: int, created_at: int, now: int) -> float:
    """What is left of `prescribed` (ms) for an action stored at `created_at` (us; so is `now`).

    Never more than all of it: a wall clock that was set back must not make a retry wait for hours.
    """
    return min(prescribed / 1_000, prescribed / 1_000 - (now - created_at) / 1e6)


def _action_of(event: Event) -> Action | None:
    """A stored `user_action`, or None for one that a client made up in another form."""
    user_id, action, took = (
        event.data.get(name) for name in ("user_id", "action", "processing_time_ms")
    )
    if not (isinstance(user_id, str) and isinstance(action, str) and type(took) is int):
        return None
    return Action(event.created_at, user_id, action, took)
