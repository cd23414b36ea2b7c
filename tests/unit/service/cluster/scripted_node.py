"""A TCP server that plays another node: it keeps what it was asked and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request; header names are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Play = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request; closing the writer ends the connection."""


def http(status: int, body: bytes | object, **headers: str) -> bytes:
    """A whole answer; what is not bytes is sent as JSON. `x_y` names the header X-Y."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"content-type": "application/json", "content-length": str(len(raw))} | named
    lines = [f"HTTP/1.1 {status} Text", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join((*lines, "", "")).encode() + raw


def saying(answer: bytes) -> Play:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return play


async def hang_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Dies before it answers."""
    writer.close()


async def cut_short(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Dies in the middle of its answer."""
    writer.write(http(201, {"a": "b" * 100})[:-50])
    await writer.drain()
    writer.close()


async def silence(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Takes the request and never answers."""
    await asyncio.sleep(60)


@dataclass
class ScriptedNode:
    """`play` answers all but /health, which says `name`, `roles` and `health_status`."""

    play: Play
    name: str = "node-2"
    roles: Sequence[str] = ("app",)
    health_status: int = 200
    health_body: bytes | None = None
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    health_asked: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens, the second time on the same port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuses connections from now on, and ends those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (asked := await _request(reader)) is not None:
                if asked.path == "/health":
                    self.health_asked += 1
                    writer.write(self._health())
                else:
                    self.asked.append(asked)
                    await self.play(asked, writer)
                if writer.is_closing():
                    return
        except (asyncio.CancelledError, ConnectionError):
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def _health(self) -> bytes:
        account: dict[str, object] = {
            "status": "up" if self.health_status == 200 else "down",
            "node": self.name,
            "roles": list(self.roles),
            "version": "1",
            "incarnation": 1,
            "components": {},
        }
        # No connection is kept from it, so that a stopped node refuses what comes next.
        return http(self.health_status, self.health_body or account, connection="close")


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


@contextlib.asynccontextmanager
async def playing(*nodes: ScriptedNode) -> AsyncIterator[None]:
    """All of them, until the block ends."""
    try:
        for node in nodes:
            await node.start()
        yield
    finally:
        for node in nodes:
            await node.stop()


def free_port() -> int:
    """A port of the loopback that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
