"""Three users beside a plan that goes up, down and to nobody at all.

Every user counts its beginning, its requests and its end as figures, so that the timeline tells
which of them ran when. The environment variable BESIDE seeds one mistake, or an option of the
locustfile's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import locust
from locust import constant, task
from locust.argument_parser import LocustArgumentParser

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import achieved, error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import burst, sequence, steady

BESIDE = os.environ.get("BESIDE", "")


def add_own_option(parser: LocustArgumentParser) -> None:
    parser.add_argument("--own-number", type=int, default=3)


if BESIDE == "own_option":
    EVENTS: Any = locust.events
    EVENTS.init_command_line_parser.add_listener(add_own_option)


class CountedUser(FoundationUser):
    abstract = True
    wait_time = constant(0.1)
    kind = ""

    def on_start(self) -> None:
        super().on_start()
        self.observe(f"{self.kind} began")

    @task
    def ask(self) -> None:
        self.client.get("/health")
        self.observe(f"{self.kind} in {self.phase}", self.number)

    def on_stop(self) -> None:
        self.observe(f"{self.kind} ended")


class PlannedUser(CountedUser):
    kind = "planned"
    fixed_count = 2 if BESIDE == "only_fixed" else 0


class BesideUser(CountedUser):
    kind = "beside"
    fixed_count = 3


class BesideShape(PhasedShape):
    """2, 5, 1 and 0 users, all of them times the load scale."""

    profile = sequence(
        steady(2, 1, phase="first"),
        burst(5, 2),
        steady(1, 1, phase="low"),
        steady(0, 1, phase="alone"),
    )


strap_in(
    Scenario(
        id="beside",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(PlannedUser, BesideUser),
        shape=BesideShape,
        checks=(
            error_rate(below=0.001),
            *([achieved(at_least=0.5)] if BESIDE == "no_cycle" else []),
        ),
        source_dir=Path(__file__).parent,
        stop_timeout_s=1.0,
    )
)
