"""The locustfile of the arrivals benchmark: 3,000 arrivals a second, one request each.

BENCH_ARRIVALS_S says for how long. Recorder, health and verdict are those of any run.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import task

from locustfiles.harness import ArrivalUser, Scenario, strap_in
from results.check import error_rate, unsent
from shapes.locust_shape import PhasedShape
from shapes.profile import per_s, steady

RATE = 3_000


class Visitor(ArrivalUser):
    max_sessions = 500
    min_sessions = 50

    @task
    def visit(self) -> None:
        self.client.get("/")


class Shape(PhasedShape):
    profile = steady(per_s(RATE), float(os.environ["BENCH_ARRIVALS_S"]))


strap_in(
    Scenario(
        id="bench_arrivals",
        tier="own",
        users=(Visitor,),
        shape=Shape,
        checks=(error_rate(below=0.001), unsent(at_most=0)),
        source_dir=Path(__file__).parent,
    )
)
