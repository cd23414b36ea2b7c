"""The schema of a node's log, its migrations, and how Core statements become SQL text.

One table holds the events, one the facts about the database itself. SQLAlchemy Core describes
both; nothing of SQLAlchemy runs when an event is stored or read, because every statement is
compiled once to a string that aiosqlite carries. This module opens nothing and executes nothing.

A rowid is implicitly the last column of every SQLite index, so the order (created_at, seq) of the
queries is the order of the indices, and a keyset page is one seek (design D3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal_column,
    text,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.selectable import FromClause

SCHEMA_VERSION = 2
"""`user_version` of a database that this code writes; one step of `migrations` leads to each."""

METADATA_INDEX_PREFIX = "ix_events_metadata_"

_schema = MetaData()

events = Table(
    "events",
    _schema,
    Column("seq", Integer, primary_key=True),
    Column("id", LargeBinary(16), nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("stream", Text),
    Column("stream_version", Integer),
    Column("correlation_id", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("stored_at", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("content_hash", LargeBinary(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""The log. AUTOINCREMENT, because a plain rowid is given again after the last row is deleted."""

meta = Table(
    "meta",
    _schema,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about this database: node, incarnation, the token of a clean shutdown, the last probe."""

by_type = Index("ix_events_type", events.c.type, events.c.created_at)
by_created = Index("ix_events_created", events.c.created_at)
by_correlation = Index("ix_events_correlation", events.c.correlation_id, events.c.created_at)
by_stream = Index(
    "ix_events_stream",
    events.c.stream,
    events.c.stream_version,
    unique=True,
    sqlite_where=events.c.stream.is_not(None),
)

OWN_STREAM = "$"
"""Streams that start so are the node's own: its parts keep their state in them, clients cannot
append to them, so that what a part reads back from the log is what it wrote (see own.py)."""

own_streams: ColumnElement[bool] = and_(
    events.c.stream >= literal_column(f"'{OWN_STREAM}'"),
    events.c.stream < literal_column(f"'{chr(ord(OWN_STREAM) + 1)}'"),
)
by_own = Index("ix_events_own", events.c.type, sqlite_where=own_streams)
"""Own events of one type in order of seq, which is the rowid; costs other events nothing."""

_METADATA_KEY = re.compile(r'[^\x00-\x1f\x7f"\\\ud800-\udfff]{1,200}')


class _Compiler(SQLiteCompiler):
    """Puts a hint such as `INDEXED BY ix_events_type` behind the table's name."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


class _Qmark(SQLiteDialect):
    """SQLite's dialect without a driver: positional `?` parameters."""

    supports_statement_cache = True
    statement_compiler = _Compiler

    def __init__(self) -> None:
        super().__init__(paramstyle="qmark")


def compile_statement(statement: ClauseElement) -> tuple[str, tuple[str, ...]]:
    """SQL text and the names of its parameters in the order of their `?`."""
    compiled = statement.compile(dialect=_Qmark())
    assert isinstance(compiled, SQLiteCompiler)
    return str(compiled).replace("\n", " "), tuple(compiled.positiontup or ())


def is_metadata_key(key: str) -> bool:
    """True for a key that a query can name: no quote, backslash or control character.

    SQLite before 3.42 cannot escape them in a JSON path, so such keys are stored, never searched.
    """
    return _METADATA_KEY.fullmatch(key) is not None


def metadata_path(key: str) -> str:
    """SQLite's JSON path of one top-level metadata key."""
    assert is_metadata_key(key), key
    return f'$."{key}"'


def metadata_text(path: ColumnElement[str]) -> ColumnElement[str]:
    """The value under `path` as text: "5" and 5 are both 5, true is true, objects are JSON.

    One expression with one value, so that an index on it keeps the order (created_at, seq).
    SQLite's json_extract turns true into 1; the CASE keeps them apart.
    """
    kind = func.json_type(events.c.metadata, path)
    value = cast(func.json_extract(events.c.metadata, path), Text)
    return case(
        (kind == literal_column("'true'"), literal_column("'true'")),
        (kind == literal_column("'false'"), literal_column("'false'")),
        else_=value,
    )


def quoted_path(key: str) -> ColumnElement[str]:
    """The path of `key` as a literal: an expression index matches only its literal text."""
    return literal_column("'" + metadata_path(key).replace("'", "''") + "'")


def metadata_index_name(key: str) -> str:
    """Name of the index on one metadata key; a digest, since a key may hold any character."""
    return METADATA_INDEX_PREFIX + blake2b(key.encode(), digest_size=8).hexdigest()


def create_metadata_index(key: str) -> str:
    """`CREATE INDEX` for one configured metadata key.

    Written out, since Core refuses to attach an index to a table that is already described; the
    expression itself is Core's, and so equals that of the queries.
    """
    expression, names = compile_statement(metadata_text(quoted_path(key)))
    assert not names, names
    bare = expression.replace("events.", "")
    return f"CREATE INDEX {metadata_index_name(key)} ON events ({bare}, created_at)"


def migrations() -> Sequence[Sequence[str]]:
    """Step i (from 0) leads from `user_version` i to i + 1; each runs in one transaction."""
    first: list[ExecutableDDLElement] = [CreateTable(events), CreateTable(meta)]
    first += [CreateIndex(index) for index in (by_type, by_created, by_correlation, by_stream)]
    second: list[ExecutableDDLElement] = [CreateIndex(by_own)]
    steps = [
        [str(statement.compile(dialect=_Qmark())).strip() for statement in step]
        for step in (first, second)
    ]
    assert len(steps) == SCHEMA_VERSION
    return steps


EVENT_COLUMNS = tuple(column.name for column in events.columns)

ROW_COLUMNS = tuple(name for name in EVENT_COLUMNS if name not in ("origin", "incarnation"))
"""What the writer lays out for each row, in this order; the other two are the same for a store."""


def insert_row(origin: str, incarnation: int) -> tuple[str, str]:
    """`INSERT INTO … VALUES ` and the placeholders of one row, in the order of ROW_COLUMNS.

    Two halves, because many rows go into one statement: each statement that SQLite steps through
    gives up the GIL once, and under a busy event loop every return costs up to a switch interval
    (5 ms). In a prototype a group of 64 took 330 ms by `executemany` beside a busy loop, and
    34 ms as one statement. Parameters are bound under the GIL, so what is constant is not one.
    JSON arrives as bytes and is cast to text in SQLite, which saves decoding it in Python.
    """
    values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in ROW_COLUMNS}
    for name in ("data", "metadata"):
        values[name] = cast(bindparam(name, type_=LargeBinary), Text)
    values["origin"] = literal_column("'" + origin.replace("'", "''") + "'")
    values["incarnation"] = literal_column(str(incarnation))
    sql, names = compile_statement(insert(events).values(values))
    assert names == ROW_COLUMNS, names
    head, _, row = sql.partition(" VALUES ")
    return f"{head} VALUES ", row


def put_meta() -> str:
    """Upsert of one fact; parameters: key, value."""
    sql, _ = compile_statement(
        insert(meta)
        .prefix_with(text("OR REPLACE"))
        .values(key=bindparam("key"), value=bindparam("value"))
    )
    return sql
