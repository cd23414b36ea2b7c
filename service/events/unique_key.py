"""Refuses JSON objects that name a member twice (RFC 8259 leaves open which one counts).

Parsers keep the last and say nothing, so that two readers of one body can disagree on it. Nothing
here is paid for by honest bodies but a count: each member has one colon, so a text that was parsed
and printed again has as many colons as the original, or fewer where members were dropped. Only
texts that differ, or that could hide a colon in an escape, are read again. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from service.errors import MalformedJson

_SHOWN_CHARS = 60


def check(raw: bytes, kept_colons: int, more_colons: Callable[[], int] = lambda: 0) -> None:
    """`raw` is valid JSON; `kept_colons` are those that its members account for, as parsed, and
    `more_colons` those of names and times, which are only counted where they matter.

    Raises MalformedJson when an object in it names a member twice.
    """
    if b"\\" in raw and b"\\u003" in raw:
        check_text(raw)
        return
    # Never fewer than were kept, so that what is left over is a name's, a time's or a dropped
    # member's.
    left = raw.count(b":") - kept_colons
    if left and left != more_colons():
        check_text(raw)


def check_text(raw: bytes) -> None:
    """As `check`, where nobody has counted what was kept."""
    try:
        kept = orjson.dumps(orjson.loads(raw))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        kept = b""  # NaN or depth: others refuse those, we read it all
    hidden = b"\\u003" in raw and b"\\u003a" in raw.lower()
    if hidden or raw.count(b":") != kept.count(b":"):
        # Numbers stay text: a few thousand digits would be an error of their own.
        json.loads(raw, object_pairs_hook=_members, parse_int=str, parse_float=str)


def _members(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise MalformedJson(f"an object names {name[:_SHOWN_CHARS]!r} twice: name it once")
        seen.add(name)
