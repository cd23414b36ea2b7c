"""Writes a timeline: one JSON object a line, one file a run.

The writer's life cycle: created with the header, then any records in any order, then `end`.
Every line is written and flushed on its own, so that a killed run leaves at most one torn line.
This module must not compute statistics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from results.errors import TimelineError
from results.second import LATEST_S, SecondReport
from results.timeline import (
    MAX_LINE_BYTES,
    VERSION,
    Annotation,
    End,
    Fault,
    Header,
    Health,
    Plan,
    Progress,
    TargetSample,
)

SECONDS_A_DAY = 86_400

LONGEST_PLAN_S = LATEST_S - SECONDS_A_DAY
"""What is still under way at a plan's end, and its audit, must be recordable too."""


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
    """Raises TimelineError when the plan does not fit into its line, or is longer than any run."""
    require_recordable_length(plan.duration_s)
    size_bytes = len(_line("plan", _plan_fields(plan)))
    if size_bytes > MAX_LINE_BYTES:
        why = f"its seconds take {size_bytes:,} bytes, of which there may be {MAX_LINE_BYTES:,}"
        raise _too_long(plan.duration_s, why, plan.duration_s * MAX_LINE_BYTES / size_bytes)


def require_recordable_length(duration_s: float) -> None:
    """The same of a length that no run can have, before anybody counts its seconds."""
    if duration_s > LONGEST_PLAN_S:
        why = f"none may be longer than {LONGEST_PLAN_S:,} s"
        raise _too_long(duration_s, why, LONGEST_PLAN_S)


def _too_long(duration_s: float, why: str, fits_s: float) -> TimelineError:
    return TimelineError(
        f"the plan of {duration_s / SECONDS_A_DAY:,.1f} days is too long to be recorded: {why}. "
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
        self._has_ended = False
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

    def fault_began(self, fault: Fault) -> None:
        """Its healing is a line of its own."""
        self._write("fault", t_s=fault.began_s, id=fault.id, fault=fault.kind, node=fault.node)

    def fault_healed(self, id: str, at_s: float) -> None:
        self._write("healed", t_s=at_s, id=id)

    def end(self, end: End) -> None:
        # Each is absent without, as in every timeline from before there was one.
        ends = {} if end.plan_ends_s is None else {"plan_ends_s": end.plan_ends_s}
        writes = {"writes": dict(end.writes)} if end.writes else {}
        self._write(
            "end",
            t_s=end.t_s,
            reason=end.reason.value,
            detail=end.detail,
            reports=dict(end.reports),
            **ends,
            **writes,
        )
        self._has_ended = True

    def _write(self, kind: str, **fields: object) -> None:
        assert not self._has_ended, "the end is a timeline's last line"
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
