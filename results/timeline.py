"""The timeline: everything a run's verdict is computed from, in one append-only file.

`timeline.jsonl` holds one JSON object a line; `docs/results.md` describes every kind. This module
holds the kinds as dataclasses and the writer; `timeline_reader.py` reads them back. It must not
compute statistics.

The writer's life cycle: created with the header, then any records in any order, then `end`.
Every line is written and flushed on its own, so that a killed run leaves at most one torn line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from results.errors import TimelineError
from results.second import SecondReport

OWNER = "owner"
"""Source of what the owning process writes about the run as a whole: it sends nothing itself."""

VERSION = 1
"""Raised when a reader of before could misunderstand a line. Readers refuse other versions."""

MAX_LINE_BYTES = 16 * 1024 * 1024
"""With its end. A second of 20 endpoints takes 25 kB; no reader takes a longer line for ours."""

LEAST_SECOND_BYTES = 6
"""What each second of a plan takes in its line, at the least: `0,` users, `0.0,` user-seconds."""

SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Header:
    """`origin_us` is second 0 in microseconds since the epoch; every `t_s` counts from it.

    `ad_hoc` runs follow no plan: a person starts and stops the users (results.ad_hoc). `unplanned`
    ones were declared without one: Locust's own options, or another shape, say how many users run.
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


class EndReason(StrEnum):
    COMPLETED = "completed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class End:
    """The run is over. `reports` says how many reports each source has sent.

    `plan_ends_s` is when the plan was ended before its end, as by a check that broke; else None.
    """

    t_s: float
    reason: EndReason
    detail: str = ""
    reports: Mapping[str, int] = field(default_factory=dict)
    plan_ends_s: float | None = None


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


def _line(kind: str, fields: Mapping[str, object]) -> str:
    return json.dumps({"kind": kind, **fields}, allow_nan=False, separators=(",", ":")) + "\n"


def _plan_fields(plan: Plan) -> dict[str, object]:
    # Absent without, as in every timeline from before there was one.
    endpoint = {} if plan.endpoint is None else {"endpoint": plan.endpoint}
    arrivals = {name: list(counts) for name, counts in plan.arrivals.items()}
    return {
        "duration_s": plan.duration_s,
        "mean_cycle_s": plan.mean_cycle_s,
        "phases": [[p.name, p.start_s, p.end_s] for p in plan.phases],
        "users": list(plan.users),
        "user_seconds": list(plan.user_seconds),
        **endpoint,
        **({"arrivals": arrivals} if arrivals else {}),
    }


def require_recordable(plan: Plan) -> None:
    """Raises TimelineError when the plan does not fit into its line."""
    _require_fits(plan.duration_s, len(_line("plan", _plan_fields(plan))))


def require_recordable_length(duration_s: float) -> None:
    """The same of a length that no plan can have, before anybody counts its seconds."""
    _require_fits(duration_s, math.ceil(duration_s) * LEAST_SECOND_BYTES)


def _require_fits(duration_s: float, size_bytes: int) -> None:
    if size_bytes <= MAX_LINE_BYTES:
        return
    fits_s = duration_s * MAX_LINE_BYTES / size_bytes
    raise TimelineError(
        f"the plan of {duration_s / SECONDS_A_DAY:,.1f} days is too long to be recorded: its "
        f"seconds take {size_bytes:,} bytes or more, of which there may be {MAX_LINE_BYTES:,}. "
        f"Plan at most about {fits_s / SECONDS_A_DAY:,.1f} days, or scale it down with --time-scale"
    )


class TimelineWriter:
    """Appends records to a new timeline file. Owns the file; use it as a context manager.

    Raises TimelineError when the file exists or cannot be written; after a failed write every
    further one is refused, since the line before it may be torn.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._failed = False
        try:
            self._file = path.open("x", encoding="utf-8", newline="\n", buffering=1)
        except FileExistsError as error:
            raise TimelineError(
                f"{path} exists: a timeline is never continued, use another run id"
            ) from error
        except OSError as error:
            raise TimelineError(f"cannot create {path}: {error.strerror}") from error
        try:
            self._write(
                "header",
                version=VERSION,
                run_id=header.run_id,
                scenario=header.scenario,
                origin_us=header.origin_us,
                **({"ad_hoc": True} if header.ad_hoc else {}),
                **({"unplanned": True} if header.unplanned else {}),
            )
        except TimelineError:
            # Nobody has the writer yet, so nobody else can close its file.
            with suppress(OSError):
                self._file.close()
            raise

    def plan(self, plan: Plan) -> None:
        self._write("plan", **_plan_fields(plan))

    def checks(self, checks: Sequence[Mapping[str, object]]) -> None:
        """The declared checks in their dict form, so that the verdict can be computed again."""
        self._write("checks", checks=[dict(check) for check in checks])

    def second(self, report: SecondReport) -> None:
        self._write("second", **report.as_dict())

    def progress(self, progress: Progress) -> None:
        planned = {} if progress.planned is None else {"planned": progress.planned}
        self._write("progress", t_s=progress.t_s, users=progress.users, **planned)

    def health(self, health: Health) -> None:
        self._write("health", t_s=health.t_s, source=health.source, values=dict(health.values))

    def target(self, sample: TargetSample) -> None:
        self._write("target", t_s=sample.t_s, node=sample.node, values=dict(sample.values))

    def annotation(self, annotation: Annotation) -> None:
        self._write("annotation", t_s=annotation.t_s, label=annotation.label, text=annotation.text)

    def end(self, end: End) -> None:
        ends = {} if end.plan_ends_s is None else {"plan_ends_s": end.plan_ends_s}
        self._write(
            "end",
            t_s=end.t_s,
            reason=end.reason.value,
            detail=end.detail,
            reports=dict(end.reports),
            **ends,
        )

    def _write(self, kind: str, **fields: object) -> None:
        if self._failed:
            raise TimelineError(f"{self._path}: an earlier write failed, nothing more is written")
        line = _line(kind, fields)
        if len(line) > MAX_LINE_BYTES:
            raise TimelineError(
                f"{self._path}: a line of kind {kind!r} would take {len(line):,} bytes, of which "
                f"one may have {MAX_LINE_BYTES:,}: a shorter run, or fewer names, take less"
            )
        try:
            self._file.write(line)
        except OSError as error:
            self._failed = True
            raise TimelineError(
                f"cannot write {self._path}: {error.strerror}: free space on that disk or use "
                "--results-dir"
            ) from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            # What a failed write left in the buffer is refused again here.
            self._failed = True
            raise TimelineError(f"cannot close {self._path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
