"""A raw HTTP client for tests of the protocol: it sends what it likes, its reads are bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from tests.unit.service.protocol_server import Running

GUARD_S = 20.0


class Client:
    """A raw connection; every read is bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(GUARD_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status_line.split(" ")[1]), headers, body

    async def refusal(self) -> tuple[int, str]:
        status, headers, body = await self.response()
        problem = json.loads(body)
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert problem["status"] == status
        return status, problem["code"]

    async def ended_after(self, least_bytes: int) -> bytes:
        """What arrives until there is more than that, or the server closes."""
        found = b""
        async with asyncio.timeout(GUARD_S):
            while len(found) <= least_bytes:
                try:
                    chunk = await self.reader.read(2**20)
                except ConnectionResetError:
                    break
                if not chunk:
                    break
                found += chunk
        return found

    async def ended(self) -> bytes:
        """What still arrives until the server closes."""
        async with asyncio.timeout(GUARD_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@contextlib.asynccontextmanager
async def connected(server: Running) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110 what is polled knows no event
            await asyncio.sleep(0.005)


def post(path: str, body: bytes, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
