"""Profiles: the target load as a pure function of time, with named phases.

The one import for whoever plans a load: builders of shapes, the ways to compose them, and the types
that they are made of. A level is a whole number of users (closed: each waits for its answers) or
`per_s(12.5)` arrivals per second (open: they begin whatever the system does); one profile has one
unit. Times are seconds. Everything that is built here is a `Piecewise`: straight segments, so that
integrals are exact.

This module must not know a clock, Locust or randomness. A recorded load in a file is read by
`shapes.trace`.
"""

from __future__ import annotations

from shapes.compose import Placed, at, overlay, sequence
from shapes.level import Level, Rate, Unit, per_s, unit_of, value_of
from shapes.line import Line
from shapes.piecewise import Phase, Piecewise, Profile, check_duration, seconds

__all__ = [
    "Level",
    "Line",
    "Phase",
    "Piecewise",
    "Placed",
    "Profile",
    "Rate",
    "Unit",
    "at",
    "burst",
    "overlay",
    "per_s",
    "ramp",
    "sequence",
    "steady",
]


def steady(level: Level, duration_s: float, *, phase: str = "steady") -> Piecewise:
    """target(t) = level for 0 <= t < duration_s."""
    return _line("steady()", level, level, duration_s, phase)


def burst(level: Level, duration_s: float, *, phase: str = "burst") -> Piecewise:
    """target(t) = level for 0 <= t < duration_s: `steady` by another phase name.

    A function of its own so that a plan reads as what it means: an overlay's short group of users
    is a burst, and its windows and checks are called so without naming the phase by hand.
    """
    return _line("burst()", level, level, duration_s, phase)


def ramp(
    from_level: Level, to_level: Level, duration_s: float, *, phase: str = "ramp"
) -> Piecewise:
    """target(t) = from_level + (to_level - from_level) * t / duration_s for 0 <= t < duration_s."""
    return _line("ramp()", from_level, to_level, duration_s, phase)


def _line(
    place: str, from_level: Level, to_level: Level, duration_s: float, phase: str
) -> Piecewise:
    unit = unit_of(place, from_level, to_level)
    check_duration("duration_s", duration_s)
    _check_name(phase)
    end_s = seconds(duration_s)
    segment = Line(0.0, end_s, value_of(from_level), value_of(to_level))
    return Piecewise((segment,), (Phase(phase, 0.0, end_s),), unit)


def _check_name(phase: str) -> None:
    if (
        not isinstance(phase, str)
        or not 1 <= len(phase) <= 50
        or any(not (c.isalnum() or c in "-_ ") for c in phase)
    ):
        raise ValueError(
            f"phase name {phase!r}: use 1 to 50 letters, digits, '-', '_' or spaces "
            "(windows are named by it)"
        )
