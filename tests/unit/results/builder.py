"""Makes timelines for tests: samples through the real recorder, no invented reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from results.check import Check
from results.recorder import Recorder
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.timeline import (
    End,
    EndReason,
    Fault,
    Header,
    Health,
    Plan,
    PlannedPhase,
    TargetSample,
    Timeline,
)
from results.timeline_writer import TimelineWriter

HEADER = Header("run-1", "test", 0)

PLAN = Plan(
    duration_s=6.0,
    phases=(
        PlannedPhase("steady", 0, 2),
        PlannedPhase("burst", 2, 4),
        PlannedPhase("steady", 4, 6),
    ),
    users=(2, 10, 10, 10, 2, 2),
    user_seconds=(2.0, 2.0, 10.0, 10.0, 2.0, 2.0),
    mean_cycle_s=0.5,
)
"""2, 10 and 2 users with a cycle of half a second: 8, 40 and 8 starts are planned."""

HEALTHY = tuple(Health(float(t), "w1", {"lag_p99_ms": 5.0}) for t in range(6))


def request(
    start_s: float,
    took_ms: float = 10.0,
    *,
    name: str = "GET /a",
    outcome: Outcome = Outcome.OK,
    emulated_ms: float = 0.0,
) -> Sample:
    start_us = round(start_s * 1e6)
    return Sample(
        name,
        None,
        start_us,
        start_us + round(took_ms * 1000),
        outcome,
        200,
        100,
        round(emulated_ms * 1000),
        None,
        "n1",
    )


def planned_requests(share: float = 1.0, outcome: Outcome = Outcome.OK) -> list[Sample]:
    """`share` of the starts that PLAN expects, evenly over each second."""
    found = []
    for second, user_s in enumerate(PLAN.user_seconds):
        count = round(user_s / 0.5 * share)
        found += [request(second + n / count, outcome=outcome) for n in range(count)]
    return found


Observation = tuple[str, float, float]
"""Figure, value, and when in seconds."""


def reports(
    samples: Iterable[Sample], source: str = "w1", observed: Iterable[Observation] = ()
) -> tuple[SecondReport, ...]:
    recorder = Recorder(source=source, origin_us=0)
    for sample in samples:
        recorder.record(sample)
    for name, value, at_s in observed:
        recorder.observe(name, value, round(at_s * 1e6))
    recorder.close()
    return tuple(report for report in recorder.reports() if report is not None)


def timeline(
    samples: Iterable[Sample],
    *,
    checks: Sequence[Check] = (),
    plan: Plan | None = PLAN,
    health: tuple[Health, ...] = HEALTHY,
    end: End | None = None,
    observed: Iterable[Observation] = (),
    target: tuple[TargetSample, ...] = (),
    header: Header = HEADER,
    faults: tuple[Fault, ...] = (),
) -> Timeline:
    made = reports(samples, observed=observed)
    end = end or End(6.0, EndReason.COMPLETED, "", {"w1": len(made)})
    return Timeline(
        header,
        plan,
        tuple(check.as_dict() for check in checks),
        made,
        health=health,
        end=end,
        target=target,
        faults=faults,
    )


def write(path: Path, made: Timeline) -> Path:
    """The timeline as a file, by the real writer."""
    with TimelineWriter(path, made.header) as writer:
        if made.plan is not None:
            writer.plan(made.plan)
        writer.checks(made.checks)
        for report in made.reports:
            writer.second(report)
        for progress in made.progress:
            writer.progress(progress)
        for health in made.health:
            writer.health(health)
        for sample in made.target:
            writer.target(sample)
        for annotation in made.annotations:
            writer.annotation(annotation)
        for fault in made.faults:
            writer.fault_began(fault)
        for fault in made.faults:
            if fault.healed_s is not None:
                writer.fault_healed(fault.id, fault.healed_s)
        if made.end is not None:
            writer.end(made.end)
    return path
