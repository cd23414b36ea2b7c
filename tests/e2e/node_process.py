"""Real `python -m service` processes for tests: started on a free port, always ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

GUARD_S = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass
class NodeProcess:
    """One node. `url` is where it serves, `log` what it has written to stderr when it ended."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    log_path: Path
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(GUARD_S)


def environment(**settings: object) -> dict[str, str]:
    """This process's environment without FOUNDATION_*, plus `settings` as such."""
    clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("FOUNDATION_")}
    return clean | {f"FOUNDATION_{k.upper()}": str(v) for k, v in settings.items()}


@contextlib.contextmanager
def running(
    data: Path, *, command: tuple[str, ...] = ("-m", "service"), **settings: object
) -> Iterator[NodeProcess]:
    """A node over `data` that serves. Raises AssertionError with its log when it does not."""
    data.parent.mkdir(parents=True, exist_ok=True)
    log_path = data.parent / f"{data.name}.log"
    with log_path.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment(**{"port": 0, "data": data, **settings}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=_die_with_parent,
        )
    try:
        line = _first_line(process)
        assert line.startswith("serving at "), f"{line!r}; its log: {log_path.read_text()}"
        yield NodeProcess(process, line.removeprefix("serving at ").strip(), data, log_path)
    finally:
        process.kill()
        process.wait(GUARD_S)
        assert process.stdout is not None
        process.stdout.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    """The first line of stdout; empty when the process ends or is silent too long."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=lambda s: lines.put(s.readline()), args=(process.stdout,))
    reader.daemon = True
    reader.start()
    try:
        return lines.get(timeout=GUARD_S)
    except queue.Empty:
        return ""


def _die_with_parent() -> None:
    """In the child: SIGKILL when the test process ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
