"""A scenario with a bug of its own: one of its two users raises before it states what it expects.

RAISING=task raises in a task, RAISING=none does not.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import errors, figure
from shapes.locust_shape import PhasedShape
from shapes.profile import steady


class RaisingShape(PhasedShape):
    profile = steady(4, 3, phase="steady")


class SoundUser(FoundationUser):
    wait_time = constant(0.1)

    @task
    def ask(self) -> None:
        self.expect(self.foundation.health() is not None, "the node says how it is")


class RaisingUser(FoundationUser):
    wait_time = constant(0.1)

    @task
    def ask(self) -> None:
        health = self.foundation.health()
        if os.environ.get("RAISING") == "task":
            health.mistyped  # type: ignore[union-attr]  # noqa: B018
        self.expect(health is not None, "the node says how it is")


strap_in(
    Scenario(
        id="raising",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(SoundUser, RaisingUser),
        shape=RaisingShape,
        checks=(errors(at_most=0), figure("unmet", "sum", at_most=0)),
        source_dir=Path(__file__).parent,
        stop_timeout_s=1.0,
    )
)
