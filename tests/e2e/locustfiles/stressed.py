"""Stress: 2, 6, 60 and 120 users, until answers get slow.

Half of the answers within 120 ms: six users of a target that does four things at once wait 30 ms,
sixty 300 ms. The environment variable ODD gives the shape a check that cannot be held against it.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import EACH_PHASE, errors, figure, latency, requests
from shapes.locust_shape import PhasedShape
from shapes.profile import sequence, steady

ODD = {
    "": latency(quantile=0.5, below_ms=120),
    "count": requests(above=1),
    "window": latency(quantile=0.5, below_ms=120, window="phase:stress 1"),
}


class UntilSlow(PhasedShape):
    until = ODD[os.environ.get("ODD", "")]
    profile = sequence(
        *(steady(users, 4, phase=f"stress {n + 1}") for n, users in enumerate((2, 6, 60, 120)))
    )


class Impatient(FoundationUser):
    wait_time = constant(0)

    @task
    def work(self) -> None:
        self.client.get("/work")


strap_in(
    Scenario(
        id="stressed",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(Impatient,),
        shape=UntilSlow,
        checks=(
            figure("capacity", "most", at_least=6),
            errors(),
            errors(window=EACH_PHASE),
        ),
        source_dir=Path(__file__).parent,
        stop_timeout_s=3.0,
    )
)
