"""Levels: how much load a profile plans, as users (closed) or as arrivals per second (open).

A closed level is a plain `int`: so many users act, each waiting for its answers. An open level is
a `Rate`, written `per_s(12.5)`: so many arrivals begin each second, whatever the system does. The
two are never mixed in one profile, since their sum means nothing. This module holds the unit, the
limits of levels, and the errors that say what to write instead; it must not know time or phases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

LARGEST_LEVEL = 1e9
"""Users or arrivals per second. No generator comes near it, and sums and integrals of levels below
it stay finite; a larger one is a slip of the pen."""


class Unit(StrEnum):
    """What the levels of a profile count."""

    USERS = "users"
    ARRIVALS = "arrivals"


@dataclass(frozen=True, slots=True)
class Rate:
    """Arrivals per second: finite, 0 or more, at most `LARGEST_LEVEL`. Raises ValueError else."""

    per_s: float

    def __post_init__(self) -> None:
        number = isinstance(self.per_s, int | float) and not isinstance(self.per_s, bool)
        if not number or not 0 <= self.per_s <= LARGEST_LEVEL:
            raise ValueError(
                f"per_s({self.per_s!r}): arrivals per second must be a finite number from 0 to "
                f"{LARGEST_LEVEL:,.0f}"
            )


Level = int | Rate
"""Users, as a whole number, or `per_s(…)`."""


def per_s(arrivals: float) -> Rate:
    """An open level: `arrivals` begin each second, fractions included. Raises ValueError."""
    return Rate(arrivals)


def unit_of(place: str, *levels: Level) -> Unit:
    """The one unit of all levels. `place` names the builder in the error.

    Raises ValueError for a level that is neither, and for units that are mixed.
    """
    return one_unit(place, (Unit.ARRIVALS if _checked(x) else Unit.USERS for x in levels))


def one_unit(place: str, units: Iterable[Unit]) -> Unit:
    """The unit that all share. Raises ValueError when they do not."""
    found = set(units)
    if len(found) > 1:
        raise ValueError(
            f"{place} mixes users and arrivals per second, whose sum means nothing: write every "
            "level as a whole number of users, as in steady(200, 60), or every level as a rate, "
            "as in steady(per_s(200), 60)"
        )
    return found.pop()


def value_of(level: Level) -> float:
    """The number of users, or of arrivals per second."""
    return level.per_s if isinstance(level, Rate) else level


def fitting(unit: Unit, value: float) -> float:
    """A computed level as its unit has it: whole users, half ones up, or the rate as it is.

    More than no users are at least one. Raises ValueError beyond `LARGEST_LEVEL`.
    """
    if not 0 <= value <= LARGEST_LEVEL:
        raise ValueError(
            f"a level of {value:g} {unit} is not between 0 and {LARGEST_LEVEL:,.0f}: scale less"
        )
    if unit is Unit.ARRIVALS or value == 0:
        return value
    return max(1, math.floor(value + 0.5))


def _checked(level: Level) -> bool:
    """Whether it is a rate; a level that is no level raises ValueError."""
    if isinstance(level, Rate):
        return True
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= LARGEST_LEVEL:
        raise ValueError(
            f"users must be a whole number from 0 to {LARGEST_LEVEL:,.0f}, not {level!r}; "
            "arrivals per second are written per_s(12.5)"
        )
    return False
