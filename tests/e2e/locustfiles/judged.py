"""An existing locustfile that is judged, with one thing particular, which JUDGED names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, events, task

from locustfiles.harness import Scenario, ScenarioUser, judge, strap_in
from results.check import error_rate, errors
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

JUDGED = os.environ.get("JUDGED", "")
CHECKS: dict[str, Any] = {
    "phases": [error_rate(below=0.9, window="phase:*")],
    "no_checks": [],
}


class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def visit(self) -> None:
        self.client.get(os.environ.get("VISITED", "/"))


if JUDGED == "planned_shape":

    class Planned(PhasedShape):
        profile = steady(1, 1)


if JUDGED == "exit_code":

    @events.quitting.add_listener  # type: ignore[untyped-decorator]
    def decide(environment: Any, **_: Any) -> None:
        environment.process_exit_code = 77


if JUDGED == "own_options":

    @events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
    def add(parser: Any) -> None:
        parser.add_argument("--seed", default="of the file", help="Theirs.")
        parser.add_argument("--scale", dest="time_scale", type=int, default=5)

    @events.test_start.add_listener  # type: ignore[untyped-decorator]
    def say(environment: Any, **_: Any) -> None:
        options = environment.parsed_options
        print(f"theirs: {options.seed!r} {options.time_scale!r}", flush=True)


if JUDGED == "strapped":

    class Guest(ScenarioUser):
        @task
        def visit(self) -> None:
            self.client.get("/")

    strap_in(
        Scenario(
            id="other",
            tier="own",
            users=(Guest,),
            shape=None,
            checks=(errors(),),
            source_dir=Path(__file__).parent,
        )
    )

if JUDGED == "twice":
    judge(checks=[errors()], id="first")
judge(checks=CHECKS.get(JUDGED, [errors()]))
