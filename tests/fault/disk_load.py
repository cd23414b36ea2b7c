"""Every kind of write that a node takes, sent at full speed while its disk fails and heals.

Each client makes its own ids, sends each write once, and notes what it was told: acknowledged,
refused (503 with Retry-After and a code), or an answer that no guarantee allows. Nothing is
retried, so what was refused must not be found later. `examine` compares the notes with the
database, read with plain SQLite, and with the node's own audit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import orjson
from uuid_utils import uuid7

from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.ledger import Findings, Ledger, StoredEvent, compare
from tests.fault.stored import audit, expected_hashes
from tests.fault.writers import WriterPlan, content_of, make_item

PAUSE_S = 0.005
"""Between two writes of a client that is refused: it asks again, but not at full speed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and the ids of the writes in it."""

    method: str
    path: str
    body: bytes
    ids: tuple[UUID, ...]
    content_type: str = "application/json"


Maker = Callable[[], Sent]


@dataclass(slots=True)
class Notes:
    """What all clients were told. `acknowledged` and `refused` count requests by client.

    `other` are ids of acknowledged writes that are not plain events; `refused_ids` those of all
    writes that were refused; `broken` the answers that nothing allows.
    """

    ledger: Ledger = field(default_factory=Ledger)
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    other: set[UUID] = field(default_factory=set)
    refused_ids: set[UUID] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


class DiskClient:
    """One sequential client; it runs until `stop` is set."""

    def __init__(
        self, name: str, make: Maker, port: int, notes: Notes, stop: asyncio.Event
    ) -> None:
        self.name = name
        self._make = make
        self._notes = notes
        self._stop = stop
        self._connection = HttpConnection(port)

    async def run(self) -> None:
        try:
            while not self._stop.is_set():
                await self._send(self._make())
        finally:
            self._connection.close()

    async def _send(self, sent: Sent) -> None:
        notes = self._notes
        try:
            status, reply = await self._connection.exchange(
                sent.method, sent.path, sent.body, sent.content_type
            )
        except NoAnswer as error:
            notes.broken.append(f"{self.name}: {error}")
            return
        if status == 503 and self._connection.retry_after_s and "code" in reply:
            notes.refused[self.name] += 1
            notes.codes[reply["code"]] += 1
            notes.refused_ids.update(sent.ids)
            await asyncio.sleep(PAUSE_S)
        elif status in (200, 201, 202):
            self._acknowledge(sent, reply)
        else:
            notes.broken.append(f"{self.name}: {status} {reply}")

    def _acknowledge(self, sent: Sent, reply: Any) -> None:
        notes = self._notes
        notes.acknowledged[self.name] += 1
        if not sent.path.startswith("/v1/events"):
            notes.other.update(sent.ids)
            return
        for receipt in reply.get("receipts", [reply]):
            id_ = UUID(receipt["id"])
            notes.ledger.acknowledge(self.name, id_, receipt["seq"], duplicate=receipt["duplicate"])


def event_maker(name: str, notes: Notes, *, seed: int, batch_events: int = 0) -> Maker:
    plan = WriterPlan(name, seed, batch_events)
    random = Random(seed)

    def make() -> Sent:
        item = make_item(plan, notes.ledger, random)
        return Sent("POST", item.path, item.body, item.ids, item.content_type)

    return make


def workload_maker(method: str, path: str, content: dict[str, Any]) -> Maker:
    """A declared write (D11): `content` with a new id."""

    def make() -> Sent:
        id_ = UUID(str(uuid7()))
        return Sent(method, path, orjson.dumps({"id": str(id_), **content}), (id_,))

    return make


def clients(port: int, notes: Notes, stop: asyncio.Event) -> list[DiskClient]:
    """One or more of each kind of write."""
    makers = {
        **{f"single-{n}": event_maker(f"single-{n}", notes, seed=n) for n in range(4)},
        **{
            f"batch-of-{size}": event_maker(f"batch-of-{size}", notes, seed=size, batch_events=size)
            for size in (5, 50, 500)
        },
        "saas": workload_maker(
            "POST", "/v1/saas/actions/profile_update", {"user_id": "user_1", "payload": {}}
        ),
        "config": workload_maker("PUT", "/v1/config/features/full_disk", {"value": [1, "two"]}),
        "jobs": workload_maker("POST", "/v1/jobs", {"kind": "data_cleanup", "payload": {}}),
    }
    return [DiskClient(name, make, port, notes, stop) for name, make in makers.items()]


async def examine(notes: Notes, port: int, database: Path) -> Findings:
    """Asks the running node's audit, and reads the database beside it, read-only."""
    connection = HttpConnection(port)
    try:
        audited = await audit(connection, notes.ledger.content)
        others = await audit(connection, notes.other)
    finally:
        connection.close()
    log, all_ids = read_database(database)
    sent = [event for event in log if event.id in notes.ledger.content]
    assert len(others) == len(notes.other), "acknowledged, and unknown to the audit"
    assert notes.other <= all_ids, "acknowledged, and not in the database"
    assert not notes.refused_ids & all_ids, "refused, and stored"
    hashes = expected_hashes(notes.ledger.content)
    return compare(notes.ledger, sent, audited, hashes)


def read_database(path: Path) -> tuple[list[StoredEvent], set[UUID]]:
    """The log in order of seq without asking the node, and the ids of all that is in it."""
    database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        rows: Iterable[tuple[int, bytes, str, str, str]] = database.execute(
            "SELECT seq, id, type, data, metadata FROM events ORDER BY seq"
        )
        log = [
            StoredEvent(
                seq,
                UUID(bytes=id_),
                content_of(
                    {
                        "type": type_,
                        "data": orjson.loads(data),
                        "metadata": orjson.loads(metadata),
                    }
                ),
            )
            for seq, id_, type_, data, metadata in rows
        ]
    finally:
        database.close()
    return log, {event.id for event in log}
