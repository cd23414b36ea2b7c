"""Profiles from profiles: laid over each other, one after the other, repeated, scaled, jittered.

Each function is a law about targets and phases, stated in its docstring, and takes what any builder
made. This module must not know a clock, Locust or a source of randomness: jitter is a function of
its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from itertools import repeat as times_over

from shapes.level import Unit, fitting, one_unit
from shapes.line import Line
from shapes.piecewise import (
    LONGEST_S,
    Phase,
    Piecewise,
    check_duration,
    check_end,
    check_pieces,
    seconds,
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A profile that begins `start_s` after the overlay it is part of."""

    start_s: float
    profile: Piecewise


def at(start_s: float, profile: Piecewise) -> Placed:
    """Places a profile in an overlay: target(t) = profile.target(t - start_s)."""
    number = isinstance(start_s, int | float) and not isinstance(start_s, bool)
    if not number or not 0 <= start_s <= LONGEST_S:
        raise ValueError(
            f"at({start_s!r}, …): the start must be 0 or more seconds, at most {LONGEST_S:,.0f}"
        )
    _check_profiles("at()", [profile])
    return Placed(start_s, profile)


def overlay(*parts: Piecewise | Placed) -> Piecewise:
    """target(t) = sum over the parts of part.target(t - its start).

    Where parts overlap in time, the phase is that of the part that is listed last, so that a burst
    laid over a steady load is called burst and the load around it steady. Raises ValueError when
    parts of one phase name overlap, since a window of that name would be ambiguous, and when users
    and arrivals meet.
    """
    return _overlaid("overlay()", parts)


def sequence(*profiles: Piecewise) -> Piecewise:
    """target(t) = p.target(t - start of p), p being the profile whose turn it is at t.

    Each starts where the one before it ends.
    Neighbours with the same phase name become one phase. Raises ValueError when users and arrivals
    meet.
    """
    _check_profiles("sequence()", profiles)
    return _overlaid("sequence()", _end_to_end(profiles))


def repeat(profile: Piecewise, times: int) -> Piecewise:
    """target(t) = profile.target(t mod d) for 0 <= t < times * d, where d is its duration.

    Where its last phase has the name of its first, the two are one phase at each seam. Raises
    ValueError for less than one time, and for more than `MOST_PIECES` pieces.
    """
    _check_profiles("repeat()", [profile])
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f"repeat(…, {times!r}): times must be a whole number of 1 or more")
    check_pieces("repeat()", len(profile.segments) * times)
    return _overlaid("repeat()", _end_to_end(times_over(profile, times)))


def scale(profile: Piecewise, *, time: float = 1.0, load: float = 1.0) -> Piecewise:
    """target'(t) = load * target(t / time): `profile.scaled`, as a builder among others."""
    _check_profiles("scale()", [profile])
    return profile.scaled(time=time, load=load)


def jitter(profile: Piecewise, share: float, every_s: float, seed: int | str) -> Piecewise:
    """target'(t) = target(t) * (1 + share * (2 u_k - 1)) with k = floor(t / every_s).

    u_k in [0, 1) is drawn from `seed` and k alone (BLAKE2b), so that the same profile comes out in
    every process and every run; a profile that is scaled later keeps its draws. Users are rounded
    to whole ones at each end of a piece, and more than none stay at least one. Phases stay. Raises
    ValueError for a share that is not from 0 to 1.
    """
    _check_profiles("jitter()", [profile])
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"jitter(…, {share!r}, …): the share must be a number from 0 to 1")
    if isinstance(seed, bool) or not isinstance(seed, int | str):
        raise ValueError(f"jitter(…, seed={seed!r}): the seed must be a whole number or a text")
    check_duration("every_s", every_s)
    check_pieces("jitter()", len(profile.segments) + profile.duration_s / every_s)
    pieces = (
        _times(piece, 1.0 + share * (2.0 * _drawn(seed, interval) - 1.0), profile.unit)
        for interval, piece in _cut(profile.lines(), every_s)
    )
    return Piecewise(tuple(pieces), profile.named, profile.unit)


def _cut(lines: Iterable[Line], every_s: float) -> Iterable[tuple[int, Line]]:
    """The lines, cut at every multiple of every_s, each with the number of its interval."""
    interval = 0
    for line in lines:
        start_s = line.start_s
        while start_s < line.end_s:
            border_s = seconds((interval + 1) * every_s)
            end_s = min(line.end_s, border_s)
            if start_s < end_s:
                yield interval, Line(start_s, end_s, line.value(start_s), line.value(end_s))
                start_s = end_s
            if end_s == border_s:
                interval += 1


def _times(piece: Line, factor: float, unit: Unit) -> Line:
    return replace(
        piece,
        from_level=fitting(unit, piece.from_level * factor),
        to_level=fitting(unit, piece.to_level * factor),
    )


def _drawn(seed: int | str, interval: int) -> float:
    """A number in [0, 1) with 53 bits, as many as a float has."""
    digest = blake2b(f"{interval}:{seed}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def _end_to_end(profiles: Iterable[Piecewise]) -> Iterable[Placed]:
    start_s = 0.0
    for profile in profiles:
        yield Placed(start_s, profile)
        start_s += profile.duration_s


def _overlaid(place: str, parts: Iterable[Piecewise | Placed]) -> Piecewise:
    placed = [part if isinstance(part, Placed) else Placed(0.0, part) for part in parts]
    _check_profiles(place, [part.profile for part in placed])
    unit = one_unit(place, (part.profile.unit for part in placed))
    check_pieces(place, sum(len(part.profile.segments) for part in placed))
    check_end(place, max(part.start_s + part.profile.duration_s for part in placed))
    layers = [_shifted_phases(part) for part in placed]
    _refuse_shared_names(layers)
    segments = tuple(segment for part in placed for segment in _shifted_segments(part))
    return Piecewise(segments, _topmost(layers), unit)


def _check_profiles(place: str, profiles: Iterable[object]) -> None:
    found = list(profiles)
    if not found:
        raise ValueError(f"{place} needs at least one profile")
    for profile in found:
        if not isinstance(profile, Piecewise):
            raise ValueError(f"{place} takes profiles, such as steady(200, 60), not {profile!r}")


def _shifted_segments(placed: Placed) -> Iterable[Line]:
    move = placed.start_s
    for s in placed.profile.segments:
        yield replace(s, start_s=seconds(s.start_s + move), end_s=seconds(s.end_s + move))


def _shifted_phases(placed: Placed) -> list[Phase]:
    move = placed.start_s
    return [
        Phase(p.name, seconds(p.start_s + move), seconds(p.end_s + move))
        for p in placed.profile.named
    ]


def _refuse_shared_names(layers: list[list[Phase]]) -> None:
    """Phases of one layer never overlap, so of equal names only those of two layers can."""
    every = (phase for layer in layers for phase in layer)
    for one, other in pairwise(sorted(every, key=lambda phase: (phase.name, phase.start_s))):
        if one.name == other.name and other.start_s < one.end_s:
            raise ValueError(
                f"two profiles of an overlay share the phase name {one.name!r} and overlap from "
                f"{other.start_s} s to {min(one.end_s, other.end_s)} s: give one of them another "
                "phase="
            )


def _topmost(layers: list[list[Phase]]) -> tuple[Phase, ...]:
    """The name of the last layer that covers each piece between edges; equal neighbours join."""
    waiting = sorted(
        ((phase.start_s, -n, phase) for n, layer in enumerate(layers) for phase in layer),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    edges = sorted({edge for _, _, phase in waiting for edge in (phase.start_s, phase.end_s)})
    # By layer, the last first. One layer has one phase at a time, so that its end decides ties.
    covering: list[tuple[int, float, str]] = []
    phases: list[Phase] = []
    for start_s, end_s in pairwise(edges):
        while waiting and waiting[-1][0] == start_s:
            _, rank, phase = waiting.pop()
            heapq.heappush(covering, (rank, phase.end_s, phase.name))
        while covering and covering[0][1] <= start_s:
            heapq.heappop(covering)
        if not covering:
            continue
        name = covering[0][2]
        if phases and phases[-1].name == name and phases[-1].end_s == start_s:
            phases[-1] = replace(phases[-1], end_s=end_s)
        else:
            phases.append(Phase(name, start_s, end_s))
    return tuple(phases)
