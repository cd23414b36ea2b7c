"""Runs a locustfile by its real command line and reads back what it left.

The test process never imports locust; a run is a subprocess with a time limit, ended by its pid.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
P1 = ROOT / "locustfiles" / "p1_saas.py"
HERE = Path(__file__).parent / "locustfiles"
TIMEOUT_S = 90.0

SMALL = ("--time-scale", f"{1 / 30}", "--load-scale", "0.1")
"""P1 in ten seconds: 20, 220, 120 and 20 users in phases of 1, 2, 6 and 1 seconds, some 2,700
requests: their count varies by 1.4 % by chance, so that 95 % of the plan are 3.5 sigma away."""

OF_A_SHORT_RUN = {"PYTHONUNBUFFERED": "1", "FOUNDATION_JOB_WORKERS": "8"}
"""With four workers ten seconds are too short to be sure of P1's share of jobs."""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll, and fail when it takes longer than any machine should need."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over. `folder` exists only when the run came as far as making it."""

    exit_code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def verdict(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "verdict.json").read_text())
        return document

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return document

    def timeline(self, kind: str) -> list[dict[str, Any]]:
        """The timeline's lines of one kind."""
        lines = map(json.loads, (self.folder / "timeline.jsonl").read_text().splitlines())
        return [line for line in lines if line["kind"] == kind]

    def window(self, name: str) -> dict[str, Any]:
        return next(window for window in self.verdict["windows"] if window["name"] == name)


class Run:
    """A run that goes on. Use it as a context manager: its processes end with the block."""

    def __init__(
        self,
        results_dir: Path,
        *options: str,
        locustfile: Path = P1,
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        wrapper: Sequence[str] = (),
        headless: bool = True,
    ) -> None:
        self.folder = results_dir / "run"
        command = [*wrapper, sys.executable, "-m", "locust", "-f", str(locustfile)]
        if headless:
            command.append("--headless")
        command += ["--run-id", "run", "--results-dir", str(results_dir), *options]
        if "--processes" in options:
            # Runs of parallel tests must not meet on Locust's one default port.
            port = str(free_port())
            command += ["--master-bind-port", port, "--master-port", port]
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("FOUNDATION_", "LOCUST_"))
        }
        # Output goes to files: a pipe that nobody reads would stop the run.
        self._out = results_dir.with_name(results_dir.name + ".out").open("w+")
        self._err = results_dir.with_name(results_dir.name + ".err").open("w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env={**clean, **OF_A_SHORT_RUN, **(environment or {})},
            cwd=cwd,
        )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # ended since it was listed
                process.kill()
        self.process.wait(TIMEOUT_S)
        self._out.close()
        self._err.close()

    def family(self) -> list[psutil.Process]:
        """The run's process and all its descendants that live."""
        try:
            parent = psutil.Process(self.process.pid)
            return [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            return []

    def output(self) -> str:
        return Path(self._out.name).read_text()

    def errors(self) -> str:
        return Path(self._err.name).read_text()

    def seconds_recorded(self) -> int:
        """Seconds that are on the timeline so far."""
        try:
            text = (self.folder / "timeline.jsonl").read_text()
        except FileNotFoundError:
            return 0
        return text.count('"kind":"second"')

    def interrupt(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def finish(self, timeout_s: float = TIMEOUT_S) -> Finished:
        """Wait for the end."""
        code = self.process.wait(timeout_s)
        return Finished(code, self.output(), self.errors(), self.folder)


def run(results_dir: Path, *options: str, **kwargs: Any) -> Finished:
    """Run to the end."""
    with Run(results_dir, *options, **kwargs) as started:
        return started.finish()
