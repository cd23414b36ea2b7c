"""A `NodeProcess` that is forked from a process with the node imported, not started anew (D7).

Hundreds of kills spend most of their time importing the same libraries: 1.0 s a start against some
0.1 s for a fork. The node itself is the same, a process of its own that SIGKILL ends. Run as
`python -m tests.fault.forked_node`, this module is that process: it forks one node for each line
of JSON on stdin ({"environment", "log"}), answers the pid, and ends with its nodes when stdin does.
It opens nothing before it forks: no loop, no thread, no database.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from types import TracebackType
from typing import Self

from tests.fault.node_process import ROOT, Handle, NodeProcess, die_with

_ANSWER_TIMEOUT_S = 30.0


class ForkedNodeProcess(NodeProcess):
    """See the module. Made by `reserve`; a context manager that ends the forking process too."""

    def __init__(
        self,
        folder: Path,
        reservation: socket,
        arguments: Sequence[str],
        settings: Mapping[str, object],
    ) -> None:
        super().__init__(folder, reservation, arguments, settings)
        self._forker = subprocess.Popen(
            (sys.executable, "-m", "tests.fault.forked_node"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=partial(die_with, os.getpid()),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        finally:
            self._forker.communicate(timeout=_ANSWER_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def _spawn(self, environment: Mapping[str, str]) -> Handle:
        command = {"environment": dict(environment), "log": str(self._folder / "node.log")}
        assert self._forker.stdin is not None and self._forker.stdout is not None
        self._forker.stdin.write(json.dumps(command).encode() + b"\n")
        self._forker.stdin.flush()
        ready, _, _ = select.select([self._forker.stdout], [], [], _ANSWER_TIMEOUT_S)
        assert ready, "the forking process does not answer"
        return Forked(int(self._forker.stdout.readline()))


class Forked:
    """A process that is not our child; its parent keeps it as a zombie until the next fork, so
    that its pid is nobody else's."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._ended = False

    @property
    def pid(self) -> int:
        return self._pid

    def poll(self) -> int | None:
        """0 once it has ended, whatever its exit code was."""
        return self._await(0)

    def wait(self, timeout: float) -> int:
        if self._await(timeout) is None:
            raise subprocess.TimeoutExpired("a forked node", timeout)
        return 0

    def terminate(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    def _await(self, timeout_s: float) -> int | None:
        if not self._ended and self._poll.poll(timeout_s * 1_000):
            self._ended = True
            os.close(self._descriptor)
        return 0 if self._ended else None


def serve() -> None:
    """Fork a node for each command, one at a time; the one before must have ended."""
    from service import server  # what this process exists to have behind it
    from service.settings import load

    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(command["environment"])
            _redirect(command["log"])
            die_with(os.getppid())
            os.setpgid(0, 0)
            code = 70
            try:
                code = server.run(load())
            finally:
                os._exit(code)
        # Here too: the test may kill its group before the child has come to that line.
        os.setpgid(child, child)
        print(child, flush=True)


def _redirect(log: str) -> None:
    """The node inherits neither the commands nor the answers of its parent."""
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for opened, at in ((null, 0), (file, 1), (file, 2)):
        os.dup2(opened, at)
    os.close(null)
    os.close(file)


if __name__ == "__main__":
    serve()
