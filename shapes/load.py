"""A load: what a shape plans for every user class, closed and open, as one profile of the run.

A shape has one profile for all classes, or one for each. A `Load` joins them: its own target, peak
and integral are those of its closed parts (users), `arrivals` holds the open ones (arrivals per
second, by class). Pure: this module must not import Locust, read a clock or draw at random.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from shapes.level import Unit
from shapes.profile import Phase, Profile

_ROUNDING = 1e-9
"""Float noise that must not buy a user: 3 * 0.1 users per tick is 0.3, not 0.30000000000000004."""


@dataclass(frozen=True, slots=True)
class Part:
    """One profile and the classes that it is for, with their weights.

    Without classes it is for whoever runs: a closed part alone may have none.
    """

    profile: Profile
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.profile.unit is Unit.ARRIVALS


@dataclass(frozen=True, slots=True)
class Load:
    """`parts` are in the order in which they are declared, `fixed` the users beside them, by class.

    The phases are those of the first part; where it has none, of the next that has one.
    """

    parts: tuple[Part, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a load needs at least one profile")
        seen: set[str] = set()
        for part in self.parts:
            if twice := seen & part.weights.keys():
                raise ValueError(f"{min(twice)} has two profiles: give each class one")
            seen |= part.weights.keys()
            if part.weights and not any(part.weights.values()):
                raise ValueError(
                    f"{', '.join(part.weights)}: a profile's classes need a weight above 0"
                )

    @property
    def closed(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if not part.is_open)

    @property
    def arrivals(self) -> dict[str, Profile]:
        """The open profile of each class. One of several classes is split by their weights."""
        found: dict[str, Profile] = {}
        for part in self.parts:
            if not part.is_open:
                continue
            total = sum(part.weights.values())
            for name, weight in part.weights.items():
                if weight:
                    share = weight / total
                    found[name] = part.profile if share == 1 else part.profile.scaled(load=share)
        return found

    # As a profile of users

    @property
    def unit(self) -> Unit:
        """ARRIVALS when nothing of it is closed."""
        return Unit.USERS if self.closed else Unit.ARRIVALS

    @property
    def duration_s(self) -> float:
        return max(part.profile.duration_s for part in self.parts)

    def target(self, t_s: float) -> float:
        """Planned users at `t_s`, without the fixed ones."""
        return math.fsum(part.profile.target(t_s) for part in self.closed)

    def peak(self, start_s: float, end_s: float) -> float:
        """The largest number of planned users in the closed interval; of several parts, the sum of
        their peaks, which is never below it."""
        return math.fsum(part.profile.peak(start_s, end_s) for part in self.closed)

    def integral(self, start_s: float, end_s: float) -> float:
        """Planned user-seconds in [start_s, end_s]."""
        return math.fsum(part.profile.integral(start_s, end_s) for part in self.closed)

    def phases(self) -> tuple[Phase, ...]:
        found: list[Phase] = []
        for part in self.parts:
            taken = list(found)
            for phase in part.profile.phases():
                found.extend(_uncovered(phase, taken))
        return tuple(sorted(found, key=lambda phase: phase.start_s))

    def scaled(self, *, time: float = 1.0, load: float = 1.0) -> Load:
        """Each profile scaled. Fixed users are not: they run beside the plan."""
        return Load(
            tuple(
                Part(part.profile.scaled(time=time, load=load), part.weights) for part in self.parts
            ),
            self.fixed,
        )

    # By class

    def counts(self, start_s: float, end_s: float) -> dict[str, int]:
        """Users of each class that the interval needs at most: what a tick asks for.

        Fixed users are asked for until the load's end; classes with open profiles have none.
        """
        found = dict(self.fixed) if start_s < self.duration_s else dict.fromkeys(self.fixed, 0)
        for part in self.parts:
            if part.is_open:
                found |= dict.fromkeys(part.weights, 0)
            else:
                total = _users(part, start_s, end_s)
                found |= by_weight(total, part.weights)
        return found

    def users(self, start_s: float, end_s: float) -> int:
        """The sum of `counts`, also where a part names no classes."""
        planned = sum(_users(part, start_s, end_s) for part in self.closed)
        return planned + (sum(self.fixed.values()) if start_s < self.duration_s else 0)


def load_of(
    profiles: Profile | Mapping[str, Profile],
    weights: Mapping[str, int],
    fixed: Mapping[str, int],
) -> Load:
    """The load of one profile for all classes, or of one for each class that is named.

    `weights` are those of the classes that run without a fixed count. Raises ValueError for a class
    that is named and does not run, or runs and is not named.
    """
    if not isinstance(profiles, Mapping):
        return Load((Part(profiles, dict(weights)),), dict(fixed))
    if unknown := sorted(profiles.keys() - weights.keys()):
        raise ValueError(
            f"the profile of {unknown[0]} is for no user class that runs without a fixed count"
        )
    if missing := sorted(weights.keys() - profiles.keys()):
        raise ValueError(
            f"{missing[0]} has no profile: give it one, a fixed_count, or abstract = True"
        )
    return Load(tuple(Part(one, {name: 1}) for name, one in profiles.items()), dict(fixed))


def by_weight(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`total` users spread over the classes by weight; one more user is one more of one class.

    Sainte-Laguë's method: each next user goes to the class with the largest weight / (2 * count +
    1). Shares that are rounded one by one would take users of one class away as others are added.
    """
    sum_of_weights = sum(weights.values())
    if not sum_of_weights:
        return dict.fromkeys(weights, 0)
    # The method never strays from the exact share by as many users as there are classes.
    counts = {
        name: max(0, total * weight // sum_of_weights - len(weights))
        for name, weight in weights.items()
    }
    heap = [_turn(name, weights[name], count) for name, count in counts.items() if weights[name]]
    heapq.heapify(heap)
    for _ in range(total - sum(counts.values())):
        _, name = heap[0]
        counts[name] += 1
        heapq.heapreplace(heap, _turn(name, weights[name], counts[name]))
    return counts


def _turn(name: str, weight: int, count: int) -> tuple[Fraction, str]:
    """Exact, so that a tie is one on every machine: the name decides."""
    return Fraction(-weight, 2 * count + 1), name


def _users(part: Part, start_s: float, end_s: float) -> int:
    if start_s >= part.profile.duration_s:
        return 0
    return math.ceil(part.profile.peak(start_s, end_s) - _ROUNDING)


def _uncovered(phase: Phase, taken: Sequence[Phase]) -> list[Phase]:
    """What is left of a phase beside the ones before it."""
    left = [phase]
    for other in taken:
        left = [
            Phase(phase.name, start_s, end_s)
            for piece in left
            for start_s, end_s in (
                (piece.start_s, min(piece.end_s, other.start_s)),
                (max(piece.start_s, other.end_s), piece.end_s),
            )
            if start_s < end_s
        ]
    return left
