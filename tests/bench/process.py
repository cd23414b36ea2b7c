"""Processes that a benchmark starts: each pinned to a core, each ended by the one who started it.

A child dies with this process even when that is killed (PR_SET_PDEATHSIG), and on Ctrl-C it is
ended by its pid in `owned`'s clean-up. This module must not know what the processes do.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from tests.bench.row import BenchError

ROOT = Path(__file__).resolve().parent.parent.parent
"""The checkout: children run from here, so that `-m tests.bench…` is found."""

_PR_SET_PDEATHSIG = 1
_KILL_TIMEOUT_S = 5.0


def server_core() -> int:
    """The core of whatever is measured."""
    return min(os.sched_getaffinity(0))


def load_core() -> int:
    """The core of the load, another than the server's where there are two."""
    return max(os.sched_getaffinity(0))


@contextmanager
def owned(
    command: Sequence[str],
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    grace_s: float = 8.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` for as long as the block lasts: then SIGTERM, and SIGKILL after `grace_s`."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the child in order
        preexec_fn=partial(_prepare, core, os.getpid()),
    )
    try:
        yield process
    finally:
        end(process, grace_s)


def end(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """SIGTERM, after `grace_s` SIGKILL; its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_KILL_TIMEOUT_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return process.returncode


def run_json(
    arguments: Sequence[str],
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float,
) -> Any:
    """Runs `python <arguments>` to its end; what it printed as its last line, parsed as JSON."""
    command = (sys.executable, *arguments)
    with owned(
        command,
        core=core,
        environment=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{' '.join(arguments[:3])} took over {timeout_s:g} s") from None
    lines = out.splitlines()
    if process.returncode != 0 or not lines:
        raise BenchError(
            f"{' '.join(arguments[:3])} ended with {process.returncode}: {tail(err.decode())}"
        )
    return json.loads(lines[-1])


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Until a connection to `port` is accepted. Raises BenchError when the process ends first."""

    def connects() -> bool:
        if process.poll() is not None:
            raise BenchError(f"the server ended with {process.returncode} before it listened")
        with socket.socket() as sock:
            sock.settimeout(1.0)
            return sock.connect_ex(("127.0.0.1", port)) == 0

    poll(connects, timeout_s, f"port {port} to be listened on")


def poll(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Asks every 5 ms until `condition` holds. Raises BenchError after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.005)


def tail(text: str) -> str:
    """The last lines of a child's output, for an error's message."""
    return " | ".join(text.strip().splitlines()[-3:])[-600:]


def _prepare(core: int | None, parent_pid: int) -> None:
    """In the child, before it becomes `command`."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)  # the parent died before the signal was asked for
    if core is not None:
        os.sched_setaffinity(0, {core})
