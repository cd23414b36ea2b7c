"""What every process of a run must know, as the master hands it out.

It travels with Locust's own spawn message: an attribute of the parsed options, so that a worker
has it before its first user starts. This module must not decide anything.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from locustfiles.harness.target.target import Node, with_role
from shapes.profile import Phase

ATTRIBUTE = "foundation_plan"
"""Name of the plan among the parsed options; Locust sends every one of them to its workers."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """`origin_us` is second 0 of the profile, in microseconds since the epoch.

    `phases` are those of the scaled load, `time_scale` and `load_scale` what it was scaled by: a
    worker plans arrivals from its own locustfile with the master's scales. `allow_target` are hosts
    beyond this machine and private networks that may be loaded. An `ad_hoc` run has no
    profile: second 0 is its start.
    """

    run_id: str
    origin_us: int
    seed: int
    nodes: tuple[Node, ...]
    phases: tuple[Phase, ...] = ()
    ad_hoc: bool = False
    time_scale: float = 1.0
    load_scale: float = 1.0
    allow_target: tuple[str, ...] = ()

    def publish(self, options: argparse.Namespace) -> None:
        """Put the plan where Locust's spawn message takes it along."""
        setattr(options, ATTRIBUTE, asdict(self))

    @classmethod
    def of(cls, options: argparse.Namespace) -> RunPlan:
        """The published plan. Raises LookupError before the master has published one."""
        wire: dict[str, Any] | None = getattr(options, ATTRIBUTE, None)
        if wire is None:
            raise LookupError("no run plan: the harness is strapped in after the users started")
        nodes = tuple(Node(n["name"], n["url"], tuple(n["roles"])) for n in wire["nodes"])
        phases = tuple(Phase(p["name"], p["start_s"], p["end_s"]) for p in wire["phases"])
        allowed = tuple(wire["allow_target"])
        facts = {**wire, "nodes": nodes, "phases": phases, "allow_target": allowed}
        return cls(**facts)

    def urls_with_role(self, role: str) -> tuple[str, ...]:
        """The nodes that users with this target role load."""
        return tuple(node.url for node in with_role(self.nodes, role))

    def phase_at(self, elapsed_s: float) -> str | None:
        """Name of the phase in which that moment is; None outside of all of them."""
        for phase in self.phases:
            if phase.start_s <= elapsed_s < phase.end_s:
                return phase.name
        return None
