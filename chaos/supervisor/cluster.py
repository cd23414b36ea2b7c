"""The cluster of one supervisor: all of its nodes, or none (X-2).

`start` reserves ports, checks every node's settings, then forks all of them at once; if one fails,
all are taken down and nothing is left but the error. There is at most one cluster at a time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from chaos.supervisor.errors import (
    Closing,
    ClusterExists,
    NoCluster,
    StartTimeout,
    SupervisorError,
    UnknownNode,
)
from chaos.supervisor.folder import DataLock, TemporaryFolder, make_folder
from chaos.supervisor.link import ZygoteLink
from chaos.supervisor.node import Node
from chaos.supervisor.reservation import LOOPBACK, Reservation
from chaos.supervisor.schema import ClusterRequest
from chaos.supervisor.spec import NodeSpec, Option, Program

RESTART_TIMEOUT_S = 30.0
_SAME_DEADLINE_S = 0.5

_SHARED_SECRETS = ("session_secret", "peer_token")


class Cluster:
    """Starts, finds and ends nodes. `environ` says which shared secrets the user chose already."""

    def __init__(
        self,
        link: ZygoteLink,
        program: Program,
        log: FilteringBoundLogger,
        *,
        temporary_base: Path,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.data_dir: Path | None = None
        self.log_dir: Path | None = None
        self._link = link
        self._program = program
        self._log = log
        self._temporary_base = temporary_base
        self._environ = environ
        self._nodes: dict[str, Node] = {}
        self._folder: TemporaryFolder | None = None
        self._data_lock: DataLock | None = None
        self._turn = asyncio.Lock()
        self._closing = False

    @property
    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def node(self, name: str) -> Node:
        """Raises UnknownNode, NoCluster."""
        if not self._nodes:
            raise NoCluster("no cluster is up: start one with POST /v1/cluster")
        if name not in self._nodes:
            raise UnknownNode(f"there is no node {name!r}: the nodes are {', '.join(self._nodes)}")
        return self._nodes[name]

    async def start(self, request: ClusterRequest) -> None:
        """All nodes healthy within `request.timeout_s` seconds, or none left.

        Raises ClusterExists, InvalidNode, PortBusy, NotWritable, DataInUse before anything is
        forked; NodeStartFailure, StartTimeout and ForkerLost afterwards.
        """
        if self._turn.locked() or self._nodes:
            raise ClusterExists("a cluster is up already: take it down first")
        async with self._turn:
            if self._closing:
                raise Closing("the supervisor is ending")
            try:
                self._prepare(request)
                await self._start_all(request.timeout_s)
            except BaseException:
                await self._take_down(signal.SIGKILL)
                raise

    async def stop(self) -> None:
        """Ends every node in order (SIGTERM, after 5 s SIGKILL). Raises NoCluster."""
        if not self._nodes:
            raise NoCluster("no cluster is up")
        async with self._turn:
            await self._take_down(signal.SIGTERM)

    async def close(self) -> None:
        """Ends everything for good, also a start that is under way."""
        self._closing = True
        await self._take_down(signal.SIGTERM)

    def _prepare(self, request: ClusterRequest) -> None:
        if request.data_dir is not None:
            self._data_lock = DataLock(Path(request.data_dir))
            self.data_dir = Path(request.data_dir)
        else:
            self.data_dir = self._temporary().path / "data"
        self.log_dir = Path(request.log_dir or self._temporary().path / "logs")
        make_folder(self.log_dir)
        shared = {**self._secrets(), **request.settings}
        reservations = _reserve([wanted.port for wanted in request.nodes])
        urls = [f"http://{LOOPBACK}:{one.port}" for one in reservations]
        for index, (wanted, reservation) in enumerate(
            zip(request.nodes, reservations, strict=True)
        ):
            spec = NodeSpec(
                name=wanted.name,
                roles=wanted.roles,
                port=reservation.port,
                data_dir=str(self.data_dir / wanted.name),
                log_path=str(self.log_dir / f"{wanted.name}.log"),
                options={**self._peers(urls[:index] + urls[index + 1 :]), **shared},
            )
            self._nodes[wanted.name] = Node(spec, reservation, self._link, self._log)
        # All are in the table: whatever fails from here on is taken down with them.
        for node in self.nodes:
            self._program.check(node.spec)
            make_folder(Path(node.spec.data_dir))

    def _peers(self, urls: list[str]) -> dict[str, Option]:
        """The other nodes of one node (D12), unless the user has said who its peers are."""
        chosen = self._environ.get("FOUNDATION_PEERS")
        return {} if chosen or not urls else {"peers": urls}

    def _secrets(self) -> dict[str, Option]:
        """One for all nodes, so that a session of one node is valid on every other (D12)."""
        return {
            name: secrets.token_hex(32)
            for name in _SHARED_SECRETS
            if not self._environ.get(f"FOUNDATION_{name.upper()}")
        }

    def _temporary(self) -> TemporaryFolder:
        if self._folder is None:
            self._folder = TemporaryFolder(self._temporary_base)
        return self._folder

    async def _start_all(self, timeout_s: float) -> None:
        """Raises the first failure as soon as it happens; the others are not waited for."""
        starts = [asyncio.create_task(node.start(timeout_s)) for node in self.nodes]
        done, pending = await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)
        if pending and any(isinstance(task.exception(), StartTimeout) for task in done):
            # All have the same deadline: the others are late too, and are to be named as well.
            late, pending = await asyncio.wait(pending, timeout=_SAME_DEADLINE_S)
            done |= late
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
        errors = [error for task in starts if task in done and (error := task.exception())]
        if errors:
            raise _joined(errors)

    async def _take_down(self, number: signal.Signals) -> None:
        nodes, self._nodes = self._nodes, {}
        results = await asyncio.gather(
            *(node.retire(number) for node in nodes.values()), return_exceptions=True
        )
        if self._data_lock is not None:
            self._data_lock.release()
            self._data_lock = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None
        self.data_dir = self.log_dir = None
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _reserve(ports: list[int]) -> list[Reservation]:
    """One reservation for each, or none. Raises PortBusy."""
    held: list[Reservation] = []
    try:
        for port in ports:
            held.append(Reservation(port))
    except BaseException:
        for one in held:
            one.close()
        raise
    return held


def _joined(errors: list[BaseException]) -> BaseException:
    """Several nodes can fail together: one error that names each, with the first one's log."""
    first = errors[0]
    if len(errors) == 1 or not isinstance(first, SupervisorError):
        return first
    return type(first)(
        "; ".join(str(error) for error in errors), node=first.node, log_tail=first.log_tail
    )
