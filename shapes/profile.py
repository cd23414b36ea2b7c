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

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, islice, pairwise

from shapes.compose import Placed, at, jitter, overlay, repeat, scale, sequence
from shapes.level import Level, Rate, Unit, fitting, per_s, unit_of, value_of
from shapes.line import Line
from shapes.piecewise import (
    LONGEST_S,
    MOST_PIECES,
    Phase,
    Piecewise,
    Profile,
    check_duration,
    check_pieces,
    seconds,
)

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
    "diurnal",
    "jitter",
    "overlay",
    "per_s",
    "ramp",
    "repeat",
    "scale",
    "sequence",
    "soak",
    "spike",
    "stairs",
    "steady",
    "stress",
    "trace",
    "wave",
]

CHORDS = 64
"""Straight pieces of one period of a wave. The chord of an arc of 2 pi / 64 is at most
1 - cos(pi / 64) = 0.12 % of the amplitude away from it; crests and troughs are met exactly."""

DAY = (("low", 4.0, 0.3), ("normal", 11.0, 1.0), ("peak", 2.0, 5.0), ("normal", 11.0, 1.0))
"""Phase, hours and level of each part of a day, as a multiple of the base (row B-29: peak x5.0 for
2 h, normal x1.0 for 22 h, low x0.3 for 4 h). The row's hours add up to 28, not 24; they are kept,
since its costs are computed from them."""

DAY_HOURS = sum(hours for _, hours, _ in DAY)


def steady(level: Level, duration_s: float, *, phase: str = "steady") -> Piecewise:
    """target(t) = level for 0 <= t < duration_s."""
    return ramp(level, level, duration_s, phase=phase)


def burst(level: Level, duration_s: float, *, phase: str = "burst") -> Piecewise:
    """target(t) = level for 0 <= t < duration_s: `steady` by another phase name.

    A function of its own so that a plan reads as what it means: an overlay's short group of users
    is a burst, and its windows and checks are called so without naming the phase by hand.
    """
    return ramp(level, level, duration_s, phase=phase)


def ramp(
    from_level: Level, to_level: Level, duration_s: float, *, phase: str = "ramp"
) -> Piecewise:
    """target(t) = from_level + (to_level - from_level) * t / duration_s for 0 <= t < duration_s."""
    unit = unit_of("a profile", from_level, to_level)
    check_duration("duration_s", duration_s)
    points = [(0.0, value_of(from_level)), (seconds(duration_s), value_of(to_level))]
    return _through(points, unit, phase)


def stairs(
    from_level: Level,
    to_level: Level,
    every_s: float,
    *,
    steps: int | None = None,
    height: Level | None = None,
    phase: str | None = None,
) -> Piecewise:
    """target(t) = from + (to - from) * k / (steps - 1) with k = floor(t / every_s), 0 <= k < steps,
    or from + k * height (from - k * height on the way down), as far as `to`, which is the last.

    Either so many `steps`, the first and the last included, or steps of a `height`, the last one
    as high as is left. Levels of users are whole. Each stair is a phase of its own
    (`stairs 1`, `stairs 2`, …), so that it has a window; `phase=` makes one phase of all. Raises
    ValueError when both or none of `steps` and `height` are given, and for steps that are not
    different levels.
    """
    unit_of("stairs()", from_level, to_level)
    if (steps is None) == (height is None):
        raise ValueError("stairs() takes either steps=, how many, or height=, how high each is")
    if from_level == to_level:
        raise ValueError("stairs() from a level to the same one has no steps: write steady(…)")
    if height is not None:
        levels = _by_height("stairs()", from_level, to_level, height)
    else:
        levels = _by_number(from_level, to_level, steps)
    return _joined(_numbered(levels, every_s, "stairs"), phase)


def stress(
    from_level: Level, step: Level, every_s: float, *, up_to: Level, phase: str = "stress"
) -> Piecewise:
    """target(t) = min(from_level + k * step, up_to) with k = floor(t / every_s), until up_to ended.

    Stairs towards the limit of a target. Each is a phase of its own (`stress 1`, `stress 2`, …),
    also with another `phase=` name, so that checks hold or break by stair; `up_to` is where it ends
    when none breaks. Raises ValueError when `up_to` is not above `from_level`.
    """
    unit_of("stress()", from_level, step, up_to)
    if value_of(up_to) <= value_of(from_level):
        raise ValueError(f"stress() goes up: up_to={up_to!r} must be above {from_level!r}")
    return _numbered(_by_height("stress()", from_level, up_to, step), every_s, phase)


def spike(
    top: Level, rise_s: float, fall_s: float, *, base: Level | None = None, phase: str = "spike"
) -> Piecewise:
    """target(t) = base + (top - base) * t / rise_s for t < rise_s,
    then top - (top - base) * (t - rise_s) / fall_s for t < rise_s + fall_s.

    `base` is 0 when it is not given. Raises ValueError for a base above the top.
    """
    foot = base if base is not None else _level(unit_of("spike()", top), 0.0)
    unit_of("spike()", foot, top)
    if value_of(foot) > value_of(top):
        raise ValueError(f"spike() goes up from its base: {foot!r} must not be above {top!r}")
    return sequence(ramp(foot, top, rise_s, phase=phase), ramp(top, foot, fall_s, phase=phase))


def wave(
    mean: Level, amplitude: Level, period_s: float, duration_s: float, *, phase: str = "wave"
) -> Piecewise:
    """target(t) = mean + amplitude * sin(2 pi t / period_s) for 0 <= t < duration_s, in chords.

    `CHORDS` chords a period, at most 0.12 % of the amplitude off the sine. The ends of the chords
    of users are whole, hence up to half a user more. A whole period has the area mean * period_s.
    Raises ValueError for an amplitude above the mean, and for periods below a millisecond.
    """
    unit = unit_of("wave()", mean, amplitude)
    check_duration("period_s", period_s)
    check_duration("duration_s", duration_s)
    if period_s < 0.001:
        raise ValueError(f"period_s must be at least a millisecond, not {period_s!r}")
    if value_of(amplitude) > value_of(mean):
        raise ValueError(
            f"wave() of amplitude {amplitude!r} around {mean!r} would go below 0: take an "
            "amplitude of at most the mean"
        )
    check_pieces("wave()", duration_s / period_s * CHORDS)
    end_s, chord = seconds(duration_s), 0
    points: list[tuple[float, float]] = []
    while (t_s := seconds(chord * period_s / CHORDS)) < end_s:
        points.append((t_s, _wave_level(unit, mean, amplitude, chord % CHORDS / CHORDS)))
        chord += 1
    turns = chord % CHORDS / CHORDS if t_s == end_s else math.fmod(end_s, period_s) / period_s
    points.append((end_s, _wave_level(unit, mean, amplitude, turns)))
    return _through(points, unit, phase)


def diurnal(base: Level, day_s: float = DAY_HOURS * 3600, *, phase: str | None = None) -> Piecewise:
    """target(t) = base * 0.3, 1.0, 5.0, 1.0 for 4, 11, 2 and 11 of each 28th part of `day_s`.

    One day of row B-29 (`DAY`), at its own length or compressed to `day_s` seconds: its phases are
    `low`, `normal`, `peak` and `normal` again; `phase=` makes one phase of all. `repeat` makes more
    days of it.
    """
    unit = unit_of("diurnal()", base)
    check_duration("day_s", day_s)
    hours = accumulate((part[1] for part in DAY), initial=0.0)
    edges = pairwise(seconds(day_s * hour / DAY_HOURS) for hour in hours)
    parts = (
        steady(_level(unit, value_of(base) * factor), end_s - start_s, phase=name)
        for (name, _, factor), (start_s, end_s) in zip(DAY, edges, strict=True)
    )
    return _joined(sequence(*parts), phase)


def soak(level: Level, duration_s: float, *, ramp_s: float, phase: str | None = None) -> Piecewise:
    """target(t) = level * t / ramp_s for t < ramp_s, then level for duration_s,
    then level * (1 - s / ramp_s), where s is the time since, for another ramp_s.

    The phases are `ramp-up`, `soak` and `ramp-down`, so that the long window is free of its ends;
    `phase=` makes one phase of all. The whole takes duration_s + 2 * ramp_s.
    """
    none = _level(unit_of("soak()", level), 0.0)
    return _joined(
        sequence(
            ramp(none, level, ramp_s, phase="ramp-up"),
            steady(level, duration_s, phase="soak"),
            ramp(level, none, ramp_s, phase="ramp-down"),
        ),
        phase,
    )


def trace(
    rows: Iterable[tuple[float, Level]],
    *,
    linear: bool = False,
    end_s: float | None = None,
    phase: str = "trace",
) -> Piecewise:
    """target(t) = level_i for time_i <= t < time_(i+1); linear: the line from row to row instead.

    A recorded load as (time_s, level) rows, the first at 0 s. Stepwise the last level holds until
    `end_s`, by default as long as the level before it: rows of one second each count one second
    each, the last as well. Linear the last row is the end. Raises ValueError for times that do not
    increase, mixed units, less than two rows (stepwise one, with `end_s`), and more than
    `MOST_PIECES`.
    """
    found = list(islice(_rows(rows), MOST_PIECES + 1))
    check_pieces("trace()", len(found))
    if not found:
        raise ValueError("trace() needs rows of (time_s, level), such as [(0, 10), (60, 20)]")
    unit = unit_of("trace()", *(level for _, level in found))
    points = [(t_s, value_of(level)) for t_s, level in found]
    if linear:
        if len(points) < 2 or end_s is not None:
            raise ValueError(
                "a linear trace() draws lines from row to row: give it two or more, and no end_s, "
                "since it ends at the last"
            )
        return _through(points, unit, phase)
    points.append((_end_of_trace([t_s for t_s, _ in points[-2:]], end_s), points[-1][1]))
    return _through(points, unit, phase, steps=True)


def _through(
    points: list[tuple[float, float]], unit: Unit, phase: str, *, steps: bool = False
) -> Piecewise:
    """One phase of lines from point to point, or of `steps` that hold until the next; from 0 s."""
    _check_name(phase)
    lines = tuple(Line(t, end, a, a if steps else b) for (t, a), (end, b) in pairwise(points))
    return Piecewise(lines, (Phase(phase, 0.0, points[-1][0]),), unit)


def _level(unit: Unit, value: float) -> Level:
    """A computed level, as one would have written it."""
    fit = fitting(unit, value)
    return Rate(fit) if unit is Unit.ARRIVALS else int(fit)


def _joined(profile: Piecewise, phase: str | None) -> Piecewise:
    """One phase of all, if it has a name; else each as it is called."""
    if phase is None:
        return profile
    _check_name(phase)
    return replace(profile, named=(Phase(phase, 0.0, profile.duration_s),))


def _numbered(levels: Sequence[Level], every_s: float, name: str) -> Piecewise:
    check_duration("every_s", every_s)
    stairs = (steady(one, every_s, phase=f"{name} {n}") for n, one in enumerate(levels, start=1))
    return sequence(*stairs)


def _wave_level(unit: Unit, mean: Level, amplitude: Level, turns: float) -> float:
    """Users round away from the mean, so that the two halves of a period stay mirror images."""
    offset = value_of(amplitude) * math.sin(2 * math.pi * turns)
    if unit is Unit.USERS:
        offset = math.copysign(math.floor(abs(offset) + 0.5), offset)
    return fitting(unit, max(0.0, value_of(mean) + offset))


def _rows(rows: Iterable[tuple[float, Level]]) -> Iterable[tuple[float, Level]]:
    """The rows, with their times to the microsecond. Raises ValueError, with the row's number."""
    if not isinstance(rows, Iterable):
        raise ValueError(f"trace() takes rows of (time_s, level), not {rows!r}")
    last_s = -math.inf
    for number, row in enumerate(rows, start=1):
        try:
            time_s, level = row
            if isinstance(time_s, bool) or not 0 <= time_s <= LONGEST_S:
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(
                f"trace() row {number}: {row!r} is no (time_s, level) with a time from 0 to "
                f"{LONGEST_S:,.0f} s"
            ) from None
        t_s = seconds(time_s)
        if number == 1 and t_s:
            raise ValueError(
                f"trace() row 1 is at {time_s!r} s: subtract it from all times, since the first "
                "row is second 0, and place the profile with at(…) if it begins later"
            )
        if t_s <= last_s:
            raise ValueError(
                f"trace() row {number}: {time_s!r} s is not a microsecond or more after the row "
                f"before it, at {last_s!r} s: sort the rows, and join those of one moment"
            )
        last_s = t_s
        yield t_s, level


def _end_of_trace(last_times: Sequence[float], end_s: float | None) -> float:
    """When the level of the last row ends; `last_times` are those of the last two rows, or one."""
    if end_s is None:
        if len(last_times) < 2:
            raise ValueError("trace() of one row needs end_s=, when its level ends")
        end_s = 2 * last_times[-1] - last_times[0]
    check_duration("end_s", end_s)
    if seconds(end_s) <= last_times[-1]:
        raise ValueError(f"end_s={end_s!r} must be after the last row, at {last_times[-1]!r} s")
    return seconds(end_s)


def _by_height(place: str, from_level: Level, to_level: Level, height: Level) -> list[Level]:
    unit = unit_of(place, from_level, to_level, height)
    first, last, step = value_of(from_level), value_of(to_level), value_of(height)
    if step <= 0:
        raise ValueError(f"{place} needs steps of a height above 0, not {height!r}")
    # Rounding must not make a step of nothing at the end: 0.4 / 0.1 may be a bit above 4.
    exact = abs(last - first) / step
    check_pieces(place, exact)
    steps = max(1, math.ceil(exact - 1e-9))
    signed = math.copysign(step, last - first)
    return [*(_level(unit, first + signed * k) for k in range(steps)), to_level]


def _by_number(from_level: Level, to_level: Level, steps: int | None) -> list[Level]:
    unit = unit_of("stairs()", from_level, to_level)
    first, last = value_of(from_level), value_of(to_level)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"stairs() needs steps= of 2 or more, not {steps!r}")
    check_pieces("stairs()", steps)
    if unit is Unit.USERS and steps > abs(last - first) + 1:
        raise ValueError(
            f"stairs() cannot make {steps} steps of whole users from {first:g} to {last:g}: take "
            f"{abs(last - first) + 1:g} or less"
        )
    between = (first + (last - first) * k / (steps - 1) for k in range(1, steps - 1))
    return [from_level, *(_level(unit, value) for value in between), to_level]


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
