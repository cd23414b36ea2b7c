"""Fills nodes with events by batches, and writes the ledger of just these writes.

    python -m tests.bench.audit_fill FOLDER WRITES URL…

The run is `FOLDER/run`. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import requests
import uuid_utils

from results.ledger.ledger import MAX_REPORT_RECORDS, RECORD, WriteOutcome, WritesReport
from results.ledger.store import LedgerWriter
from results.run_folder import create_run
from service.content import content_hash

BATCH = 1_000
WRITES_PER_S = 5_000
"""Of the run that the ledger is said to be of."""

DATA = {"amount": 17, "user_id": "user_4711"}
DIGEST = content_hash("order_placed", None, None, None, orjson.dumps(DATA), b"{}")[:8]


def fill(url: str, ids: list[str]) -> None:
    """Store an event under each id, in order."""
    with requests.Session() as session:
        session.trust_env = False
        for start in range(0, len(ids), BATCH):
            rows = [
                {"type": "order_placed", "data": DATA, "id": id}
                for id in ids[start : start + BATCH]
            ]
            answer = session.post(
                f"{url}/v1/events/batch",
                data=orjson.dumps(rows),
                headers={"Content-Type": "application/json"},
                timeout=60,
            )
            answer.raise_for_status()


def main(folder: str, writes: str, *urls: str) -> None:
    keys = [uuid_utils.uuid7() for _ in range(int(writes))]
    with ThreadPoolExecutor(len(urls)) as pool:
        shares = [[str(key) for key in keys[nth :: len(urls)]] for nth in range(len(urls))]
        list(pool.map(fill, urls, shares))
    writer = LedgerWriter(create_run(Path(folder), "run"))
    for sequence, start in enumerate(range(0, len(keys), MAX_REPORT_RECORDS)):
        records = bytearray()
        for number in range(start, min(start + MAX_REPORT_RECORDS, len(keys))):
            place = (number // WRITES_PER_S, number % len(urls))
            records += RECORD.pack(keys[number].bytes, DIGEST, *place, WriteOutcome.ACKNOWLEDGED)
        writer.take(WritesReport("local", sequence, urls, bytes(records)))
    writer.close()
    print(json.dumps({"writes": len(keys)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
