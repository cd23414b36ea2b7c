"""Stress of arrivals: 40, 100 and 500 a second on a target that answers 200, until it is slow."""

from __future__ import annotations

from pathlib import Path

from locust import task

from locustfiles.harness import Cluster, Scenario, strap_in
from locustfiles.harness.arrivals.arrival_user import FoundationArrivalUser
from results.check import figure, latency
from shapes.locust_shape import PhasedShape
from shapes.profile import per_s, sequence, steady


class UntilSlow(PhasedShape):
    until = latency(quantile=0.5, below_ms=150)
    profile = sequence(
        *(steady(per_s(rate), 7, phase=f"stress {n + 1}") for n, rate in enumerate((40, 100, 500)))
    )


class Arriving(FoundationArrivalUser):
    max_sessions = 300

    @task
    def work(self) -> None:
        self.client.get("/work")


strap_in(
    Scenario(
        id="stressed_open",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(Arriving,),
        shape=UntilSlow,
        checks=(figure("capacity", "most", at_least=100),),
        source_dir=Path(__file__).parent,
        stop_timeout_s=5.0,
    )
)
