"""Starts a supervisor process, owns it, and ends it.

The controller holds the write end of the supervisor's standard input: when the controller ends,
however it ends, the pipe closes and the supervisor takes everything down. The first line of the
supervisor's standard output is the handshake. Raw pipes and `poll`, not Popen's file objects:
these work alike with and without gevent's monkey patching.

Life cycle: `launch` -> `client` works -> `end` (or `release`, which leaves it running).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from deploy.client import SupervisorClient
from deploy.errors import ClusterError

# -P: a folder called `service` or `chaos` where the user stands must not be imported instead.
COMMAND = (sys.executable, "-P", "-m", "chaos.supervisor")

_END_TIMEOUT_S = 20.0
"""Nodes get 5 s to drain and 5 s to be killed; the rest is margin."""

_KILL_TIMEOUT_S = 5.0
_TAIL_BYTES = 4_096


class SupervisorProcess:
    """A supervisor that this process started. `pid` is its process, `client` speaks to it."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, log: IO[bytes]) -> None:
        self.client: SupervisorClient
        self._process = process
        # gevent replaces os.close by one that waits for its loop to come round, seconds later when
        # the process is about to end; a FileIO closes at once.
        self._pipe = io.FileIO(pipe, "w")
        self._log = log
        self._owner_pid = os.getpid()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None while it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> int | None:
        """Closes its pipe and waits until it, and so every node, is gone; kills it if it must.

        Returns its exit code; None in a process that only inherited this object by a fork: a
        Locust worker must not end its master's cluster.
        """
        if os.getpid() != self._owner_pid:
            return None
        self._pipe.close()
        code = self.wait(_END_TIMEOUT_S)
        if code is None:
            self._process.kill()  # the kernel ends zygote and nodes with it
            code = self._process.wait(_KILL_TIMEOUT_S)
        self._log.close()
        return code

    def release(self) -> None:
        """Lets it run on without us."""
        self.client.detach()
        self._pipe.close()
        self._log.close()
        # It is no longer ours to wait for: without this, Popen would warn that it still runs.
        self._process.returncode = 0

    def log_tail(self) -> str:
        """The last lines that it wrote to standard error."""
        if self._log.closed:
            return ""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()


def launch(
    *, log_dir: Path | None, timeout_s: float, command: Sequence[str] = COMMAND
) -> SupervisorProcess:
    """Starts `command` and waits for its handshake.

    Its standard error goes to `log_dir`/supervisor.log, or to an unnamed temporary file. Raises
    ClusterError when it cannot be started, says that it cannot work, or is silent for `timeout_s`.
    """
    log = _open_log(log_dir)
    stdin, pipe = os.pipe()
    handshake, stdout = os.pipe()
    try:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=log, start_new_session=True
        )
    except OSError as error:
        os.close(pipe)
        os.close(handshake)
        log.close()
        raise ClusterError(
            f"cannot start the supervisor ({error.strerror}): {command[0]} is not a Python",
            code="supervisor_failed",
        ) from error
    finally:
        os.close(stdin)
        os.close(stdout)
    supervisor = SupervisorProcess(process, pipe, log)
    try:
        line = _read_line(handshake, timeout_s)
        supervisor.client = _client(line, supervisor, timeout_s)
    except BaseException:
        # Before the handshake there is nothing to take down in order, so no time is given to it.
        process.kill()
        supervisor.end()
        raise
    finally:
        os.close(handshake)
    return supervisor


def _client(
    line: bytes | None, supervisor: SupervisorProcess, timeout_s: float
) -> SupervisorClient:
    if line is None:
        raise ClusterError(
            f"the supervisor did not report within {timeout_s:g} s: the machine is overloaded, or "
            "its imports hang",
            code="timeout_starting_supervisor",
            log_tail=supervisor.log_tail(),
        )
    try:
        handshake: dict[str, Any] = json.loads(line)
        if "error" in handshake:
            raise ClusterError(handshake["error"], code=handshake["code"])
        return SupervisorClient(handshake["api_url"], handshake["token"])
    except (ValueError, KeyError, TypeError):
        code = supervisor.wait(_KILL_TIMEOUT_S)
        raise ClusterError(
            f"the supervisor ended with exit code {code} before it reported: is the project "
            "installed in this Python (`make run` does that)?",
            code="supervisor_failed",
            log_tail=supervisor.log_tail(),
        ) from None


def _read_line(handle: int, timeout_s: float) -> bytes | None:
    """One line, what came of it before the end of file, or None when the time is up."""
    deadline_s = time.monotonic() + timeout_s
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        remaining_ms = (deadline_s - time.monotonic()) * 1000
        if remaining_ms <= 0:
            return None
        if poll.poll(remaining_ms):
            piece = os.read(handle, 4_096)
            if not piece:
                break
            line += piece
    return line


def _open_log(log_dir: Path | None) -> IO[bytes]:
    if log_dir is None:
        return tempfile.TemporaryFile()
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        log = (log_dir / "supervisor.log").open("a+b")
    except OSError as error:
        raise ClusterError(
            f"cannot write in {log_dir} ({error.strerror}): choose another directory",
            code="not_writable",
        ) from error
    with contextlib.suppress(OSError):
        os.fchmod(log.fileno(), 0o600)
    return log
