"""Visitors of a page, and one check that may end the run, which ABORTING_CHECK is.

ABORTING says who visits: users of a plan of 30 seconds, arrivals of such a plan, or the users of an
existing locustfile, who follow none. VISITED is the page.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import FastHttpUser, constant, task

from locustfiles.harness import ArrivalUser, Scenario, ScenarioUser, judge, strap_in
from results.check import achieved
from results.grammar import check
from shapes.locust_shape import PhasedShape
from shapes.profile import per_s, sequence, steady

KIND = os.environ.get("ABORTING", "users")
PAGE = os.environ.get("VISITED", "/")
LENGTH_S = float(os.environ.get("ABORTING_S", "30"))
CHECK = check(os.environ.get("ABORTING_CHECK", "errors < 20%, abort after 2s"))


class Visitor(ScenarioUser):
    abstract = KIND != "users"
    timeout_s = 5.0
    wait_time = constant(0.1)

    @task
    def visit(self) -> None:
        self.client.get(PAGE)


class Arriving(ArrivalUser):
    abstract = KIND != "arrivals"
    timeout_s = 5.0

    @task
    def visit(self) -> None:
        self.client.get(PAGE)


class Existing(FastHttpUser):
    abstract = KIND != "existing"
    wait_time = constant(0.1)

    @task
    def visit(self) -> None:
        self.client.get(PAGE)


if KIND == "existing":
    judge(checks=[CHECK])
else:

    class Shape(PhasedShape):
        profiles = (
            {Visitor: sequence(steady(4, LENGTH_S), steady(6, LENGTH_S, phase="later"))}
            if KIND == "users"
            else {Arriving: steady(per_s(40), LENGTH_S)}
        )

    strap_in(
        Scenario(
            id="aborting",
            tier="own",
            users=(Visitor,) if KIND == "users" else (Arriving,),
            shape=Shape,
            checks=(CHECK, *([achieved(at_least=0.5)] if KIND == "arrivals" else [])),
            source_dir=Path(__file__).parent,
            stop_timeout_s=3.0,
        )
    )
