"""What a locustfile declares: its id, the nodes it needs, who loads them, how, and when it passes.

A `Scenario` is data. `strap_in` (strap.py) turns it into Locust listeners. This module must not
know how a run is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from locust import User

from results.auditor import Auditor
from results.check import Check
from results.text.slo import Slo
from shapes.locust_shape import PhasedShape

Tier = Literal["foundation", "integration", "production", "extreme", "own"]
"""What a scenario asks for (A-2): one machine, 2 or 3 nodes, 5 nodes and more, several sites; or a
service of the user's own, wherever it runs."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The embedded cluster that a scenario runs on: one entry of roles per node.

    With another `--cluster-size`, roles are cut or the last entry is repeated.
    """

    roles: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        return len(self.roles)

    def of_size(self, size: int) -> tuple[tuple[str, ...], ...]:
        """One entry of roles for each of `size` nodes."""
        return tuple(self.roles[min(index, self.size - 1)] for index in range(size))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One locustfile's declaration.

    The shape's profile plans the users of all classes but those with Locust's `fixed_count`: they
    run beside it from its first second to its last, never scaled (D12).

    `mean_cycle_s` is the mean time of a planned user's cycle (processing and thinking) when the
    target adds nothing: what *achieved* is counted against. None: the scenario has no such cycle,
    and may not check *achieved*. `endpoint` is the pattern of the endpoints that planned users
    load (`POST /v1/saas/*`), which *achieved* counts; None: all.

    `cluster` None: the users load a service of their own, named by `--host` or their class; no node
    is started and none of Foundation's endpoints is asked for. `shape` None: how many users run is
    up to Locust's own options, and there is no plan to hold the run to. Without a shape `users` may
    be empty: those that Locust finds, of a locustfile that was written without the suite.

    `auditor` looks up the writes that users declare (docs/ledger.md); None: Foundation's own where
    its nodes are loaded, and else nobody does.

    `slo` is the file that `--slo` named, whose checks are among `checks`.

    `connections_per_user` bounds the sockets that one user holds. `stop_timeout_s` lets requests in
    flight end when users are removed. `source_dir` is the locustfile's folder: the manifest names
    its git revision.
    """

    id: str
    tier: Tier
    users: tuple[type[User], ...]
    shape: type[PhasedShape] | None
    checks: tuple[Check, ...]
    source_dir: Path
    cluster: Cluster | None = None
    mean_cycle_s: float | None = None
    endpoint: str | None = None
    connections_per_user: int = 1
    stop_timeout_s: float = 10.0
    auditor: Auditor | None = None
    slo: Slo | None = None

    @property
    def is_existing(self) -> bool:
        """Whether users and clients are somebody else's, and taken as they are."""
        return self.shape is None and not self.users

    def place(self, check: Check, part: str = "") -> str:
        """Where a check is declared, for an error: the line of the file of `--slo`, or the id."""
        found = None if self.slo is None else self.slo.place(check, part)
        return found or self.id
