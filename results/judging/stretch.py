"""Stretches: how long a figure stayed over its limit, reading after reading.

A reading speaks for the time since the one before it, so a stretch begins at the reading before its
first one that is over. Pure; this module must not know what the figure is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FIRST_SPAN_S = 1.0
"""What the first reading of all speaks for: processes say how they are once a second."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Successive readings over a limit; `worst` is the largest of them."""

    from_s: float
    to_s: float
    worst: float

    @property
    def length_s(self) -> float:
        return self.to_s - self.from_s


def stretches(readings: Iterable[tuple[float, float]], *, over: float) -> list[Stretch]:
    """Of (t_s, value) in any order: every stretch that is over, in order of time."""
    found: list[Stretch] = []
    began_s: float | None = None
    before_s: float | None = None
    for t_s, value in sorted(readings):
        since_s = t_s - FIRST_SPAN_S if before_s is None else before_s
        if value <= over:
            began_s = None
        elif began_s is None:
            began_s = since_s
            found.append(Stretch(began_s, t_s, value))
        else:
            found[-1] = Stretch(began_s, t_s, max(found[-1].worst, value))
        before_s = t_s
    return found


def long_stretches(
    readings: Iterable[tuple[float, float]], *, over: float, least_s: float
) -> list[Stretch]:
    """Only those of at least so many seconds."""
    return [one for one in stretches(readings, over=over) if one.length_s >= least_s]


def longest(found: Iterable[Stretch]) -> Stretch:
    """The first of the longest. There must be one."""
    return max(found, key=lambda one: one.length_s)
