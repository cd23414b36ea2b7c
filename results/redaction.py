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
_SECRET_IN_QUERY = re.compile(rf"([?&][^=&#]*(?:{_SECRET_WORDS})[^=&#]*=)[^&#]*", re.IGNORECASE)
_USER_OF_HOST = re.compile(r"://[^/?#\s]*@")
_NAMED_SECRET = re.compile(
    rf"((?<![\w?&])[\w-]*(?:{_SECRET_WORDS})[\w-]*(?:=|:\s+)(?:(?:bearer|basic)\s+)?)[^\s&#]+",
    re.IGNORECASE,
)
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
        text = _SECRET_IN_QUERY.sub(rf"\g<1>{REDACTED}", text)
    return _USER_OF_HOST.sub(f"://{REDACTED}@", text) if "@" in text else text


def redacted_text(text: str) -> str:
    """What a person or a program says, word by word; `password=…` and `Authorization: …` too."""
    text = _NAMED_SECRET.sub(rf"\g<1>{REDACTED}", text)
    return _WORD.sub(lambda word: redacted_url(word[0]), text)
