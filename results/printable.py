"""Text from elsewhere, made fit for a terminal, a table or a page.

Names come from locustfiles, answers and files that anybody may have written. This module must not
know where they go: HTML and XML escape what they need on top.
"""

from __future__ import annotations

import unicodedata

LONGEST = 200

_UNSHOWN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode's categories of what moves the cursor, turns the text around, or shows as nothing."""


def printable(text: str, longest: int | None = LONGEST) -> str:
    """Control characters, marks of direction and line ends as their escapes, and cut to a length.

    None: as long as it is.
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in _UNSHOWN else one for one in text)


def _escaped(one: str) -> str:
    number = ord(one)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
