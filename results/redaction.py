"""Secrets in documents, names and notes: what is a secret by its name, and what stands for it.

Before they reach a disk, values under secret names, in the queries of URLs and behind options too,
and the users and passwords of URLs become `***`. Rather too much is taken away than too little.
This module must not know what a document means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SECRET_WORDS = (
    r"token|secret|passw|passphrase|passcode|credential|authorization|cookie|signature|jwt"
    r"|(?:api|private|access)[-_]?key|pwd(?![a-z])|x-session"
)
_SECRET = re.compile(_SECRET_WORDS, re.IGNORECASE)
_SECRET_FIELD = re.compile(
    rf"{_SECRET_WORDS}|auth(?!or)|login$|session(?:[-_]?(?:id|key))?$"
    r"|(?<![a-z])(?:pass|sig)(?![a-z])",
    re.IGNORECASE,
)
"""Where a name is surely that of a value; in prose `POST /login: 503` is none."""

_IN_QUERY = re.compile(r"([?&][^=&#?]*)=[^&#]*")
_NAME = re.compile(r"""(?<![\w-])([\w-]+)(\\*["']?\s*[=:]\s*|(?<=\w)\s+(?!-))""")
"""A name with what leads to its value; only an option's is led to by a blank."""

_VALUE = re.compile(
    r"""(?P<scheme>(?:(?:bearer|basic|digest|negotiate|token|apikey)\s+)?)"""
    r"""(?:(?P<escaped>\\+["']).*?(?:(?P=escaped)|$)|"(?:\\.|[^"\\])*(?:"|$)"""
    r"""|'(?:\\.|[^'\\])*(?:'|$)|[^\s&#]+)""",
    re.IGNORECASE | re.DOTALL,
)
"""In quotes, in quotes that are escaped since they stand in others, or a word."""

_COOKIES = re.compile(
    r"""(?<![\w-])((?:set-)?cookies?\\*["']?\s*[=:]\s*)\S+(?:(?<=;)\s+\S+)*""", re.IGNORECASE
)
_USER_OF_HOST = re.compile(r"://[^/?#\s]*@")
_WORD = re.compile(r"\S+")
_OPTION = re.compile(r"--?\w[\w-]*")
_DEEPEST = 20

REDACTED = "***"


def redacted(document: Mapping[str, object]) -> dict[str, object]:
    """A copy in JSON's types: values under secret names, in texts too, and passwords become `***`.

    Values of other types become their text. True, false and null are no secrets.
    """
    return {str(name): _under(str(name), value, 1) for name, value in document.items()}


def _under(name: str, value: object, depth: int) -> object:
    if value and value is not True and _SECRET_FIELD.search(name):
        return REDACTED
    return _plain(value, depth)


def _plain(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, Mapping):
        return {str(name): _under(str(name), inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return [_plain(item, depth + 1) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return _items(value, depth + 1)
    return redacted_text(str(value))


def _items(values: Sequence[object], depth: int) -> list[object]:
    """As a command line has it, an option's value follows the option."""
    found: list[object] = []
    option = ""
    for value in values:
        is_option = isinstance(value, str) and _OPTION.fullmatch(value) is not None
        found.append(_plain(value, depth) if is_option else _under(option, value, depth))
        option = str(value) if is_option else ""
    return found


def redacted_url(text: str) -> str:
    """Without the secrets of its query, and the users and passwords of its hosts."""
    if "=" in text:
        text = _IN_QUERY.sub(_without_value, text)
    return _USER_OF_HOST.sub(f"://{REDACTED}@", text) if "@" in text else text


def redacted_text(text: str) -> str:
    """What a person or a program says, word by word; `password=…`, `Authorization: …`, what a JSON
    text has under such names, and `--token …` too."""
    text = _without_named_values(_COOKIES.sub(rf"\1{REDACTED}", text))
    return _WORD.sub(lambda word: redacted_url(word[0]), text)


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}={REDACTED}" if _SECRET_FIELD.search(found[1]) else found[0]


def _without_named_values(text: str) -> str:
    kept: list[str] = []
    at = 0
    while (name := _NAME.search(text, at)) is not None:
        kept.append(text[at : name.end()])
        at = name.end()
        if _leads_to_secret(name) and (value := _VALUE.match(text, at)) is not None:
            kept.append(f"{value['scheme']}{REDACTED}")
            at = value.end()
    return "".join((*kept, text[at:]))


def _leads_to_secret(name: re.Match[str]) -> bool:
    key, sign = name.groups()
    if not sign.strip():
        return _OPTION.fullmatch(key) is not None and _SECRET_FIELD.search(key) is not None
    if sign.strip() != ":":
        return _SECRET_FIELD.search(key) is not None
    is_of_path = name.start() > 0 and name.string[name.start() - 1] == "/"
    return not is_of_path and _SECRET.search(key) is not None
