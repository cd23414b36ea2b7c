"""A uvicorn server with `NodeProtocol` and a small app, for tests of the protocol alone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from service.connection_limit import ConnectionLimits
from service.errors import FoundationError
from service.protocol import NodeProtocol
from service.unsent import HeldBytes

LIMITS = ConnectionLimits(
    max_header_bytes=4_096,
    max_body_bytes=10_000,
    max_large_body_bytes=100_000,
    large_bodies=frozenset({b"/large"}),
    header_deadline_s=30.0,
    body_deadline_s=30.0,
    keep_alive_s=30.0,
    max_connections=50,
    max_held_bytes=1_000_000,
)


@dataclass
class Seen:
    """What reached the app, and a gate that holds answers of `/slow` back until it is set."""

    bodies: list[bytes] = field(default_factory=list)
    disconnects: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Running:
    port: int
    seen: Seen
    refused: list[str]
    connections: set[Any]
    held: HeldBytes

    def sweep(self, after_s: float) -> None:
        """Sweep as if `after_s` had passed: no test waits for a deadline."""
        now_s = asyncio.get_running_loop().time() + after_s
        for connection in list(self.connections):
            connection.sweep(now_s)


async def app(seen: Seen, scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body unless the path is /early, and answers with its length."""
    size = 0
    if scope["path"] != "/early":
        more = True
        body = b""
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                seen.disconnects += 1
                return
            body += message["body"]
            more = message["more_body"]
        seen.bodies.append(body)
        size = len(body)
    if scope["path"] == "/slow":
        await seen.gate.wait()
    text = b"%s %d" % (scope["path"].encode(), size)
    if scope["path"] == "/big":
        text = b"x" * 8_000_000
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(text))],
        }
    )
    await send({"type": "http.response.body", "body": text})


@contextlib.asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[Running]:
    """A server on a free port, its limits being LIMITS with `changes`."""
    seen = Seen()
    refused: list[str] = []
    held = HeldBytes()

    def note(error: FoundationError) -> None:
        refused.append(error.code)

    protocol: Any = partial(
        NodeProtocol, limits=replace(LIMITS, **changes), held=held, refused=note
    )
    config = uvicorn.Config(
        partial(app, seen),
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    with contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        task = asyncio.create_task(server._serve([sock]))
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
                await asyncio.sleep(0.005)
        try:
            yield Running(
                sock.getsockname()[1], seen, refused, server.server_state.connections, held
            )
        finally:
            seen.gate.set()
            server.should_exit = True
            await task
