"""Rows per second of `executemany` and commit, 1,000 rows each: what batches are compared with.

    python -m tests.bench.executemany SECONDS

Prints one number as JSON. Rows are made outside the clock. Page cache and checkpoint threshold are
the store's, so that both fold their log into the database equally often.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter

from service.events.database import WRITER_CACHE_KIB
from service.events.writer import WriterLimits
from tests.bench.database import INSERT, create, rows

BATCH_ROWS = 1_000
_PAGE_BYTES = 4_096


def main(seconds: float) -> float:
    """Runs until the clock has seen `seconds`; rows per second of that time."""
    with tempfile.TemporaryDirectory() as folder:
        connection = create(Path(folder, "events.db"))
        connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
        pages = WriterLimits().checkpoint_bytes // _PAGE_BYTES
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        source = rows(sys.maxsize, seed=7)
        stored, taken_s = 0, 0.0
        while taken_s < seconds:
            batch = list(islice(source, BATCH_ROWS))
            started_s = perf_counter()
            connection.executemany(INSERT, batch)
            connection.commit()
            taken_s += perf_counter() - started_s
            stored += BATCH_ROWS
        connection.close()
        return stored / taken_s


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
