"""A scenario that is fit by itself, and one thing wrong that the environment variable UNFIT names.

Each user computes 2 ms a task, so that 200 of them need two fifths of a core: harmless alone, out
of reach beside others that take the core. `slow_master` blocks the master's loop for
0.6 s again and again, `leaking` opens files until 97 % of the descriptors are in use, `held_back`
keeps the reports of one worker back for 6.5 s.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Any

import gevent
import locust
from gevent import monkey
from locust import constant_pacing, task
from locust.runners import MasterRunner, WorkerRunner

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import sequence, steady

UNFIT = os.environ.get("UNFIT", "")
USERS = int(os.environ.get("UNFIT_USERS", "10"))
SECONDS = float(os.environ.get("UNFIT_SECONDS", "2"))
PACE_S = float(os.environ.get("UNFIT_PACE_S", "1"))
COMPUTE_S = 0.002

LEFT_OPEN: list[int] = []
"""Descriptors that nobody closes."""


class UnfitShape(PhasedShape):
    profile = sequence(
        steady(USERS, 1, phase="before"),
        steady(USERS, SECONDS, phase="middle"),
        steady(USERS, 1, phase="after"),
    )


class ComputingUser(FoundationUser):
    wait_time = constant_pacing(PACE_S)

    @task
    def ask(self) -> None:
        self.client.get("/health")
        until_s = time.thread_time() + COMPUTE_S
        while time.thread_time() < until_s:
            pass


def block_again_and_again() -> None:
    """Gevent's own sleep would let the loop run."""
    really_sleep = monkey.get_original("time", "sleep")
    for _ in range(7):
        really_sleep(0.6)
        gevent.sleep(0.05)


def leak() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    while len(os.listdir("/proc/self/fd")) - 1 < 0.97 * limit:
        LEFT_OPEN.append(os.open(os.devnull, os.O_RDONLY))
    gevent.sleep(1.5)
    while LEFT_OPEN:
        os.close(LEFT_OPEN.pop())


def hold_back(runner: WorkerRunner) -> None:
    """Its reports pile up and come together; whatever else it says comes at once."""
    send, held = runner.send_message, []
    until_s = time.monotonic() + 6.5

    def send_late(
        msg_type: str, data: dict[str, Any] | None = None, client_id: str | None = None
    ) -> None:
        if msg_type == "foundation_report" and time.monotonic() < until_s:
            held.append(data)
            return
        while held and time.monotonic() >= until_s:
            send("foundation_report", held.pop(0))
        send(msg_type, data, client_id)

    runner.send_message = send_late  # type: ignore[method-assign]


def on_test_start(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if UNFIT == "slow_master" and isinstance(runner, MasterRunner):
        gevent.spawn_later(1.0, block_again_and_again)
    if UNFIT == "held_back" and isinstance(runner, WorkerRunner) and runner.worker_index == 0:
        gevent.spawn_later(1.0, hold_back, runner)
    if UNFIT == "leaking" and not isinstance(runner, WorkerRunner):
        gevent.spawn_later(1.0, leak)


EVENTS: Any = locust.events
EVENTS.test_start.add_listener(on_test_start)
strap_in(
    Scenario(
        id="unfit",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(ComputingUser,),
        shape=UnfitShape,
        mean_cycle_s=PACE_S,
        checks=(error_rate(below=0.001),),
        source_dir=Path(__file__).parent,
        stop_timeout_s=5.0,
    )
)
