"""The characters of a check's text, from left to right: spaces, words, quotes.

This module must not know what a word means.
"""

from __future__ import annotations

import json
import re

from results.errors import CheckError
from results.text.source import Source, shown

_WORD = re.compile(r"[^\W\d][\w.]*")
_SPACES = re.compile(r"\s*")
_JSON = json.JSONDecoder()


class Reader:
    """`at` is the character that comes next."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        return self.text[self.at : self.at + 1]

    def skip(self) -> int:
        """Spaces; returns where something else begins."""
        found = _SPACES.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def take(self, mark: str) -> bool:
        """The character and the spaces behind it, if it comes next."""
        if self.next != mark:
            return False
        self.at += 1
        self.skip()
        return True

    def word(self) -> str | None:
        """A word, if one comes next."""
        found = _WORD.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def matched(self, pattern: re.Pattern[str]) -> str:
        """What matches the pattern here; empty for nothing."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def quoted(self) -> str | None:
        """A text in double quotes with JSON's escapes, or in single ones without any; or None."""
        begins, mark = self.at, self.next
        try:
            if mark == '"':
                value, self.at = _JSON.raw_decode(self.text, begins)
                return str(value)
            if mark == "'":
                end = self.text.index("'", begins + 1)
                self.at = end + 1
                return self.text[begins + 1 : end]
        except ValueError:
            problem = f"what begins with {mark} is not closed, or has a wrong escape"
            raise self.error(begins, problem) from None
        return None

    def instead(self) -> str:
        """What comes next, for an error that says what was expected."""
        rest = self.text[self.at :].split(maxsplit=1)
        return f", not {shown(rest[0])}" if rest else ", and nothing follows"

    def error(self, offset: int, problem: str) -> CheckError:
        """An error at that character."""
        return self.source.error(offset, problem)
