"""What a declared write says, and the hash of it (D11): the node's and its clients' own account.

A node keeps the hash with the event, so that a retry is recognised and an altered copy found; the
load side hashes what it sends and notes it in the ledger, so that an audit can compare the two.
Both take the words, the fields and the hash from here. Pure, nothing but orjson and the standard
library; this module must not import anything that does I/O, as the load side imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

HASH_BYTES: Final = 16

USER_ACTION: Final = "user_action"
JOB_ENQUEUED: Final = "job_enqueued"
JOBS_STREAM: Final = "$jobs"
CONFIG_CHANGED: Final = "config_changed"
ANALYTICS_PASS: Final = "analytics_pass"
ANALYTICS_STREAM: Final = "$analytics"

PASSWORD: Final = "password"
"""The one key of a payload that is checked and never stored, hashed into content or logged."""

NOTHING: Final = b"{}"
"""Canonical JSON of no metadata."""

_SORTED: Final = orjson.OPT_SORT_KEYS
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_PLAIN: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def content_hash(
    type_: str,
    stream: str | None,
    correlation_id: str | None,
    created_at: int | None,
    data: bytes,
    metadata: bytes,
) -> bytes:
    """BLAKE2b, 16 bytes, over three lines; `correlation_id` and `created_at` are the body's.

    Canonical JSON holds no line break, so no two contents share their lines.
    """
    head = orjson.dumps([type_, stream, correlation_id, created_at])
    return blake2b(b"\n".join((head, data, metadata)), digest_size=HASH_BYTES).digest()


def sorted_text(value: object) -> bytes:
    """A client's value as the canonical JSON that a node makes of it once it was sent.

    Raises TypeError for what JSON cannot say.
    """
    try:
        text = orjson.dumps(value, option=_PLAIN)
    except orjson.JSONEncodeError:
        # The fields of a dataclass keep their order when they are printed, unlike keys.
        return _read_back(value)
    return _read_back(value) if _holds_fragment(value) else text


def _read_back(value: object) -> bytes:
    sent = orjson.dumps(value)
    try:
        return orjson.dumps(orjson.loads(sent), option=_SORTED)
    except orjson.JSONDecodeError as error:
        raise TypeError(f"an orjson.Fragment is no JSON: {error}") from None


def _holds_fragment(value: object) -> bool:
    """Ready-made JSON, which is printed as it stands. `value` could be printed: it has an end."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return isinstance(value, orjson.Fragment)
    for each in value:  # noqa: SIM110 (in half the time)
        if type(each) not in _SCALARS and _holds_fragment(each):
            return True
    return False


def of_action(action: str, user_id: str, payload: Mapping[str, Any]) -> dict[str, object]:
    """What the client of a `user_action` says (P1-5)."""
    return {"user_id": user_id, "action": action, "payload": without_secrets(payload)}


def of_job(kind: str, payload: Mapping[str, Any]) -> dict[str, object]:
    """What the client of a `job_enqueued` says (P1-10)."""
    return {"kind": kind, "payload": payload}


def of_config(path: str, value: object) -> dict[str, object]:
    """What the client of a `config_changed` says (A-4)."""
    return {"path": path, "value": value}


def config_stream(path: str) -> str:
    """The own stream whose version is the path's."""
    return f"$config/{path}"


def of_pass(limit: int) -> dict[str, object]:
    """What the client of an `analytics_pass` says (P1-11)."""
    return {"limit": limit}


def without_secrets(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload less what must neither be stored nor hashed into the event's content."""
    if PASSWORD not in payload:
        return payload
    return {name: value for name, value in payload.items() if name != PASSWORD}
