"""A small scenario with one thing wrong, which the environment variable ODD names.

Users ask for health with `FoundationClient`; what is odd is done to Locust or to the files around
the harness, so that the harness itself is the real one.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import locust
from locust import User, constant, task
from locust.runners import MasterRunner, WorkerRunner

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from locustfiles.harness.load_side import LoadSide
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

ODD = os.environ.get("ODD", "")


class OddShape(PhasedShape):
    profile = steady(4, 40 * 86_400 if ODD == "long_plan" else 3, phase="steady")


class OddUser(FoundationUser):
    wait_time = constant(0.1)

    @task
    def ask(self) -> None:
        self.client.get("/health")


if ODD == "undeclared_user":

    class StrayUser(User):
        @task
        def idle(self) -> None:
            gevent.sleep(1)


CHECK = error_rate(below=0.001)
CHECKS = {
    "unknown_window": (replace(CHECK, window="phase:burst"),),
    "duplicate_checks": (CHECK, CHECK),
}


def silence(runner: WorkerRunner) -> None:
    """This worker never says that it is done."""
    send = runner.send_message

    def send_but_finished(
        msg_type: str, data: dict[str, Any] | None = None, client_id: str | None = None
    ) -> None:
        if msg_type != "foundation_finished":
            send(msg_type, data, client_id)

    runner.send_message = send_but_finished  # type: ignore[method-assign]


def fill_the_disk() -> None:
    """From now on every write to the timeline finds no space."""
    for descriptor in Path("/proc/self/fd").iterdir():
        if os.path.realpath(descriptor).endswith("timeline.jsonl"):
            os.dup2(os.open("/dev/full", os.O_WRONLY), int(descriptor.name))
            print("the disk is full")


def break_shipping() -> None:
    def fail(self: LoadSide) -> None:
        raise RuntimeError("seeded: shipping dies")

    LoadSide._ship_health = fail  # type: ignore[method-assign]


def send_stale_messages(runner: WorkerRunner) -> None:
    """As a run of before would, whose messages come late."""
    values = {"workers_lost": 7}
    report = {"t_s": 0.0, "source": "ghost", "values": values}
    runner.send_message(
        "foundation_report", {"run_id": "before", "kind": "health", "report": report}
    )
    said = {"source": "ghost", "sent": 99, "writes": 0, "failures": 3}
    runner.send_message("foundation_finished", {"run_id": "before", **said})


def on_init(environment: Any, runner: Any, **_: Any) -> None:
    worker = isinstance(runner, WorkerRunner)
    if ODD == "silent_worker" and worker and runner.worker_index == 0:
        silence(runner)


def on_test_start(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if ODD == "full_disk" and not isinstance(runner, WorkerRunner):
        gevent.spawn_later(2.0, fill_the_disk)
    if ODD == "stale_messages" and isinstance(runner, WorkerRunner):
        send_stale_messages(runner)


def on_quitting(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, MasterRunner):
        print(f"began_us={environment.shape_class.began_wall_us}", file=sys.stderr)


if ODD == "broken_shipping":
    break_shipping()

EVENTS: Any = locust.events
EVENTS.test_start.add_listener(on_test_start)
EVENTS.quitting.add_listener(on_quitting)
strap_in(
    Scenario(
        id="odd",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(OddUser,),
        shape=PhasedShape if ODD == "undeclared_shape" else OddShape,
        mean_cycle_s=0.11,
        checks=CHECKS.get(ODD, (CHECK,)),
        source_dir=Path(__file__).parent,
        stop_timeout_s=1.0,
    )
)
EVENTS.init.add_listener(on_init)
