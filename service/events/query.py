"""From an `EventQuery` to SQL: which index serves it, where its page starts, what a cursor holds.

Pure: it builds statements and runs none. Every statement names its index (`INDEXED BY`), so that
SQLite uses it or refuses, and never scans in silence; tests read the plans. A page is a seek by key
(created_at, seq) or (seq), never an offset, so that the thousandth page costs what the first does.

A statement returns one row with one JSON array of events (see statement.py for why).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import orjson
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from service.errors import InvalidInput
from service.events.database import Statement
from service.events.store import EventQuery
from service.events.tables import (
    by_correlation,
    by_created,
    by_own,
    by_stream,
    by_type,
    compile_statement,
    events,
    is_metadata_key,
    metadata_index_name,
    metadata_path,
    metadata_text,
    own_streams,
    quoted_path,
)
from service.schema import MAX_INTEGER, OrderBy

MAX_PAGE_EVENTS = 1_000
MAX_METADATA_FILTERS = 8
MAX_CURSOR_CHARS = 128
MAX_SHAPES = 256
"""Statement texts kept; clients use few shapes, and one that tries all of them costs no memory."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last event that a page returned; in order of seq only `seq` counts."""

    created_at: int
    seq: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a query decides its SQL text; equal shapes share one compiled statement."""

    by_type: bool
    by_correlation: bool
    by_stream: bool
    indexed_keys: tuple[str, ...]
    scanned_keys: int
    bounded_below: bool
    bounded_above: bool
    order_by: OrderBy
    continued: bool
    own: bool


def encode_cursor(order_by: OrderBy, position: Position) -> str:
    """Opaque to clients; holds the order, so that it cannot continue another one."""
    return base64.urlsafe_b64encode(
        orjson.dumps([order_by, position.created_at, position.seq])
    ).decode()


def decode_cursor(order_by: OrderBy, cursor: str) -> Position:
    """Raises InvalidInput unless `cursor` is one of ours for `order_by`."""
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise ValueError
        content = orjson.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
        order, created_at, seq = content
        if not all(type(value) is int and 0 <= value <= MAX_INTEGER for value in (created_at, seq)):
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidInput("cursor: take next_cursor of the previous page unchanged") from error
    if order != order_by:
        raise InvalidInput(
            f"cursor: it belongs to a query ordered by {order}, not by {order_by}: "
            "start again without a cursor"
        )
    return Position(created_at, seq)


def check(query: EventQuery) -> None:
    """Raises InvalidInput for what no statement can be built from."""
    if not 1 <= query.limit <= MAX_PAGE_EVENTS:
        raise InvalidInput(f"limit: {query.limit} is not between 1 and {MAX_PAGE_EVENTS}")
    if query.order_by not in ("created_at", "-created_at", "seq", "-seq"):
        raise InvalidInput(f"order_by: {query.order_by} is not one of [-]created_at, [-]seq")
    assert not query.own or (query.type is not None and query.order_by in ("seq", "-seq"))
    if len(query.metadata) > MAX_METADATA_FILTERS:
        raise InvalidInput(f"metadata: at most {MAX_METADATA_FILTERS} keys can be filtered by")
    for key, _ in query.metadata:
        if not is_metadata_key(key):
            raise InvalidInput(
                "metadata: a key to filter by has 1 to 200 characters and no quote, backslash or "
                "control character"
            )
    for bound in (query.created_after, query.created_before):
        if bound is not None and not -MAX_INTEGER <= bound <= MAX_INTEGER:
            raise InvalidInput("created_after, created_before: microseconds since the epoch")
    texts = [
        query.type,
        query.correlation_id,
        query.stream,
        *(value for _, value in query.metadata),
    ]
    for text in texts:
        if text is not None and not text.isascii() and _has_surrogate(text):
            raise InvalidInput("a filter holds a lone surrogate: send valid UTF-8")


@dataclass(slots=True)
class Planner:
    """Builds statements; keeps each shape's text. Shapes are few: metadata keys beyond the
    configured ones are parameters."""

    indexed: frozenset[str]
    texts: dict[Shape, tuple[str, tuple[str, ...]]]

    @classmethod
    def for_keys(cls, metadata_index: Sequence[str]) -> Planner:
        return cls(frozenset(metadata_index), {})

    def page(self, query: EventQuery, after: Position | None, limit: int) -> Statement:
        """The statement for the next `limit` events behind `after`; `query` has been checked."""
        bounds = _bounds(query, after)
        indexed = tuple(sorted({key for key, _ in query.metadata if key in self.indexed}))
        scanned = [pair for pair in query.metadata if pair[0] not in self.indexed]
        shape = Shape(
            by_type=query.type is not None,
            by_correlation=query.correlation_id is not None,
            by_stream=query.stream is not None,
            indexed_keys=indexed,
            scanned_keys=len(scanned),
            bounded_below=bounds.created_after is not None,
            bounded_above=bounds.created_before is not None,
            order_by=query.order_by,
            continued=bounds.continued,
            own=query.own,
        )
        if shape not in self.texts:
            if len(self.texts) >= MAX_SHAPES:
                self.texts.clear()
            self.texts[shape] = compile_statement(_statement(shape))
        sql, names = self.texts[shape]
        values: dict[str, object] = {
            "type": query.type,
            "correlation_id": query.correlation_id,
            "stream": query.stream,
            "created_after": bounds.created_after,
            "created_before": bounds.created_before,
            "limit": limit,
        }
        if after is not None:
            values |= {"at_created": after.created_at, "at_seq": after.seq}
        values |= {f"indexed_{key}": value for key, value in query.metadata}
        for index, (key, value) in enumerate(scanned):
            values |= {f"path_{index}": metadata_path(key), f"value_{index}": value}
        return sql, [values[name] for name in names]


@dataclass(frozen=True, slots=True)
class _Bounds:
    created_after: int | None
    created_before: int | None
    continued: bool


def _bounds(query: EventQuery, after: Position | None) -> _Bounds:
    """Time bounds for this page.

    A position inside the bounds replaces the one that it has passed: two bounds on the same side
    would make SQLite seek by one and filter by the other.
    """
    below, above = query.created_after, query.created_before
    if after is None:
        return _Bounds(below, above, False)
    if query.order_by == "created_at" and (below is None or after.created_at >= below):
        return _Bounds(None, above, True)
    if query.order_by == "-created_at" and (above is None or after.created_at < above):
        return _Bounds(below, None, True)
    # In order of seq the bounds stay; a position outside them is not one of this query's pages.
    return _Bounds(below, above, query.order_by in ("seq", "-seq"))


def _statement(shape: Shape) -> Select[tuple[str]]:
    """One JSON array of at most `limit` events."""
    columns = events.c
    forward = not shape.order_by.startswith("-")
    by_time: list[ColumnElement[Any]] = [columns.created_at, columns.seq]
    if shape.order_by in ("seq", "-seq"):
        page = _bounded(_filtered(shape), shape, columns.created_at)
        # Within a stream versions rise with seq, and the index has them in order.
        by_seq: list[ColumnElement[Any]] = [columns.seq]
        if shape.by_stream:
            by_seq = [columns.stream_version]
        if shape.continued:
            page = page.where(*_behind_seq(shape, forward))
        return select(_json_array(_limited(page, by_seq, forward).subquery().c))
    page = _filtered(shape)
    if not shape.continued:
        page = _bounded(page, shape, columns.created_at)
        return select(_json_array(_limited(page, by_time, forward).subquery().c))
    # SQLite seeks (created_at, seq) > (?, ?) by created_at alone and then reads over every event
    # of that microsecond. Two seeks: the rest of the microsecond, then what is beyond. The unary
    # plus keeps a bound on the far side from becoming the key of the first seek.
    at: BindParameter[int] = bindparam("at_created")
    seq: BindParameter[int] = bindparam("at_seq")
    rest = page.where(columns.created_at == at, columns.seq > seq if forward else columns.seq < seq)
    rest = _bounded(rest, shape, literal_column("+events.created_at"))
    further = page.where(columns.created_at > at if forward else columns.created_at < at)
    further = _bounded(further, shape, columns.created_at)
    both = union_all(
        select(_limited(rest, [columns.seq], forward).subquery()),
        select(_limited(further, by_time, forward).subquery()),
    )
    limit = both.limit(bindparam("limit")).offset(literal_column("0"))
    return select(_json_array(limit.subquery().c))


def _filtered(shape: Shape) -> Select[Any]:
    """The events that match, by the most selective index that serves them."""
    columns = events.c
    page = select(*[column for column in columns if column.name != "content_hash"])
    page = page.with_hint(events, _index(shape), "sqlite")
    if shape.by_stream:
        page = page.where(columns.stream == bindparam("stream"))
    if shape.by_correlation:
        page = page.where(columns.correlation_id == bindparam("correlation_id"))
    for key in shape.indexed_keys:
        page = page.where(metadata_text(quoted_path(key)) == bindparam(f"indexed_{key}"))
    if shape.own:
        page = page.where(own_streams)
    if shape.by_type:
        page = page.where(columns.type == bindparam("type"))
    for index in range(shape.scanned_keys):
        path: ColumnElement[str] = bindparam(f"path_{index}")
        page = page.where(metadata_text(path) == bindparam(f"value_{index}"))
    return page


def _bounded(page: Select[Any], shape: Shape, created_at: ColumnElement[int]) -> Select[Any]:
    if shape.bounded_below:
        page = page.where(created_at >= bindparam("created_after"))
    if shape.bounded_above:
        page = page.where(created_at < bindparam("created_before"))
    return page


def _limited(page: Select[Any], order: list[ColumnElement[Any]], forward: bool) -> Select[Any]:
    page = page.order_by(*[column if forward else column.desc() for column in order])
    return page.limit(bindparam("limit")).offset(literal_column("0"))


def _behind_seq(shape: Shape, forward: bool) -> list[ColumnElement[bool]]:
    columns = events.c
    seq: BindParameter[int] = bindparam("at_seq")
    behind: list[ColumnElement[bool]] = [columns.seq > seq if forward else columns.seq < seq]
    if shape.by_stream:
        # The version at the position is the key of the seek; a position that is not in this
        # stream seeks from the stream's end, and the comparison of seq still decides.
        at = events.alias("at")
        end: ColumnElement[int] = literal_column("0" if forward else str(MAX_INTEGER))
        version = func.coalesce(
            select(at.c.stream_version)
            .where(at.c.seq == seq, at.c.stream == bindparam("stream"))
            .scalar_subquery(),
            end,
        )
        behind.append(
            columns.stream_version > version if forward else columns.stream_version < version
        )
    return behind


def _index(shape: Shape) -> str:
    if shape.own:
        return f"INDEXED BY {by_own.name}"
    if shape.by_stream:
        return f"INDEXED BY {by_stream.name}"
    if shape.by_correlation:
        return f"INDEXED BY {by_correlation.name}"
    if shape.indexed_keys:
        return f"INDEXED BY {metadata_index_name(shape.indexed_keys[0])}"
    if shape.by_type:
        return f"INDEXED BY {by_type.name}"
    if shape.order_by in ("seq", "-seq") and not shape.bounded_below:
        return "NOT INDEXED"
    return f"INDEXED BY {by_created.name}"


def _json_array(row: Any) -> ColumnElement[str]:
    """`[{"id": …, …}, …]` of the rows, in their order; data and metadata are JSON already."""
    parts: list[ColumnElement[str]] = []
    for lead, column in (
        ('{"id":"', func.lower(func.hex(row.id))),
        ('","seq":', row.seq),
        (',"type":', func.json_quote(row.type)),
        (',"data":', row.data),
        (',"metadata":', row.metadata),
        (',"correlation_id":', func.json_quote(row.correlation_id)),
        (',"created_at":', row.created_at),
        (',"stored_at":', row.stored_at),
        (',"stream":', func.json_quote(row.stream)),
        (',"stream_version":', func.json_quote(row.stream_version)),
        (',"origin":', func.json_quote(row.origin)),
        (',"incarnation":', row.incarnation),
    ):
        parts += [literal_column(f"'{lead}'"), column]
    parts.append(literal_column("'}'"))
    entry = reduce(lambda left, right: left.op("||")(right), parts)
    entries = func.coalesce(func.group_concat(entry, literal_column("','")), literal_column("''"))
    return literal_column("'['").op("||")(entries).op("||")(literal_column("']'"))


def event_by_id() -> str:
    """One parameter, the id's 16 bytes; a JSON array of at most one event."""
    page = select(*[column for column in events.c if column.name != "content_hash"])
    page = page.where(events.c.id == bindparam("id"))
    return compile_statement(select(_json_array(page.subquery().c)))[0]


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
