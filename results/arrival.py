"""What became of the arrivals of an open load: offered, started, unsent, completed (D14).

An arrival is *offered* when its intended time came in the process that it belongs to. Then it is
either *started*, so that its task began, or *unsent*, for a stated reason: none is dropped
silently, and none is sent late as if on time. All three count in the second of the intended start;
*completed* counts tasks in the second of their end, whatever came of their requests. An arrival
that was planned and never offered belonged to a worker that was gone.

Survivor bias: an unsent arrival has no latency. So latencies of an open load speak for the started
ones, and mean little where many are unsent. This module must not know how arrivals are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from results.field import Fields


class Unsent(StrEnum):
    """Why an arrival was not started."""

    NO_SESSION = "no_session"
    """The pool was at its limit and every session was busy: the target is slow, or the pool small.
    """
    LATE = "late"
    """The process came to it too late: the generator stood still or had too little CPU."""
    SESSION_LATE = "session_late"
    """Its session was not ready in time: connecting, or `on_start`, took too long. That is up to
    the target."""
    SESSION_FAILED = "session_failed"
    """Its session could not be made: `on_start` failed."""
    STOPPED = "stopped"
    """The run was stopped before it began."""


GENERATOR_MADE = frozenset({Unsent.LATE, Unsent.SESSION_FAILED, Unsent.STOPPED})
"""Reasons that say nothing about the target."""


@dataclass(frozen=True, slots=True)
class ArrivalSecond:
    """One user class in one second at one source; see the module's docstring."""

    started: int = 0
    completed: int = 0
    unsent: Mapping[str, int] = field(default_factory=dict)

    @property
    def offered(self) -> int:
        return self.started + sum(self.unsent.values())

    def as_dict(self) -> dict[str, object]:
        """`offered` is written for the reader's sake, and checked when it is read."""
        return {
            "offered": self.offered,
            "started": self.started,
            "unsent": dict(self.unsent),
            "completed": self.completed,
        }

    @classmethod
    def from_dict(cls, data: object, name: str) -> ArrivalSecond:
        """Raises ValueError that names the field, and when offered is not started + unsent."""
        fields = Fields(data, f"arrivals of {name!r}")
        offered = fields.whole("offered", least=0)
        found = cls(
            fields.whole("started", least=0),
            fields.whole("completed", least=0),
            fields.counts("unsent"),
        )
        fields.end()
        if unknown := sorted(found.unsent.keys() - set(Unsent)):
            raise ValueError(f"arrivals of {name!r}: unknown reason {unknown[0]!r}")
        if offered != found.offered:
            raise ValueError(
                f"arrivals of {name!r}: {offered} offered are not {found.started} started and "
                f"{sum(found.unsent.values())} unsent"
            )
        return found


class ArrivalTally:
    """Counts while they are still being made: of one second, or of a window."""

    __slots__ = ("completed", "started", "unsent")

    def __init__(self) -> None:
        self.started = 0
        self.completed = 0
        self.unsent: dict[str, int] = {}

    def refuse(self, why: str, count: int = 1) -> None:
        self.unsent[why] = self.unsent.get(why, 0) + count

    def add(self, other: ArrivalSecond | ArrivalTally) -> None:
        self.started += other.started
        self.completed += other.completed
        for why, count in other.unsent.items():
            self.refuse(why, count)

    def second(self) -> ArrivalSecond:
        return ArrivalSecond(self.started, self.completed, dict(self.unsent))


@dataclass(frozen=True, slots=True)
class ArrivalsNow:
    """An open load at one moment of a run, all processes together.

    `rate_per_s` arrivals were offered in the latest complete second; `unsent` is counted so far.
    """

    rate_per_s: float
    sessions: int
    busy: int
    unsent: int


@dataclass(frozen=True, slots=True)
class ArrivalStats:
    """One user class, or all of them, in a window. `planned` comes from the plan."""

    planned: int
    started: int
    completed: int
    unsent: Mapping[str, int] = field(default_factory=dict)

    @property
    def unsent_total(self) -> int:
        return sum(self.unsent.values())

    @property
    def offered(self) -> int:
        return self.started + self.unsent_total

    @property
    def never_offered(self) -> int:
        """Planned for a process that was gone."""
        return max(0, self.planned - self.offered)

    @property
    def missing(self) -> int:
        """Planned and not started, for whatever reason."""
        return max(0, self.planned - self.started)

    @property
    def missing_share(self) -> float | None:
        """Of the planned arrivals; None when none were planned."""
        return self.missing / self.planned if self.planned else None

    @property
    def made_by_generator(self) -> int:
        """Of the missing, those that the target had no part in."""
        lost = sum(count for why, count in self.unsent.items() if why in GENERATOR_MADE)
        return min(self.missing, lost + self.never_offered)

    def explained(self) -> str:
        """The missing ones by reason, in plain words: `12 found no session free, …`."""
        texts = {
            Unsent.NO_SESSION: "found no session free (max_sessions)",
            Unsent.SESSION_LATE: "had a session that was not ready in time (connecting, on_start)",
            Unsent.LATE: "came too late in a generator that stood still",
            Unsent.SESSION_FAILED: "had a session whose on_start failed",
            Unsent.STOPPED: "were not begun when the run was stopped",
        }
        parts = [
            f"{self.unsent[why]:,} {text}" for why, text in texts.items() if why in self.unsent
        ]
        if self.never_offered:
            parts.append(f"{self.never_offered:,} belonged to a worker that was gone")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, object]:
        return {
            "planned": self.planned,
            "offered": self.offered,
            "started": self.started,
            "unsent": self.unsent_total,
            "unsent_by_reason": dict(self.unsent),
            "completed": self.completed,
        }


def together(parts: Iterable[ArrivalStats]) -> ArrivalStats:
    """The sum over classes."""
    planned, tally = 0, ArrivalTally()
    for part in parts:
        planned += part.planned
        tally.add(ArrivalSecond(part.started, part.completed, part.unsent))
    return ArrivalStats(planned, tally.started, tally.completed, tally.unsent)
