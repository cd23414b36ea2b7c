"""Rows per second of `executemany` and commit, 1,000 rows each: what batches are compared with.

    python -m tests.bench.executemany SECONDS

Prints one number as JSON. The rows are what the node makes of the batches that it is sent, made by
its own intake outside the clock. Page cache and checkpoint threshold are the store's, so that both
fold their log into the database equally often.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter, time_ns

from service.events.database import WRITER_CACHE_KIB
from service.events.intake import Intake, IntakeLimits
from service.events.writer import WriterLimits
from tests.bench.batch import BATCH_EVENTS, body
from tests.bench.database import INSERT, Values, create

_PAGE_BYTES = 4_096


def main(seconds: float) -> float:
    """Runs until the clock has seen `seconds`; rows per second of that time."""
    with tempfile.TemporaryDirectory() as folder:
        connection = create(Path(folder, "events.db"))
        connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
        pages = WriterLimits().checkpoint_bytes // _PAGE_BYTES
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        intake = Intake(IntakeLimits(), clock_us)
        stored, taken_s, seed = 0, 0.0, 0
        while taken_s < seconds:
            batch = rows(intake, body(seed), f"batch-{seed:032}")
            started_s = perf_counter()
            connection.executemany(INSERT, batch)
            connection.commit()
            taken_s += perf_counter() - started_s
            stored += BATCH_EVENTS
            seed += 1
        connection.close()
        return stored / taken_s


def rows(intake: Intake, batch: bytes, correlation_id: str) -> list[Values]:
    """One batch in the order of INSERT's columns."""
    stored_us = clock_us()
    return [
        (
            write.id, write.type, None, None, write.correlation_id, write.created_at, stored_us,
            "node-1", 1, write.content_hash, write.data.decode(), write.metadata.decode(),
        )
        for write in intake.array(batch, correlation_id)
    ]  # fmt: skip


def clock_us() -> int:
    return time_ns() // 1000


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
