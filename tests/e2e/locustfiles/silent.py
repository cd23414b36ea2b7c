"""A scenario whose users never send anything: its run must be INCONCLUSIVE."""

from __future__ import annotations

from pathlib import Path

from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import steady


class SilentShape(PhasedShape):
    profile = steady(2, 2, phase="steady")


class SilentUser(FoundationUser):
    wait_time = constant(0.1)

    @task
    def think(self) -> None:
        """Sends nothing."""


strap_in(
    Scenario(
        id="silent",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(SilentUser,),
        shape=SilentShape,
        mean_cycle_s=0.1,
        checks=(error_rate(below=0.001),),
        source_dir=Path(__file__).parent,
    )
)
