"""The sequence of an open load's arrivals: when each of them is meant to start (D14).

A function of profile and seed alone, so that every process of a run makes the same sequence and
keeps its own part of it (shapes.epoch). With L(t) the profile's integral up to t, arrival i = 0, 1,
2 … is meant for the moment at which

    even     L(t) = i + 1/2
    poisson  L(t) = g_0 + g_1 + … + g_i      with independent exponential g of mean 1

Even: the half makes the number of arrivals before any moment the integral rounded, so it is never
more than half an arrival off the plan, and none falls on the edge of a phase that holds a whole
number of them. Poisson: time rescaling, which turns a process of rate 1 into one of the profile's
rate (Daley and Vere-Jones, An Introduction to the Theory of Point Processes, 7.4).

Lazy: nothing but the current moment is kept, however long the profile. This module must not know a
clock, Locust or Python's random generators; randomness is a hash of seed and counter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Literal, Protocol, get_args

Spacing = Literal["even", "poisson"]

_BLOCK = Struct("<8Q")
"""One hash of 64 bytes gives eight numbers: 0.2 us for each."""

_UNIT = 2.0**-53

_MICROSECONDS = 1_000_000


class LineLike(Protocol):
    """A straight piece of a profile, in seconds and arrivals per second."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def from_level(self) -> float: ...
    @property
    def to_level(self) -> float: ...


class ProfileLike(Protocol):
    """What a sequence is made of: disjoint lines, in order; between them nothing arrives."""

    def lines(self) -> Sequence[LineLike]: ...


class Arrivals:
    """Iterate over it for (index, t_us), any number of times, each from the beginning.

    `t_us` is run time: integer microseconds since the profile's second 0, within the profile and
    never decreasing. On machines whose C libraries compute logarithms differently, Poisson times
    may differ by a microsecond; indices never do. About 0.5 us an arrival. Raises ValueError for
    an unknown spacing.
    """

    def __init__(self, profile: ProfileLike, seed: str, spacing: str = "even") -> None:
        if spacing not in get_args(Spacing):
            raise ValueError(f"spacing {spacing!r}: use one of {', '.join(get_args(Spacing))}")
        self._lines = tuple(profile.lines())
        self._seed = seed
        self._spacing = spacing

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if self._spacing == "even":
            return _placed(self._lines, _half_steps)
        return _placed(self._lines, lambda: _exponential_steps(self._seed))


def counts_by_second(arrivals: Arrivals, duration_s: float) -> tuple[int, ...]:
    """How many arrivals begin in each begun second. Goes through the whole sequence."""
    counts = [0] * math.ceil(duration_s)
    for _, t_us in arrivals:
        counts[t_us // _MICROSECONDS] += 1
    return tuple(counts)


def choice(seed: str, index: int) -> int:
    """A number of 64 bits for the arrival with that index, apart from those of its time."""
    digest = blake2b(f"{seed}:{index}".encode(), digest_size=8, person=b"choice").digest()
    return int.from_bytes(digest, "little")


def _placed(
    lines: Sequence[LineLike], steps: Callable[[], Iterator[float]]
) -> Iterator[tuple[int, int]]:
    """`steps` yields what L grows by from each arrival to the next, the first from 0.

    Within a line of level a, slope k and mass m the sum y of the steps is reached at

        a x + k x^2 / 2 = y,   x = 2 y / (a + sqrt(a^2 + 2 k y))

    which is the quadratic formula in the form that does not subtract nearly equal numbers: it
    holds for k = 0, for slopes of any smallness and sign, and for lines that begin or end at 0.
    """
    grow = steps().__next__
    index, last_us = 0, 0
    y = grow()
    for line in lines:
        start_us = round(line.start_s * _MICROSECONDS)
        length_us = round(line.end_s * _MICROSECONDS) - start_us
        # All in microseconds, whose number in a line is whole.
        a = line.from_level / _MICROSECONDS
        b = line.to_level / _MICROSECONDS
        mass = (a + b) / 2 * length_us
        if length_us <= 0 or mass <= 0:
            continue
        twice_k = 2 * (b - a) / length_us
        a_squared = a * a
        latest_us = length_us - 1
        while y < mass:
            # Rounding may take what is under the root below 0 where the line ends at 0.
            root = a_squared + twice_k * y
            x = 2 * y / (a + math.sqrt(root)) if root > 0 else length_us * (y > 0)
            t_us = start_us + (int(x) if x < latest_us else latest_us)
            if t_us < last_us:
                t_us = last_us
            yield index, t_us
            last_us = t_us
            index += 1
            y += grow()
        # What is left of the step belongs to the lines to come: small numbers keep their digits.
        y -= mass


def _half_steps() -> Iterator[float]:
    yield 0.5
    while True:
        yield 1.0


def _exponential_steps(seed: str) -> Iterator[float]:
    """Exponential numbers of mean 1, each of the hash of seed and counter."""
    key = blake2b(seed.encode(), digest_size=32).digest()
    log, unpack = math.log, _BLOCK.unpack
    block = 0
    while True:
        digest = blake2b(block.to_bytes(8, "little"), key=key, person=b"arrivals").digest()
        for number in unpack(digest):
            # The upper 53 bits and a half: within (0, 1), so that the logarithm exists.
            yield -log(((number >> 11) + 0.5) * _UNIT)
        block += 1
