"""Measures: what a check compares, against which side of its limit, and how people read both.

This module must not know checks, windows or statistics.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import assert_never


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


class Series(StrEnum):
    """Which latency: response time, less the emulated part, or from the intended start."""

    RAW = "raw"
    EXCESS = "excess"
    CORRECTED = "corrected"


class Bound(StrEnum):
    """On which side of its limit a figure must be."""

    ABOVE = "above"
    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"

    @property
    def sign(self) -> str:
        return {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}[self.value]

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


def formatted(measure: Measure, value: float | None) -> str:
    """A value or limit with its unit, for people."""
    if value is None:
        return "-"
    match measure:
        case Measure.ERROR_RATE | Measure.UNSENT:
            return f"{value * 100:.4g} %"
        case Measure.ACHIEVED:
            return f"{value * 100:.2f} %"
        case Measure.REQUESTS | Measure.ERRORS:
            return f"{value:,.0f}"
        case Measure.LATENCY | Measure.MEAN_LATENCY:
            return f"{value:,.1f} ms" if value < 1000 else f"{value:,.0f} ms"
        case Measure.FIGURE:
            return number(value)
        case Measure.RATIO:
            return f"{value:.4g}"
        case _:
            assert_never(measure)


def number(value: float) -> str:
    """Any number in 12 characters or fewer: whole ones as they are, others with five digits."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e9 or 0 < abs(value) < 1e-4:
        return f"{value:.4g}"
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.5g}"


def quantile_name(quantile: float) -> str:
    """0.99 is p99, 0.999 is p99.9, 1.0 is max."""
    return "max" if quantile == 1.0 else f"p{quantile * 100:g}"
