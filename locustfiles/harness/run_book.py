"""The books of one run, kept by the process that owns it: the only one, or the master.

Everything that load sides ship is written to the timeline as it arrives; at the end the verdict is
computed from that file alone. Life cycle:

1. opened at test_start: folder, manifest, header, plan, checks;
2. `take` for each report of a load side, `tick` once a second;
3. `close` writes the end, `judge` reads the timeline back and writes `verdict.json`.

This module must not know Locust or print anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from locustfiles.harness.options import Options
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.scenario import Scenario
from results.check import scaled_counts
from results.generator import WORKERS_LOST
from results.manifest import manifest
from results.replay import replay
from results.run_folder import RunFolder
from results.second import SecondReport
from results.timeline import (
    Annotation,
    End,
    EndReason,
    Header,
    Health,
    Plan,
    Progress,
    TimelineWriter,
)
from results.verdict import Judgement, as_document
from shapes.phased import planned_user_seconds, planned_users
from shapes.profile import Profile

OWNER = "owner"
"""Source of the health lines that the owning process writes about the run as a whole."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The run at one second, for the progress line."""

    second: int
    phase: str | None
    planned_users: int
    ended: int
    rate_per_s: float
    errors: int


class RunBook:
    """`folder` is this run's own and empty but for logs. Times are seconds since the origin."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        scenario: Scenario,
        options: Options,
        plan: RunPlan,
        profile: Profile,
        elapsed_s: Callable[[], float],
    ) -> None:
        self.folder = folder
        self._profile = profile
        self._elapsed_s = elapsed_s
        self._received: dict[str, int] = defaultdict(int)
        self._ended_by_second: dict[int, int] = defaultdict(int)
        self._ended = 0
        self._errors = 0
        self._lost: set[str] = set()
        document = manifest(
            run_id=folder.run_id,
            scenario=scenario.id,
            started_at=datetime.now(UTC),
            options=options.as_dict() | {"nodes": [node.url for node in plan.nodes]},
            seed=options.seed,
            source_dir=scenario.source_dir,
        )
        folder.write_manifest(document)
        self._timeline = TimelineWriter(
            folder.timeline, Header(folder.run_id, scenario.id, plan.origin_us)
        )
        self._timeline.plan(
            Plan.of(
                profile,
                users=planned_users(profile),
                user_seconds=planned_user_seconds(profile),
                mean_cycle_s=scenario.mean_cycle_s,
            )
        )
        checks = scaled_counts(scenario.checks, options.time_scale * options.load_scale)
        self._timeline.checks([check.as_dict() for check in checks])

    def take(self, kind: str, report: dict[str, Any]) -> None:
        """Write a load side's report. Raises ValueError when it is not one, or TimelineError."""
        if kind == "second":
            second = SecondReport.from_dict(report)
            self._received[second.source] += 1
            for endpoint in second.endpoints.values():
                self._ended_by_second[second.second] += endpoint.ended
                self._ended += endpoint.ended
                self._errors += sum(endpoint.errors.values())
            self._timeline.second(second)
        elif kind == "health":
            self._timeline.health(Health(report["t_s"], report["source"], report["values"]))
        else:
            raise ValueError(f"a load side ships seconds and health, not {kind!r}")

    def tick(self, users: int) -> Moment:
        """Write how many users run now; returns the run as of the last second that is complete."""
        elapsed_s = self._elapsed_s()
        self._timeline.progress(Progress(round(elapsed_s, 3), users))
        second = int(elapsed_s // 1)
        phase = next(
            (p.name for p in self._profile.phases() if p.start_s <= elapsed_s < p.end_s), None
        )
        complete = max((s for s in self._ended_by_second if s < second), default=second)
        return Moment(
            second=second,
            phase=phase,
            planned_users=round(self._profile.target(max(0.0, elapsed_s))),
            ended=self._ended,
            rate_per_s=float(self._ended_by_second.get(complete, 0)),
            errors=self._errors,
        )

    def worker_lost(self, worker: str) -> None:
        """Note a worker that is gone; the verdict is INCONCLUSIVE from here on."""
        if worker in self._lost:
            return
        self._lost.add(worker)
        t_s = round(self._elapsed_s(), 3)
        self._timeline.annotation(Annotation(t_s, "worker_lost", f"worker {worker} was lost"))
        self._timeline.health(Health(t_s, OWNER, {WORKERS_LOST: len(self._lost)}))

    def count(self, name: str, value: int) -> None:
        """Write a figure of the whole run, such as `recorder_failures`."""
        self._timeline.health(Health(round(self._elapsed_s(), 3), OWNER, {name: value}))

    def close(self, aborted: str | None, sent: dict[str, int]) -> None:
        """Write the end. `sent` is how many second reports each load side says it has sent."""
        reason = EndReason.COMPLETED if aborted is None else EndReason.ABORTED
        end = End(round(self._elapsed_s(), 3), reason, aborted or "", {**self._received, **sent})
        self._timeline.end(end)
        self._timeline.close()

    def judge(self) -> Judgement:
        """The verdict from the timeline on disk, also written to `verdict.json`."""
        judgement = replay(self.folder.timeline)
        self.folder.write_verdict(as_document(judgement))
        return judgement
