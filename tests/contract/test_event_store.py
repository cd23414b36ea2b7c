"""The contract of `service.events.store.EventStore`: every implementation inherits this suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uuid_utils

from service.errors import (
    EventNotFound,
    IdConflict,
    InvalidInput,
    ShuttingDown,
    VersionConflict,
)
from service.events.own import newest_own, own_events
from service.events.sqlite import SqliteEventStore
from service.events.store import EventQuery, EventStore, Page, Write
from service.schema import Event, OrderBy
from tests.contract.event_store_model import ModelEventStore
from tests.event import make_write

ORDERS: tuple[OrderBy, ...] = ("created_at", "-created_at", "seq", "-seq")


async def pages(store: EventStore, query: EventQuery) -> list[Page]:
    """Every page of a query, by its cursors."""
    found = [await store.query(query)]
    while found[-1].next_cursor is not None:
        assert len(found) < 1_000, "the cursors do not end"
        query = replace(query, cursor=found[-1].next_cursor)
        found.append(await store.query(query))
    return found


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next `count` events of a feed; a feed that stops short is a hang, hence the limit."""
    found: list[Event] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found.append(await anext(events))
    return found


class EventStoreContract:
    """Subclass it and give it a fixture `store` with node name "node-1" and index "tenant"."""

    async def test_append_returns_where_the_event_is(self, store: EventStore) -> None:
        first = await store.append(make_write(created_at=7, correlation_id="c"))
        second = await store.append(make_write())
        assert (first.seq, second.seq) == (1, 2)
        assert (first.created_at, first.correlation_id, first.duplicate) == (7, "c", False)
        assert first.stream_version is None

    async def test_get_returns_what_was_appended(self, store: EventStore) -> None:
        write = make_write(
            type="ünïcode 'quoted\" \\ type",
            data={"b": [1, 2.5, None, True], "a": {"text": 'quote " and \\ and \u0000'}},
            metadata={"tenant": "x"},
            stream="s'1",
            correlation_id="corr|é",
        )
        await store.append(write)
        event = await store.get(write.id)
        assert event.id.bytes == write.id
        assert event.type == "ünïcode 'quoted\" \\ type"
        assert event.data == {"b": [1, 2.5, None, True], "a": {"text": 'quote " and \\ and \u0000'}}
        assert event.metadata == {"tenant": "x"}
        assert (event.stream, event.stream_version) == ("s'1", 1)
        assert (event.correlation_id, event.origin) == ("corr|é", "node-1")
        assert event.incarnation == store.incarnation

    async def test_get_of_an_unknown_id_is_not_found(self, store: EventStore) -> None:
        with pytest.raises(EventNotFound):
            await store.get(uuid_utils.uuid7().bytes)

    async def test_the_largest_integers_come_back_unchanged(self, store: EventStore) -> None:
        write = make_write(data={"high": 2**63 - 1, "low": -(2**63)}, created_at=2**63 - 1)
        await store.append(write)
        event = await store.get(write.id)
        assert event.data == {"high": 2**63 - 1, "low": -(2**63)}
        assert event.created_at == 2**63 - 1

    async def test_a_retry_returns_the_original(self, store: EventStore) -> None:
        write = make_write(data={"n": 1}, created_at=5, correlation_id="first")
        original = await store.append(write)
        again = await store.append(write._replace(created_at=9, correlation_id="second"))
        assert again.duplicate
        assert again == original._replace(duplicate=True)
        assert store.stats().last_seq == 1

    async def test_the_same_id_with_other_content_is_a_conflict(self, store: EventStore) -> None:
        write = make_write(data={"n": 1})
        await store.append(write)
        with pytest.raises(IdConflict):
            await store.append(make_write(id=write.id, data={"n": 2}))
        assert (await store.get(write.id)).data == {"n": 1}

    async def test_a_batch_is_stored_in_its_order(self, store: EventStore) -> None:
        writes = [make_write() for _ in range(300)]
        stored = await store.append_batch(writes)
        assert [one.id for one in stored] == [write.id for write in writes]
        assert [one.seq for one in stored] == list(range(1, 301))

    async def test_own_events_are_those_of_own_streams_in_order_of_seq(
        self, store: EventStore
    ) -> None:
        kinds = ["a", "b", "a", "other", "b", "a"] * 200
        for part in range(0, len(kinds), 300):
            await store.append_batch(
                [
                    make_write(
                        type=kind, stream=f"${kind}/{number}" if number % 3 else f"s{number}"
                    )
                    for number, kind in enumerate(kinds[part : part + 300], start=part)
                ]
            )
        expected = [
            (number + 1, kind)
            for number, kind in enumerate(kinds)
            if kind in ("a", "b") and number % 3
        ]
        found = [(event.seq, event.type) async for event in own_events(store, ["b", "a"])]
        assert found == expected
        later = [(event.seq, event.type) async for event in own_events(store, ["a", "b"], 600)]
        assert later == [pair for pair in expected if pair[0] > 600]
        newest = await newest_own(store, "a")
        assert newest is not None
        assert newest.seq == max(seq for seq, kind in expected if kind == "a")
        assert await newest_own(store, "absent") is None
        assert [event async for event in own_events(store, ["absent"])] == []

    async def test_an_empty_batch_stores_nothing(self, store: EventStore) -> None:
        assert await store.append_batch([]) == []
        assert store.stats().last_seq == 0

    async def test_a_batch_with_a_conflict_stores_nothing(self, store: EventStore) -> None:
        taken = make_write(data={"n": 1})
        await store.append(taken)
        fresh = make_write()
        with pytest.raises(IdConflict):
            await store.append_batch([fresh, make_write(id=taken.id, data={"n": 2})])
        with pytest.raises(EventNotFound):
            await store.get(fresh.id)
        assert store.stats().last_seq == 1

    async def test_a_batch_with_a_stale_version_stores_nothing(self, store: EventStore) -> None:
        with pytest.raises(VersionConflict):
            await store.append_batch(
                [
                    make_write(stream="s", expected_version=0),
                    make_write(stream="s", expected_version=5),
                ]
            )
        assert store.stats().last_seq == 0
        assert (await store.append(make_write(stream="s", expected_version=0))).stream_version == 1

    async def test_a_retried_batch_stores_only_what_is_missing(self, store: EventStore) -> None:
        writes = [make_write() for _ in range(5)]
        await store.append_batch(writes[1:3])
        stored = await store.append_batch(writes)
        assert [one.duplicate for one in stored] == [False, True, True, False, False]
        assert [one.seq for one in stored] == [3, 1, 2, 4, 5]

    async def test_an_id_twice_in_a_batch_is_stored_once(self, store: EventStore) -> None:
        write = make_write()
        first, second = await store.append_batch([write, write])
        assert (first.duplicate, second.duplicate) == (False, True)
        assert first.seq == second.seq == store.stats().last_seq == 1

    async def test_an_id_twice_in_a_batch_with_other_content_fails_the_batch(
        self, store: EventStore
    ) -> None:
        write = make_write(data={"n": 1})
        with pytest.raises(IdConflict):
            await store.append_batch([write, make_write(id=write.id, data={"n": 2})])
        assert store.stats().last_seq == 0

    async def test_stream_versions_count_from_one(self, store: EventStore) -> None:
        versions = [(await store.append(make_write(stream="s"))).stream_version for _ in range(3)]
        assert versions == [1, 2, 3]
        assert (await store.append(make_write(stream="other"))).stream_version == 1

    async def test_append_rejects_a_stale_version(self, store: EventStore) -> None:
        await store.append(make_write(stream="s", expected_version=0))
        for stale in (0, 2, 7):
            with pytest.raises(VersionConflict, match="version 1"):
                await store.append(make_write(stream="s", expected_version=stale))
        assert (await store.append(make_write(stream="s", expected_version=1))).stream_version == 2

    async def test_retrying_an_append_with_a_version_is_no_conflict(
        self, store: EventStore
    ) -> None:
        write = make_write(stream="s", expected_version=0)
        await store.append(write)
        await store.append(make_write(stream="s"))
        again = await store.append(write)
        assert (again.duplicate, again.stream_version) == (True, 1)

    async def test_of_concurrent_appends_at_one_version_exactly_one_wins(
        self, store: EventStore
    ) -> None:
        for version in range(5):
            attempts = [
                store.append(make_write(stream="s", expected_version=version)) for _ in range(16)
            ]
            results = await asyncio.gather(*attempts, return_exceptions=True)
            won = [one for one in results if not isinstance(one, BaseException)]
            assert len(won) == 1
            assert all(isinstance(one, VersionConflict) for one in results if one not in won)

    async def test_concurrent_appends_each_get_their_own_seq(self, store: EventStore) -> None:
        stored = await asyncio.gather(*[store.append(make_write()) for _ in range(500)])
        assert sorted(one.seq for one in stored) == list(range(1, 501))

    async def test_concurrent_retries_store_one_event(self, store: EventStore) -> None:
        write = make_write()
        stored = await asyncio.gather(*[store.append(write) for _ in range(50)])
        assert {one.seq for one in stored} == {1}
        assert [one.duplicate for one in stored].count(False) == 1

    async def test_a_conflict_leaves_its_neighbours_alone(self, store: EventStore) -> None:
        taken = make_write(data={"n": 1})
        await store.append(taken)
        bad = make_write(id=taken.id, data={"n": 2})
        good = [make_write() for _ in range(20)]
        results = await asyncio.gather(
            *[store.append(write) for write in good[:10]],
            store.append(bad),
            store.append_batch([make_write(), bad]),
            store.append_batch(good[10:]),
            return_exceptions=True,
        )
        assert [type(one) for one in results].count(IdConflict) == 2
        assert len(await store.audit([write.id for write in good])) == 20
        assert store.stats().last_seq == 21

    async def test_a_write_can_be_read_at_once(self, store: EventStore) -> None:
        async def write_and_read(number: int) -> None:
            write = make_write(type=f"t{number % 3}")
            await store.append(write)
            assert (await store.get(write.id)).id.bytes == write.id

        await asyncio.gather(*[write_and_read(number) for number in range(100)])

    async def test_a_cancelled_request_is_stored_all_the_same(self, store: EventStore) -> None:
        writes = [make_write() for _ in range(20)]
        tasks = [asyncio.ensure_future(store.append(write)) for write in writes]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.append(make_write())  # queued behind them
        assert len(await store.audit([write.id for write in writes])) == 20

    async def test_a_query_filters_by_everything_at_once(self, store: EventStore) -> None:
        match = make_write(
            type="a",
            correlation_id="c",
            stream="s",
            created_at=50,
            metadata={"tenant": "t", "k": 1},
        )
        await store.append(match)
        for other in (
            {"type": "b"},
            {"correlation_id": "d"},
            {"stream": "x"},
            {"created_at": 60},
            {"metadata": {"tenant": "u", "k": 1}},
            {"metadata": {"tenant": "t", "k": 2}},
        ):
            values = {
                "type": "a",
                "correlation_id": "c",
                "stream": "s",
                "created_at": 50,
                "metadata": {"tenant": "t", "k": 1},
            } | other
            await store.append(make_write(**values))  # type: ignore[arg-type]
        for order in ORDERS:
            page = await store.query(
                EventQuery(
                    type="a",
                    correlation_id="c",
                    stream="s",
                    created_after=50,
                    created_before=51,
                    metadata=(("tenant", "t"), ("k", "1")),
                    order_by=order,
                )
            )
            assert [event.id.bytes for event in page.events] == [match.id]

    async def test_time_bounds_are_half_open(self, store: EventStore) -> None:
        for moment in (10, 20, 30):
            await store.append(make_write(created_at=moment))
        page = await store.query(EventQuery(created_after=10, created_before=30))
        assert [event.created_at for event in page.events] == [10, 20]

    @pytest.mark.parametrize("key", ["tenant", "not indexed"])
    async def test_metadata_is_compared_as_text(self, store: EventStore, key: str) -> None:
        values: list[object] = ["5", 5, True, 1, "true", False, 0, None, 2.5, {"a": 1}, [1], ""]
        for value in values:
            await store.append(make_write(metadata={key: value}))
        await store.append(make_write())
        for text, wanted in (
            ("5", ["5", 5]),
            ("true", [True, "true"]),
            ("1", [1]),
            ("false", [False]),
            ("0", [0]),
            ("null", []),
            ("2.5", [2.5]),
            ('{"a":1}', [{"a": 1}]),
            ("[1]", [[1]]),
            ("", [""]),
        ):
            page = await store.query(EventQuery(metadata=((key, text),)))
            found = [event.metadata[key] for event in page.events]
            assert [(type(one), one) for one in found] == [(type(one), one) for one in wanted], text

    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_follow_on_without_gaps_or_repeats(
        self, store: EventStore, order: OrderBy
    ) -> None:
        # Many events share a microsecond, so pages end in the middle of one.
        for index in range(60):
            await store.append(make_write(created_at=index * 7 % 4, type="ab"[index % 2]))
        for query in (
            EventQuery(order_by=order, limit=7),
            EventQuery(order_by=order, limit=5, type="a"),
            EventQuery(order_by=order, limit=4, created_after=1, created_before=3),
        ):
            found = [event for page in await pages(store, query) for event in page.events]
            whole = (await store.query(replace(query, limit=1_000))).events
            assert [event.seq for event in found] == [event.seq for event in whole]
            field = order.removeprefix("-")
            keys = [(getattr(event, field), event.seq) for event in found]
            assert keys == sorted(keys, reverse=order.startswith("-"))

    @pytest.mark.parametrize("order", ORDERS)
    async def test_a_stream_is_paged_in_its_order(self, store: EventStore, order: OrderBy) -> None:
        for index in range(20):
            await store.append(make_write(stream="ab"[index % 2], created_at=index))
        found = [
            event
            for page in await pages(store, EventQuery(stream="a", order_by=order, limit=3))
            for event in page.events
        ]
        assert [event.stream_version for event in found] == (
            list(range(10, 0, -1)) if order.startswith("-") else list(range(1, 11))
        )

    async def test_a_full_last_page_has_no_cursor(self, store: EventStore) -> None:
        await store.append_batch([make_write() for _ in range(10)])
        assert (await store.query(EventQuery(limit=10))).next_cursor is None
        assert (await store.query(EventQuery(limit=9))).next_cursor is not None

    async def test_a_query_without_matches_is_an_empty_page(self, store: EventStore) -> None:
        assert await store.query(EventQuery(type="nothing")) == Page((), None)

    async def test_a_page_holds_up_to_a_thousand_events(self, store: EventStore) -> None:
        await store.append_batch([make_write() for _ in range(1_005)])
        first, second = await pages(store, EventQuery(limit=1_000))
        assert (len(first.events), len(second.events)) == (1_000, 5)

    @pytest.mark.parametrize("limit", [0, -1, 1_001])
    async def test_a_limit_out_of_range_is_refused(self, store: EventStore, limit: int) -> None:
        with pytest.raises(InvalidInput):
            await store.query(EventQuery(limit=limit))

    @pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "W10=", "e30=", "A" * 5_000])
    async def test_a_foreign_cursor_is_refused(self, store: EventStore, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            await store.query(EventQuery(cursor=cursor))

    async def test_a_cursor_of_another_order_is_refused(self, store: EventStore) -> None:
        await store.append_batch([make_write() for _ in range(3)])
        cursor = (await store.query(EventQuery(limit=1))).next_cursor
        for order in ORDERS[1:]:
            with pytest.raises(InvalidInput):
                await store.query(EventQuery(order_by=order, cursor=cursor))

    async def test_audit_finds_what_is_stored_and_nothing_else(self, store: EventStore) -> None:
        writes = [make_write() for _ in range(600)]
        await store.append_batch(writes)
        absent = [uuid_utils.uuid7().bytes for _ in range(10)]
        hits = await store.audit([*[write.id for write in writes], *absent, writes[0].id])
        assert sorted((hit.id, hit.content_hash) for hit in hits) == sorted(
            (write.id, write.content_hash) for write in writes
        )
        assert {hit.origin for hit in hits} == {"node-1"}
        assert await store.audit([]) == []

    async def test_a_follower_catches_up_and_then_stays_live(self, store: EventStore) -> None:
        await store.append_batch([make_write() for _ in range(250)])
        feed = store.follow(10)
        assert [event.seq for event in await take(feed, 240)] == list(range(11, 251))
        waiting = asyncio.ensure_future(take(feed, 3))
        await asyncio.sleep(0)
        for _ in range(3):
            await store.append(make_write())
        assert [event.seq for event in await waiting] == [251, 252, 253]

    async def test_followers_miss_nothing_under_concurrent_writes(self, store: EventStore) -> None:
        async def write_some() -> None:
            for _ in range(10):
                await store.append(make_write())
                await store.append_batch([make_write() for _ in range(7)])

        followers = [asyncio.ensure_future(take(store.follow(0), 640)) for _ in range(5)]
        await asyncio.gather(*[write_some() for _ in range(8)])
        for follower in followers:
            assert [event.seq for event in await follower] == list(range(1, 641))

    async def test_a_follower_ends_when_the_store_closes(self, store: EventStore) -> None:
        await store.append(make_write())
        feed = store.follow(0)
        await take(feed, 1)
        waiting = asyncio.ensure_future(take(feed, 1))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            await waiting

    async def test_a_closed_store_refuses_writes(self, store: EventStore) -> None:
        await store.close()
        with pytest.raises(ShuttingDown):
            await store.append(make_write())
        await store.close()

    async def test_what_was_queued_when_the_store_closes_is_stored(self, store: EventStore) -> None:
        tasks = [asyncio.ensure_future(store.append(make_write())) for _ in range(100)]
        await asyncio.sleep(0)
        await store.close()
        assert sorted(one.seq for one in await asyncio.gather(*tasks)) == list(range(1, 101))

    async def test_seq_follows_the_order_of_arrival(self, store: EventStore) -> None:
        writes: list[Write] = [make_write() for _ in range(200)]
        stored = await asyncio.gather(*[store.append(write) for write in writes])
        assert [one.seq for one in stored] == list(range(1, 201))


class TestSqliteEventStore(EventStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[EventStore]:
        store = await SqliteEventStore.open(
            tmp_path / "events.db", node="node-1", metadata_index=("tenant",)
        )
        yield store
        await store.close()


class TestModelEventStore(EventStoreContract):
    @pytest.fixture
    async def store(self) -> EventStore:
        return ModelEventStore("node-1")
