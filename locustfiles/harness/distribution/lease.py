"""Who is here: workers by their beats, each with a lease that ends when no beat renews it.

A worker may send load while its lease lasts and stops when it ran out, whether or not anybody can
tell it so. The master gives its share to others only then, and so the load is never above its plan.
Both count from the same beat, the worker from the moment it sent it, the master from the moment it
came, so that the worker's lease is never the longer one.

Pure: times come in as arguments, in seconds of one clock. This module must not know Locust, users
or messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LEASE_S = 3.0
"""Six beats: what is shorter than that is a busy machine. Longer would leave less than two seconds
of the five in which the load has to be back on its plan."""

ARRIVAL_LEASE_S = 1.5
"""A worker decides on arrivals until then after it sent a beat that was answered, since the answer
brought every epoch that there was when the beat came. Three beats: answers may be missing for a
second before an arrival is late."""

EPOCH_AHEAD_S = ARRIVAL_LEASE_S + 0.1
"""An epoch begins this much after it was made: later than anybody decides who may not know of it.
The tenth is for a worker's clock; one that is known less well voids the run (results.health). Whose
lease ran out has its arrivals taken over 3.0 + 1.6 s after its last beat, within the five."""

BEAT_S = 0.5
"""A worker beats this often, and at once when it has something to say."""


class Change(StrEnum):
    JOINED = "joined"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Absence:
    """`worker` was heard last at `heard_s`; its lease ended at `ended_s`."""

    worker: str
    heard_s: float
    ended_s: float


@dataclass(slots=True)
class _Member:
    heard_s: float
    is_here: bool = True


class Attendance:
    """One per master, through all its runs. A worker's place in the order is for life."""

    def __init__(self, lease_s: float = LEASE_S) -> None:
        self._lease_s = lease_s
        self._members: dict[str, _Member] = {}

    def renew(self, worker: str, now_s: float) -> Change | None:
        """Take a beat. Says so when the worker was not here before it."""
        member = self._members.get(worker)
        if member is None:
            self._members[worker] = _Member(now_s)
            return Change.JOINED
        member.heard_s = max(member.heard_s, now_s)
        if member.is_here:
            return None
        member.is_here = True
        return Change.BACK

    def lapse(self, now_s: float) -> tuple[Absence, ...]:
        """Those whose lease ran out since it was asked last; they are away from now on."""
        found = []
        for worker, member in self._members.items():
            ended_s = member.heard_s + self._lease_s
            if member.is_here and now_s >= ended_s:
                member.is_here = False
                found.append(Absence(worker, member.heard_s, ended_s))
        return tuple(found)

    def excuse(self, stood_still_s: float, now_s: float) -> None:
        """The master itself stood still for that long: beats may lie unread, so nobody is away.

        It keeps its workers for longer than their leases, which is safe: who has lost its lease
        has stopped, and nobody else has its share yet.
        """
        for member in self._members.values():
            if member.is_here:
                # Who was heard meanwhile was not heard in the future.
                member.heard_s = max(member.heard_s, min(now_s, member.heard_s + stood_still_s))

    def end(self, worker: str) -> bool:
        """It is away from now on, and will not be found to have lapsed. Whether it was here."""
        member = self._members.get(worker)
        if member is None or not member.is_here:
            return False
        member.is_here = False
        return True

    def unheard_s(self, worker: str, now_s: float) -> float:
        """Since its last beat. The worker has to be known."""
        return now_s - self._members[worker].heard_s

    def present(self) -> tuple[str, ...]:
        """Those who are here, in the order in which they came first."""
        return tuple(worker for worker, member in self._members.items() if member.is_here)

    def forget(self, worker: str) -> None:
        """As if it had never come: its absence is nobody's concern, its next beat joins it."""
        self._members.pop(worker, None)

    def knows(self, worker: str) -> bool:
        return worker in self._members


class OwnLease:
    """A worker's own: until when it may send load. Times are microseconds of its own clock."""

    def __init__(self) -> None:
        self._until_us: int | None = None

    def extend(self, beat_sent_us: int, lease_s: float) -> None:
        """An answer came to the beat that was sent then. A lease is never made shorter."""
        until_us = beat_sent_us + int(lease_s * 1e6)
        if self._until_us is None or until_us > self._until_us:
            self._until_us = until_us

    def lasts(self, now_us: int) -> bool:
        return self._until_us is not None and now_us < self._until_us

    @property
    def until_us(self) -> int:
        """0 while there was none."""
        return self._until_us or 0


class Silence:
    """How long answers have been missing, in time in which this process was awake.

    A process that stood still hears nobody, which says nothing about the others.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._at_s: float | None = None
        self.missing_s = 0.0

    def pass_time(self, now_s: float) -> float:
        """Call it regularly; a step that is longer than `most_s` counts as that. Returns how long
        this process stood still beyond it, in seconds."""
        step_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        self.missing_s += min(step_s, self._most_s)
        return max(0.0, step_s - self._most_s)

    def heard(self) -> None:
        self.missing_s = 0.0
