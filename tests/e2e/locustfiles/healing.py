"""Users that store events while a fault goes on, which heals when their load has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
from locust import constant, events, task
from locust.runners import MasterRunner, Runner

from locustfiles.harness import (
    Cluster,
    FoundationUser,
    Scenario,
    fault_began,
    fault_healed,
    strap_in,
)
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

BEGINS_S, FOR_S = 1.0, 4.0


class HealingShape(PhasedShape):
    profile = steady(4, 3)


class Writer(FoundationUser):
    wait_time = constant(0.05)

    @task
    def write(self) -> None:
        self.foundation.append("written", {"n": 1})


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: object) -> None:
    runner: Runner = environment.runner
    if not isinstance(runner, MasterRunner) and getattr(runner, "worker_index", 0) == 0:
        gevent.spawn_later(BEGINS_S, last)


def last() -> None:
    fault_began("long-1", kind="long")
    gevent.sleep(FOR_S)
    fault_healed("long-1")


strap_in(
    Scenario(
        id="healing",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(Writer,),
        shape=HealingShape,
        checks=(error_rate(below=0.5),),
        source_dir=Path(__file__).parent,
        mean_cycle_s=0.1,
    )
)
