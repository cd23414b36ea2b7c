"""A scenario of several files, for masters and workers that have each their own copy of them.

Environment variables change what a process does about the hello, the barrier and the clock, so that
each guard is seen to bite: HELLO_GRACE_S, READY_TIMEOUT_S (the master's), DEAF_S (a worker that
answers the barrier so much later), UNSHIFTED (a worker that does not correct its times), STUBBORN
(a worker whose way out hangs), PROBE_AFTER_S (a worker that looks for a silent master later).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import gevent
import locust
import pace  # type: ignore[import-not-found]
from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from locustfiles.harness.distribution import barrier, hello, master_loss
from locustfiles.harness.distribution import clock_sync as sync
from results.check import error_rate
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

HERE = Path(__file__).parent
USERS, SECONDS = map(int, (HERE / "load.csv").read_text().splitlines()[1].split(","))


class PairedShape(PhasedShape):
    profile = steady(USERS, float(os.environ.get("SECONDS", SECONDS)), phase="steady")


class PairedUser(FoundationUser):
    wait_time = constant(pace.THINK_S)

    @task
    def ask(self) -> None:
        self.client.get("/health")


def add_options(parser: Any, **_: Any) -> None:
    parser.add_argument("--flavour", default="plain")
    parser.add_argument("--door-key", default="", is_secret=True)


if "HELLO_GRACE_S" in os.environ:
    hello.HELLO_GRACE_S = float(os.environ["HELLO_GRACE_S"])
if "READY_TIMEOUT_S" in os.environ:
    barrier.READY_TIMEOUT_S = float(os.environ["READY_TIMEOUT_S"])
if "PROBE_AFTER_S" in os.environ:
    master_loss.PROBE_AFTER_S = float(os.environ["PROBE_AFTER_S"])
if "UNSHIFTED" in os.environ:
    sync.shift = lambda offset_us: None  # type: ignore[attr-defined]
if "DEAF_S" in os.environ:
    make_ready = barrier.make_ready

    def make_ready_late(clock: Any) -> bool:
        gevent.sleep(float(os.environ["DEAF_S"]))
        return make_ready(clock)

    # The hello has its own name for it, and is not delayed.
    barrier.make_ready = make_ready_late

EVENTS: Any = locust.events
if "STUBBORN" in os.environ:

    def hang(**_: Any) -> None:
        print("its way out hangs", file=sys.stderr, flush=True)
        gevent.sleep(60)

    EVENTS.test_stopping.add_listener(hang)
EVENTS.init_command_line_parser.add_listener(add_options)
strap_in(
    Scenario(
        id="paired",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(PairedUser,),
        shape=PairedShape,
        mean_cycle_s=0.11,
        checks=(error_rate(below=0.001),),
        source_dir=HERE,
        stop_timeout_s=1.0,
    )
)
