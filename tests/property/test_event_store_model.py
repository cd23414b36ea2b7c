"""The SQLite store against a dict model: random appends, retries, conflicts, queries, restarts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import FoundationError
from service.events.sqlite import SqliteEventStore
from service.events.store import EventQuery, EventStore, Stored, Write
from service.schema import Event, OrderBy
from tests.contract.event_store_model import ModelEventStore
from tests.event import make_write

# Small pools, so that ids, streams and times collide often.
IDS = st.integers(1, 12).map(lambda number: number.to_bytes(16, "big"))
STREAMS = st.sampled_from([None, None, "a", "b"])
TIMES = st.integers(0, 5)
TYPES = st.sampled_from(["t", "u"])
TENANTS = st.sampled_from(["x", "1", 1, True, None])


@st.composite
def writes(draw: st.DrawFn) -> Write:
    stream = draw(STREAMS)
    tenant = draw(TENANTS)
    return make_write(
        id=draw(IDS),
        type=draw(TYPES),
        data={"n": draw(st.integers(0, 1))},
        metadata={} if tenant is None else {"tenant": tenant, "free": tenant},
        correlation_id=draw(st.sampled_from(["c", "d"])),
        created_at=draw(TIMES),
        stream=stream,
        expected_version=draw(st.sampled_from([None, 0, 1, 2])) if stream else None,
    )


@st.composite
def queries(draw: st.DrawFn) -> EventQuery:
    order: OrderBy = draw(st.sampled_from(["created_at", "-created_at", "seq", "-seq"]))
    return EventQuery(
        type=draw(st.none() | TYPES),
        correlation_id=draw(st.none() | st.sampled_from(["c", "d"])),
        created_after=draw(st.none() | TIMES),
        created_before=draw(st.none() | TIMES),
        metadata=tuple(
            draw(
                st.lists(
                    st.tuples(
                        st.sampled_from(["tenant", "free"]), st.sampled_from(["x", "1", "true"])
                    ),
                    max_size=2,
                    unique_by=lambda pair: pair[0],
                )
            )
        ),
        stream=draw(STREAMS),
        order_by=order,
        limit=draw(st.integers(1, 4)),
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), writes()),
        st.tuples(st.just("batch"), st.lists(writes(), max_size=5)),
        st.tuples(st.just("together"), st.lists(writes(), max_size=6)),
        st.tuples(st.just("query"), queries()),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=1,
    max_size=25,
)

# Times of these tests vary with the disk, and one example opens several real databases.
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def outcome(store: EventStore, batch: Sequence[Write], single: bool) -> object:
    """What a request was answered: comparable between the stores."""
    try:
        stored = [await store.append(batch[0])] if single else await store.append_batch(batch)
    except FoundationError as error:
        return error.code
    return [Stored(*one) for one in stored]


def without_node(event: Event) -> dict[str, Any]:
    """What both stores must agree on; when it was stored is the store's own."""
    return event.model_dump(exclude={"stored_at", "incarnation"})


async def read(store: EventStore, query: EventQuery) -> list[list[dict[str, Any]]]:
    """All pages of a query."""
    found = []
    while True:
        page = await store.query(query)
        found.append([without_node(event) for event in page.events])
        if page.next_cursor is None:
            return found
        assert len(found) < 100
        query = replace(query, cursor=page.next_cursor)


async def check(steps: list[tuple[str, Any]], folder: Path) -> None:
    async def open_store() -> SqliteEventStore:
        return await SqliteEventStore.open(
            folder / "events.db", node="node-1", metadata_index=("tenant",)
        )

    model = ModelEventStore("node-1")
    store = await open_store()
    try:
        for kind, argument in steps:
            if kind == "append":
                wanted = await outcome(model, [argument], True)
                assert await outcome(store, [argument], True) == wanted
            elif kind == "batch":
                wanted = await outcome(model, argument, False)
                assert await outcome(store, argument, False) == wanted
            elif kind == "together":
                # Concurrent requests are answered as if they had come in the order submitted.
                expected = [await outcome(model, [one], True) for one in argument]
                found = await asyncio.gather(*[outcome(store, [one], True) for one in argument])
                assert found == expected
            elif kind == "query":
                assert await read(store, argument) == await read(model, argument)
            else:
                await store.close()
                store = await open_store()
        everything = EventQuery(order_by="seq", limit=1_000)
        assert await read(store, everything) == await read(model, everything)
        ids = [write.id for write in model.writes]
        assert sorted(await store.audit(ids), key=lambda hit: hit.seq) == await model.audit(ids)
    finally:
        await store.close()


@SETTINGS
@given(STEPS)
def test_the_store_does_what_the_model_does(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(steps, Path(folder)))


class Forgetful(ModelEventStore):
    """A seeded bug in the model: a retry is taken for a new event."""

    def _place(self, write: Write) -> Stored:
        stored = super()._place(write)
        return stored._replace(duplicate=False)


def test_a_store_that_does_not_mark_duplicates_is_caught() -> None:
    write = make_write()

    async def answers(store: EventStore) -> list[object]:
        return [await outcome(store, [write], True) for _ in range(2)]

    assert asyncio.run(answers(ModelEventStore("n"))) != asyncio.run(answers(Forgetful("n")))
