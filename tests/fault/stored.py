"""Reads back, over HTTP, everything that a node holds: its log in order, and its audit of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote
from uuid import UUID

import orjson

from service.events.intake import Intake, IntakeLimits
from service.schema import MAX_BATCH_EVENTS
from tests.fault.http_connection import HttpConnection
from tests.fault.ledger import AuditedEvent, StoredEvent
from tests.fault.writers import content_of

PAGE_EVENTS = 1_000


async def read_log(connection: HttpConnection) -> list[StoredEvent]:
    """Every event of the node in its own order, page by page."""
    log: list[StoredEvent] = []
    path = f"/v1/events?order_by=seq&limit={PAGE_EVENTS}"
    cursor = ""
    while True:
        status, page = await connection.exchange("GET", path + cursor)
        assert status == 200, page
        log += [
            StoredEvent(event["seq"], UUID(event["id"]), content_of(event))
            for event in page["events"]
        ]
        if page["next_cursor"] is None:
            return log
        cursor = f"&cursor={quote(page['next_cursor'])}"


async def audit(connection: HttpConnection, ids: Iterable[UUID]) -> dict[UUID, AuditedEvent]:
    """Which of `ids` the node's audit finds. Each id is either found or missing, never neither."""
    wanted = list(ids)
    audited: dict[UUID, AuditedEvent] = {}
    for start in range(0, len(wanted), MAX_BATCH_EVENTS):
        part = [str(id_) for id_ in wanted[start : start + MAX_BATCH_EVENTS]]
        status, reply = await connection.exchange(
            "POST", "/v1/events/audit", orjson.dumps({"ids": part})
        )
        assert status == 200, reply
        found = {entry["id"]: entry for entry in reply["found"]}
        assert sorted([*found, *reply["missing"]]) == sorted(part)
        for id_, entry in found.items():
            audited[UUID(id_)] = AuditedEvent(entry["seq"], entry["content_hash"])
    return audited


def expected_hashes(contents: Mapping[UUID, bytes]) -> dict[UUID, str]:
    """The content hash that each event of a ledger must have (D11)."""
    intake = Intake(IntakeLimits(), lambda: 0)
    return {id_: intake.one(content).content_hash.hex() for id_, content in contents.items()}
