"""The target of the client benchmark: P1's processing times and nothing else.

As little work as possible per request, so that the client is what is measured: no parser, no
framework; a request is whatever ends in one read, and its answer is sent after the wait that
P1-6 prescribes for the action in its path. Prints its port and ends when its input closes.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from typing import Any

import uvloop

WAIT_MS = {
    b"login": (51, 150),
    b"dashboard_view": (101, 300),
    b"profile_update": (201, 500),
    b"data_query": (301, 800),
    b"report_generation": (501, 1500),
    b"settings_change": (101, 250),
    b"logout": (26, 75),
}
"""Row P1-6: the range of each action's processing time."""

_BODY = (
    b'{"id":"0190f3a0-0000-7000-8000-000000000000","seq":123456,"action":"dashboard_view",'
    b'"node":"node-2","processing_time_ms":200,"duplicate":false,"session":null,"result":{}}'
)


class Responder(asyncio.Protocol):
    def __init__(self, rng: random.Random, scale: float) -> None:
        self._rng = rng
        self._scale = scale
        # uvloop's transport is no subclass of asyncio's, whatever the annotation says.
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"POST "):
            return  # the body of a request whose head came alone (requests sends two pieces)
        action = data[5 : data.index(b" ", 5)].rpartition(b"/")[2]
        low, high = WAIT_MS[action]
        wait_ms = self._rng.randint(low, high) * self._scale
        head = (
            f"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n"
            f"server-timing: emulated;dur={wait_ms:.3f}, work;dur=0.210\r\n"
            f"x-correlation-id: 0190f3a0-0000-7000-8000-000000000000\r\n"
            f"content-length: {len(_BODY)}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        loop.call_later(wait_ms / 1000, self._answer, head.encode() + _BODY)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(scale: float) -> None:
    loop = asyncio.get_running_loop()
    rng = random.Random(1)
    server = await loop.create_server(lambda: Responder(rng, scale), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(serve(float(sys.argv[1])))
