"""Clients that change shared configuration paths by compare-and-set, while their node is killed.

The same clients as those of streams (appenders.py), over `/v1/config/{path}`: what they note goes
to the same register checker (G4), since a path's version is its stream's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from urllib.parse import quote
from uuid import UUID

import orjson
from uuid_utils import uuid7

from tests.fault.appenders import Appender
from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.register import Append, Outcome, Read, Stored
from tests.fault.writers import GIVE_UP_SHARE, RETRY_TIMEOUT_S

_PAUSE_S = 0.02


class ConfigWriter(Appender):
    """An `Appender` whose streams are paths of the configuration."""

    async def _read(self, stream: str) -> int | None:
        started_s = monotonic()
        try:
            status, entry = await self._connection.exchange("GET", f"/v1/config/{stream}")
        except NoAnswer:
            await asyncio.sleep(_PAUSE_S)
            return None
        if status == 503:  # it is still reading its changes back
            await asyncio.sleep(_PAUSE_S)
            return None
        assert status == 200, entry
        version = entry["version"]
        assert isinstance(version, int)
        # A value is the id of the change that made it, so the two must belong together.
        assert version == 0 or UUID(entry["value"]).version == 7
        self._notes.reads.append(Read(stream, version, started_s, monotonic()))
        return version

    async def _append(self, stream: str, expected: int) -> None:
        id_ = UUID(str(uuid7()))
        change = {"id": str(id_), "value": str(id_), "expected_version": expected}
        started_s = monotonic()
        outcome, version = await self._put(stream, orjson.dumps(change))
        self._notes.appends.append(
            Append(stream, id_, expected, outcome, version, started_s, monotonic())
        )

    async def _put(self, path: str, body: bytes) -> tuple[Outcome, int | None]:
        deadline_s = monotonic() + RETRY_TIMEOUT_S
        tried = False
        while monotonic() < deadline_s:
            try:
                status, reply = await self._connection.exchange("PUT", f"/v1/config/{path}", body)
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
            assert status == 200 and (tried or not reply["duplicate"]), reply
            assert reply["value"] == orjson.loads(body)["id"]
            return Outcome.ACKNOWLEDGED, reply["version"]
        raise AssertionError(f"no answer for {RETRY_TIMEOUT_S:g} s")


async def read_changes(port: int, paths: Sequence[str]) -> Stored:
    """Versions and ids of the changes of each path as the log has them."""
    connection = HttpConnection(port)
    stored: dict[str, list[tuple[int, UUID]]] = {}
    try:
        for path in paths:
            stored[path] = []
            query = f"/v1/events?stream={quote(f'$config/{path}')}&order_by=seq&limit=1000"
            cursor: str | None = ""
            while cursor is not None:
                status, page = await connection.exchange("GET", query + cursor)
                assert status == 200, page
                for event in page["events"]:
                    assert event["data"] == {"path": path, "value": event["id"]}
                    stored[path].append((event["stream_version"], UUID(event["id"])))
                token = page["next_cursor"]
                cursor = None if token is None else f"&cursor={quote(token)}"
    finally:
        connection.close()
    return stored
