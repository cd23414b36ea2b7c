"""A target that answers at once, but stands still for a while, and tells what it was asked.

python -m tests.e2e.freezing_target AT_S FOR_S [ANSWER_S [BACKLOG]]

Prints its URL. From AT_S seconds after the first request on `/a/…` it does nothing at all for FOR_S
seconds, as a process in a long collection of garbage: connections are accepted by the kernel, up to
BACKLOG of them, and nobody reads. ANSWER_S is what each answer on `/a/…` takes otherwise. When its
standard input ends it prints the paths that it was asked for on `/a/…`, one a line, and ends.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BACKLOG = 4096


class Target:
    def __init__(self, at_s: float, for_s: float, answer_s: float) -> None:
        self.at_s, self.for_s, self.answer_s = at_s, for_s, answer_s
        self.asked: list[str] = []

    def take(self, path: str) -> None:
        if not path.startswith("/a/"):
            return
        if not self.asked and self.for_s:
            asyncio.get_running_loop().call_later(self.at_s, time.sleep, self.for_s)
        self.asked.append(path)


class Connection(asyncio.Protocol):
    def __init__(self, target: Target) -> None:
        self._target = target
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, self._read = self._read.split(b"\r\n\r\n", 1)
            # The body of the request before may stand in front of it.
            found = re.search(rb"(?:GET|POST) (\S+) HTTP/1.1", head)
            assert found is not None, head
            path = found[1].decode()
            self._target.take(path)
            if self._target.answer_s and path.startswith("/a/"):
                loop = asyncio.get_running_loop()
                loop.call_later(self._target.answer_s, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)


async def serve(target: Target, backlog: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(target), "127.0.0.1", 0, backlog=backlog)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    print("\n".join(target.asked), flush=True)


if __name__ == "__main__":
    at_s, for_s, answer_s, backlog = [*sys.argv[1:], *("0", str(BACKLOG))[len(sys.argv) - 3 :]]
    asyncio.run(serve(Target(float(at_s), float(for_s), float(answer_s)), int(backlog)))
