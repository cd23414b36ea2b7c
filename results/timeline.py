"""The timeline: everything a run's verdict is computed from, in one append-only file.

`timeline.jsonl` holds one JSON object a line; `docs/results.md` describes every kind. This module
holds the kinds as dataclasses; `timeline_writer.py` writes them and `timeline_reader.py` reads them
back. It must not compute statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from results.second import SecondReport

OWNER = "owner"
"""Source of what the owning process writes about the run as a whole: it sends nothing itself."""

VERSION = 1
"""Raised when a reader of before could misunderstand a line. Readers refuse other versions."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""With its end. A second of 20 endpoints takes 25 kB; no reader takes a longer line for ours."""


@dataclass(frozen=True, slots=True)
class Header:
    """`origin_us` is second 0 in microseconds since the epoch; every `t_s` counts from it.

    `ad_hoc` runs follow no plan: a person starts and stops the users (results.judging.ad_hoc).
    `unplanned` ones were declared without one: Locust's own options, or another shape, say how many
    users run.
    """

    run_id: str
    scenario: str
    origin_us: int
    ad_hoc: bool = False
    unplanned: bool = False

    @property
    def needs_plan(self) -> bool:
        return not (self.ad_hoc or self.unplanned)


class PhaseLike(Protocol):
    """What `Plan.of` needs of a profile's phase."""

    @property
    def name(self) -> str: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


class ProfileLike(Protocol):
    """What `Plan.of` needs of a profile; `results` does not import `shapes`."""

    @property
    def duration_s(self) -> float: ...

    def phases(self) -> Sequence[PhaseLike]: ...


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The scaled profile: `users[i]` is what the tick at second i hands over.

    `user_seconds[i]` is the profile's integral over second i, and `mean_cycle_s` the mean time of
    a user's cycle: together the starts that *achieved* expects. None: the scenario has no cycle.
    `endpoint` is a name or pattern of the requests that the cycle is about; None: of all.
    `arrivals[name][i]` is how many arrivals of an open load's user class begin in second i.
    """

    duration_s: float
    phases: tuple[PlannedPhase, ...]
    users: tuple[int, ...]
    user_seconds: tuple[float, ...]
    mean_cycle_s: float | None = None
    endpoint: str | None = None
    arrivals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        profile: ProfileLike,
        *,
        users: Sequence[int],
        user_seconds: Sequence[float],
        mean_cycle_s: float | None,
        endpoint: str | None = None,
        arrivals: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Plan:
        """From a profile and `planned_users`, `planned_user_seconds` of `shapes.phased`."""
        phases = tuple(PlannedPhase(p.name, p.start_s, p.end_s) for p in profile.phases())
        return cls(
            profile.duration_s,
            phases,
            tuple(users),
            tuple(user_seconds),
            mean_cycle_s,
            endpoint,
            dict(arrivals or {}),
        )

    def ending(self, at_s: float) -> Plan:
        """The plan up to that moment; one that lies beyond its end leaves it as it is.

        Phases that had not begun are gone, and the one that was in force ends there. A second that
        is cut counts by the share of it that is left.
        """
        if at_s >= self.duration_s:
            return self
        begun = [phase for phase in self.phases if phase.start_s < at_s]
        whole, share = int(at_s), at_s % 1
        cut_second = [user_s * share for user_s in self.user_seconds[whole : whole + 1] if share]
        arrivals = {
            name: (*counts[:whole], *(int(n * share) for n in counts[whole : whole + 1] if share))
            for name, counts in self.arrivals.items()
        }
        return replace(
            self,
            duration_s=at_s,
            phases=tuple(replace(p, end_s=min(p.end_s, at_s)) for p in begun),
            users=self.users[: math.ceil(at_s)],
            user_seconds=(*self.user_seconds[:whole], *cut_second),
            arrivals=arrivals,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Users that ran at `t_s`, as the runner counted them, and those that the shape had planned.

    `planned` is what the shape's latest tick handed over; None where the writer did not say.
    """

    t_s: float
    users: int
    planned: int | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Figures of one generator process at `t_s`; `results.health` names those that are judged."""

    t_s: float
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TargetSample:
    """How one node of the target was at `t_s`, by its own metrics (X-29); all values are finite.

    Those that are made of two readings (CPU, means, rates) speak for the time between them.
    """

    t_s: float
    node: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something worth a mark on a plot: `label` says what kind, `text` what happened."""

    t_s: float
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected condition, from when it took effect to when it was gone (None: never seen gone).

    `id` is unique in the run, `kind` what it is (`kill`, `pause`), `node` whom it hit, empty where
    that is nobody alone.
    """

    id: str
    kind: str
    node: str
    began_s: float
    healed_s: float | None = None


class EndReason(StrEnum):
    COMPLETED = "completed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class End:
    """The run is over. `reports` says how many reports each source has sent, `writes` how many of
    writes, for the ledger.

    `plan_ends_s` is when the plan was ended before its end, as by a check that broke; else None.
    """

    t_s: float
    reason: EndReason
    detail: str = ""
    reports: Mapping[str, int] = field(default_factory=dict)
    plan_ends_s: float | None = None
    writes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A whole timeline as read. `reports` holds each (source, sequence) once.

    `checks` are the declared checks in their dict form (see `results.check`). `torn` says that the
    last line was cut off, `duplicates` how many reports had been there before.
    """

    header: Header
    plan: Plan | None = None
    checks: tuple[Mapping[str, object], ...] = ()
    reports: tuple[SecondReport, ...] = ()
    progress: tuple[Progress, ...] = ()
    health: tuple[Health, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    end: End | None = None
    torn: bool = False
    duplicates: int = 0
    target: tuple[TargetSample, ...] = ()
    faults: tuple[Fault, ...] = ()

    def lost_reports(self) -> dict[str, int]:
        """Reports that are known to have been sent and are not here, by source."""
        seen: dict[str, set[int]] = {}
        for report in self.reports:
            seen.setdefault(report.source, set()).add(report.sequence)
        sent = dict(self.end.reports) if self.end is not None else {}
        lost = {}
        for source in sorted(seen.keys() | sent.keys()):
            known = seen.get(source, set())
            count = max(sent.get(source, 0), max(known, default=-1) + 1) - len(known)
            if count:
                lost[source] = count
        return lost
