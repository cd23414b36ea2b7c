"""What a node is to the supervisor: a name, an address, two paths, its settings, and a program.

The supervisor knows no more of the service than the `Program` port, so that tests can supervise
something simpler. This module must not import the service and does no I/O.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Option = str | int | float | bool | list[str]
"""The value of one node setting, as JSON carries it."""

NODE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Names become file names and DNS labels: nothing in them can leave the folder."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Everything that a forked child needs to become the node; it travels as one JSON message.

    `port` is reserved by the supervisor, `options` are settings beyond those named here.
    """

    name: str
    roles: tuple[str, ...]
    port: int
    data_dir: str
    log_path: str
    options: Mapping[str, Option]

    def as_fields(self) -> dict[str, Any]:
        """What JSON takes; `of` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> NodeSpec:
        """From what `as_fields` gave, after a journey as JSON."""
        return cls(**{**fields, "roles": tuple(fields["roles"])})


class Program(Protocol):
    """What the zygote runs in a forked child."""

    def check(self, spec: NodeSpec) -> None:
        """Raises InvalidNode when the node could not start with these settings.

        It may read files that they name, and leaves nothing open.
        """

    def run(self, spec: NodeSpec, ready: Callable[[str], None]) -> int:
        """Serves until SIGTERM and returns the exit code; calls `ready(url)` once it serves."""
