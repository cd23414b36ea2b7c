"""Query plans: every filter and order has its index, and a cursor is a seek."""

from __future__ import annotations

import sqlite3
from itertools import product

import pytest

from service.errors import InvalidInput
from service.events.query import Planner, Position, check, decode_cursor, encode_cursor
from service.events.store import EventQuery
from service.events.tables import create_metadata_index, metadata_index_name, migrations
from service.schema import OrderBy

ORDERS: tuple[OrderBy, ...] = ("created_at", "-created_at", "seq", "-seq")


@pytest.fixture
def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for step in migrations():
        for statement in step:
            connection.execute(statement)
    for key in ("tenant", "it's  a key"):
        connection.execute(create_metadata_index(key))
    return connection


PLANNER = Planner.for_keys(["tenant", "it's  a key"])


def plan(database: sqlite3.Connection, query: EventQuery, at: Position | None = None) -> list[str]:
    sql, parameters = PLANNER.page(query, at, 100)
    rows = database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    database.execute(sql, parameters).fetchall()
    return [row[3] for row in rows]


def seeks(steps: list[str]) -> list[str]:
    return [step for step in steps if "events" in step]


@pytest.mark.parametrize("order", ["created_at", "-created_at"])
@pytest.mark.parametrize(
    ("query", "index", "key"),
    [
        (EventQuery(type="a"), "ix_events_type", "type=?"),
        (EventQuery(correlation_id="a"), "ix_events_correlation", "correlation_id=?"),
        (EventQuery(type="a", correlation_id="a"), "ix_events_correlation", "correlation_id=?"),
        (EventQuery(metadata=(("tenant", "a"),)), metadata_index_name("tenant"), "<expr>=?"),
        (
            EventQuery(type="t", metadata=(("it's  a key", "a"), ("other", "b"))),
            metadata_index_name("it's  a key"),
            "<expr>=?",
        ),
    ],
)
def test_a_page_by_time_is_a_seek_in_index_order(
    database: sqlite3.Connection, order: OrderBy, query: EventQuery, index: str, key: str
) -> None:
    query = _with(query, order_by=order)
    for bounds in ({}, {"created_after": 5}, {"created_before": 9}):
        for at in (None, Position(7, 3)):
            steps = plan(database, _with(query, **bounds), at)
            assert not any("TEMP B-TREE" in step for step in steps), steps
            for step in seeks(steps):
                assert step.startswith(f"SEARCH events USING INDEX {index} ({key}"), steps
    compare = "rowid>?" if order == "created_at" else "rowid<?"
    first, second = seeks(plan(database, query, Position(7, 3)))
    assert f"created_at=? AND {compare}" in first
    assert "created_at>?" in second or "created_at<?" in second


@pytest.mark.parametrize("order", ["created_at", "-created_at"])
def test_a_page_by_time_alone_reads_the_time_index(
    database: sqlite3.Connection, order: OrderBy
) -> None:
    steps = seeks(plan(database, EventQuery(order_by=order, created_after=5, created_before=9)))
    assert steps == ["SEARCH events USING INDEX ix_events_created (created_at>? AND created_at<?)"]
    assert seeks(plan(database, EventQuery(order_by=order))) == [
        "SCAN events USING INDEX ix_events_created"
    ]


@pytest.mark.parametrize("order", ["seq", "-seq"])
def test_the_log_in_its_order_is_read_by_rowid(
    database: sqlite3.Connection, order: OrderBy
) -> None:
    sign = ">" if order == "seq" else "<"
    assert seeks(plan(database, EventQuery(order_by=order), Position(0, 5))) == [
        f"SEARCH events USING INTEGER PRIMARY KEY (rowid{sign}?)"
    ]


@pytest.mark.parametrize("order", ["seq", "-seq"])
def test_a_stream_in_its_order_is_read_by_version(
    database: sqlite3.Connection, order: OrderBy
) -> None:
    sign = ">" if order == "seq" else "<"
    steps = plan(database, EventQuery(stream="s", order_by=order), Position(0, 5))
    assert seeks(steps) == [
        f"SEARCH events USING INDEX ix_events_stream (stream=? AND stream_version{sign}?)"
    ]
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("order", ["seq", "-seq"])
def test_own_events_of_a_type_are_read_by_their_index(
    database: sqlite3.Connection, order: OrderBy
) -> None:
    query = EventQuery(type="t", order_by=order, own=True)
    sign = ">" if order == "seq" else "<"
    continued = plan(database, query, Position(0, 5))
    assert seeks(continued) == [
        f"SEARCH events USING INDEX ix_events_own (type=? AND rowid{sign}?)"
    ]
    assert not any("TEMP B-TREE" in step for step in (*continued, *plan(database, query)))


def test_every_combination_of_filters_has_a_plan(database: sqlite3.Connection) -> None:
    """INDEXED BY makes SQLite refuse a statement whose index cannot serve it."""
    flags = product((False, True), repeat=7)
    for typed, correlated, streamed, indexed, scanned, below, above in flags:
        metadata = [("tenant", "x")] * indexed + [("free", "y"), ("more", "z")] * scanned
        for order in ORDERS:
            query = EventQuery(
                type="t" if typed else None,
                correlation_id="c" if correlated else None,
                stream="s" if streamed else None,
                metadata=tuple(metadata),
                created_after=1 if below else None,
                created_before=9 if above else None,
                order_by=order,
            )
            for at in (None, Position(5, 5), Position(20, 20)):
                sql, parameters = PLANNER.page(query, at, 100)
                assert database.execute(sql, parameters).fetchall() == [("[]",)]


def test_statements_are_kept_by_shape_not_by_value() -> None:
    planner = Planner.for_keys(["tenant"])
    for number in range(100):
        query = EventQuery(
            type=f"t{number}", metadata=((f"key{number}", "x"),), created_after=number
        )
        planner.page(query, None, number)
    assert len(planner.texts) == 1


def test_a_cursor_comes_back_as_it_was() -> None:
    for order in ORDERS:
        position = Position(2**63 - 1, 2**62)
        assert decode_cursor(order, encode_cursor(order, position)) == position


@pytest.mark.parametrize(
    "query",
    [
        EventQuery(limit=0),
        EventQuery(limit=1_001),
        EventQuery(metadata=tuple((f"k{n}", "v") for n in range(9))),
        EventQuery(metadata=(("", "v"),)),
        EventQuery(metadata=(('a"b', "v"),)),
        EventQuery(metadata=(("a\\b", "v"),)),
        EventQuery(metadata=(("x" * 201, "v"),)),
        EventQuery(created_after=2**63),
        EventQuery(created_before=-(2**64)),
        EventQuery(type="\ud800"),
        EventQuery(metadata=(("k", "\ud800"),)),
        EventQuery(metadata=(("\ud800", "v"),)),
    ],
)
def test_a_query_that_no_statement_can_serve_is_refused(query: EventQuery) -> None:
    with pytest.raises(InvalidInput):
        check(query)


def _with(query: EventQuery, **changes: object) -> EventQuery:
    fields = {name: getattr(query, name) for name in query.__slots__} | changes
    return EventQuery(**fields)
