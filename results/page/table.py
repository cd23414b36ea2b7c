"""Tables of the page at a run's end, and how their cells are written.

What is shown may come from anywhere, so control characters are escaped in every cell. This module
must not know what a table is about.
"""

from __future__ import annotations

import re

from rich.table import Table
from rich.text import Text

from results.printable import printable
from results.statistic import Latency

Cell = str | Text

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class PageTable(Table):
    """Columns without a frame, like `ps`: narrow, and easy to cut with other tools."""

    def __init__(self, *, left: tuple[str, ...], right: tuple[str, ...]) -> None:
        """Names of columns by the side of their cells; a name may take two lines."""
        super().__init__(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        height = max(name.count("\n") for name in (*left, *right))
        for name in left:
            self.add_column(_at_the_bottom(name, height), no_wrap=True)
        for name in right:
            self.add_column(_at_the_bottom(name, height), justify="right", no_wrap=True)

    def row(self, *cells: Cell) -> None:
        """Text is no markup, and stays in its line."""
        self.add_row(*(c if isinstance(c, Text) else Text(printable(c)) for c in cells))


def _at_the_bottom(name: str, height: int) -> str:
    return "\n" * (height - name.count("\n")) + name


def without_escapes(page: str) -> str:
    """The page without control characters but for line ends and the colours of a terminal."""
    parts = _COLOURS.split(page)
    if all(_is_plain(part) for part in parts):
        return page
    colours = [*_COLOURS.findall(page), ""]
    shown = ("\n".join(printable(line, None) for line in part.split("\n")) for part in parts)
    return "".join(text + colour for text, colour in zip(shown, colours, strict=True))


def _is_plain(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def ms(latency: Latency | None, quantile: float) -> str:
    value = None if latency is None else latency.quantile_ms(quantile)
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    if share is None:
        return "-"
    # With two digits, of which 100 has three.
    return "100 %" if share >= 0.995 else f"{share * 100:.2g} %"
