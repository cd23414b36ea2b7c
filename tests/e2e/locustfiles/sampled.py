"""Writers on one of two nodes: few at first, many later. The other node has nothing to do."""

from __future__ import annotations

from pathlib import Path

from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import burst, sequence, steady


class SampledShape(PhasedShape):
    profile = sequence(steady(1, 4, phase="quiet"), burst(30, 4))


class Writer(FoundationUser):
    wait_time = constant(0.05)

    @task
    def write(self) -> None:
        self.foundation.append("sampled", {"number": self.number, "text": "x" * 500})


strap_in(
    Scenario(
        id="sampled",
        tier="foundation",
        cluster=Cluster(roles=(("app",), ("idle",))),
        users=(Writer,),
        shape=SampledShape,
        checks=(error_rate(below=0.001),),
        source_dir=Path(__file__).parent,
        stop_timeout_s=1.0,
    )
)
