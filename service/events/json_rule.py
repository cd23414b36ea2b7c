"""JSON as the log may hold it: canonical text, and the rules that parsers lack. Pure.

Integers beyond 2^63, NaN and depth are first looked for as signs of trouble in the canonical text,
which costs next to nothing; the value is walked only then.
"""

from __future__ import annotations

import re
from itertools import accumulate
from math import isfinite
from typing import Final

import orjson

from service.errors import MalformedJson
from service.schema import MAX_INTEGER, MAX_JSON_DEPTH

CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
"""Sorted keys; strict refuses integers beyond 53 bits, which sends those to the exact check.

So do `null`, as which orjson prints NaN and infinities, and more levels than there may be.
"""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STEPS: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _STEPS)


def canonical(value: dict[str, object], deepest: int, field: str) -> bytes:
    """Canonical JSON of one object that may have `deepest` levels."""
    try:
        text = orjson.dumps(value, option=CANONICAL)
    except orjson.JSONEncodeError:
        text = b"null"
    # A level takes two brackets, so most texts are too short to be deep.
    if b"null" in text or (len(text) > 2 * deepest and may_be_deep(text, deepest)):
        inspect(value, deepest, field)
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError as error:
            raise MalformedJson(f"{field}: {error}") from None
    return text


def may_be_deep(text: bytes, deepest: int) -> bool:
    """Whether `text`, valid JSON, has more levels than `deepest`.

    It cannot where it has no more opening brackets, in strings or not. Else they are counted up and
    down, beside strings: 30 ns a bracket, where walking the value takes 1 us.
    """
    if text.count(b"{") + text.count(b"[") <= deepest:
        return False
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > deepest


def inspect(value: object, deepest: int, place: str) -> None:
    """Raises MalformedJson for depth, integers and floats that no node could give back."""
    pending: list[tuple[object, int]] = [(value, 0)]
    while pending:
        item, level = pending.pop()
        if isinstance(item, dict | list):
            if level >= deepest:
                raise MalformedJson(f"{place}: deeper than {MAX_JSON_DEPTH} levels in all")
            children = item.values() if isinstance(item, dict) else item
            pending += [(child, level + 1) for child in children]
        elif isinstance(item, bool):
            continue
        elif isinstance(item, int) and not -MAX_INTEGER - 1 <= item <= MAX_INTEGER:
            raise MalformedJson(
                f"{place}: an integer is outside -2^63 to 2^63-1: send it as a string"
            )
        elif isinstance(item, float) and not isfinite(item):
            raise MalformedJson(f"{place}: NaN and infinite numbers are not JSON: send null")


def holds_nul(value: object) -> bool:
    """SQLite's JSON functions end a text at NUL, so a query would find what it should not."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or holds_nul(child) for key, child in value.items())
    return isinstance(value, list) and any(holds_nul(child) for child in value)
