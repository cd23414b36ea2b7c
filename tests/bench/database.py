"""Databases with the node's own schema: empty for the baselines, filled for the readers.

The schema comes from the store's migrations, so that a baseline never has fewer indices than the
node. This module must not measure anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from random import Random

from service.events.tables import EVENT_COLUMNS, SCHEMA_VERSION, migrations

INSERT = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS[1:])}) "
    f"VALUES ({', '.join('?' * (len(EVENT_COLUMNS) - 1))})"
)
"""One row without `seq`, which SQLite assigns."""

TYPES = (
    "user_login", "user_logout", "page_view", "product_view", "add_to_cart",
    "remove_from_cart", "purchase_started", "payment_processed", "order_confirmed",
    "shipment_created",
)  # fmt: skip
"""F3-2's ten types."""

FIRST_CREATED_US = 1_750_000_000_000_000
CREATED_STEP_US = 1_000
"""Filled events are a millisecond apart."""

_FILL_ROWS = 10_000

Values = tuple[bytes | str | int | None, ...]


def create(path: Path) -> sqlite3.Connection:
    """A new database at `path` with the node's schema and durability: WAL, synchronous=FULL."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for step in migrations():
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.commit()
    return connection


def rows(count: int, seed: int, origin: str = "node-1") -> Iterator[Values]:
    """`count` events in the order of INSERT's columns; ids rise like UUIDv7 keys."""
    random = Random(seed)
    metadata = '{"source":"bench"}'
    for index in range(count):
        created_us = FIRST_CREATED_US + index * CREATED_STEP_US
        head = (created_us // 1000).to_bytes(6)
        tail = random.getrandbits(80) & ~(0xF << 76) | 0x7 << 76
        data = f'{{"amount":{random.randrange(10_000)},"user_id":"user_{index % 1000}"}}'
        yield (
            head + tail.to_bytes(10), random.choice(TYPES), None, None, f"corr-{index // 10}",
            created_us, created_us, origin, 1, blake2b(data.encode(), digest_size=16).digest(),
            data, metadata,
        )  # fmt: skip


def fill(path: Path, count: int, seed: int = 1) -> None:
    """Puts `count` events into an existing database, quickly: durability is off while filling."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        source = rows(count, seed)
        for start in range(0, count, _FILL_ROWS):
            size = min(_FILL_ROWS, count - start)
            connection.executemany(INSERT, (next(source) for _ in range(size)))
            connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def stored_events(path: Path) -> int:
    """count(*) of a database whose node has ended."""
    connection = sqlite3.connect(path)
    try:
        [(count,)] = connection.execute("SELECT count(*) FROM events")
        return int(count)
    finally:
        connection.close()
