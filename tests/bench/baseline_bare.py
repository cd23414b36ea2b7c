"""What the store can do behind the barest HTTP: an ASGI callable in front of the same group commit.

    python -m uvicorn --factory tests.bench.baseline_bare:app

The upper end of the comparison (performance 1): no routing, no model, no limits, no correlation
ids, no metrics, no problem details. Whatever a node adds to this is the price of being a service.
"""

from __future__ import annotations

import os
import sys
from hashlib import blake2b
from pathlib import Path
from time import time_ns

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send
from uuid_utils import uuid7

from service.events.sqlite import SqliteEventStore
from service.events.store import Write
from tests.bench.baseline_plain import DATABASE_VARIABLE


def app() -> ASGIApp:
    """Stores in the file that BENCH_DATABASE names."""
    path = Path(os.environ[DATABASE_VARIABLE])
    # As the node does: the writer's thread gets the interpreter back soon after its fsync.
    sys.setswitchinterval(0.001)
    store: SqliteEventStore | None = None

    async def lifespan(receive: Receive, send: Send) -> None:
        nonlocal store
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                store = await SqliteEventStore.open(path, node="bare")
                await send({"type": "lifespan.startup.complete"})
            else:
                assert store is not None
                await store.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        assert store is not None
        stored = await store.append(_write(orjson.loads(body)))
        answer = orjson.dumps(
            {"id": stored.id.hex(), "seq": stored.seq, "created_at": stored.created_at}
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return handle


def _write(event: dict[str, object]) -> Write:
    """The least that the store needs. Raises KeyError or TypeError on anything unexpected."""
    type_ = event["type"]
    if not isinstance(type_, str):
        raise TypeError("type is a text")
    id_ = uuid7()
    data = orjson.dumps(event["data"])
    return Write(
        id=id_.bytes,
        type=type_,
        data=data,
        metadata=orjson.dumps(event["metadata"]),
        correlation_id=str(id_),
        created_at=time_ns() // 1000,
        content_hash=blake2b(data, digest_size=16).digest(),
        size_bytes=len(data) + 256,
    )
