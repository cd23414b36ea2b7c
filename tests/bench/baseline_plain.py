"""What a service usually looks like: a FastAPI handler that inserts and commits through aiosqlite.

    python -m uvicorn --factory tests.bench.baseline_plain:app

The lower end of the comparison (performance 1). Same table, indices and durability as the node's
store, same request and answer models. Every request is one transaction of its own, in one hop to
the connection's thread: the connection is in autocommit mode. `baseline_shared.py` is the variant
in the driver's default mode.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from time import time_ns
from typing import Literal

import aiosqlite
import orjson
from fastapi import FastAPI, Request
from uuid_utils import uuid7

from service.schema import NewEvent, Receipt
from tests.bench.database import INSERT, create

DATABASE_VARIABLE = "BENCH_DATABASE"


def app(*, shared: bool = False) -> FastAPI:
    """Stores in the file that BENCH_DATABASE names; `shared`: see baseline_shared.py."""
    path = Path(os.environ[DATABASE_VARIABLE])
    mode: Literal["DEFERRED"] | None = "DEFERRED" if shared else None

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        create(path).close()
        async with aiosqlite.connect(path, isolation_level=mode) as connection:
            await connection.execute("PRAGMA synchronous=FULL")
            api.state.connection = connection
            yield

    api = FastAPI(lifespan=lifespan)

    @api.post("/v1/events", status_code=201)
    async def append(event: NewEvent, request: Request) -> Receipt:
        connection: aiosqlite.Connection = request.app.state.connection
        id_ = uuid7() if event.id is None else event.id
        now_us = time_ns() // 1000
        created_at = event.created_at or now_us
        data = orjson.dumps(event.data)
        correlation_id = event.correlation_id or str(id_)
        row = (id_.bytes, event.type, event.stream, None, correlation_id, created_at, now_us,
               "plain", 1, blake2b(data, digest_size=16).digest(), data.decode(),
               orjson.dumps(event.metadata).decode())  # fmt: skip
        inserted = await connection.execute_insert(INSERT, row)
        if shared:
            await connection.commit()
        assert inserted is not None
        return Receipt.model_validate(
            {
                "id": id_.bytes.hex(),
                "seq": inserted[0],
                "created_at": created_at,
                "correlation_id": correlation_id,
            }
        )

    return api
