"""Figures: named numbers that users observe, such as a rate or the length of a reply (F2-6, F3-7).

Of each second only count, total, least and most are kept, so that observing costs no memory and
merging is adding. Totals of whole numbers are exact up to 2^53 whoever reported what; others are
exact but for the last digits. This module must not know seconds, windows or limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from results.field import Fields

MAX_FIGURES = 100
"""Names that one process keeps apart: a scenario has a dozen. Names made of ids would grow every
second of the timeline without end, so whatever comes after these is counted under one name."""

FURTHER_FIGURES = "(further figures)"

UNMET = "unmet"
"""What users expected of an answer and did not find, 1, or did, 0: wrong content (D15)."""

LONGEST_NAME = 80

LARGEST_VALUE = 1e18
"""A second's total of fewer than 2^63 of these stays finite, and so does every sum of totals."""

_TOTAL_SLACK = 1e-6
"""Share by which a total may lie outside of count x least to count x most, by rounding alone."""


class Statistic(StrEnum):
    """What a check may ask of a figure's observations in a window."""

    SUM = "sum"
    COUNT = "count"
    MEAN = "mean"
    LEAST = "least"
    MOST = "most"
    RATE = "rate"  # the sum per second of the window


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in one second at one source. `count` is at least 1, all numbers are finite."""

    count: int
    total: float
    least: float
    most: float

    def as_list(self) -> list[object]:
        return [self.count, self.total, self.least, self.most]


@dataclass(frozen=True, slots=True)
class FigureStats:
    """One figure in one window. `rate` is the sum per whole second that the window holds."""

    count: int
    sum: float
    mean: float
    least: float
    most: float
    rate: float

    def of(self, statistic: Statistic) -> float:
        match statistic:
            case Statistic.SUM:
                return self.sum
            case Statistic.COUNT:
                return self.count
            case Statistic.MEAN:
                return self.mean
            case Statistic.LEAST:
                return self.least
            case Statistic.MOST:
                return self.most
            case Statistic.RATE:
                return self.rate
            case _:
                assert_never(statistic)


class Tally:
    """A figure's second while it is open."""

    __slots__ = ("count", "least", "most", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        if value < self.least:
            self.least = value
        if value > self.most:
            self.most = value

    def figure(self) -> Figure:
        assert self.count, "a tally is made for a value"
        return Figure(self.count, self.total, self.least, self.most)


class FigureSums:
    """Figures of one name added up. Totals are kept apart until the end, where `math.fsum` adds
    them without rounding in between: the order of reports cannot change a sum."""

    __slots__ = ("_totals", "count", "least", "most")

    def __init__(self) -> None:
        self.count = 0
        self.least = math.inf
        self.most = -math.inf
        self._totals: list[float] = []

    def add(self, figure: Figure) -> None:
        self._extend(figure.count, figure.least, figure.most, [figure.total])

    def join(self, other: FigureSums) -> None:
        self._extend(other.count, other.least, other.most, other._totals)

    def _extend(self, count: int, least: float, most: float, totals: list[float]) -> None:
        self.count += count
        self.least = min(self.least, least)
        self.most = max(self.most, most)
        self._totals += totals

    def stats(self, covered_s: int) -> FigureStats:
        assert self.count and covered_s, "what was observed lies in a second"
        total = math.fsum(self._totals)
        return FigureStats(
            self.count, total, total / self.count, self.least, self.most, total / covered_s
        )


def validated_name(name: object) -> str:
    """The name of a figure. Raises ValueError when it is no short printable text."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        shown = name[: LONGEST_NAME + 1] if isinstance(name, str) else name
        raise ValueError(
            f"figure {shown!r}: a name is printable text of 1 to {LONGEST_NAME} characters"
        )
    return name


def validated_value(name: str, value: object) -> float:
    """The observed number. Raises ValueError when it is none, not finite or too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"figure {name!r}: a number is expected, not {type(value).__name__}")
    if not -LARGEST_VALUE <= value <= LARGEST_VALUE:
        # Also true of NaN, which compares with nothing.
        raise ValueError(f"figure {name!r}: a finite number of at most 1e18 is expected")
    return float(value)


def figures_from(table: Mapping[str, object]) -> dict[str, Figure]:
    """The field `figures` of a report. Raises ValueError that names the figure."""
    return {validated_name(name): _figure(value, name) for name, value in table.items()}


def _figure(data: object, name: str) -> Figure:
    where = f"figure {name!r}"
    count, total, least, most = Fields({"figure": data}, where).row("figure", 4)
    fields = Fields({"count": count, "total": total, "least": least, "most": most}, where)
    figure = Figure(
        fields.whole("count", least=1),
        fields.finite("total"),
        validated_value(name, fields.finite("least")),
        validated_value(name, fields.finite("most")),
    )
    if figure.least > figure.most:
        raise ValueError(f"{where}: 'least' is above 'most'")
    slack = _TOTAL_SLACK * max(abs(figure.least), abs(figure.most))
    if not figure.least - slack <= figure.total / figure.count <= figure.most + slack:
        raise ValueError(f"{where}: 'total' does not lie between 'least' and 'most'")
    return figure
