"""Sequential clients that write at full speed while their node is killed and started again.

Each has a connection of its own, makes its own ids and notes everything in one ledger. When an
exchange ends without an answer, a client retries the same bytes until the node is back, or (one
time in four) leaves that write unknown and goes on. After every reconnect it first repeats its
last acknowledged write, which must be answered as a duplicate with the original's seq.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any
from uuid import UUID

import orjson
from uuid_utils import uuid7

from tests.fault.http_connection import HttpConnection, NoAnswer
from tests.fault.ledger import Ledger

RETRY_TIMEOUT_S = 45.0
"""Longer than a node may take to start."""

GIVE_UP_SHARE = 0.25
_RETRY_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """`batch_events` is 0 for a client that sends single events; `ndjson` for its batches' form."""

    name: str
    seed: int
    batch_events: int = 0
    ndjson: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One request: the same bytes at every try."""

    path: str
    body: bytes
    content_type: str
    ids: tuple[UUID, ...]


class WriterClient:
    """Runs until `stop` is set; then finishes the item in hand."""

    def __init__(self, plan: WriterPlan, port: int, ledger: Ledger, stop: asyncio.Event) -> None:
        self._plan = plan
        self._ledger = ledger
        self._stop = stop
        self._random = Random(plan.seed)
        self._connection = HttpConnection(port)
        self._last: Item | None = None
        self._broken = False

    async def run(self) -> None:
        """Raises AssertionError on an answer that no guarantee allows."""
        try:
            while not self._stop.is_set():
                if self._broken and self._last is not None:
                    self._broken = not await self._deliver(self._last, again=True)
                await self._deliver(make_item(self._plan, self._ledger, self._random), again=False)
        finally:
            self._connection.close()

    async def _deliver(self, item: Item, *, again: bool) -> bool:
        """Until answered, or given up as unknown. True when it was acknowledged."""
        deadline_s = monotonic() + RETRY_TIMEOUT_S
        tries = 0
        while monotonic() < deadline_s:
            try:
                status, reply = await self._connection.exchange(
                    "POST", item.path, item.body, item.content_type
                )
            except NoAnswer:
                self._broken = True
                if not again and tries == 0 and self._random.random() < GIVE_UP_SHARE:
                    return False
                tries += 1
                self._ledger.retries += 1
                await asyncio.sleep(_RETRY_PAUSE_S)
                continue
            if status == 503:  # refused: overloaded or shutting down
                await asyncio.sleep(_RETRY_PAUSE_S)
                continue
            self._acknowledge(item, status, reply, first_try=not again and tries == 0)
            return True
        raise AssertionError(f"{self._plan.name} had no answer for {RETRY_TIMEOUT_S:g} s")

    def _acknowledge(self, item: Item, status: int, reply: Any, *, first_try: bool) -> None:
        assert status in (200, 201), f"{item.path} answered {status}: {reply}"
        assert status == 201 or not first_try, "a new id was answered as a duplicate"
        receipts = reply.get("receipts", [reply])
        assert [receipt["id"] for receipt in receipts] == [str(id_) for id_ in item.ids]
        for receipt in receipts:
            self._ledger.acknowledge(
                self._plan.name,
                UUID(receipt["id"]),
                receipt["seq"],
                duplicate=receipt["duplicate"],
            )
        self._last = item


def make_item(plan: WriterPlan, ledger: Ledger, random: Random | None = None) -> Item:
    """A new request, entered in the ledger before it is sent."""
    random = random or Random(plan.seed)
    count = plan.batch_events
    events = [_event(plan.name, random) for _ in range(max(1, count))]
    ids = tuple(UUID(event["id"]) for event in events)
    for event, id_ in zip(events, ids, strict=True):
        ledger.content[id_] = content_of(event)
    if not count:
        return Item("/v1/events", orjson.dumps(events[0]), "application/json", ids)
    ledger.batches.append(ids)
    if plan.ndjson:
        body = b"\n".join(orjson.dumps(event) for event in events)
        return Item("/v1/events/batch", body, "application/x-ndjson", ids)
    return Item("/v1/events/batch", orjson.dumps(events), "application/json", ids)


def _event(writer: str, random: Random) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "type": f"type_{random.randrange(10)}",
        "data": {"writer": writer, "value": random.getrandbits(60), "text": "aé\n"},
        "metadata": {"source": "kill"},
    }


def content_of(event: dict[str, Any]) -> bytes:
    """What a client supplied, in one canonical form, without the id it is filed under."""
    supplied = {key: event[key] for key in ("type", "data", "metadata")}
    return orjson.dumps(supplied, option=orjson.OPT_SORT_KEYS)


def plans(seed: int, *, singles: int, batches: Sequence[int]) -> list[WriterPlan]:
    """`singles` clients of single events, and one client for each batch size."""
    made = [WriterPlan(f"single-{index}", seed + index) for index in range(singles)]
    return made + [
        WriterPlan(f"batch-{index}-of-{size}", seed + 100 + index, size, ndjson=index % 2 == 1)
        for index, size in enumerate(batches)
    ]
