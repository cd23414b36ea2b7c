"""The statements of the writer and of look-ups by id, compiled once when a store opens.

Results come back as one JSON text in one row: SQLite then runs for the whole page without the GIL,
instead of giving it up for every row (see tables.insert_row).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import bindparam, column, func, literal_column, select, table

from service.events.database import Statement
from service.events.plan import Row
from service.events.tables import (
    compile_statement,
    events,
    insert_row,
    meta,
    put_meta,
)

EXACT_ROWS = 64
"""Up to here a group is one statement of exactly its size, which the driver keeps prepared:
some 36 kB each, 2.3 MB if all sizes occur."""

CHUNK_ROWS = (512, 256, 128, 64)
"""Larger groups go in such chunks; 512 x 11 parameters, of 32,766 that SQLite allows."""

LOOKUP_IDS = (1, 16, 256)
"""Ids per look-up; a shorter list is padded with its last id, so that few statements are needed."""


@dataclass(frozen=True, slots=True)
class Inserts:
    """Rows to `INSERT` statements."""

    head: str
    row: str

    @classmethod
    def compiled(cls, origin: str, incarnation: int) -> Inserts:
        return cls(*insert_row(origin, incarnation))

    def statements(self, rows: Sequence[Row]) -> list[Statement]:
        """As few statements as possible for `rows`, in their order."""
        return [(self._sql(len(part)), list(chain.from_iterable(part))) for part in _parts(rows)]

    def _sql(self, rows: int) -> str:
        return self.head + ", ".join([self.row] * rows)


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start, left = 0, len(rows)
    while left:
        size = left
        if left > EXACT_ROWS:
            size = next(chunk for chunk in CHUNK_ROWS if chunk <= left)
        yield rows[start : start + size]
        start, left = start + size, left - size


@dataclass(frozen=True, slots=True)
class Lookups:
    """Statements that find ids.

    An entry found is [hex id, seq, created_at, correlation_id, stream_version, hex hash, origin].
    """

    by_size: tuple[tuple[int, str], ...]

    @classmethod
    def compiled(cls) -> Lookups:
        one = _lookup()
        head, place, tail = one.rpartition("IN (?)")
        assert place, one
        marks = [(size, ", ".join("?" * size)) for size in LOOKUP_IDS]
        return cls(tuple((size, f"{head}IN ({mark}){tail}") for size, mark in marks))

    def statements(self, ids: Sequence[bytes]) -> Iterator[Statement]:
        """Each returns one row with one JSON array."""
        largest = self.by_size[-1][0]
        for start in range(0, len(ids), largest):
            part = list(ids[start : start + largest])
            size, sql = next(entry for entry in self.by_size if entry[0] >= len(part))
            yield sql, part + part[-1:] * (size - len(part))


def _lookup() -> str:
    """The look-up of a single id."""
    columns = events.c
    entry = func.json_array(
        func.hex(columns.id),
        columns.seq,
        columns.created_at,
        columns.correlation_id,
        columns.stream_version,
        func.hex(columns.content_hash),
        columns.origin,
    )
    found = select(func.json_group_array(entry)).where(columns.id.in_([bindparam("id")]))
    return compile_statement(found)[0]


def stream_versions() -> str:
    """One parameter, a JSON array of streams; one JSON array of their versions, null when new."""
    wanted = func.json_each(bindparam("streams")).table_valued("value")
    version = (
        select(func.max(events.c.stream_version))
        .where(events.c.stream == wanted.c.value)
        .correlate(wanted)
        .scalar_subquery()
    )
    sql, _ = compile_statement(select(func.json_group_array(version)).select_from(wanted))
    return sql


def last_seq() -> str:
    """The greatest seq that was ever given, also if its row is gone; no row in a new database."""
    given = table("sqlite_sequence", column("name"), column("seq"))
    statement = select(given.c.seq).where(given.c.name == literal_column(f"'{events.name}'"))
    return compile_statement(statement)[0]


def all_meta() -> str:
    """Every fact about the database as (key, value)."""
    return compile_statement(select(meta.c.key, meta.c.value))[0]


PROBE_KEY = "probe"


def probe() -> Statement:
    """A small write that tells whether the disk takes writes again."""
    return put_meta(), (PROBE_KEY, "1")
