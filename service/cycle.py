"""One request and its response on a connection: uvicorn's cycle, with whole answers in one write.

An ASGI app sends head and body as two messages, which uvicorn writes with two system calls; on the
hot path each costs as much as decoding the event. Here the head waits for the first part of the
body, and when that is also the last, both go out at once. Everything else is uvicorn's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class HeldBytes:
    """What has arrived on any connection and is not answered yet: `total` bytes of bodies, and
    `requests` that are complete, so that a client that sends slowly holds nobody's place."""

    total: int = 0
    requests: int = 0


class NodeCycle(RequestResponseCycle):
    """Used by `NodeProtocol` in place of uvicorn's own."""

    def __init__(self, *, held: HeldBytes, **parts: Any) -> None:
        super().__init__(**parts)
        self._held = held
        self._holds_bytes = 0
        self._counts = False
        self._done = False
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
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected and not self.transport.is_closing():
            self._send_whole(head["status"], head.get("headers", ()), message.get("body", b""))

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
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
