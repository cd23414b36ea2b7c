"""Text from elsewhere cannot move a terminal's cursor, and stays short."""

from __future__ import annotations

import pytest

from results.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /a b", "GET /a b"),
        ("ü ☃ 東", "ü ☃ 東"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\0", r"a\x0ab\x09c\x00"),
        ("\u202eevil", r"\u202eevil"),
        ("\u2028", r"\u2028"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_what_moves_or_hides_text_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_long_text_is_cut_where_a_length_is_given() -> None:
    assert printable("x" * 300, 10) == "x" * 9 + "…"
    assert len(printable("x" * 300)) == 200
    assert printable("x" * 300, None) == "x" * 300
    assert printable("x" * 10, 10) == "x" * 10
