"""A sketch: what a drawing of a load shows, as plain data that crosses from process to process.

The process that loads a locustfile has Locust in it; the one that draws may have a plotting library
and must not have both. Text and PNG are drawn from the same sketch. Pure: this module must not
know Locust, files or how anything is drawn.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from shapes.level import Unit
from shapes.line import Line, LineIndex
from shapes.load import Load, Part, by_weight
from shapes.piecewise import Phase, Piecewise, Profile

_MICROSECOND_S = 1e-6
"""Highest levels are those of half-open intervals: at the end of one the next begins."""


@dataclass(frozen=True)
class Curve:
    """One line of the drawing. `is_sum` marks the sum of the other curves of its unit."""

    label: str
    unit: Unit
    lines: tuple[Line, ...]
    is_sum: bool = False

    @cached_property
    def _index(self) -> LineIndex:
        return LineIndex(self.lines)

    @cached_property
    def top(self) -> float:
        """The highest level of all."""
        return self._index.peak(0.0, self.lines[-1].end_s)

    def highest(self, start_s: float, end_s: float) -> float:
        """In start_s <= t < end_s."""
        return self._index.peak(start_s, max(start_s, end_s - _MICROSECOND_S))

    def total(self, start_s: float, end_s: float) -> float:
        """User-seconds, or arrivals."""
        return self._index.integral(start_s, end_s)


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One user class: its highest level, and how it came by it (`weight 49 of 50`)."""

    name: str
    level: float
    unit: Unit
    how: str


@dataclass(frozen=True, slots=True)
class Sketch:
    """`notes` are sentences of what no curve shows, such as the check that ends the load."""

    title: str
    duration_s: float
    phases: tuple[Phase, ...]
    curves: tuple[Curve, ...]
    classes: tuple[ClassLine, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, title: str, load: Load, notes: Sequence[str] = ()) -> Sketch:
        """Of each profile, of each class with arrivals, and of their sums where there are more."""
        closed = [_curve(_name(part.weights), part.profile) for part in load.closed]
        arrivals = [_curve(name, profile) for name, profile in load.arrivals.items()]
        return cls(
            title,
            load.duration_s,
            load.phases(),
            (*_with_sum(closed), *_with_sum(arrivals)),
            tuple(_classes(load)),
            tuple(notes),
        )

    @classmethod
    def of_profile(cls, title: str, profile: Profile) -> Sketch:
        """Of a profile that no user class has yet."""
        curve = _curve("", profile)
        return cls(title, profile.duration_s, tuple(profile.phases()), (curve,))

    def of_unit(self, unit: Unit) -> tuple[Curve, ...]:
        return tuple(curve for curve in self.curves if curve.unit is unit)

    def whole(self, unit: Unit) -> Curve | None:
        """All of a unit: the sum, or the only curve."""
        curves = self.of_unit(unit)
        return next((curve for curve in curves if curve.is_sum), curves[0] if curves else None)

    def as_text(self) -> str:
        """JSON in one line."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Sketch:
        """What `as_text` wrote, by this version: nothing is checked."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            data["title"],
            data["duration_s"],
            tuple(Phase(**phase) for phase in data["phases"]),
            tuple(_read_curve(curve) for curve in data["curves"]),
            tuple(ClassLine(**{**one, "unit": Unit(one["unit"])}) for one in data["classes"]),
            tuple(data["notes"]),
        )

    def digest(self) -> str:
        """Of all that is drawn; a picture carries it, so that a stale one is seen."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()[:16]


def _read_curve(data: Mapping[str, Any]) -> Curve:
    lines = tuple(Line(**line) for line in data["lines"])
    return Curve(data["label"], Unit(data["unit"]), lines, data["is_sum"])


def _curve(label: str, profile: Profile) -> Curve:
    return Curve(label, profile.unit, profile.lines())


def _with_sum(curves: Sequence[Curve]) -> list[Curve]:
    if len(curves) < 2:
        return list(curves)
    unit = curves[0].unit
    segments = tuple(line for curve in curves for line in curve.lines)
    return [*curves, Curve("sum", unit, Piecewise(segments, (), unit).lines(), is_sum=True)]


def _name(weights: Mapping[str, int]) -> str:
    return ", ".join(name for name, weight in weights.items() if weight) or "all classes"


def _classes(load: Load) -> list[ClassLine]:
    found: list[ClassLine] = []
    for part in load.closed:
        top = math.ceil(_peak(part.profile) - 1e-9)
        for name, users in by_weight(top, part.weights).items():
            found.append(ClassLine(name, users, Unit.USERS, _weight(part, name)))
    for name, profile in load.arrivals.items():
        found.append(ClassLine(name, _peak(profile), Unit.ARRIVALS, "open"))
    for name, users in load.fixed.items():
        found.append(ClassLine(name, users, Unit.USERS, "fixed_count, beside the profile"))
    return found


def _weight(part: Part, name: str) -> str:
    total = sum(part.weights.values())
    return "closed" if len(part.weights) == 1 else f"weight {part.weights[name]} of {total}"


def _peak(profile: Profile) -> float:
    return profile.peak(0.0, profile.duration_s)
