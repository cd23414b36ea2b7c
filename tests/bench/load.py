"""A closed-loop load process that does as little as possible, so that it is never the bottleneck.

    python -m tests.bench.load --port 8001 --connections 64 --seconds 3 --requests requests.json

`requests.json` is a list of complete, pre-rendered HTTP requests; connections send them in turn,
one in flight each. Only status lines are counted and times noted; nothing of a body is looked at.
After the time is up no new request is sent and every outstanding answer is awaited, so that the
acknowledgements counted are all there are: the database must hold exactly as many. Prints one JSON
object (`LoadResult`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop

from tests.bench.process import load_core, run_json
from tests.bench.row import BenchError

DRAIN_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`statuses` counts every answer; rate, times and CPU share are of the measured window only.

    `cpu_share` is the load process's own CPU time over the window: near 1 it was the bottleneck.
    """

    statuses: dict[str, int]
    lost: int
    window_s: float
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_share: float

    def acknowledged(self, status: str) -> int:
        """How many answers there were. Raises BenchError if any was not `status`, or was lost."""
        if self.lost or set(self.statuses) != {status}:
            raise BenchError(
                f"only {status} was expected, got {self.statuses} and {self.lost} lost"
            )
        return self.statuses[status]


def drive(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    warm_up_s: float = 1.0,
    core: int | None = None,
) -> LoadResult:
    """Runs this module as a process of its own on `core` (the load's when None)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requests.json")
        path.write_text(json.dumps([request.decode("latin-1") for request in requests]))
        answer = run_json(
            ["-m", "tests.bench.load", "--port", str(port), "--connections", str(connections),
             "--seconds", str(seconds), "--warm-up-s", str(warm_up_s), "--requests", str(path)],
            core=load_core() if core is None else core,
            timeout_s=warm_up_s + seconds + DRAIN_TIMEOUT_S + 20,
        )  # fmt: skip
    return LoadResult(**answer)


def post(path: str, body: bytes) -> bytes:
    """One pre-rendered POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """One pre-rendered GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


class _Run:
    """What all connections share."""

    def __init__(self, requests: Sequence[bytes], connections: int) -> None:
        self.requests = requests
        self.statuses: Counter[bytes] = Counter()
        self.times_s: list[float] = []
        self.lost = 0
        self.ending = False
        self.open = connections
        self.closed = asyncio.Event()


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, index: int) -> None:
        self._run = run
        self._next = index
        self._buffer = b""
        self._sent_s = 0.0
        self._waits = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as WriteTransport.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def _send(self) -> None:
        run = self._run
        self._waits = not run.ending
        if run.ending:
            self._transport.close()
            return
        request = run.requests[self._next % len(run.requests)]
        self._next += run.open
        self._sent_s = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        whole = _is_whole(data)
        if whole is None:
            self._transport.close()  # counts as lost
            return
        if not whole:
            self._buffer = data
            return
        self._buffer = b""
        run = self._run
        run.times_s.append(perf_counter() - self._sent_s)
        run.statuses[data[9:12]] += 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        run = self._run
        run.open -= 1
        run.lost += self._waits
        if run.open == 0:
            run.closed.set()


def _is_whole(data: bytes) -> bool | None:
    """None for an answer without Content-Length, which cannot be counted here."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = data[: end + 2].lower()
    at = head.find(b"content-length: ")
    if at < 0:
        return None
    length = int(head[at + 16 : head.find(b"\r", at)])
    return len(data) >= end + 4 + length


async def _drive(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, warm_up_s: float
) -> LoadResult:
    loop = asyncio.get_running_loop()
    run = _Run(requests, connections)
    for index in range(connections):
        await loop.create_connection(lambda i=index: _Connection(run, i), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(warm_up_s)
    run.times_s = []
    started_s, cpu_s = perf_counter(), _cpu_s()
    await asyncio.sleep(seconds)
    window_s, cpu_s = perf_counter() - started_s, _cpu_s() - cpu_s
    times_s = sorted(run.times_s)
    if not times_s:
        raise BenchError("no request was answered in the measured window")
    run.ending = True
    async with asyncio.timeout(DRAIN_TIMEOUT_S):
        await run.closed.wait()
    return LoadResult(
        statuses={status.decode(): count for status, count in run.statuses.items()},
        lost=run.lost,
        window_s=window_s,
        rate=len(times_s) / window_s,
        p50_ms=times_s[len(times_s) // 2] * 1e3,
        p99_ms=times_s[int(len(times_s) * 0.99)] * 1e3,
        cpu_share=cpu_s / window_s,
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="Closed-loop HTTP load; prints one JSON object.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up-s", type=float, default=1.0)
    parser.add_argument("--requests", type=Path, required=True)
    options = parser.parse_args()
    requests = [text.encode("latin-1") for text in json.loads(options.requests.read_text())]
    result = uvloop.run(
        _drive(options.port, requests, options.connections, options.seconds, options.warm_up_s)
    )
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
