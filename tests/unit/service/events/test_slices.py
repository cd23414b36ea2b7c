"""Large batches are read in slices: with the same result as at once, and others in between."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
import uuid_utils

from service.errors import FoundationError
from service.events import intake as intake_module
from service.events import slices, unique_key
from service.events.intake import Intake, IntakeLimits
from service.events.store import Write

GUARD_S = 60.0
LIMIT = 40
LARGE_EVENTS = 3_000

Read = list[Write] | tuple[type[FoundationError], str]


def intake(events: int = LIMIT) -> Intake:
    return Intake(IntakeLimits(events=events, event_bytes=2_000), lambda: 1)


def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (slices, intake_module):
        monkeypatch.setattr(module, "SLICE_BYTES", 100)


async def read(body: bytes, *, sliced: bool, lines: bool) -> Read:
    reader = intake()
    try:
        async with asyncio.timeout(GUARD_S):
            if sliced:
                return await reader.batch(body, "c", lines=lines)
            return reader.lines(body, "c") if lines else reader.array(body, "c")
    except FoundationError as error:
        return type(error), str(error)


def make_event(random: Random) -> dict[str, Any]:
    """What looks like the border of two events is in some of them."""
    one: dict[str, Any] = {"type": random.choice(["a", "a:b", "é,{"]), "id": new_id()}
    if random.random() < 0.5:
        one["data"] = {
            "items": [{"type": "x", "id": n} for n in range(random.randrange(4))],
            "text": random.choice(['},{"type":', "\\", '"', ":", "]", "x" * 150]),
        }
    if random.random() < 0.2:
        one["created_at"] = random.choice(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00", 7])
    if random.random() < 0.03:
        one[random.choice(["typo", "expected_version"])] = 1
    return one


def new_id() -> str:
    return str(UUID(bytes=uuid_utils.uuid7().bytes))


def written(events: list[dict[str, Any]], random: Random, *, lines: bool) -> bytes:
    texts = [orjson.dumps(one) for one in events]
    if lines:
        return b"\n".join(texts)
    comma = random.choice([b",", b" ,\n ", b",\r\n"])
    return b" [" + comma.join(texts) + b" ]\n"


def damaged(body: bytes, random: Random) -> bytes:
    """One byte less, more or other, or a comma where none belongs."""
    place = random.randrange(len(body))
    byte = random.choice([b",", b"]", b"[", b"}", b'"', b":", b"\\", b" ", b"\xff"])
    return random.choice(
        [
            body[:place] + body[place + 1 :],
            body[:place] + byte + body[place:],
            body[:place] + byte + body[place + 1 :],
            body[:place],
            body.replace(b" ]", b", ]"),
        ]
    )


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_slices_and_the_whole_are_read_alike_also_when_the_body_is_damaged(
    monkeypatch: pytest.MonkeyPatch, seed: int, lines: bool
) -> None:
    small_slices(monkeypatch)
    random = Random(seed)
    accepted = refused = 0
    for _ in range(300):
        count = random.choice([0, 1, 2, LIMIT - 1, LIMIT, LIMIT + 1])
        body = written([make_event(random) for _ in range(count)], random, lines=lines)
        if body and random.random() < 0.5:
            body = damaged(body, random)
        whole = await read(body, sliced=False, lines=lines)
        assert await read(body, sliced=True, lines=lines) == whole, (seed, body)
        accepted += isinstance(whole, list)
        refused += isinstance(whole, tuple)
    assert accepted > 30 and refused > 30


async def test_a_member_named_twice_is_found_in_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    small_slices(monkeypatch)
    good = orjson.dumps(make_event(Random(1)))
    body = b"[" + b",".join([good] * 20 + [b'{"type":"t","data":{"a":1,"a":2}}'] + [good] * 10)
    found = await read(body + b"]", sliced=True, lines=False)
    assert isinstance(found, tuple) and "twice" in found[1]


async def turns_during(body: bytes, *, sliced: bool) -> int:
    """How often another task ran while `body` was read."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    turns = 0
    reader = intake(LARGE_EVENTS)
    writes = await reader.batch(body) if sliced else reader.array(body)
    assert len(writes) == LARGE_EVENTS
    counting.cancel()
    return turns


async def test_others_run_while_a_large_batch_is_read() -> None:
    event = {"type": "order.placed", "data": {"items": [{"id": n} for n in range(60)]}}
    body = orjson.dumps([event] * LARGE_EVENTS)
    least = len(body) // slices.SLICE_BYTES // 2
    assert least > 5
    assert await turns_during(body, sliced=True) >= least
    assert await turns_during(body, sliced=False) == 0, "the check sees a loop that is blocked"


async def test_a_small_batch_is_read_in_one_turn() -> None:
    assert len(await intake().batch(b'[{"type":"a"},{"type":"b"}]')) == 2


@pytest.mark.parametrize(
    "event",
    [
        {"type": "order:placed", "stream": "a:b:c", "correlation_id": ":", "data": {"a": ":"}},
        {"type": "t", "created_at": "2026-01-31T12:00:00Z"},
        {"type": "t", "created_at": "2026-01-31T12:00:00+01:00", "id": new_id()},
        {"type": "t", "created_at": 7, "expected_version": 0, "stream": "s"},
    ],
)
def test_colons_of_names_and_times_cost_no_second_parse(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]
) -> None:
    def parsed_again(raw: bytes) -> None:
        raise AssertionError(f"{raw!r} was parsed a second time")

    monkeypatch.setattr(unique_key, "check_text", parsed_again)
    body = orjson.dumps(event)
    intake().one(body)
    intake().array(b"[" + body + b"," + body + b"]")
    intake().lines(body + b"\n" + body)
    with pytest.raises(AssertionError, match="second time"):
        intake().one(body[:-1] + b',"type":"t"}')
