"""Secrets in documents, names and notes: what is a secret by its name, and what stands for it.

Before they reach a disk, values under secret names, in the queries of URLs too, and the users and
passwords of URLs become `***`. This module must not know what a document means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_WORDS = (
    "token|secret|passw|passphrase|credential|authorization|api[-_]?key|private[-_]?key|cookie"
)
_SECRET = re.compile(_SECRET_WORDS, re.IGNORECASE)
_IN_QUERY = re.compile(r"([?&][^=&#?]*)=[^&#]*")
_IN_TEXT = re.compile(r"(?<![\w-])([\w-]+)(=|:\s+)((?:bearer|basic)\s+)?[^\s&#]+", re.IGNORECASE)
_USER_OF_HOST = re.compile(r"://[^/?#\s]*@")
_WORD = re.compile(r"\S+")
_DEEPEST = 20

REDACTED = "***"


def redacted(document: Mapping[str, object]) -> dict[str, object]:
    """A copy in JSON's types: values under secret names, in URLs too, and passwords become `***`.

    Values of other types become their text.
    """
    return {
        str(name): REDACTED if _SECRET.search(str(name)) and value else _plain(value, 1)
        for name, value in document.items()
    }


def _plain(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, Mapping):
        return {
            str(name): REDACTED if _SECRET.search(str(name)) and inner else _plain(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, depth + 1) for item in items]
    return redacted_url(str(value))


def redacted_url(text: str) -> str:
    """Without the secrets of its query, and the users and passwords of its hosts."""
    if "=" in text:
        text = _IN_QUERY.sub(_without_value, text)
    return _USER_OF_HOST.sub(f"://{REDACTED}@", text) if "@" in text else text


def redacted_text(text: str) -> str:
    """What a person or a program says, word by word; `password=…` and `Authorization: …` too."""
    text = _IN_TEXT.sub(_without_named_value, text)
    return _WORD.sub(lambda word: redacted_url(word[0]), text)


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}={REDACTED}" if _SECRET.search(found[1]) else found[0]


def _without_named_value(found: re.Match[str]) -> str:
    key, sign, scheme = found[1], found[2], found[3] or ""
    return f"{key}{sign}{scheme}{REDACTED}" if _SECRET.search(key) else found[0]
