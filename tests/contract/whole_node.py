"""A node on which every endpoint can succeed: it has an app node beside it to forward to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.node_process import NodeProcess, running


@contextlib.contextmanager
def whole_node(
    folder: Path, *, command: tuple[str, ...] = ("-m", "service"), **settings: object
) -> Iterator[NodeProcess]:
    """The node, with `settings`; its neighbour in `folder` too. Nothing waits for show."""
    quiet: dict[str, Any] = {"emulated_latency": 0, "log_level": "error"}
    with (
        running(folder / "neighbour", name="neighbour", **quiet) as neighbour,
        running(folder / "node", command=command, **quiet, **settings, peers=neighbour.url) as node,
    ):
        yield node
