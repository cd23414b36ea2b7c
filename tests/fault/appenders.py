"""Clients that append to shared streams by compare-and-set, while their node is killed.

Each reads a stream's version, appends with it as `expected_version`, and notes both for the
register checker. A try without an answer is repeated with the same bytes, or (one time in four)
left as unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from uuid import UUID

import orjson
from uuid_utils import uuid7

from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.register import Append, History, Outcome, Read
from tests.fault.writers import GIVE_UP_SHARE, RETRY_TIMEOUT_S

_PAUSE_S = 0.05


@dataclass(slots=True)
class Notes:
    """What all clients saw, in the order in which it ended."""

    appends: list[Append] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    retries: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(append.outcome is outcome for append in self.appends)

    def history(self) -> History:
        return History(self.appends, self.reads)


class Appender:
    """One sequential client with a connection of its own; runs until `stop` is set."""

    def __init__(
        self, streams: Sequence[str], seed: int, port: int, notes: Notes, stop: asyncio.Event
    ) -> None:
        self._streams = streams
        self._random = Random(seed)
        self._notes = notes
        self._stop = stop
        self._connection = HttpConnection(port)

    async def run(self) -> None:
        """Raises AssertionError on an answer that no guarantee allows."""
        try:
            while not self._stop.is_set():
                stream = self._random.choice(self._streams)
                version = await self._read(stream)
                if version is not None:
                    await self._append(stream, version)
        finally:
            self._connection.close()

    async def _read(self, stream: str) -> int | None:
        """The stream's version, or None without an answer."""
        started_s = monotonic()
        path = f"/v1/events?stream={stream}&order_by=-seq&limit=1"
        try:
            status, page = await self._connection.exchange("GET", path)
        except NoAnswer:
            await asyncio.sleep(_PAUSE_S)
            return None
        if status == 503:
            return None
        assert status == 200, page
        version = page["events"][0]["stream_version"] if page["events"] else 0
        assert isinstance(version, int)
        self._notes.reads.append(Read(stream, version, started_s, monotonic()))
        return version

    async def _append(self, stream: str, expected: int) -> None:
        id_ = UUID(str(uuid7()))
        event = {"id": str(id_), "type": "t", "stream": stream, "expected_version": expected}
        started_s = monotonic()
        outcome, version = await self._outcome(orjson.dumps(event))
        self._notes.appends.append(
            Append(stream, id_, expected, outcome, version, started_s, monotonic())
        )

    async def _outcome(self, body: bytes) -> tuple[Outcome, int | None]:
        deadline_s = monotonic() + RETRY_TIMEOUT_S
        tried = False
        while monotonic() < deadline_s:
            try:
                status, reply = await self._connection.exchange("POST", "/v1/events", body)
            except NoAnswer:
                if not tried and self._random.random() < GIVE_UP_SHARE:
                    return Outcome.UNKNOWN, None
                tried = True
                self._notes.retries += 1
                await asyncio.sleep(_PAUSE_S)
                continue
            if status == 503:
                await asyncio.sleep(_PAUSE_S)
                continue
            if status == 409:
                assert reply["code"] == "version_conflict", reply
                return Outcome.REFUSED, None
            assert status == 201 or (status == 200 and tried), reply
            return Outcome.ACKNOWLEDGED, reply["stream_version"]
        raise AssertionError(f"no answer for {RETRY_TIMEOUT_S:g} s")
