"""Open-model load for the overload tests: requests start when they are due, whatever the node does.

Bodies are made beforehand and answers are only looked at, not parsed, so that one process offers
several times what a node can take. Each arrival needs a connection of its own until it is answered;
when all are busy another is opened, up to a bound, and beyond that an arrival is counted as unsent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import Any
from uuid import UUID

from uuid_utils import uuid7

TICK_S = 0.005
PENDING_TIMEOUT_S = 30.0
MAX_OPEN = 2_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as bytes, and the ids of its events in their order."""

    raw: bytes
    ids: tuple[UUID, ...]


@dataclass(slots=True)
class Outcome:
    """What became of the arrivals. `answers` counts statuses, `latencies_s` are of 2xx alone.

    `faulty` are refusals without Retry-After or with another code than `overloaded`.
    """

    acknowledged: list[tuple[UUID, ...]] = field(default_factory=list)
    refused: list[tuple[UUID, ...]] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    faulty: list[bytes] = field(default_factory=list)
    unsent: int = 0
    unanswered: int = 0
    seconds: float = 0.0

    @property
    def offered_per_s(self) -> float:
        return (self.answers.total() + self.unanswered + self.unsent) / self.seconds

    @property
    def acknowledged_per_s(self) -> float:
        return len(self.acknowledged) / self.seconds


def arrivals(path: str, events: int, filler_bytes: int = 40) -> Iterator[Arrival]:
    """Endless; `events` of 1 makes single events, more a batch."""
    tail = '","type":"overload","data":{"text":"%s"}}' % ("x" * filler_bytes)
    while True:
        ids = tuple(UUID(str(uuid7())) for _ in range(events))
        body = ",".join([f'{{"id":"{id_}{tail}' for id_ in ids])
        if events > 1:
            body = f"[{body}]"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        yield Arrival((head + body).encode(), ids)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: OpenLoad) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._arrival: Arrival | None = None
        self._sent_s = 0.0
        self._answer = b""
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self, arrival: Arrival) -> None:
        assert self._transport is not None
        self._arrival, self._sent_s, self._answer = arrival, monotonic(), b""
        self._transport.write(arrival.raw)

    def data_received(self, data: bytes) -> None:
        answer = self._answer = self._answer + data
        end = answer.find(b"\r\n\r\n")
        if end < 0 or self._arrival is None:
            return
        head = answer[:end].lower()
        at = head.index(b"content-length: ") + 16
        if len(answer) < end + 4 + int(head[at:].partition(b"\r")[0]):
            return
        arrival, self._arrival = self._arrival, None
        self._load.answered(arrival, int(head[9:12]), answer, monotonic() - self._sent_s)
        if not self.lost:
            self._load.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._load.open -= 1
        if self._arrival is not None:
            self._load.unanswered(self._arrival)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class OpenLoad:
    """One stretch of load on the node at `port`."""

    def __init__(self, port: int) -> None:
        self.idle: list[_Connection] = []
        self.open = 0
        self.outcome = Outcome()
        self._port = port
        self._all: list[_Connection] = []
        self._pending = 0
        self._drained = asyncio.Event()
        self._answered = asyncio.Event()

    async def offer(self, supply: Sequence[Arrival], rate: float) -> Outcome:
        """Start `rate` arrivals a second until the supply is used up; wait for the answers."""
        started_s = monotonic()
        due = iter(supply)
        started = 0
        while started < len(supply):
            wanted = min(len(supply), int((monotonic() - started_s) * rate) + 1)
            for arrival in islice(due, wanted - started):
                await self._start(arrival)
            started = wanted
            await asyncio.sleep(TICK_S)
        self.outcome.seconds = monotonic() - started_s
        return await self._end()

    async def closed(self, supply: Iterator[Arrival], clients: int, seconds: float) -> Outcome:
        """As fast as the node answers `clients` who each wait for their answer."""
        started_s = monotonic()
        while monotonic() - started_s < seconds:
            while self._pending < clients:
                await self._start(next(supply))
            self._answered.clear()
            await self._answered.wait()
        self.outcome.seconds = monotonic() - started_s
        return await self._end()

    def answered(self, arrival: Arrival, status: int, answer: bytes, latency_s: float) -> None:
        outcome = self.outcome
        self._settled()
        outcome.answers[status] += 1
        if status == 201:
            outcome.acknowledged.append(arrival.ids)
            outcome.latencies_s.append(latency_s)
            return
        outcome.refused.append(arrival.ids)
        if status != 503 or b"retry-after: " not in answer or b'"overloaded"' not in answer:
            outcome.faulty.append(answer[:400])

    def unanswered(self, arrival: Arrival) -> None:
        self._settled()
        self.outcome.unanswered += 1

    def _settled(self) -> None:
        self._pending -= 1
        self._answered.set()
        if not self._pending:
            self._drained.set()

    async def _start(self, arrival: Arrival) -> None:
        while self.idle:
            connection = self.idle.pop()
            if not connection.lost:
                break
        else:
            if self.open >= MAX_OPEN:
                self.outcome.unsent += 1
                return
            self.open += 1
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port
            )
            self._all.append(connection)
        self._pending += 1
        self._drained.clear()
        connection.send(arrival)

    async def _end(self) -> Outcome:
        """Wait for the answers that are still to come."""
        if self._pending:
            with suppress(TimeoutError):
                async with asyncio.timeout(PENDING_TIMEOUT_S):
                    await self._drained.wait()
        for connection in self._all:
            connection.close()
        return self.outcome
