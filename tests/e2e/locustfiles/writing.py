"""Users that store events, some of which ask the lying target for its lie; written for the tests.

The first phase asks for the truth, the second for lies. With WRITING_FAULT=1 there is a fault
within the second, and only its writes ask for them.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import constant, task

from locustfiles.harness import (
    Cluster,
    FoundationUser,
    Scenario,
    fault_began,
    fault_healed,
    strap_in,
)
from locustfiles.harness.load_side import LoadSide
from results.check import Check, latency, of_writes
from shapes.compose import sequence
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

FAULT = os.environ.get("WRITING_FAULT") == "1"

TRUE_S = 2.0
"""Length of the first phase; lies begin a little later, so that they end in the second."""

BEGINS_S, LIES_S, HEALS_S = 2.0, 3.0, 3.6
"""Of the fault, and the end of its lies: a window holds whole seconds, by their midpoints."""


class WritingShape(PhasedShape):
    profile = sequence(steady(4, TRUE_S, phase="true"), steady(4, 2, phase="false"))


class Fault:
    """Shared by the users of the one process."""

    began_s: float | None = None
    is_healed = False


class Writer(FoundationUser):
    wait_time = constant(0.05)

    @task
    def write(self) -> None:
        t_s = LoadSide.of(self.environment).elapsed_s()
        self.foundation.append("written", {"lie": self.lies(t_s)})

    def lies(self, t_s: float) -> bool:
        if not FAULT:
            return t_s > TRUE_S + 0.2
        if t_s >= BEGINS_S and Fault.began_s is None:
            Fault.began_s = t_s
            fault_began("liar", kind="lie", node=self.nodes[0])
        if t_s >= HEALS_S and not Fault.is_healed:
            Fault.is_healed = True
            fault_healed("liar")
        began_s = Fault.began_s
        return began_s is not None and began_s < int(t_s) + 0.5 and t_s < LIES_S


def slowest(window: str) -> Check:
    return latency(quantile=1.0, below_ms=1_000, window=window)


OF_PHASES = (slowest("phase:true"), slowest("phase:false"))
OF_FAULTS = tuple(of_writes("lost", window=one) for one in ("run", "baseline", "fault:liar"))

strap_in(
    Scenario(
        id="writing",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(Writer,),
        shape=WritingShape,
        source_dir=Path(__file__).parent,
        checks=OF_FAULTS if FAULT else OF_PHASES,
    )
)
