"""Reads a timeline back into its dataclasses, strictly.

Another version, an unknown kind, a missing field or a wrong type is an error that names file and
line: a verdict must not rest on a half-understood file. The one thing that is forgiven is a torn
last line, which a killed run leaves; it is reported. This module must not compute statistics.
"""

from __future__ import annotations

import json
from pathlib import Path

from results.errors import RunFolderError, TimelineError
from results.fault import FaultLog
from results.field import Fields
from results.regular_file import open_regular
from results.run_folder import validated_run_id
from results.second import LATEST_S, SecondReport
from results.timeline import (
    MAX_LINE_BYTES,
    VERSION,
    Annotation,
    End,
    EndReason,
    Fault,
    Header,
    Health,
    Plan,
    PlannedPhase,
    Progress,
    TargetSample,
    Timeline,
)

SHORTEST_CYCLE_S = 1e-6
"""No user does anything in less, and what is divided by it stays a number."""


def read_timeline(path: Path) -> Timeline:
    """Raises TimelineError when the file cannot be read or is not a timeline of this version."""
    collected = _Collected()
    number = 0
    try:
        with open_regular(path) as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                number += 1
                if _is_torn(line):
                    if len(line) >= MAX_LINE_BYTES:
                        raise ValueError(f"the line is longer than {MAX_LINE_BYTES} bytes")
                    collected.torn = True
                    break
                collected.take(line)
    except ValueError as error:
        raise TimelineError(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise TimelineError(f"cannot read {path}: {error.strerror}") from error
    return collected.timeline(path)


def _is_torn(line: bytes) -> bool:
    """Without its newline the writer was cut off, unless just the newline is missing."""
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


class _Collected:
    """What was read so far."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.plan: Plan | None = None
        self.checks: tuple[dict[str, object], ...] | None = None
        self.reports: list[SecondReport] = []
        self.progress: list[Progress] = []
        self.health: list[Health] = []
        self.target: list[TargetSample] = []
        self.annotations: list[Annotation] = []
        self.faults = FaultLog()
        self.end: End | None = None
        self.torn = False
        self.duplicates = 0
        self._seen: set[tuple[str, int]] = set()

    def take(self, line: bytes) -> None:
        data = _parsed(line)
        kind = data.pop("kind", None)
        if self.header is None and kind != "header":
            raise ValueError("a timeline begins with its header")
        self._refuse_what_was_told(kind)
        fields = Fields(data, str(kind))
        match kind:
            case "header":
                self._take_header(fields)
            case "plan":
                self.plan = _plan(fields)
            case "checks":
                self.checks = tuple(_table(item) for item in fields.items("checks"))
            case "second":
                self._take_report(SecondReport.from_dict(data))
                return
            case "progress":
                self.progress.append(_progress(fields, has_plan="planned" in data))
            case "health":
                self.health.append(
                    Health(_moment(fields), fields.text("source"), fields.numbers("values"))
                )
            case "target":
                self.target.append(_target(fields))
            case "annotation":
                self.annotations.append(
                    Annotation(_moment(fields), fields.text("label"), fields.text("text"))
                )
            case "fault":
                self.faults.begin(_fault(fields))
            case "healed":
                self.faults.heal(fields.text("id"), _moment(fields))
            case "end":
                self.end = _end(fields)
            case _:
                raise ValueError(f"unknown kind {kind!r}")
        fields.end()

    def _refuse_what_was_told(self, kind: object) -> None:
        """Whoever adds lines to a run that is over must not get another verdict for it."""
        if self.end is not None:
            raise ValueError(f"a line of kind {kind!r} after the end, which is a timeline's last")
        told = {"header": self.header, "plan": self.plan, "checks": self.checks}
        if isinstance(kind, str) and told.get(kind) is not None:
            raise ValueError(f"a second line of kind {kind!r}: a timeline has one")

    def _take_header(self, fields: Fields) -> None:
        version = fields.whole("version")
        if version != VERSION:
            raise ValueError(
                f"the timeline has version {version}, this suite reads version {VERSION}: use the "
                "version of the suite that wrote it"
            )
        run_id = fields.text("run_id")
        try:
            validated_run_id(run_id)
        except RunFolderError as error:
            raise ValueError(f"header: {error}") from error
        self.header = Header(
            run_id,
            fields.text("scenario"),
            fields.whole("origin_us"),
            ad_hoc=fields.truth("ad_hoc") if fields.has("ad_hoc") else False,
            unplanned=fields.truth("unplanned") if fields.has("unplanned") else False,
        )

    def _take_report(self, report: SecondReport) -> None:
        key = (report.source, report.sequence)
        if key in self._seen:
            self.duplicates += 1
            return
        self._seen.add(key)
        self.reports.append(report)

    def timeline(self, path: Path) -> Timeline:
        if self.header is None:
            raise TimelineError(f"{path}: the file has no header line, so nothing was recorded")
        if not self.header.needs_plan and self.plan is not None:
            kind = "ad-hoc" if self.header.ad_hoc else "unplanned"
            raise TimelineError(f"{path}: an {kind} run follows no plan, but there is one")
        return Timeline(
            self.header,
            self.plan,
            self.checks or (),
            tuple(self.reports),
            tuple(self.progress),
            tuple(self.health),
            tuple(self.annotations),
            self.end,
            self.torn,
            self.duplicates,
            tuple(self.target),
            self.faults.faults(),
        )


def _parsed(line: bytes) -> dict[str, object]:
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("the line is nested too deeply") from error
    if not isinstance(data, dict):
        raise ValueError("a line holds one JSON object")
    return data


def _moment(fields: Fields, name: str = "t_s") -> float:
    t_s = fields.number(name)
    if abs(t_s) > LATEST_S:
        raise ValueError(f"{name!r} is more than {LATEST_S:,} s from the origin")
    return t_s


def _table(item: object) -> dict[str, object]:
    return Fields({"item": item}, "checks").table("item")


def _progress(fields: Fields, *, has_plan: bool) -> Progress:
    planned = fields.whole("planned", least=0) if has_plan else None
    return Progress(_moment(fields), fields.whole("users", least=0), planned)


def _target(fields: Fields) -> TargetSample:
    return TargetSample(_moment(fields), fields.text("node"), fields.numbers("values"))


def _fault(fields: Fields) -> Fault:
    return Fault(fields.text("id"), fields.text("fault"), fields.text("node"), _moment(fields))


def _plan(fields: Fields) -> Plan:
    plan = Plan(
        duration_s=_moment(fields, "duration_s"),
        mean_cycle_s=fields.optional_number("mean_cycle_s"),
        phases=tuple(_phase(item) for item in fields.items("phases")),
        users=tuple(fields.wholes("users")),
        user_seconds=tuple(fields.number_list("user_seconds")),
        endpoint=fields.text("endpoint") if fields.has("endpoint") else None,
        arrivals=_planned_arrivals(fields) if fields.has("arrivals") else {},
    )
    edge_s = 0.0
    for phase in plan.phases:
        if not edge_s <= phase.start_s < phase.end_s:
            raise ValueError(f"plan: phase {phase.name!r} is empty or out of order")
        edge_s = phase.end_s
    if plan.duration_s <= 0:
        raise ValueError(f"plan: 'duration_s' must be above 0, not {plan.duration_s}")
    if plan.mean_cycle_s is not None and plan.mean_cycle_s < SHORTEST_CYCLE_S:
        raise ValueError(
            f"plan: 'mean_cycle_s' must be above 0, and {SHORTEST_CYCLE_S:g} s at the least, not "
            f"{plan.mean_cycle_s}"
        )
    if plan.endpoint == "":
        raise ValueError("plan: 'endpoint' is empty: leave it out to count every request")
    return plan


def _planned_arrivals(fields: Fields) -> dict[str, tuple[int, ...]]:
    inner = Fields(fields.table("arrivals"), "plan, arrivals")
    return {name: tuple(inner.wholes(name)) for name in fields.table("arrivals")}


def _phase(item: object) -> PlannedPhase:
    name, start_s, end_s = Fields({"phase": item}, "plan").row("phase", 3)
    inner = Fields({"name": name, "start_s": start_s, "end_s": end_s}, "plan, phase")
    return PlannedPhase(inner.text("name"), inner.number("start_s"), inner.number("end_s"))


def _end(fields: Fields) -> End:
    reason = fields.text("reason")
    if reason not in set(EndReason):
        raise ValueError(f"end: unknown reason {reason!r}")
    plan_ends_s = _moment(fields, "plan_ends_s") if fields.has("plan_ends_s") else None
    if plan_ends_s is not None and plan_ends_s <= 0:
        raise ValueError(f"end: 'plan_ends_s' must be above 0, not {plan_ends_s}")
    return End(
        _moment(fields),
        EndReason(reason),
        fields.text("detail"),
        fields.counts("reports"),
        plan_ends_s,
        fields.counts("writes") if fields.has("writes") else {},
    )
