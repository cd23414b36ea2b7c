"""Events for tests: writes as the intake makes them, with every field at hand."""

from __future__ import annotations

import orjson
import uuid_utils

from service.content import content_hash
from service.events.store import Write


def make_write(
    *,
    id: bytes | None = None,
    type: str = "test",
    data: dict[str, object] | None = None,
    metadata: dict[str, object] | None = None,
    correlation_id: str = "correlation",
    created_at: int = 1_700_000_000_000_000,
    stream: str | None = None,
    expected_version: int | None = None,
) -> Write:
    """A write whose content is type, stream, data and metadata."""
    data_text = orjson.dumps(data or {}, option=orjson.OPT_SORT_KEYS)
    metadata_text = orjson.dumps(metadata or {}, option=orjson.OPT_SORT_KEYS)
    return Write(
        id=id or uuid_utils.uuid7().bytes,
        type=type,
        data=data_text,
        metadata=metadata_text,
        correlation_id=correlation_id,
        created_at=created_at,
        content_hash=content_hash(type, stream, None, None, data_text, metadata_text),
        size_bytes=len(data_text) + len(metadata_text) + 256,
        stream=stream,
        expected_version=expected_version,
    )
