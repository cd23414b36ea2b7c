"""A run in which nearly everything happens, made by the real parts: what the report must show.

Five minutes of P1's shape: a node is killed in the burst, another stands still in the peak, both
are noted as faults, and of the writes some are lost. Times and numbers come from one seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from results.audit.audit import Audit, Fate, Place
from results.bundle.junit import junit
from results.check import achieved, error_rate, latency
from results.manifest import manifest
from results.replay import judge_timeline
from results.run_folder import RunFolder, create_run
from results.sample import Outcome, Sample
from results.timeline import (
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
from results.verdict import Judgement, as_document
from tests.unit.results.builder import reports, write

NODES = tuple(f"http://127.0.0.1:{port}" for port in (8001, 8002, 8003))
ENDPOINTS = ("POST /v1/saas/actions/{action}", "GET /v1/jobs/{id}", "POST /v1/events/batch")
CYCLE_S = 4.0
STEADY, BURST, PEAK = 100, 400, 240
PHASES = (
    PlannedPhase("steady", 0, 60),
    PlannedPhase("burst", 60, 130),
    PlannedPhase("peak", 130, 240),
    PlannedPhase("steady", 240, 300),
)
KILL = Fault("kill-1", "kill", "node-2", 80.0, 95.0)
PAUSE = Fault("pause-1", "pause", "node-3", 170.0, 185.0)
STARTED = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def users_at(second: int) -> int:
    load = {"steady": STEADY, "burst": BURST, "peak": PEAK}
    return next(load[p.name] for p in PHASES if p.start_s <= second < p.end_s)


def stormy_timeline(run_id: str = "20260131T120000Z-p1_saas-4f2a", *, seed: int = 7) -> Timeline:
    users = tuple(users_at(second) for second in range(300))
    plan = Plan(300.0, PHASES, users, tuple(float(n) for n in users), CYCLE_S)
    made = reports(_samples(random.Random(seed)))
    checks = (
        error_rate(below=0.001),
        latency(quantile=0.99, below_ms=500),
        latency(quantile=0.95, below_ms=400, window="phase:peak"),
        error_rate(below=0.05, window="fault:kill-1"),
        achieved(at_least=0.95, window="phase:*"),
    )
    return Timeline(
        Header(run_id, "p1_saas", round(STARTED.timestamp() * 1e6)),
        plan,
        tuple(check.as_dict() for check in checks),
        made,
        progress=tuple(Progress(float(s), users_at(s), users_at(s)) for s in range(300)),
        health=tuple(_health(s) for s in range(300)),
        annotations=(
            Annotation(140.0, "note", "deployed build 42"),
            Annotation(210.5, "worker_joined", "worker-2 joined and has a share of the load"),
        ),
        end=End(302.0, EndReason.COMPLETED, "", {"w1": len(made)}),
        target=tuple(_target(random.Random(seed))),
        faults=(KILL, PAUSE),
    )


def _samples(chance: random.Random) -> Iterator[Sample]:
    for second in range(300):
        for n in range(round(users_at(second) / CYCLE_S)):
            start_us = second * 1_000_000 + round(n * 1e6 / (users_at(second) / CYCLE_S))
            yield _sample(chance, second, start_us)


def _sample(chance: random.Random, second: int, start_us: int) -> Sample:
    emulated_us = 20_000
    took_us = emulated_us + round(chance.lognormvariate(math.log(30_000), 0.5))
    outcome, status = Outcome.OK, 200
    if KILL.began_s <= second < 95 and chance.random() < 0.3:
        outcome, status, took_us, emulated_us = Outcome.REFUSED, 0, 800, 0
    elif 95 <= second < 101 and chance.random() < 0.1:
        outcome, status = Outcome.HTTP_5XX, 503
    elif PAUSE.began_s <= second < 183 and chance.random() < 0.25:
        outcome, status, took_us = Outcome.TIMEOUT, 0, 2_000_000
    elif 183 <= second < 190:
        took_us *= 4
    return Sample(
        chance.choices(ENDPOINTS, (8, 1, 1))[0],
        None,
        start_us,
        start_us + took_us,
        outcome,
        status,
        310,
        emulated_us,
        None,
        chance.choice(NODES),
    )


def _health(second: int) -> Health:
    values = {"lag_p99_ms": 4.0 + second % 7, "cpu_percent": users_at(second) / 8.0}
    return Health(second + 0.5, "w1", {**values, "memory_bytes": 9.1e7, "open_sockets": 400.0})


def _target(chance: random.Random) -> Iterator[TargetSample]:
    for second in range(300):
        for n in range(3):
            gone = n == 1 and 80 <= second < 95
            busy = users_at(second) / 8 + chance.uniform(0, 5)
            stalled = n == 2 and 170 <= second < 190
            values = {
                "up": 1.0,
                "cpu_percent": busy * (0.2 if n == 0 else 0.1 if stalled and second < 185 else 1),
                "memory_bytes": 8.1e7 + second * 1e4,
                "queue_events": float(chance.randrange(60 if stalled else 4)),
                "commit_ms": (9.0 if stalled else 1.8) + chance.uniform(0, 0.4),
            }
            yield TargetSample(second + 0.9, f"node-{n + 1}", {"up": 0.0} if gone else values)


def stormy_audit() -> Audit:
    counts = {Place(node, s): {Fate.PRESENT: 7} for node in NODES for s in range(300)}
    counts[Place(NODES[1], 80)] = {Fate.PRESENT: 3, Fate.LOST: 4, Fate.STORED: 1}
    counts[Place(NODES[2], 171)] = {Fate.PRESENT: 5, Fate.ABSENT: 2, Fate.REDELIVERED: 1}
    examples = {Fate.LOST: [f"019b{n:028x}" for n in range(4)]}
    return Audit(counts, examples)


def stormy_judgement(timeline: Timeline) -> Judgement:
    return judge_timeline(timeline, stormy_audit())


def stormy_run(runs_dir: Path, *, is_killed: bool = False) -> RunFolder:
    """Its folder, without a report. A killed one has neither an end nor a verdict."""
    timeline = stormy_timeline()
    folder = create_run(runs_dir, timeline.header.run_id)
    document = manifest(
        run_id=folder.run_id,
        scenario="p1_saas",
        tier="production",
        started_at=STARTED,
        options={"time_scale": 1.0, "load_scale": 0.2, "nodes": list(NODES), "token": "hidden"},
        seed=1,
        source_dir=runs_dir,
    )
    folder.write_manifest({**document, "users": ["SaasUser", "GatewayUser"]})
    write(folder.timeline, replace(timeline, end=None) if is_killed else timeline)
    if not is_killed:
        judgement = stormy_judgement(timeline)
        folder.write_verdict(as_document(judgement))
        folder.write_junit(junit(judgement, folder.run_id))
    return folder
