"""How a request says which writes it carries, for the ledger (docs/ledger.md). Pure.

A write that is named wrongly is refused before it is sent: unrecorded, it would look like one that
nobody made. This module must not know what is recorded of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import uuid_utils

from results.ledger.ledger import DIGEST_BYTES, ID_BYTES

WRITE_ID = "write_id"
DIGEST = "digest"
"""Keys of a request's `context`, which every client of Locust takes."""

Write = tuple[bytes | None, bytes | None]
"""Ids and digests of the writes that a request carries, as a sample has them."""

_MOST_NAMED = 10_000


def check_write(write_id: bytes | None, digest: bytes | None) -> Write:
    """Both. Raises ValueError for ids that are not 16 bytes each, or digests not 8 each."""
    if not isinstance(write_id, bytes) or not write_id or len(write_id) % ID_BYTES:
        raise ValueError(
            f"{WRITE_ID} must be {ID_BYTES} bytes, or {ID_BYTES} for each write of a batch, not "
            f"{_shown(write_id)}"
        )
    if digest is None:
        return write_id, digest
    count = len(write_id) // ID_BYTES
    if not isinstance(digest, bytes) or len(digest) != count * DIGEST_BYTES:
        raise ValueError(
            f"{DIGEST} must be {DIGEST_BYTES} bytes for each of the {count:,} write(s), not "
            f"{_shown(digest)}"
        )
    return write_id, digest


def write_of(context: Mapping[str, object]) -> Write | None:
    """Ids and digests that a request's `context` names; None when it names no write.

    An id may be a UUID, its text or its 16 bytes; several in a list, or their bytes in a row. No
    digest means that nobody made one, and one without an id is somebody else's. Raises ValueError.
    """
    named = context.get(WRITE_ID)
    if named is None:
        return None
    ids = _ids_of(named)
    digest = context.get(DIGEST)
    if digest is not None and not isinstance(digest, bytes):
        raise ValueError(f"{DIGEST} must be bytes, not {_shown(digest)}")
    return check_write(ids, digest)


def _ids_of(named: object) -> bytes:
    if isinstance(named, list | tuple):
        if len(named) > _MOST_NAMED:
            raise ValueError(f"{WRITE_ID} names {len(named):,} writes, at most {_MOST_NAMED:,}")
        return b"".join(_id_of(each) for each in named)
    return named if isinstance(named, bytes) else _id_of(named)


def _id_of(named: object) -> bytes:
    if isinstance(named, UUID | uuid_utils.UUID):
        return named.bytes
    if isinstance(named, bytes) and len(named) == ID_BYTES:
        return named
    if isinstance(named, str):
        try:
            return UUID(named).bytes
        except ValueError:
            pass
    raise ValueError(
        f"{WRITE_ID} must be a UUID, its text or its {ID_BYTES} bytes, not {_shown(named)}"
    )


def _shown(value: object) -> str:
    """Without the value itself, so that Locust groups what is said."""
    if isinstance(value, bytes | str):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
