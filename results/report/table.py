"""A table of the page as plain data, and how numbers are written in its cells.

Every table of the report is one of these, so that one template draws them all and tests read cells
rather than HTML. This module must not know what the numbers mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

Writer = Callable[[float], str]

NOTHING = "-"
"""Where there is no number: nothing was measured, which is not 0."""


_SHORT_NAME = 12
_NBSP = "\u00a0"


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` is what the column is sorted by when it is a number; `tone` a class of the style.

    `hint` is told when the cell is pointed at.
    """

    text: str
    value: float | None = None
    tone: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`hint` is told when the head is pointed at."""

    name: str
    hint: str = ""
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`caption` says what the rows are, `whole` which file of the bundle has all of them.

    The first column names its row. `left_out` rows are not among `rows`.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    whole: str = "verdict.json"
    left_out: int = 0

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.caption

    def cut(self, most: int) -> Table:
        """With its first rows alone."""
        left_out = max(0, len(self.rows) - most)
        return replace(self, rows=self.rows[:most], left_out=self.left_out + left_out)

    @property
    def has_long_names(self) -> bool:
        """Whether the first column needs room: a table that is as wide as its page breaks words."""
        return any(len(row[0].text) > _SHORT_NAME for row in self.rows)


def words(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, numeric=True) for name in names)


def text(value: str, tone: str = "") -> Cell:
    return Cell(value or NOTHING, None, tone)


def count(value: float | None, tone: str = "") -> Cell:
    """`1,234`."""
    return _cell(value, lambda v: f"{v:,.0f}", tone if value else "")


def decimal(value: float | None, digits: int = 1) -> Cell:
    return _cell(value, lambda v: f"{v:,.{digits}f}" if abs(v) < 1e12 else f"{v:.4g}")


def plain(value: float | None) -> Cell:
    """Of any size: whole ones as they are, others with five digits."""
    return _cell(value, _plain)


def share(value: float | None, tone: str = "") -> Cell:
    """0.0012 is `0.12 %`."""
    return _cell(value, lambda v: f"{v * 100:.3g} %" if v < 10 else f"{v * 100:,.0f} %", tone)


def milliseconds(value: float | None) -> Cell:
    """Three digits or more, as the resolution is 0.1 %: `8.31`, `83.1`, `1,250`."""
    return _cell(value, _milliseconds)


def seconds(value: float | None) -> Cell:
    return _cell(value, lambda v: f"{v:,.1f} s")


def size(value: float | None) -> Cell:
    return _cell(value, _size)


def clock(value_s: float) -> str:
    """Time since the run's beginning: `1:05`, `1:00:05`, and with tenths where there are any."""
    if not math.isfinite(value_s) or abs(value_s) > 1e9:
        return f"{value_s:g} s"
    tenths = round(abs(value_s) * 10)
    whole, tenth = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    shown = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"
    return ("-" if value_s < 0 else "") + shown + (f".{tenth}" if tenth else "")


def spans(intervals: Sequence[Sequence[float]], most: int = 3) -> str:
    """`0:30 to 1:30, 2:00 to 2:30`."""
    shown = [
        f"{clock(span[0])}{_NBSP}to{_NBSP}{clock(span[1])}"
        for span in intervals[:most]
        if len(span) == 2
    ]
    more = len(intervals) - most
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _cell(value: float | None, written: Writer, tone: str = "") -> Cell:
    if value is None or not math.isfinite(value):
        return Cell(NOTHING)
    return Cell(written(value), value, tone)


def _plain(value: float) -> str:
    if value == int(value) and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:,.5g}"


def _milliseconds(value: float) -> str:
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _size(value: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"
