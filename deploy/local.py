"""The embedded cluster: Foundation nodes on this machine, for as long as a `with` block lasts.

    with LocalCluster.start(size=3, roles=("gateway", "app", "jobs")) as cluster:
        cluster.kill("node-2")
        cluster.restart("node-2")

A client of a supervisor process (chaos.supervisor), which owns the nodes and ends them when this
process ends, even by SIGKILL. Works under gevent and without it; it must not reach asyncio, the
database, FastAPI or the service. Start it in one process only: Locust's `--processes` forks, and
a fork that inherited a cluster cannot end it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from deploy.client import NodeInfo, SupervisorClient
from deploy.errors import ClusterError
from deploy.launch import COMMAND, SupervisorProcess, launch

__all__ = ["ClusterError", "LocalCluster", "NodeInfo"]

START_TIMEOUT_S = 30.0
"""X-2: all nodes within 30 s, or none."""

_LEAST_TIMEOUT_S = 0.1
"""A start needs some time to fail in, when the supervisor has used it up."""

DEFAULT_ROLES = ("app",)


class LocalCluster:
    """A running cluster. Make one with `start`, end it with `stop` or by leaving the block.

    Every command raises ClusterError with the supervisor's code, for instance `unknown_node`,
    `wrong_state`, or `supervisor_gone`.
    """

    def __init__(self, supervisor: SupervisorProcess, nodes: tuple[NodeInfo, ...]) -> None:
        self._supervisor = supervisor
        self._nodes = {node.name: node for node in nodes}
        self._stopped = False

    @classmethod
    def start(
        cls,
        *,
        size: int = 5,
        roles: Sequence[str | Sequence[str]] = (),
        log_dir: Path | str | None = None,
        data_dir: Path | str | None = None,
        emulated_latency: float | None = None,
        settings: Mapping[str, Any] | None = None,
        first_port: int | None = None,
        timeout_s: float = START_TIMEOUT_S,
        command: Sequence[str] = COMMAND,
    ) -> Self:
        """Starts `size` nodes, node-1 and so on, and returns when all are healthy.

        `roles[i]` are those of node i + 1: a word, words with commas between them, or a sequence;
        nodes beyond it are `app`. `data_dir` is kept, without it data is temporary; likewise
        `log_dir`, which takes `<node>.log` and `supervisor.log`. `settings` are node settings by
        field name (service.settings) for all nodes; FOUNDATION_* of the environment count as
        well. Ports are free ones, or `first_port` and those after it. `timeout_s` holds for the
        whole: what the supervisor's start takes, its nodes no longer have. Raises ClusterError;
        nothing is left then.
        """
        wanted = _requests(size, roles, first_port)
        logs = None if log_dir is None else Path(log_dir).absolute()
        options = dict(settings or {})
        if emulated_latency is not None:
            options["emulated_latency"] = emulated_latency
        deadline_s = perf_counter() + timeout_s
        supervisor = launch(log_dir=logs, timeout_s=timeout_s, command=command)
        try:
            nodes = supervisor.client.start(
                wanted,
                data_dir=None if data_dir is None else str(Path(data_dir).absolute()),
                log_dir=None if logs is None else str(logs),
                settings=options,
                timeout_s=max(_LEAST_TIMEOUT_S, round(deadline_s - perf_counter(), 1)),
            )
        except BaseException:
            supervisor.end()
            raise
        return cls(supervisor, nodes)

    @property
    def nodes(self) -> tuple[NodeInfo, ...]:
        """As of the last command or `refresh`; names, URLs and roles never change."""
        return tuple(self._nodes.values())

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    @property
    def client(self) -> SupervisorClient:
        return self._supervisor.client

    @property
    def supervisor_pid(self) -> int:
        return self._supervisor.pid

    def refresh(self) -> tuple[NodeInfo, ...]:
        """The nodes as they are now."""
        self._nodes = {node.name: node for node in self.client.nodes()}
        return self.nodes

    def kill(self, name: str) -> NodeInfo:
        """SIGKILL; returns when it is dead."""
        return self._command(name, "kill")

    def terminate(self, name: str) -> NodeInfo:
        """SIGTERM; returns when it has drained and exited (or was killed after 5 s)."""
        return self._command(name, "stop")

    def pause(self, name: str) -> NodeInfo:
        """SIGSTOP: it accepts connections and never answers; returns when it has stopped."""
        return self._command(name, "pause")

    def resume(self, name: str) -> NodeInfo:
        """SIGCONT; harmless for a node that runs."""
        return self._command(name, "continue")

    def restart(self, name: str) -> NodeInfo:
        """Stops the node if it lives, starts it on the same port and data; returns when healthy."""
        return self._command(name, "restart")

    def wait(self, timeout_s: float) -> int | None:
        """The supervisor's exit code when it has ended within `timeout_s`, else None."""
        return self._supervisor.wait(timeout_s)

    def detach(self) -> None:
        """Leaves the cluster running without this process; `client.stop` ends it."""
        self._supervisor.release()
        self._stopped = True

    def stop(self) -> None:
        """Ends every node and the supervisor; temporary data is gone then. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._supervisor.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self, name: str, word: str) -> NodeInfo:
        node = self.client.command(name, word)
        self._nodes[name] = node
        return node


def _requests(
    size: int, roles: Sequence[str | Sequence[str]], first_port: int | None
) -> list[dict[str, Any]]:
    if len(roles) > size:
        raise ClusterError(
            f"{len(roles)} roles for {size} nodes: give one entry for each node at most",
            code="invalid_input",
        )
    given = [role.split(",") if isinstance(role, str) else list(role) for role in roles]
    return [
        {
            "name": f"node-{index + 1}",
            "roles": given[index] if index < len(given) else DEFAULT_ROLES,
            "port": 0 if first_port is None else first_port + index,
        }
        for index in range(size)
    ]
