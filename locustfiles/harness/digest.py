"""What the typed calls say, as digests for the ledger: equal to the node's hash of the same write.

A digest is the first 8 bytes of the content hash (service.content); one that differed from the
node's would accuse an honest node of having altered the write, so a contract test holds every call
to a real node. This module must not send anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from results.ledger.ledger import DIGEST_BYTES, NO_DIGEST
from service.content import NOTHING, content_hash, sorted_text
from service.schema import Micros

_MICROS = TypeAdapter(Micros)


def client_digest(type_: str, stream: str | None, said: Mapping[str, object]) -> bytes:
    """Of a write whose event the node makes from what the client `said`."""
    return content_hash(type_, stream, None, None, sorted_text(said), NOTHING)[:DIGEST_BYTES]


def with_digest(event: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """An event's fields as they are to be sent, its JSON made once, and the digest.

    Raises TypeError for what JSON cannot say.
    """
    sent, texts = dict(event), {"data": NOTHING, "metadata": NOTHING}
    for name in texts:
        if name in event:
            texts[name] = sorted_text(event[name])
            sent[name] = orjson.Fragment(texts[name])
    return sent, _event_digest(event, texts["data"], texts["metadata"])


def _event_digest(event: Mapping[str, Any], data: bytes, metadata: bytes) -> bytes:
    created_at = event.get("created_at")
    if created_at is not None and type(created_at) is not int:
        try:
            created_at = _MICROS.validate_python(orjson.loads(orjson.dumps(created_at)))
        except ValidationError:
            # The node will refuse it; its word is what the ledger keeps.
            return NO_DIGEST
    content = (event.get("type", ""), event.get("stream"), event.get("correlation_id"), created_at)
    return content_hash(*content, data, metadata)[:DIGEST_BYTES]
