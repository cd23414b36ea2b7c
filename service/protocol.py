"""HTTP/1.1 with limits: uvicorn's httptools protocol, plus what it does not bound (D10).

uvicorn takes headers and bodies of any size and waits for them for ever. Here headers, bodies
(declared or chunked, one and all together), open connections and every wait are bounded.
One connection's life:

    HEAD    from the connection or a request's first byte; ends within the header deadline
    BODY    headers complete, body arriving; ends within the body deadline
    BUSY    the request is complete and being answered; only a client that stops reading is timed
    IDLE    between requests, kept alive
    LINGER  refused: the answer is out, what still arrives is thrown away, then the end

Deadlines need no timer per request: `sweep` compares timestamps twice a second. Duplicate or
contradicting framing headers are the parser's to refuse. This module must not know any route's
meaning; it is told which paths may carry large bodies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service import problem
from service.connection_limit import FRAMING_FACTOR, LINGER_S, REFUSED_BACKLOG, ConnectionLimits
from service.cycle import NodeCycle
from service.errors import (
    FoundationError,
    HeadersTooLarge,
    MalformedRequest,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
)
from service.unsent import HeldBytes, Unsent

HEAD: Final = 0
BODY: Final = 1
BUSY: Final = 2
IDLE: Final = 3
LINGER: Final = 4


class NodeProtocol(HttpToolsProtocol):
    """One connection. `refused` is told of each refusal (for metrics and the log)."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        held: HeldBytes,
        refused: Callable[[FoundationError], None],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._held = held
        self._refused = refused
        self._phase: int = HEAD
        self._since_s = self.loop.time()
        self._stalled_since_s: float | None = None
        self._messages = 0
        self._header_bytes = 0
        self._fed_header_bytes = 0
        self._body_bytes = 0
        self._body_limit = 0
        self._framing_bytes = 0
        self._has_host = False
        self._upgrading = False
        self.cycle: NodeCycle = None  # type: ignore[assignment]
        self._running: NodeCycle | None = None
        self._content_length = 0
        self._refusal: FoundationError | None = None
        self._refusal_waits = False

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._unsent = Unsent(self._held, transport, self._limits.max_held_bytes)
        surplus = len(self.connections) - self._limits.max_connections
        if surplus > REFUSED_BACKLOG:
            transport.abort()
        elif surplus > 0:
            self._refuse(
                Overloaded(f"{self._limits.max_connections} connections are open, the maximum")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unsent.end()
        if self._running is not None:
            self._running.lose()  # uvicorn tells the newest of pipelined ones alone
        for cycle, _ in self.pipeline:
            cycle.release()  # type: ignore[attr-defined]  # its turn never came
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if self._phase == LINGER:
            return
        message, body_bytes = self._messages, self._body_bytes
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or MalformedRequest(f"this is not HTTP/1.1: {error}"))
            return
        if self._messages == message:
            self._count_fed(len(data), self._body_bytes - body_bytes)

    def _feed(self, data: bytes) -> None:
        """Feed the parser, which stops behind the head of each request that asks to upgrade."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                self._drop_upgrade()

    def _count_fed(self, fed_bytes: int, body_bytes: int) -> None:
        """Bound what no callback of the parser reports: an unfinished header, which it buffers,
        and the sizes, extensions and line ends between chunks."""
        limits = self._limits
        if self._phase == HEAD:
            self._fed_header_bytes += fed_bytes
            if self._fed_header_bytes > limits.max_header_bytes:
                self._refuse(self._headers_too_large())
        elif self._phase == BODY:
            self._framing_bytes += fed_bytes - body_bytes
            allowed = limits.max_header_bytes + FRAMING_FACTOR * self._body_bytes
            if self._framing_bytes > allowed:
                self._refuse(PayloadTooLarge("more bytes between the chunks than in them"))

    def _drop_upgrade(self) -> None:
        """Parse the head that was just parsed again, without its Upgrade.

        The parser skips the body of a request that would leave HTTP/1.1. We never upgrade, which
        a server is free to (RFC 9110 section 7.8), so such a request is an ordinary one.
        """
        if not self._upgrading:
            return  # CONNECT: it is answered, and the connection ends
        self._upgrading = False
        line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (*line, b"".join(fields)))

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client may end its side after a whole request and still gets the answer; a streamed
        answer ends, and one that is held is told, since a reader that went away looks the same."""
        cycle = self.cycle
        if self._phase != BUSY or cycle is None or cycle.response_started:
            return False
        cycle.keep_alive = False
        for waiting in (self._running, *(one for one, _ in self.pipeline)):
            waiting.end_side()  # type: ignore[union-attr]
        return True

    def pause_writing(self) -> None:
        self._stalled_since_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since_s = None
        self._unsent.look()
        super().resume_writing()

    # The parser's callbacks. An exception here comes out of feed_data as HttpParserError.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._messages += 1
        self._phase = HEAD
        self._since_s = self.loop.time()
        self._header_bytes = self._fed_header_bytes = self._body_bytes = self._content_length = 0
        self._framing_bytes = 0
        self._has_host = False

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value) + 4)
        name = name.lower()
        if name == b"content-length":
            self._content_length = int(value)
        elif name == b"host":
            if self._has_host:
                self._stop(MalformedRequest("there are two Host headers"))
            self._has_host = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._upgrading = True
            return
        self._body_limit = self._limits.body_bytes(self.url)
        if self._content_length > self._body_limit:
            self._stop(self._body_too_large())
        self._begin_cycle()
        self._phase = BODY
        self._since_s = self.loop.time()

    def _begin_cycle(self) -> None:
        """uvicorn's `on_headers_complete` without its websocket and concurrency branches."""
        parser = self.parser
        scope = self.scope
        http_version = parser.get_http_version()
        if http_version not in ("1.0", "1.1"):
            self._stop(MalformedRequest(f"HTTP/{http_version} is not spoken here: HTTP/1.1 is"))
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = http_version
        url = httptools.parse_url(self.url)
        scope["raw_path"] = url.path
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["query_string"] = url.query or b""
        earlier = self.cycle
        waits = earlier is not None and not earlier.response_complete
        if waits and self._held.requests >= self._limits.max_requests:  # others: see Dispatch
            self._stop(Overloaded(f"{self._held.requests} requests wait for their answers"))
        self.cycle = NodeCycle(
            held=self._held,
            unsent=self._unsent,
            refused=self._refused,
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=http_version != "1.0"
            and parser.should_keep_alive()
            and not parser.should_upgrade(),
            on_response=self.on_response_complete,
        )
        if not waits:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        cycle.start(app, self.tasks)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            self._stop(self._body_too_large())
        self.cycle.hold(len(body))
        if self._held.total > self._limits.max_held_bytes:
            self._stop(Overloaded("too many bytes of requests are being received at once"))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        super().on_message_complete()
        self.cycle.complete()
        if self.cycle.response_complete:
            self._phase = IDLE
            self._since_s = self.loop.time()
        else:
            self._phase = BUSY

    def on_response_complete(self) -> None:
        """uvicorn arms its keep-alive timer here; `sweep` makes that timer needless."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal_waits:
            self._write_refusal()
        elif self._phase == BUSY:
            self._phase = IDLE
            self._since_s = self.loop.time()

    # Deadlines

    def sweep(self, now_s: float) -> None:
        """End what is overdue at `now_s` (the loop's clock)."""
        limits = self._limits
        self._unsent.look()
        stalled_s = self._stalled_since_s
        if stalled_s is not None and now_s - stalled_s > limits.body_deadline_s:
            self.transport.abort()
            return
        phase = self._phase
        if phase == BUSY or self._refusal_waits:
            return
        age_s = now_s - self._since_s
        if phase == IDLE:
            if age_s > limits.keep_alive_s:
                self.transport.close()
        elif phase == HEAD:
            if age_s > limits.header_deadline_s:
                self._end_head()
        elif phase == BODY:
            if self.flow is not None and self.flow.read_paused:
                self._since_s = now_s  # it is us who do not read
            elif age_s > limits.body_deadline_s:
                self._refuse(
                    RequestTimeout(f"the body did not arrive within {limits.body_deadline_s:g} s")
                )
        elif age_s > LINGER_S:
            self.transport.abort()

    def _end_head(self) -> None:
        if self._messages == 0 or self._header_bytes + self._fed_header_bytes == 0:
            self.transport.close()  # nothing was asked, so there is nothing to answer
            return
        limit_s = self._limits.header_deadline_s
        self._refuse(RequestTimeout(f"the headers did not arrive within {limit_s:g} s"))

    # Refusals

    def _count_header(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > self._limits.max_header_bytes:
            self._stop(self._headers_too_large())

    def _headers_too_large(self) -> FoundationError:
        return HeadersTooLarge(
            f"request line and headers may take {self._limits.max_header_bytes} bytes together"
        )

    def _body_too_large(self) -> FoundationError:
        return PayloadTooLarge(
            f"the body may take {self._body_limit} bytes here: send less, or several batches"
        )

    def _stop(self, error: FoundationError) -> None:
        """Leave the parser: `data_received` catches what it makes of this."""
        self._refusal = error
        raise error

    def _refuse(self, error: FoundationError) -> None:
        """Answer `error` in this request's turn, then end the connection."""
        self._refusal = error
        has_cycle = self._phase == BODY
        self._phase = LINGER
        cycle = self.cycle
        if has_cycle and self.pipeline:
            self.cycle.release()
            self.pipeline.popleft()  # its turn never came; older ones are still being answered
            self._refusal_waits = True
        elif has_cycle:
            self._abandon()
        elif cycle is not None and not cycle.response_complete:
            self._refusal_waits = True
        else:
            self._write_refusal()

    def _abandon(self) -> None:
        """The handler waits for a body that will not come: it sees a disconnect."""
        cycle = self.cycle
        answered = cycle.response_started
        cycle.lose()
        if answered:
            self.transport.close()
        else:
            self._write_refusal()

    def _write_refusal(self) -> None:
        error = self._refusal
        assert error is not None
        self._refusal_waits = False
        self._since_s = self.loop.time()
        self._refused(error)
        status, headers, body = problem.render(error, None)
        parts = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(parts))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
