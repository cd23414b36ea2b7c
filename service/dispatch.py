"""The edge of every request: correlation, tokens, dispatch, errors, counting, one log line.

Both lanes pass here, so that they cannot differ in any of it: the fast lane's handlers return an
`Answer`; everything else goes to FastAPI. An exception that is not one of ours is logged once and
becomes a 500 without its text, since that could hold anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars
from structlog.typing import FilteringBoundLogger

from service import correlation, problem
from service.auth import Tokens
from service.errors import FoundationError, Overloaded
from service.log import Sparing
from service.telemetry.meter import Meter
from service.unsent import HeldBytes

HeaderMap = Mapping[bytes, bytes]
CORRELATION_KEY: Final = "foundation.correlation_id"
"""Where FastAPI's routes find the request's correlation id in the ASGI scope."""

ALWAYS_ANSWERED: Final = ("/health", "/metrics")
"""Who watches the node must hear from it most of all when it is overloaded (G13)."""

READS_FACTOR: Final = 2
"""Reads go on when writes are refused: they wait for no disk, and readers bound the queries."""

REFUSAL_KEY: Final = "foundation.refusal"
"""Where FastAPI's error handlers leave what they answered with in the ASGI scope, for the log."""

INTERNAL: Final = "the node failed on this request: its log says why, under this correlation id"
_JSON: Final = (b"content-type", b"application/json")


class Answer(NamedTuple):
    """What a fast handler returns: JSON body, and the correlation id that the answer carries.

    `content_type` is the whole header; only an answer of another node's has another one.
    """

    status: int
    body: bytes
    correlation_id: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: tuple[bytes, bytes] = _JSON


class FastRequest(NamedTuple):
    """What a fast handler gets: lower-case header names, the last of duplicates.

    `correlation_id` is what the headers gave, or None.
    """

    path: str
    headers: HeaderMap
    correlation_id: str | None
    receive: Receive


FastHandler = Callable[[FastRequest], Awaitable[Answer]]
FastRoute = tuple[str, FastHandler]
"""A route template such as `POST /v1/events`, for metrics and logs, and its handler."""


class Disconnected(Exception):
    """The client went away, or was refused by the protocol, before its body was complete."""


async def send_answer(answer: Answer, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                answer.content_type,
                (b"content-length", b"%d" % len(answer.body)),
                (correlation.HEADER, answer.correlation_id.encode("utf-8")),
                *answer.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})


class Dispatch:
    """The node's ASGI app. `find_fast` looks a hot route up by method and path."""

    def __init__(
        self,
        find_fast: Callable[[str, str], FastRoute | None],
        slow_lane: ASGIApp,
        tokens: Tokens,
        meter: Meter,
        log: FilteringBoundLogger,
        *,
        log_successes: bool,
        held: HeldBytes | None = None,
        max_requests: int = 5_000,
    ) -> None:
        self._find_fast = find_fast
        self._slow_lane = slow_lane
        self._tokens = tokens
        self._meter = meter
        self._log = log
        self._log_successes = log_successes
        self._held = held or HeldBytes()
        self._max_requests = max_requests
        self._overload_lines = Sparing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "lifespan and websockets are off"
        started_s = perf_counter()
        method: str = scope["method"]
        path: str = scope["path"]
        headers = dict(scope["headers"])
        given: str | None = None
        route = "(none)"
        try:
            if self._held.requests > self._max_requests:
                self._admit(method, path)
            given = correlation.given(headers)
            self._tokens.check(path, headers)
            fast = self._find_fast(method, path)
            if fast is None:
                await self._slowly(scope, receive, send, given or correlation.make(), started_s)
                return
            route = fast[0]
            answer = await fast[1](FastRequest(path, headers, given, receive))
        except Disconnected:
            return
        except FoundationError as error:
            await self._refuse(error, given or correlation.make(), route, started_s, send)
            return
        except Exception:
            correlation_id = given or correlation.make()
            self._log.exception("request failed", route=route, correlation_id=correlation_id)
            await self._refuse(FoundationError(INTERNAL), correlation_id, route, started_s, send)
            return
        await send_answer(answer, send)
        self._meter.requests[route, answer.status] += 1
        if self._log_successes:
            self._line(route, answer.status, answer.correlation_id, started_s)

    def _admit(self, method: str, path: str) -> None:
        """More requests wait than may: Overloaded for writes, and for reads at twice as many."""
        waiting = self._held.requests
        reads = method == "GET" and waiting <= READS_FACTOR * self._max_requests
        if not reads and path not in ALWAYS_ANSWERED:
            raise Overloaded(
                f"{waiting} requests wait for their answers: retry with the same id after the "
                "time in Retry-After"
            )

    async def _slowly(
        self, scope: Scope, receive: Receive, send: Send, correlation_id: str, started_s: float
    ) -> None:
        """Run FastAPI, adding the correlation id to its answer and noting its status."""
        scope[CORRELATION_KEY] = correlation_id
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                raw = [pair for pair in message["headers"] if pair[0] != correlation.HEADER]
                raw.append((correlation.HEADER, correlation_id.encode("utf-8")))
                message = {**message, "headers": raw}
            await send(message)

        try:
            with bound_contextvars(correlation_id=correlation_id):
                await self._slow_lane(scope, receive, noting_send)
        except Disconnected:
            return
        except Exception:
            # FastAPI's outermost handler has answered 500 and raised again for the log.
            self._log.exception(
                "request failed", route=route_of(scope), correlation_id=correlation_id
            )
        if status:
            route = route_of(scope)
            self._meter.requests[route, status] += 1
            refusal = scope.get(REFUSAL_KEY)
            if refusal is None:
                self._line(route, status, correlation_id, started_s)
            else:
                self._refusal_line(refusal, route, correlation_id, started_s)

    async def _refuse(
        self,
        error: FoundationError,
        correlation_id: str,
        route: str,
        started_s: float,
        send: Send,
    ) -> None:
        status, headers, body = problem.render(error, correlation_id)
        headers.append((correlation.HEADER, correlation_id.encode("utf-8")))
        self._meter.requests[route, status] += 1
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._refusal_line(error, route, correlation_id, started_s)

    def _refusal_line(
        self, error: FoundationError, route: str, correlation_id: str, started_s: float
    ) -> None:
        """Refusing must stay cheap: of the lines that tell of overload, one in a second is
        written, with the number of those that were left out since the one before."""
        told: dict[str, Any] = {"code": error.code}
        if isinstance(error, Overloaded):
            left_out = self._overload_lines.pass_at(started_s)
            if left_out is None:
                return
            told["left_out"] = left_out
        self._line(route, error.status, correlation_id, started_s, **told)

    def _line(
        self, route: str, status: int, correlation_id: str, started_s: float, **more: Any
    ) -> None:
        write = self._log.debug
        if status >= 400:
            write = self._log.warning if status >= 500 else self._log.info
        duration_ms = round((perf_counter() - started_s) * 1_000, 2)
        write(
            "request",
            route=route,
            status=status,
            duration_ms=duration_ms,
            correlation_id=correlation_id,
            **more,
        )


def route_of(scope: Scope) -> str:
    """The matched route's template such as `GET /v1/events/{id}`, or `(none)`: never a raw path,
    which would make a time series per URL."""
    route = scope.get("route")
    template = getattr(route, "path", None)
    return f"{scope['method']} {template}" if template else "(none)"
