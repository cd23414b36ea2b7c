"""A profile per user class: closed ones with a burst, an open one, and users beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from locust import constant, task

from locustfiles.harness import ArrivalUser, Scenario, ScenarioUser, strap_in
from results.check import errors, unsent
from shapes.locust_shape import PhasedShape
from shapes.profile import at, burst, overlay, per_s, steady


class Asking(ScenarioUser):
    """Says in each path who asks, so that the target can count users by class."""

    abstract = True
    wait_time = constant(0.15)

    @task
    def ask(self) -> None:
        kind = type(self).__name__
        self.client.get(f"/{kind}/{os.getpid()}-{self.number}", name=f"/{kind}")


class Browser(Asking):
    pass


class Editor(Asking):
    pass


class Watcher(Asking):
    fixed_count = 2


class Checkout(ArrivalUser):
    max_sessions = 50

    @task
    def buy(self) -> None:
        self.client.get(f"/Checkout/{self.arrival}", name="/Checkout")


class Mixed(PhasedShape):
    profiles: ClassVar = {
        Browser: overlay(steady(3, 7), at(3, burst(6, 2))),
        Editor: steady(4, 5, phase="editing"),
        Checkout: steady(per_s(20), 7, phase="checkout"),
    }


strap_in(
    Scenario(
        id="mixed",
        tier="own",
        users=(Browser, Editor, Watcher, Checkout),
        shape=Mixed,
        checks=(errors(), unsent(at_most=0)),
        source_dir=Path(__file__).parent,
    )
)
