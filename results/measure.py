"""Measures: what a check compares, against which side of its limit, and how people read both.

This module must not know checks, windows or statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never


class Unit(StrEnum):
    """Of a limit and a value, as it is written behind the number; `OWN` is a figure's."""

    SHARE = "%"
    COUNT = ""
    PER_S = "/s"
    MS = "ms"
    S = "s"
    OWN = "own"


class Measure(StrEnum):
    """What is compared, in the unit of the limit."""

    ERROR_RATE = "error_rate"  # share of ended requests, 0 to 1
    ERRORS = "errors"  # failed requests
    REQUESTS = "requests"  # ended requests
    ACHIEVED = "achieved"  # started over planned starts
    UNSENT = "unsent"  # share of planned arrivals that were not started, 0 to 1
    LATENCY = "latency"  # milliseconds
    MEAN_LATENCY = "mean_latency"  # milliseconds
    FIGURE = "figure"  # the figure's own unit
    RATIO = "ratio"  # a figure's statistic in one window over that in another
    RATE = "rate"  # ended requests per second
    AVAILABILITY = "availability"  # share of ended requests that succeeded, 0 to 1
    RECOVERY = "recovery"  # seconds from a fault's healing until the checks hold again
    DETECTION = "detection"  # seconds from a fault's beginning until it shows
    LOST = "lost"  # writes, by what the audit found of them
    DUPLICATED = "duplicated"
    ALTERED = "altered"
    PHANTOM = "phantom"
    UNVERIFIED = "unverified"
    REDELIVERED = "redelivered"

    @property
    def unit(self) -> Unit:
        return _UNITS[self]


class Series(StrEnum):
    """Which latency: response time, less the emulated part, or from the intended start."""

    RAW = "raw"
    EXCESS = "excess"
    CORRECTED = "corrected"


class Bound(StrEnum):
    """On which side of its limit a value must be."""

    ABOVE = "above"
    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"
    EQUAL = "equal"

    @property
    def sign(self) -> str:
        return _SIGNS[self]

    @property
    def is_lower(self) -> bool:
        """Whether the limit is the least that there must be."""
        return self in (Bound.ABOVE, Bound.AT_LEAST)

    def holds(self, value: float, limit: float) -> bool:
        match self:
            case Bound.ABOVE:
                return value > limit
            case Bound.AT_LEAST:
                return value >= limit
            case Bound.BELOW:
                return value < limit
            case Bound.AT_MOST:
                return value <= limit
            case Bound.EQUAL:
                return value == limit
            case _:
                assert_never(self)


class Scales(StrEnum):
    """What the limit of a count is scaled by: `--time-scale`, `--load-scale` or both."""

    TIME = "time"
    LOAD = "load"
    BOTH = "both"

    def factor(self, time_scale: float, load_scale: float) -> float:
        match self:
            case Scales.TIME:
                return time_scale
            case Scales.LOAD:
                return load_scale
            case Scales.BOTH:
                return time_scale * load_scale
            case _:
                assert_never(self)


_UNITS: Mapping[Measure, Unit] = {
    Measure.ERROR_RATE: Unit.SHARE,
    Measure.ERRORS: Unit.COUNT,
    Measure.REQUESTS: Unit.COUNT,
    Measure.ACHIEVED: Unit.SHARE,
    Measure.UNSENT: Unit.SHARE,
    Measure.LATENCY: Unit.MS,
    Measure.MEAN_LATENCY: Unit.MS,
    Measure.FIGURE: Unit.OWN,
    Measure.RATIO: Unit.OWN,
    Measure.RATE: Unit.PER_S,
    Measure.AVAILABILITY: Unit.SHARE,
    Measure.RECOVERY: Unit.S,
    Measure.DETECTION: Unit.S,
    Measure.LOST: Unit.COUNT,
    Measure.DUPLICATED: Unit.COUNT,
    Measure.ALTERED: Unit.COUNT,
    Measure.PHANTOM: Unit.COUNT,
    Measure.UNVERIFIED: Unit.COUNT,
    Measure.REDELIVERED: Unit.COUNT,
}

_SIGNS: Mapping[Bound, str] = {
    Bound.ABOVE: ">",
    Bound.AT_LEAST: ">=",
    Bound.BELOW: "<",
    Bound.AT_MOST: "<=",
    Bound.EQUAL: "==",
}

OF_WRITES = frozenset(
    {
        Measure.LOST,
        Measure.DUPLICATED,
        Measure.ALTERED,
        Measure.PHANTOM,
        Measure.UNVERIFIED,
        Measure.REDELIVERED,
    }
)
"""What the audit counts; each is the name of a fate."""

OF_FAULTS = frozenset({Measure.RECOVERY, Measure.DETECTION})
"""What is told of each fault, rather than of the seconds of a window."""

ROLLING = frozenset(
    {
        Measure.ERROR_RATE,
        Measure.ERRORS,
        Measure.LATENCY,
        Measure.MEAN_LATENCY,
        Measure.RATE,
        Measure.AVAILABILITY,
    }
)
"""What can be asked `over` and `for` a number of seconds: requests that ended tell it, second by
second."""

USUAL_BOUND: Mapping[Measure, Bound] = {measure: Bound.EQUAL for measure in OF_WRITES} | {
    Measure.ERROR_RATE: Bound.BELOW,
    Measure.ERRORS: Bound.AT_MOST,
    Measure.REQUESTS: Bound.ABOVE,
    Measure.ACHIEVED: Bound.AT_LEAST,
    Measure.UNSENT: Bound.AT_MOST,
    Measure.LATENCY: Bound.BELOW,
    Measure.MEAN_LATENCY: Bound.BELOW,
    Measure.FIGURE: Bound.AT_LEAST,
    Measure.RATIO: Bound.AT_LEAST,
    Measure.RATE: Bound.ABOVE,
    Measure.AVAILABILITY: Bound.ABOVE,
    Measure.RECOVERY: Bound.BELOW,
    Measure.DETECTION: Bound.BELOW,
}
"""The bound of a check that names none, as in every timeline from before checks named theirs."""

_EITHER_WAY = frozenset({Measure.REQUESTS, Measure.RATE, Measure.FIGURE, Measure.RATIO})


def bounds(measure: Measure) -> tuple[Bound, ...]:
    """Those that make sense: a check says what must hold, so more errors are never asked for.

    Only counts, and figures, may be equal to something.
    """
    lower, upper = (Bound.ABOVE, Bound.AT_LEAST), (Bound.BELOW, Bound.AT_MOST)
    equal = measure is Measure.FIGURE or measure.unit is Unit.COUNT
    sides: tuple[Bound, ...] = lower if USUAL_BOUND[measure].is_lower else upper
    if measure in _EITHER_WAY:
        sides = lower + upper
    return (*sides, Bound.EQUAL) if equal else sides


MOST_DIGITS = 12
"""More than usual. What differs from its limit by less is a matter of binary fractions."""


def formatted(measure: Measure, value: float | None, *, limit: float | None = None) -> str:
    """A value or limit with its unit, for people. None is rounded to its limit, or across."""
    if value is None:
        return "-"
    number_text, suffix, factor = _parts(measure, value, 0)
    if limit is None or not (math.isfinite(value) and math.isfinite(limit)):
        return number_text + suffix
    for further in range(MOST_DIGITS + 1):
        number_text, suffix, factor = _parts(measure, value, further)
        rounded = float(number_text.replace(",", "")) / factor
        if _side(rounded, limit) == _side(value, limit):
            break
    return number_text + suffix


def _side(value: float, limit: float) -> int:
    """-1 below it, 1 above it, 0 at it."""
    if math.isclose(value, limit, rel_tol=1e-14):
        return 0
    return 1 if value > limit else -1


def _parts(measure: Measure, value: float, further: int) -> tuple[str, str, float]:
    """The number in so many digits more than usual, its unit, and what it was multiplied by."""
    match measure.unit:
        case Unit.SHARE:
            if measure in (Measure.ACHIEVED, Measure.AVAILABILITY):
                return f"{value * 100:.{2 + further}f}", " %", 100
            return f"{value * 100:.{4 + further}g}", " %", 100
        case Unit.COUNT:
            return f"{value:,.{further}f}", "", 1
        case Unit.PER_S:
            return number(value, further), "/s", 1
        case Unit.MS:
            return f"{value:,.{further + (value < 1000)}f}", " ms", 1
        case Unit.S:
            return number(value, further), " s", 1
        case Unit.OWN:
            is_ratio = measure is Measure.RATIO
            return f"{value:.{4 + further}g}" if is_ratio else number(value, further), "", 1
        case _:
            assert_never(measure.unit)


def number(value: float, further: int = 0) -> str:
    """Any number in 12 characters or fewer: whole ones as they are, others with five digits, or
    `further` more."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e9 or 0 < abs(value) < 1e-4:
        return f"{value:.{4 + further}g}"
    if value == int(value):
        return f"{value:,.0f}"
    whole = abs(value) >= 10_000
    return f"{value:,.{further}f}" if whole else f"{value:,.{5 + further}g}"


def quantile_name(quantile: float) -> str:
    """0.99 is p99, 0.999 is p99.9, 1.0 is max."""
    return "max" if quantile == 1.0 else f"p{quantile * 100:g}"
