"""One supervised node: its state, and the commands that change it (asyncio).

Life cycle, over and over on the same port and data: `start` (fork -> ready pipe -> GET /health)
-> running <-> paused -> exited (by itself or after `stop`) or killed (by a signal) -> `start`.
A node that ends is not restarted by itself: whoever injected the fault must be able to see it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from chaos.supervisor.errors import NodeStartFailure, StartTimeout, SupervisorError, WrongState
from chaos.supervisor.link import Child, ZygoteLink
from chaos.supervisor.reservation import LOOPBACK, Reservation
from chaos.supervisor.spec import NodeSpec

STOP_TIMEOUT_S = 5.0
"""A node drains and checkpoints within 5 s of SIGTERM (issue 2); then it is killed."""

_TAIL_LINES = 20
_TAIL_BYTES = 8_192
_HEALTH_RETRY_S = 0.02
_PAUSE_TIMEOUT_MS = 2_000
_OWN_EXIT_TIMEOUT_S = 2.0


class NodeState(StrEnum):
    """`killed` means ended by a signal, whoever sent it; `exited` by its own exit."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    KILLED = "killed"


class Node:
    """A node and the process that currently is it, if any.

    Commands to one node run one after the other. `started_at_us` is the wall clock at the last
    fork; `restarts` counts the forks after the first.
    """

    def __init__(
        self,
        spec: NodeSpec,
        reservation: Reservation,
        link: ZygoteLink,
        log: FilteringBoundLogger,
    ) -> None:
        self.spec = spec
        self.url = f"http://{LOOPBACK}:{spec.port}"
        self.started_at_us = 0
        self.restarts = -1
        self._reservation = reservation
        self._link = link
        self._log = log.bind(node=spec.name)
        self._child: Child | None = None
        self._serving = False
        self._paused = False
        self._retired = False
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def exit_code(self) -> int | None:
        """None while it lives; negative: the signal that ended it."""
        if self._child is None or not self._child.exited.done():
            return None
        return None if self._child.exited.exception() else self._child.exited.result()

    @property
    def state(self) -> NodeState:
        if self._child is not None and self._child.exited.done():
            code = self.exit_code
            return NodeState.EXITED if code is not None and code >= 0 else NodeState.KILLED
        if self._paused:
            return NodeState.PAUSED
        return NodeState.RUNNING if self._serving else NodeState.STARTING

    async def start(self, timeout_s: float) -> None:
        """Forks and waits until the node is healthy.

        Raises NodeStartFailure when it ends before that, StartTimeout when it takes longer than
        `timeout_s`; it is dead then.
        """
        async with self._turn:
            await self._start(timeout_s)

    async def restart(self, timeout_s: float) -> None:
        """Stops the node if it lives, then starts it with the same port and data."""
        async with self._turn:
            await self._end(signal.SIGTERM)
            await self._start(timeout_s)

    async def kill(self) -> None:
        """SIGKILL. Raises WrongState when there is no process to kill."""
        async with self._turn:
            self._require(NodeState.RUNNING, NodeState.PAUSED)
            await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long. Raises WrongState when it does not live."""
        async with self._turn:
            self._require(NodeState.RUNNING, NodeState.PAUSED)
            await self._end(signal.SIGTERM)

    async def pause(self) -> None:
        """SIGSTOP, and waits until the kernel says that it is stopped. Raises WrongState."""
        async with self._turn:
            self._require(NodeState.RUNNING)
            child = self._living()
            child.send(signal.SIGSTOP)
            await self._until(lambda: self._stopped(child), "the kernel did not stop it")
            self._paused = True
            self._log.info("node paused")

    async def resume(self) -> None:
        """SIGCONT; a node that runs is left alone, so that healing twice is harmless."""
        async with self._turn:
            self._require(NodeState.RUNNING, NodeState.PAUSED)
            child = self._living()
            child.send(signal.SIGCONT)
            await self._until(lambda: not self._stopped(child), "the kernel did not continue it")
            self._paused = False
            self._log.info("node continued")

    async def retire(self, number: signal.Signals) -> None:
        """Ends the node for good, whatever command is under way, and frees its port."""
        self._retired = True
        await self._end(number)
        self._reservation.close()

    async def _start(self, timeout_s: float) -> None:
        if self._retired:
            raise WrongState(f"{self.spec.name} belongs to a cluster that was taken down")
        ready, theirs = os.pipe()
        try:
            self._serving = self._paused = False
            self._child = child = self._link.fork(self.spec, theirs)
        except BaseException:
            os.close(ready)
            raise
        finally:
            os.close(theirs)
        self.started_at_us = time.time_ns() // 1000
        self.restarts += 1
        child.exited.add_done_callback(self._log_end)
        stage = "call back that it is ready"
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_ready(ready)
                stage = "answer GET /health with 200"
                await self._until_healthy(child)
        except TimeoutError:
            await child.end(STOP_TIMEOUT_S)
            raise StartTimeout(
                f"{self.spec.name} did not {stage} within {timeout_s:g} s: its log "
                "says why, or the machine is too slow for that limit",
                node=self.spec.name,
                log_tail=self.log_tail(),
            ) from None
        except BaseException:
            child.send(signal.SIGKILL)
            raise
        self._serving = True
        self._log.info("node serves", pid=child.pid, url=self.url, restarts=self.restarts)

    async def _until_ready(self, ready: int) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(ready, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            line = await reader.readline()
        finally:
            transport.close()
        news = json.loads(line) if line.endswith(b"\n") else {}
        if "url" not in news:
            raise await self._failure(str(news.get("error", "")))

    async def _until_healthy(self, child: Child) -> None:
        while not await _answers_ok(self.spec.port):
            if child.exited.done():
                raise await self._failure("")
            await asyncio.sleep(_HEALTH_RETRY_S)

    async def _failure(self, reason: str) -> Exception:
        """The error to raise for a node that will not serve; it is dead then."""
        child = self._living()
        # Its pipe closes a moment before it is gone, and its own exit code is the one to report.
        if not await child.gone(_OWN_EXIT_TIMEOUT_S):
            await child.end(STOP_TIMEOUT_S)
        if child.exited.done() and (lost := child.exited.exception()):
            return lost if isinstance(lost, Exception) else SupervisorError(str(lost))
        if not reason:
            reason = f"ended with exit code {self.exit_code} before it served"
        return NodeStartFailure(
            f"{self.spec.name}: {reason}", node=self.spec.name, log_tail=self.log_tail()
        )

    async def _end(self, number: signal.Signals) -> None:
        child = self._child
        if child is None or child.exited.done():
            return
        if not await child.end(STOP_TIMEOUT_S, number) and not await child.end(STOP_TIMEOUT_S):
            raise SupervisorError(
                f"{self.spec.name} (pid {child.pid}) does not end on SIGKILL: it is stuck in the "
                "kernel, look at its disk",
                node=self.spec.name,
            )

    def log_tail(self) -> str:
        """The last lines of its log, at most 8 KiB; empty when there is none."""
        try:
            with Path(self.spec.log_path).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(deque(lines, _TAIL_LINES))

    def _log_end(self, exited: asyncio.Future[int]) -> None:
        if not exited.cancelled() and not exited.exception():
            self._log.info("node ended", exit_code=exited.result())

    def _living(self) -> Child:
        assert self._child is not None, "only called after a fork"
        return self._child

    def _require(self, *states: NodeState) -> None:
        if self.state not in states:
            raise WrongState(
                f"{self.spec.name} is {self.state}, it would have to be "
                f"{' or '.join(states)}: see GET /v1/nodes",
                node=self.spec.name,
            )

    @staticmethod
    def _stopped(child: Child) -> bool:
        """Whether every thread is stopped; the main one's state is that of the group."""
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{child.pid}/stat").read_bytes()
            # pid (name) state …: the name may hold anything, so look behind its last bracket.
            return stat.rpartition(b") ")[2][:1] in b"Tt"
        return False

    async def _until(self, reached: Callable[[], bool], otherwise: str) -> None:
        """The kernel tells no one when a process stops, so this asks, each millisecond."""
        for _ in range(_PAUSE_TIMEOUT_MS):
            if reached():
                return
            await asyncio.sleep(0.001)
        raise SupervisorError(f"{self.spec.name}: {otherwise}", node=self.spec.name)


async def _answers_ok(port: int) -> bool:
    """Whether GET /health answers 200. One connection, no client library: it is asked once."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        writer.write(
            f"GET /health HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        status_line = await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
    return status_line.split(b" ")[1:2] == [b"200"]
