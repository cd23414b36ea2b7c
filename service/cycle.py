"""One request and its response on a connection: uvicorn's cycle, with whole answers in one write.

An ASGI app sends head and body as two messages, which uvicorn writes with two system calls; on the
hot path each costs as much as decoding the event. Here the head waits for the first part of the
body, and when that is also the last, both go out at once. Everything else is uvicorn's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service import correlation, problem
from service.errors import FoundationError, Overloaded
from service.unsent import HeldBytes, Unsent

_BODILESS = frozenset({204, 304})
_UNREAD: Final = "clients have not read too many bytes of answers: ask for less, or read faster"


class NodeCycle(RequestResponseCycle):
    """Used by `NodeProtocol` in place of uvicorn's own. `refused` is told of an answer that is
    too large for what clients have not taken yet."""

    def __init__(
        self,
        *,
        held: HeldBytes,
        unsent: Unsent,
        refused: Callable[[FoundationError], None],
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self._held = held
        self._unsent = unsent
        self._refused = refused
        self._holds_bytes = 0
        self._counts = False
        self._done = False
        self._was_read = False
        self._side_ended = False
        self._head: Any = None

    def hold(self, size_bytes: int) -> None:
        """Count what has arrived of the body until the request is done with."""
        if not self._done:
            self._holds_bytes += size_bytes
            self._held.total += size_bytes

    def complete(self) -> None:
        """All of the request has arrived: it counts until it is done with."""
        if not self._done:
            self._counts = True
            self._held.requests += 1

    def release(self) -> None:
        """The request is done with, answered or not; it and its bytes no longer count."""
        self._done = True
        if self._counts:
            self._counts = False
            self._held.requests -= 1
        self._held.total -= self._holds_bytes
        self._holds_bytes = 0

    def lose(self) -> None:
        """The client is gone: who reads its body or streams to it sees a disconnect."""
        self.disconnected = True
        self.message_event.set()

    def end_side(self) -> None:
        """The client sends no more, gone or not: who listens to it for that, behind the request,
        sees a disconnect. It may still read, so an answer goes out."""
        self._side_ended = True
        self.message_event.set()

    async def receive(self) -> Any:
        """As uvicorn's, which would not tell of an ended side."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        told = self._was_read and self._side_ended
        if not (told or self.disconnected or self.response_complete):
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete or (self._was_read and self._side_ended):
            return {"type": "http.disconnect"}
        self._was_read = not self.more_body
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def start(self, app: ASGIApp, tasks: set[asyncio.Task[None]]) -> None:
        """Run `app` as a task that is among `tasks` until it ends."""
        self._task = asyncio.get_running_loop().create_task(self._run(app, tasks))
        tasks.add(self._task)

    async def _run(self, app: ASGIApp, tasks: set[asyncio.Task[None]]) -> None:
        try:
            await self.run_asgi(app)  # type: ignore[arg-type]
        finally:
            # Here and not in a callback of the task, which would cost another turn of the loop.
            tasks.discard(self._task)
            self.release()

    async def send(self, message: Any) -> None:
        if self.transport.is_closing():  # cut off in this turn of the loop, or while we waited
            self.lose()
            return
        if self._head is None:
            if message["type"] == "http.response.start" and not self.response_started:
                self._head = message
            else:
                await super().send(message)
                self._unsent.wrote(len(message.get("body", b"")))
            return
        head, self._head = self._head, None
        whole = (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and self.scope["method"] != "HEAD"
            and head["status"] not in _BODILESS
        )
        if not whole:
            await super().send(head)
            await super().send(message)
            return
        status, headers, body = head["status"], head.get("headers", ()), message.get("body", b"")
        done = self.scope["method"] != "GET"
        if not self._unsent.has_room(len(body), done=done):
            if done:
                self._refused(Overloaded(_UNREAD))
                self.transport.abort()  # what it did is unknown to the client, never "refused"
                self.lose()
                return
            status, headers, body = self._no_room(headers)
        if self.flow.write_paused and not self.disconnected:
            with self._unsent.waiting(len(body)):
                await self.flow.drain()
        if not self.disconnected and not self.transport.is_closing():
            self._send_whole(status, headers, body)

    def _no_room(self, headers: Any) -> tuple[int, Any, bytes]:
        """The refusal of a read, in place of its answer, which is let go."""
        error = Overloaded(_UNREAD)
        self._refused(error)
        told = next((value for name, value in headers if name == correlation.HEADER), None)
        status, raw, body = problem.render(error, None if told is None else told.decode())
        if told is not None:
            raw.append((correlation.HEADER, told))
        return status, raw, body

    def _send_whole(self, status: int, headers: Any, body: bytes) -> None:
        parts = [STATUS_LINE[status]]
        has_length = False
        for name, value in (*self.default_headers, *headers):
            if name == b"content-length":
                assert int(value) == len(body), "Content-Length and body differ"
                has_length = True
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        lines = len(parts) // 4 + 1
        if not has_length:
            parts.append(b"content-length: %d\r\n" % len(body))
            lines += 1
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
            lines += 1
        head = b"".join(parts)
        # A value with a line break in it would be a header, or a response, of its own.
        assert head.count(b"\n") == head.count(b"\r") == lines, "a header holds a line break"
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b\r\n%b" % (head, body))
        self._unsent.wrote(len(body))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
