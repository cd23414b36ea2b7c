"""One real node as a process that a test kills and starts again on the same data and port.

Life: `NodeProcess.reserve` → `start` → `kill` or `terminate` → `start` … → `close`. The port stays
reserved by a bound socket that never listens, so nobody else gets it while the node is dead. The
node leads a process group of its own and dies with the test process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

ROOT = Path(__file__).resolve().parent.parent.parent
NODE = ("-m", "service")

START_TIMEOUT_S = 30.0
_PR_SET_PDEATHSIG = 1
_KILL_TIMEOUT_S = 10.0


class Handle(Protocol):
    """What a `NodeProcess` asks of its process; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def terminate(self) -> None: ...


class NodeProcess:
    """A node on `folder`/data that logs to `folder`/node.log; a context manager that ends it."""

    def __init__(
        self,
        folder: Path,
        reservation: socket.socket,
        arguments: Sequence[str],
        settings: Mapping[str, object],
    ) -> None:
        self.port: int = reservation.getsockname()[1]
        self.starts = 0
        self.data = folder / "data"
        self._folder = folder
        self._reservation = reservation
        self._command = (sys.executable, *arguments)
        self._settings = {f"FOUNDATION_{key.upper()}": str(v) for key, v in settings.items()}
        self._process: Handle | None = None

    @classmethod
    def reserve(cls, folder: Path, arguments: Sequence[str] = NODE, **settings: object) -> Self:
        """`arguments` are Python's: another module may run a node with a seeded bug. `settings`
        are the node's, by their names in lower case."""
        reservation = socket.socket()
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        return cls(folder, reservation, arguments, settings)

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Returns when the node accepts connections. Raises AssertionError with its log."""
        self.launch()
        self._wait_until_it_accepts()

    def launch(self) -> None:
        """Starts the process and waits for nothing."""
        assert self._process is None or self._process.poll() is not None
        environment = {
            **{name: value for name, value in os.environ.items() if "FOUNDATION_" not in name},
            "FOUNDATION_PORT": str(self.port),
            "FOUNDATION_REUSE_PORT": "true",
            "FOUNDATION_DATA": str(self.data),
            **self._settings,
        }
        self._process = self._spawn(environment)
        self.starts += 1

    def _spawn(self, environment: Mapping[str, str]) -> Handle:
        with (self._folder / "node.log").open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid()),
            )

    def kill(self) -> None:
        """SIGKILL to its process group; returns when it is gone."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_KILL_TIMEOUT_S)

    def terminate(self, timeout_s: float) -> int | None:
        """SIGTERM; its exit code, or None when it did not end within `timeout_s` (then killed)."""
        process = self._running()
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def close(self) -> None:
        """Nothing of it is left, the port is free again."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._reservation.close()

    def log(self) -> str:
        """The end of what it printed, over all its lives."""
        return (self._folder / "node.log").read_text(errors="replace")[-4_000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> Handle:
        assert self._process is not None and self._process.poll() is None, self.log()
        return self._process

    def _wait_until_it_accepts(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            self._running()
            with closing(socket.socket()) as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"no node after {START_TIMEOUT_S:g} s:\n{self.log()}")


def die_with(parent_pid: int) -> None:
    """In the child: SIGKILL when the test process ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)
