"""Reads the numbers of a check's text: limits with their units, durations, intervals.

Exact as `notation.py` writes them: `0.1%` is the float 0.001. This module must not know clauses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from results.measure import Measure, Unit
from results.text.notation import KEYWORDS, LATEST_S, limit_text, span_text
from results.text.source import Source, nearest, shown

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)?(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_UNIT = re.compile(r"\s*(%|/\s*\w+|[^\W\d_]+)")

_SECONDS: Mapping[str, Decimal] = {
    "us": Decimal("0.000001"),
    "µs": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_TIME_UNITS = ("us", "ms", "s", "m", "h")

_LARGEST = Decimal(2**63 - 1)
"""As everywhere in `results`: what is larger could not be read back from a timeline."""

_KIND: Mapping[Unit, str] = {
    Unit.SHARE: "a share, such as 99.9%",
    Unit.COUNT: "a count, without a unit",
    Unit.PER_S: "per second, such as 1000/s",
    Unit.MS: "a time, such as 250ms or 2s",
    Unit.S: "a time, such as 15s",
    Unit.OWN: "a number without a unit",
}


def number_at(source: Source, offset: int) -> tuple[Decimal, int]:
    """The number that begins there, and where it ends. Raises CheckError."""
    found = _NUMBER.match(source.text, offset)
    digits = found[0] if found else ""
    if found is None or not any(one.isdigit() for one in digits):
        word = source.text[offset:].split(maxsplit=1)
        what = f"not {shown(word[0])}" if word else "and nothing follows"
        raise source.error(offset, f"a number is expected, {what}")
    value = Decimal(digits.replace(",", "").replace("_", ""))
    if abs(value) > _LARGEST or (value and not float(value)):
        raise source.error(offset, f"the number {shown(digits)} is out of range")
    return value, found.end()


def unit_at(source: Source, offset: int) -> tuple[str, int, int]:
    """The unit that begins there ("" for none), where it begins and where it ends."""
    found = _UNIT.match(source.text, offset)
    if found is None or found[1].lower() in (*KEYWORDS, "abort", "after"):
        return "", offset, offset
    return re.sub(r"\s", "", found[1]).replace("μ", "µ"), found.start(1), found.end()


def limit_at(source: Source, offset: int, measure: Measure) -> tuple[float, Measure, int]:
    """The limit in the measure's unit, the measure, and where it ends.

    `errors` with a `%` is a rate, and a count without. Raises CheckError.
    """
    value, end = number_at(source, offset)
    unit, begins, ends = unit_at(source, end)
    if measure is Measure.ERRORS and unit == "%":
        measure = Measure.ERROR_RATE
    factor = _factor(measure.unit, unit)
    if factor is None:
        raise source.error(begins, _wrong_unit(measure, value, unit))
    limit = float(value * factor)
    if problem := _out_of_range(measure, value, limit):
        raise source.error(offset, problem)
    return limit, measure, ends


def _factor(kind: Unit, unit: str) -> Decimal | None:
    """From what is written to the unit of the measure; None where that unit is another's."""
    if kind is Unit.SHARE:
        return Decimal("0.01") if unit == "%" else None
    if kind in (Unit.COUNT, Unit.OWN):
        return None if unit else Decimal(1)
    if kind is Unit.PER_S:
        return Decimal(1) if unit.lower() == "/s" else None
    seconds = _SECONDS.get(unit.lower())
    return seconds if seconds is None or kind is Unit.S else seconds * 1000


def _wrong_unit(measure: Measure, value: Decimal, unit: str) -> str:
    kind = _KIND[measure.unit]
    if measure is Measure.ERRORS:
        kind = "a share, such as 0.1%, or a count, without a unit"
    name = "the limit" if measure in _NAMELESS else f"the limit of {measure.value}"
    if not unit:
        return f"{name} is {kind}, and {value} has no unit"
    is_time = measure.unit in (Unit.MS, Unit.S)
    hint = nearest(unit, _TIME_UNITS) if is_time and unit.isalpha() else ""
    return f"{name} is {kind}, not {shown(f'{value}{unit}')}{hint}"


_NAMELESS = (Measure.LATENCY, Measure.MEAN_LATENCY, Measure.FIGURE, Measure.RATIO)

_MOST_OF_SHARES = (Measure.ERROR_RATE, Measure.UNSENT, Measure.AVAILABILITY)


def _out_of_range(measure: Measure, value: Decimal, limit: float) -> str | None:
    if measure.unit is Unit.OWN:
        return None
    if value < 0:
        return f"{measure.value} is never below 0, so {value} is no limit for it"
    if measure in _MOST_OF_SHARES and limit > 1:
        return f"{measure.value} is a share of at most 100%, not {limit_text(Unit.SHARE, limit)}"
    is_whole = measure.unit is Unit.COUNT and measure is not Measure.REQUESTS
    if is_whole and value != int(value):
        share = ": write a share with a %" if measure is Measure.ERRORS else ""
        return f"{measure.value} is a whole number, not {value}{share}"
    return None


def duration_at(source: Source, offset: int) -> tuple[float, int]:
    """Seconds, and where they end. Raises CheckError."""
    value, end = number_at(source, offset)
    unit, begins, ends = unit_at(source, end)
    if not unit:
        raise source.error(offset, f"a time needs a unit, such as {value}s")
    seconds = _SECONDS.get(unit.lower())
    if seconds is None:
        raise source.error(begins, f"unknown unit {shown(unit)}{nearest(unit, _TIME_UNITS)}")
    if value < 0:
        raise source.error(offset, f"a time is not below 0, as {value}{unit} is")
    return float(value * seconds), ends


def span_at(source: Source, offset: int) -> tuple[str, int]:
    """The name of the window `30s..90s`, and where it ends. Raises CheckError."""
    start_s, middle = duration_at(source, offset)
    if source.text[middle : middle + 2] != "..":
        raise source.error(middle, "an interval has two times, such as 30s..90s")
    end_s, ends = duration_at(source, middle + 2)
    if start_s >= end_s:
        raise source.error(offset, "the interval ends before it begins, or is empty")
    if end_s > LATEST_S:
        raise source.error(middle + 2, f"no run is as long as {span_text(0, end_s)}")
    return span_text(start_s, end_s), ends
