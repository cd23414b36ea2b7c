"""Text of strangers as the page shows it: endpoint names, notes and reasons may hold anything.

Quoting for HTML is the template's work; the plots' library quotes in its own way. This module must
not produce HTML.
"""

from __future__ import annotations

from results.printable import printable

LONGEST = 120
"""A route template fits; what is longer is shown cut, and whole when it is pointed at."""

_QUOTED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}

LONGEST_TITLE = 1_000


def visible(text: str) -> str:
    """As long as it is, with control characters and marks of direction as escapes."""
    return printable(text, None)


def shortened(text: str, longest: int = LONGEST) -> str:
    """At most so many characters, an ellipsis for the middle: names differ at both ends."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def for_plot(text: str, longest: int = 40) -> str:
    """As plotly takes it for plain text: it reads some tags and entities in labels as HTML does,
    and formulas between dollars."""
    cut = visible(shortened(text, longest))
    return "".join(_QUOTED.get(character, character) for character in cut)
