"""Where a check's text stands, so that an error names the place, and the nearest word there is.

This module must not know the grammar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from results.errors import CheckError

MAX_TEXT = 1_000
"""Characters of one check. Endpoint names are route templates; nothing reasonable is longer."""

_MAX_SHOWN = 60

_SHORT = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A text and where it begins: line and column of a file, or nothing but itself.

    `is_literal` says that the file holds the text as it is, so that columns can be counted in it;
    else, as with escapes or folded lines, an error names the beginning.
    """

    text: str
    line: int | None = None
    column: int = 1
    is_literal: bool = True

    def place(self, offset: int) -> str:
        """`line 4, column 12`, or the column alone where there is no file."""
        column = self.column + (offset if self.is_literal else 0)
        return f"column {column}" if self.line is None else f"line {self.line}, column {column}"

    def error(self, offset: int, problem: str) -> CheckError:
        """An error at that character of the text."""
        of = f"check {shown(self.text)}, " if self.line is None else ""
        return CheckError(f"{of}{self.place(offset)}: {problem}")


def shown(text: str) -> str:
    """In quotes, without control characters, and not longer than a line takes."""
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'p90'?`, or all that there are, where none is near."""
    words = list(dict.fromkeys(known))
    found = get_close_matches(word.lower(), words, cutoff=0.5)
    if found and len(word) < _SHORT:
        # Of units, one as long is nearer than a part of it: `mz` is a slip for `ms`, not for `m`.
        found.sort(key=lambda one: abs(len(one) - len(word)))
    if found:
        return f": did you mean {found[0]!r}?"
    return f": use one of {', '.join(words)}" if words else ""
