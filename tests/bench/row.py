"""One line of the benchmark table, and how a figure becomes one.

Ratios of two things run in turn gate; what depends on the machine is printed with the machine's
facts. A row never measures anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


class BenchError(Exception):
    """A benchmark could not be measured, or what it measured is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Row:
    """`figure` says what was seen, `value` is what is held against `limit`; all three are text.

    `passed` is None for a row that does not gate; `holds` then says whether an absolute limit,
    which is one for an idle machine, was kept here.
    """

    name: str
    figure: str
    value: str
    limit: str
    passed: bool | None
    holds: bool | None = None

    @property
    def gated(self) -> bool:
        return self.passed is not None

    @property
    def status(self) -> str:
        if self.passed is None:
            return {None: "not gated", True: "holds", False: "missed"}[self.holds]
        return "PASS" if self.passed else "FAIL"


def at_least(name: str, value: float, limit: float, figure: str, unit: str = "") -> Row:
    """Passes when value >= limit; NaN never passes."""
    return Row(name, figure, _text(value, unit), f">= {_text(limit, unit)}", value >= limit)


def at_most(name: str, value: float, limit: float, figure: str, unit: str = "") -> Row:
    """Passes when value <= limit; NaN never passes."""
    return Row(name, figure, _text(value, unit), f"<= {_text(limit, unit)}", value <= limit)


def absolute(name: str, value: float, limit: float, figure: str, unit: str = "") -> Row:
    """A time or size of this machine: holds when value < limit (NaN never), and does not gate."""
    text = f"< {_text(limit, unit)}"
    return Row(name, figure, _text(value, unit), text, None, holds=value < limit)


def shown(name: str, value: float, figure: str, unit: str = "") -> Row:
    """A figure that depends on the machine: printed, never gated."""
    return Row(name, figure, _text(value, unit), "", None)


def equal(name: str, value: str, wanted: str, figure: str) -> Row:
    """Passes when both texts are the same."""
    return Row(name, figure, value, wanted, value == wanted)


def failed(name: str, reason: str) -> Row:
    """A benchmark without a figure is a failed one."""
    return Row(name, reason, "none", "", False)


def spread(values: Sequence[float], unit: str = "") -> str:
    """`min 3.6, median 3.8, max 4.0 of 3`."""
    low, middle, high = (_text(value, unit) for value in (min(values), median(values), max(values)))
    return f"min {low}, median {middle}, max {high} of {len(values)}"


def pair_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Ratio of each pair that was run in turn, so that a slow spell of the machine hits both."""
    return [n / d for n, d in zip(numerators, denominators, strict=True)]


def _text(value: float, unit: str) -> str:
    if unit == "/s":
        return f"{value:,.0f}/s"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    number = f"{value:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:,.0f}"
    return f"{number} {unit}".rstrip()
