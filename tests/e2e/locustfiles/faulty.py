"""Users of a target that this locustfile freezes for two seconds, telling the run of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import gevent
from locust import constant, events, task
from locust.runners import MasterRunner, Runner

from locustfiles.harness import Scenario, ScenarioUser, fault_began, fault_healed, note, strap_in
from results.check import error_rate, latency, of_faults
from results.measure import Measure
from shapes.locust_shape import PhasedShape
from shapes.profile import sequence, steady

TARGET, PID = os.environ["TARGET"], int(os.environ["TARGET_PID"])
AT_S, FOR_S = 3.0, 2.0


class Visitor(ScenarioUser):
    host = TARGET
    wait_time = constant(0.1)

    @task
    def visit(self) -> None:
        self.client.get("/a/page?token=s3cret")


class FaultyShape(PhasedShape):
    profile = sequence(steady(10, 4, phase="first"), steady(10, 6, phase="second"))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def freeze_soon(environment: Any, **_: object) -> None:
    runner: Runner = environment.runner
    if not isinstance(runner, MasterRunner) and getattr(runner, "worker_index", 0) == 0:
        gevent.spawn_later(AT_S, freeze)


def freeze() -> None:
    note("freezing http://u:s3cret@host")
    fault_began("freeze-1", kind="freeze", node=TARGET)
    os.kill(PID, signal.SIGSTOP)
    gevent.sleep(FOR_S)
    os.kill(PID, signal.SIGCONT)
    fault_healed("freeze-1")


strap_in(
    Scenario(
        id="faulty",
        tier="own",
        users=(Visitor,),
        shape=FaultyShape,
        checks=(
            error_rate(below=0.5),
            latency(quantile=0.5, below_ms=500, window="baseline"),
            latency(quantile=1.0, below_ms=500, window="fault:freeze"),
            of_faults(Measure.RECOVERY, below_s=4),
        ),
        source_dir=Path(__file__).parent,
        mean_cycle_s=0.1,
    )
)
