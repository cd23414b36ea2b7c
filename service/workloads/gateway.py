"""The gateway: forwards SaaS actions to one of the app nodes, and fails over once (D12).

One request, in order: an app node is chosen at random among those that are up -> method, body,
session and correlation id go there -> its status, body, Retry-After and Server-Timing come back.
When that node cannot be reached, dies before its answer is complete, or is silent for 3 s, another
one gets the same body once: the client's id makes that the same write (D11). A node that is gone
is down at once; one that was silent is asked for its health and stays in use if it answers that,
so that a slow cluster is not taken for a dead one. All of it ends within 6 s, before a client's
own 8 s. What may have taken effect is never reported as refused (G10).

A node that is an app node itself, or has no peers, serves its share in place; the gateway never
calls the node that it runs on. This module must not know how peers are found.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from yarl import URL

from service import body as bodies
from service import correlation
from service.cluster.peers import Peer, Peers, PeerState
from service.cluster.upstream import Reply, Upstream
from service.dispatch import Answer, FastRequest
from service.errors import (
    BadGateway,
    FoundationError,
    GatewayTimeout,
    LoopDetected,
    NoUpstream,
    Overloaded,
    PeerLost,
)
from service.schema import ComponentHealth, SaasAction
from service.schema_gateway import GatewayUpstream, GatewayView
from service.workloads.saas import SESSION_HEADER

ROLE: Final = "app"
HOP: Final = "X-Foundation-Hop"
MAX_IN_FLIGHT: Final = 1_000
BUDGET_S: Final = 6.0
FIRST_ATTEMPT_S: Final = 3.0
"""Twice the longest prescribed action (P1-6: 1.5 s)."""

_LEAST_ATTEMPT_S: Final = 0.1
_HOP_KEY: Final = HOP.lower().encode()
_CONTENT_TYPES: Final = {
    "application/json": (b"content-type", b"application/json"),
    "application/problem+json": (b"content-type", b"application/problem+json"),
}
_TIMING = re.compile(r"(?:^|,)\s*(work|emulated);dur=([0-9]{1,9}(?:\.[0-9]{1,6})?)(?=\s*(?:,|$))")

Serve = Callable[[SaasAction, FastRequest], Awaitable[Answer]]


@dataclass(slots=True)
class Traffic:
    """What one upstream got: attempts by status, and attempts without an answer."""

    by_status: Counter[int]
    failures: int = 0

    @property
    def requests(self) -> int:
        return self.by_status.total() + self.failures


class Gateway:
    """`POST /v1/gateway/saas/actions/{action}` of the node called `own_name` at `own_url`.

    `serve` is the node's own handler of an action; it is used when `serves` says so. The first
    attempt may take `first_attempt_s`, both together `budget_s`.
    """

    def __init__(
        self,
        peers: Peers,
        upstream: Upstream,
        serve: Serve,
        *,
        serves: bool,
        own_name: str,
        own_url: str,
        first_attempt_s: float = FIRST_ATTEMPT_S,
        budget_s: float = BUDGET_S,
    ) -> None:
        self._peers = peers
        self._upstream = upstream
        self._serve = serve
        self._serves = serves
        self._own_name = own_name
        self._own_url = own_url
        self._first_attempt_s = first_attempt_s
        self._budget_s = budget_s
        self._in_flight = 0
        self._own = Traffic(Counter())
        self._traffic: dict[Peer, Traffic] = {peer: Traffic(Counter()) for peer in peers.all}
        self._targets: dict[tuple[Peer, SaasAction], URL] = {}
        self.failovers = 0

    async def act(self, action: SaasAction, request: FastRequest) -> Answer:
        """Forward one action.

        Raises NoUpstream, BadGateway, GatewayTimeout, LoopDetected, Overloaded; what the app node
        refuses is passed on as it is.
        """
        if _HOP_KEY in request.headers:
            raise LoopDetected(
                f"this request came through a gateway already ({HOP}): let FOUNDATION_PEERS name "
                "the nodes themselves"
            )
        # A client that sends slowly takes neither a place nor time of the budget.
        raw = await bodies.read(request.receive)
        if self._in_flight >= MAX_IN_FLIGHT:
            raise Overloaded(f"{MAX_IN_FLIGHT} requests are in flight here: send to an app node")
        self._in_flight += 1
        started_s = perf_counter()
        try:
            choice = await self._choose()
            if choice is None:
                return await self._in_place(action, _again(request, raw))
            return await self._forward(action, request, raw, choice, started_s)
        finally:
            self._in_flight -= 1

    async def view(self) -> GatewayView:
        """The nodes behind it, each asked at least once."""
        await self._peers.ready()
        rows = [
            _row(peer.name, peer.address, peer.roles, peer.state, peer.why, self._traffic[peer])
            for peer in self._peers.all
            if peer.name is None or ROLE in peer.roles
        ]
        if self._serves:
            own = (self._own_name, self._own_url, (ROLE,), PeerState.UP, "this node itself")
            rows.append(_row(*own, self._own))
        return GatewayView(upstreams=rows)

    def health(self) -> ComponentHealth:
        """`degraded` at worst: the node itself answers, whatever became of the others."""
        peers, up = self._peers, len(self._peers.with_role(ROLE))
        if self._serves:
            return ComponentHealth(status="up", detail=f"this node and {up} more app nodes")
        if not peers.in_use:
            return ComponentHealth(status="up", detail=f"{len(peers.all)} peers, not used yet")
        absent = [p for p in peers.all if p.state is PeerState.DOWN and _may_be_app(p)]
        if absent or not up:
            named = ", ".join(f"{p.name or p.address} ({p.why})" for p in absent[:3])
            return ComponentHealth(
                status="degraded", detail=f"{up} app nodes up; start again: {named or 'any'}"
            )
        return ComponentHealth(status="up", detail=f"{up} app nodes up")

    def traffic(self) -> list[tuple[str, Traffic]]:
        """(a node's address, since a name can move to another one) -> what it got."""
        rows = [(peer.address, got) for peer, got in self._traffic.items()]
        return [*rows, (self._own_url, self._own)] if self._serves else rows

    async def _choose(self, but: Peer | None = None) -> Peer | None:
        """A peer at random, not `but`; None for this node itself. Raises NoUpstream."""
        for look in (self._peers.ready, self._peers.look_again):
            await look()
            up: list[Peer | None] = [p for p in self._peers.with_role(ROLE) if p is not but]
            if self._serves:
                up.append(None)
            if up:
                return random.choice(up)
        raise NoUpstream(f"no {'other ' if but else ''}app node is up: nothing was sent")

    async def _in_place(self, action: SaasAction, request: FastRequest) -> Answer:
        try:
            answer = await self._serve(action, request)
        except FoundationError as error:
            self._own.by_status[error.status] += 1
            raise
        self._own.by_status[answer.status] += 1
        return answer

    async def _forward(
        self, action: SaasAction, request: FastRequest, raw: bytes, peer: Peer, started_s: float
    ) -> Answer:
        correlation_id = request.correlation_id or correlation.make()
        headers = self._headers(request, correlation_id)
        limit_s = self._first_attempt_s
        earlier: FoundationError | None = None
        while True:
            # Finding a node may have taken a while; what is left is never nothing, which aiohttp
            # would take for no limit at all.
            left_s = self._budget_s - (perf_counter() - started_s)
            limit_s = max(_LEAST_ATTEMPT_S, min(limit_s, left_s))
            try:
                reply = await self._attempt(peer, action, raw, headers, limit_s)
            except (NoUpstream, PeerLost, GatewayTimeout) as error:
                if earlier is not None:
                    raise _graver(earlier, error) from None
                earlier = error
                other = await self._other(peer, earlier)
                if other is None:
                    return await self._in_place(action, _again(request, raw))
                peer = other
                limit_s = self._budget_s
                continue
            return _answer(reply, correlation_id, perf_counter() - started_s)

    async def _other(self, peer: Peer, error: FoundationError) -> Peer | None:
        """Where the request goes next after `error`, which is raised when there is nowhere."""
        try:
            other = await self._choose(but=peer)
        except NoUpstream:
            raise error from None
        self.failovers += 1
        return other

    async def _attempt(
        self, peer: Peer, action: SaasAction, raw: bytes, headers: dict[str, str], limit_s: float
    ) -> Reply:
        traffic = self._traffic[peer]
        url = self._targets.get((peer, action))
        if url is None:
            url = self._targets[peer, action] = peer.url.with_path(f"/v1/saas/actions/{action}")
        try:
            reply = await self._upstream.ask(
                "POST", url, timeout_s=limit_s, body=raw, headers=headers
            )
        except GatewayTimeout:
            traffic.failures += 1
            self._peers.suspect(peer)
            raise
        except (NoUpstream, PeerLost) as error:
            traffic.failures += 1
            self._peers.failed(peer, str(error))
            raise
        except BadGateway:
            traffic.failures += 1
            raise
        traffic.by_status[reply.status] += 1
        return reply

    def _headers(self, request: FastRequest, correlation_id: str) -> dict[str, str]:
        given = request.headers
        headers = {
            "Content-Type": given.get(b"content-type", bodies.JSON).decode("latin-1"),
            "X-Correlation-ID": correlation_id,
            HOP: self._own_name,
        }
        session = given.get(SESSION_HEADER)
        if session is not None:
            headers["X-Session"] = session.decode("latin-1")
        return headers


def _again(request: FastRequest, raw: bytes) -> FastRequest:
    """The request once more, for a handler here, after its body was read."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": raw, "more_body": False}

    return request._replace(receive=receive)


def _graver(first: FoundationError, second: FoundationError) -> FoundationError:
    """What is told of two failures: an attempt that may have taken effect goes before (G10)."""
    return first if isinstance(second, NoUpstream) else second


def _answer(reply: Reply, correlation_id: str, elapsed_s: float) -> Answer:
    """The peer's answer as ours. Raises BadGateway for what no node answers."""
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content_type = _CONTENT_TYPES.get(kind)
    body = reply.body
    if content_type is None or reply.status < 200 or 300 <= reply.status < 400:
        raise BadGateway(
            f"an app node answered {reply.status} with {kind[:50]!r}, not JSON: "
            "check FOUNDATION_PEERS"
        )
    if body[:1] != b"{" or body[-1:] != b"}" or "Content-Encoding" in reply.headers:
        raise BadGateway("an app node's answer is no JSON object: check FOUNDATION_PEERS")
    headers = [(b"server-timing", _timing(reply.headers.get("Server-Timing", ""), elapsed_s))]
    retry_after = reply.headers.get("Retry-After", "")
    if retry_after.isascii() and retry_after.isdigit():
        headers.append((b"retry-after", retry_after.encode()))
    return Answer(reply.status, body, correlation_id, tuple(headers), content_type)


def _timing(told: str, elapsed_s: float) -> bytes:
    """What the app node told of itself, and as `gateway` what the way there and back took more."""
    parts = {name: float(value) for name, value in _TIMING.findall(told[:1_000])}
    own_ms = max(0.0, 1_000 * elapsed_s - sum(parts.values()))
    words = [f"{name};dur={value:.3f}" for name, value in parts.items()]
    return ", ".join((*words, f"gateway;dur={own_ms:.3f}")).encode()


def _may_be_app(peer: Peer) -> bool:
    return peer.name is None or ROLE in peer.roles


def _row(
    name: str | None,
    url: str,
    roles: tuple[str, ...],
    state: PeerState,
    detail: str,
    traffic: Traffic,
) -> GatewayUpstream:
    return GatewayUpstream(
        node=name,
        url=url,
        roles=list(roles),
        state="up" if state is PeerState.UP else "down",
        detail=detail,
        requests=traffic.requests,
        failures=traffic.failures,
    )
