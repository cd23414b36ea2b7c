"""Profiles: the target load as a pure function of time, with named phases.

A profile answers how many users the scenario plans at a moment, and what that part of the run is
called. Shapes apply it, windows are cut by it, and *achieved* divides by its integral. This module
must not know a clock, Locust or randomness: time comes in as an argument, in seconds since the
profile's start.

Every profile that is built here is a sum of straight segments, so that integrals are exact:

    target(t) = sum of a + (b - a) * (t - start) / (end - start) over segments start <= t < end

Intervals are half-open everywhere: a step belongs to the moment at which it happens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

_TIME_DIGITS = 6
"""Times are kept to the microsecond: 90 s scaled by 0.7 is 63.0 s, not 62.99999999999999 s."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A named interval of a profile: start_s <= t < end_s."""

    name: str
    start_s: float
    end_s: float


class Profile(Protocol):
    """What shapes and plans ask of a profile. Users are a real number: a ramp passes fractions."""

    @property
    def duration_s(self) -> float: ...

    def target(self, t_s: float) -> float:
        """Planned users at `t_s`; 0 before the start and from `duration_s` on."""

    def peak(self, start_s: float, end_s: float) -> float:
        """The largest target in the closed interval [start_s, end_s]."""

    def integral(self, start_s: float, end_s: float) -> float:
        """Planned user-seconds in [start_s, end_s]."""

    def phases(self) -> tuple[Phase, ...]:
        """In order of time, without overlaps; a name may occur again after another phase."""

    def scaled(self, *, time: float = 1.0, load: float = 1.0) -> Profile:
        """The same profile, `time` times as long and `load` times as high."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight piece: from `from_users` at start_s to `to_users` just before end_s."""

    start_s: float
    end_s: float
    from_users: int
    to_users: int

    def value(self, t_s: float) -> float:
        """The line through both ends, also outside of the interval."""
        share = (t_s - self.start_s) / (self.end_s - self.start_s)
        return self.from_users + (self.to_users - self.from_users) * share


@dataclass(frozen=True, slots=True)
class Piecewise:
    """A sum of segments, which may overlap. Made by the builders below, not by hand."""

    segments: tuple[Segment, ...]
    named: tuple[Phase, ...]

    @property
    def duration_s(self) -> float:
        return max(segment.end_s for segment in self.segments)

    def target(self, t_s: float) -> float:
        _finite("t_s", t_s)
        return sum(s.value(t_s) for s in self.segments if s.start_s <= t_s < s.end_s)

    def peak(self, start_s: float, end_s: float) -> float:
        """Between two breakpoints the sum is a line, so its ends hold the maximum.

        Just before a breakpoint the old segments count, at it the new ones: both are candidates.
        """
        _ordered(start_s, end_s)
        edges = {edge for s in self.segments for edge in (s.start_s, s.end_s)}
        inside = sorted(edge for edge in edges if start_s < edge <= end_s)
        moments = [start_s, *inside, end_s]
        values = [self.target(moment) for moment in moments]
        values += [self._just_before(moment) for moment in inside]
        return max(values)

    def _just_before(self, t_s: float) -> float:
        return sum(s.value(t_s) for s in self.segments if s.start_s < t_s <= s.end_s)

    def integral(self, start_s: float, end_s: float) -> float:
        """Trapezoids: exact, since every segment is a line."""
        _ordered(start_s, end_s)
        total = 0.0
        for s in self.segments:
            low, high = max(start_s, s.start_s), min(end_s, s.end_s)
            if low < high:
                total += (high - low) * (s.value(low) + s.value(high)) / 2
        return total

    def phases(self) -> tuple[Phase, ...]:
        return self.named

    def scaled(self, *, time: float = 1.0, load: float = 1.0) -> Piecewise:
        """target'(t) = load * target(t / time), each level rounded to whole users.

        A level of at least one user keeps at least one. Raises ValueError for scales that are not
        positive and finite, or that leave a segment shorter than a microsecond.
        """
        _positive("time", time)
        _positive("load", load)
        return Piecewise(
            tuple(
                Segment(
                    _seconds(s.start_s * time),
                    _seconds(s.end_s * time),
                    _whole_users(s.from_users * load),
                    _whole_users(s.to_users * load),
                )
                for s in self._long_enough(time)
            ),
            tuple(
                Phase(p.name, _seconds(p.start_s * time), _seconds(p.end_s * time))
                for p in self.named
            ),
        )

    def _long_enough(self, time: float) -> Iterable[Segment]:
        for s in self.segments:
            if _seconds(s.start_s * time) >= _seconds(s.end_s * time):
                raise ValueError(
                    f"a time scale of {time} leaves nothing of the {s.end_s - s.start_s} s from "
                    f"{s.start_s} s on: use a larger time scale"
                )
            yield s


@dataclass(frozen=True, slots=True)
class Placed:
    """A profile that begins `start_s` after the overlay it is part of."""

    start_s: float
    profile: Piecewise


def steady(users: int, duration_s: float, *, phase: str = "steady") -> Piecewise:
    """target(t) = users for 0 <= t < duration_s."""
    return _line(users, users, duration_s, phase)


def burst(users: int, duration_s: float, *, phase: str = "burst") -> Piecewise:
    """target(t) = users for 0 <= t < duration_s: `steady` by another phase name.

    A function of its own so that a plan reads as what it means: an overlay's short group of users
    is a burst, and its windows and checks are called so without naming the phase by hand.
    """
    return _line(users, users, duration_s, phase)


def ramp(from_users: int, to_users: int, duration_s: float, *, phase: str = "ramp") -> Piecewise:
    """target(t) = from_users + (to_users - from_users) * t / duration_s for 0 <= t < duration_s."""
    return _line(from_users, to_users, duration_s, phase)


def at(start_s: float, profile: Piecewise) -> Placed:
    """Places a profile in an overlay: target(t) = profile.target(t - start_s)."""
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ValueError(f"at({start_s}, …): the start must be 0 or more seconds")
    return Placed(start_s, profile)


def overlay(*parts: Piecewise | Placed) -> Piecewise:
    """target(t) = sum over the parts of part.target(t - its start).

    Where parts overlap in time, the phase is that of the part that is listed last, so that a burst
    laid over a steady load is called burst and the load around it steady. Raises ValueError when
    parts of one phase name overlap, since a window of that name would be ambiguous.
    """
    if not parts:
        raise ValueError("overlay() needs at least one profile")
    placed = [part if isinstance(part, Placed) else Placed(0.0, part) for part in parts]
    shifted = [_shifted(part) for part in placed]
    _refuse_shared_names(shifted)
    segments = tuple(segment for part in shifted for segment in part.segments)
    return Piecewise(segments, _topmost([part.named for part in shifted]))


def sequence(*profiles: Piecewise) -> Piecewise:
    """One after the other: each profile starts where the one before it ends.

    Neighbours with the same phase name become one phase.
    """
    if not profiles:
        raise ValueError("sequence() needs at least one profile")
    start_s = 0.0
    placed = []
    for profile in profiles:
        placed.append(Placed(start_s, profile))
        start_s += profile.duration_s
    return overlay(*placed)


def _line(from_users: int, to_users: int, duration_s: float, phase: str) -> Piecewise:
    for users in (from_users, to_users):
        if isinstance(users, bool) or not isinstance(users, int) or users < 0:
            raise ValueError(f"users must be a whole number of 0 or more, not {users!r}")
    _positive("duration_s", duration_s)
    if not phase or len(phase) > 50 or any(not (c.isalnum() or c in "-_ ") for c in phase):
        raise ValueError(
            f"phase name {phase!r}: use 1 to 50 letters, digits, '-', '_' or spaces "
            "(windows are named by it)"
        )
    end_s = _seconds(duration_s)
    _positive("duration_s, to the microsecond,", end_s)
    return Piecewise((Segment(0.0, end_s, from_users, to_users),), (Phase(phase, 0.0, end_s),))


def _shifted(placed: Placed) -> Piecewise:
    move = placed.start_s
    return Piecewise(
        tuple(
            replace(s, start_s=_seconds(s.start_s + move), end_s=_seconds(s.end_s + move))
            for s in placed.profile.segments
        ),
        tuple(
            Phase(p.name, _seconds(p.start_s + move), _seconds(p.end_s + move))
            for p in placed.profile.named
        ),
    )


def _refuse_shared_names(parts: list[Piecewise]) -> None:
    seen: list[Phase] = []
    for part in parts:
        for phase in part.named:
            for other in seen:
                if (
                    other.name == phase.name
                    and other.start_s < phase.end_s
                    and phase.start_s < other.end_s
                ):
                    raise ValueError(
                        f"two profiles of an overlay share the phase name {phase.name!r} and "
                        f"overlap from {max(other.start_s, phase.start_s)} s to "
                        f"{min(other.end_s, phase.end_s)} s: give one of them another phase="
                    )
        seen.extend(part.named)


def _topmost(layers: list[tuple[Phase, ...]]) -> tuple[Phase, ...]:
    """The name of the last layer that covers each piece between edges; equal neighbours join."""
    edges = sorted({e for layer in layers for p in layer for e in (p.start_s, p.end_s)})
    phases: list[Phase] = []
    for start_s, end_s in pairwise(edges):
        name = _name_at(layers, start_s)
        if name is None:
            continue
        if phases and phases[-1].name == name and phases[-1].end_s == start_s:
            phases[-1] = replace(phases[-1], end_s=end_s)
        else:
            phases.append(Phase(name, start_s, end_s))
    return tuple(phases)


def _name_at(layers: list[tuple[Phase, ...]], t_s: float) -> str | None:
    for layer in reversed(layers):
        for phase in layer:
            if phase.start_s <= t_s < phase.end_s:
                return phase.name
    return None


def _whole_users(users: float) -> int:
    return max(1, math.floor(users + 0.5)) if users > 0 else 0


def _seconds(value_s: float) -> float:
    return round(float(value_s), _TIME_DIGITS)


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number of seconds, not {value}")


def _ordered(start_s: float, end_s: float) -> None:
    _finite("start_s", start_s)
    _finite("end_s", end_s)
    if start_s > end_s:
        raise ValueError(f"the interval ends ({end_s} s) before it starts ({start_s} s)")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0, not {value}")
