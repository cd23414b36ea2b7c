"""What every process of a run must know, as the master hands it out.

It travels with Locust's own spawn message: an attribute of the parsed options, so that a worker
has it before its first user starts. This module must not decide anything.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from locustfiles.harness.target import Node, with_role

ATTRIBUTE = "foundation_plan"
"""Name of the plan among the parsed options; Locust sends every one of them to its workers."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """`origin_us` is second 0 of the profile, in microseconds since the epoch."""

    run_id: str
    origin_us: int
    seed: int
    nodes: tuple[Node, ...]

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
        return cls(wire["run_id"], wire["origin_us"], wire["seed"], nodes)

    def urls_with_role(self, role: str) -> tuple[str, ...]:
        """The nodes that users with this target role load."""
        return tuple(node.url for node in with_role(self.nodes, role))
