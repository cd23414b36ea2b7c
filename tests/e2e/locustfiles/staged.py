"""Users that ask five times a second and say who they are, for a target that counts them.

The environment variable STAGED chooses the plan.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import constant_pacing, task

from locustfiles.harness import Scenario, ScenarioUser, strap_in
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import at, burst, overlay, ramp, sequence, steady

PLANS = {
    "stages": sequence(
        steady(10, 5, phase="first"), steady(24, 5, phase="second"), steady(6, 6, phase="third")
    ),
    # The ramp goes on through all stages, and no stage is as long as it.
    "ramp": overlay(ramp(2, 34, 16, phase="ramp"), at(5, burst(6, 5, phase="second"))),
    "steady": steady(20, float(os.environ.get("STAGED_S", "16"))),
}


STAGED = os.environ.get("STAGED", "steady")
if STAGED != "none":

    class Shape(PhasedShape):
        profile = PLANS[STAGED]


class Asking(ScenarioUser):
    wait_time = constant_pacing(0.2)
    timeout_s = 2.0
    weight = 3

    @task
    def ask(self) -> None:
        self.client.get(f"/{os.getpid()}/{type(self).__name__}/{self.number}", name="GET /")


class Browsing(Asking):
    weight = 1


class Watching(Asking):
    """Beside the plan, on one of the workers."""

    fixed_count = 1


strap_in(
    Scenario(
        id="staged",
        tier="own",
        users=(Asking, Browsing, Watching),
        shape=None if STAGED == "none" else Shape,
        checks=(error_rate(below=0.01),),
        source_dir=Path(__file__).parent,
        stop_timeout_s=2.0,
    )
)
