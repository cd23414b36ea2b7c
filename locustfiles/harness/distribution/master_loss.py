"""What a worker does when its master answers no longer: it ends soon, and not with success.

The worker's beats tell how long answers have been missing, in time that this process was awake. The
lease has fenced its users after 3 s. From `PROBE_AFTER_S` on the master's port is probed: when it
refuses, or closes without a word, there is no master any more and the worker ends at once. When
nothing answers, the link may be down: the worker stays, without users, for `RETURN_TIMEOUT_S`. One
that answers and is another than the one that greeted knows nothing of this worker: it ends. Life
cycle: `greeted` once; `missing` with every beat that has no answer, or `unread` while the worker
reads none, as when it waits for its users to end; `answered` with every answer. It ends the process
with exit code 5 (ABORTED), even when Locust's way out hangs. This module must not know beats or
leases.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from enum import Enum

import gevent
from gevent import monkey, socket
from locust.runners import WorkerRunner

from results.verdict import ExitCode

PROBE_AFTER_S = 4.0
"""A second after the lease ran out: a master that is busy or restarts its socket comes back."""

PROBE_TIMEOUT_S = 2.0
"""A refusal comes within a round trip; so a killed master is known for one 6 s after its death."""

RETURN_TIMEOUT_S = 60.0
"""As long as Locust's own workers wait for a silent master (MASTER_HEARTBEAT_TIMEOUT)."""

STOP_TIMEOUT_S = 1.0
EXIT_TIMEOUT_S = 2.0
"""For the way out: users to stop, then Locust to end. Together with the above under 10 s."""

logger = logging.getLogger(__name__)


class Door(Enum):
    """What the master's port says."""

    OPEN = "open"
    GONE = "gone"
    SILENT = "silent"


def knock(host: str, port: int, timeout_s: float = PROBE_TIMEOUT_S) -> Door:
    """Connect and wait for the greeting that ZeroMQ sends at once (ZMTP 3.1, section 3.1)."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as probe:
            probe.settimeout(timeout_s)
            return Door.OPEN if probe.recv(1) else Door.GONE
    except (ConnectionRefusedError, ConnectionResetError):
        return Door.GONE
    except OSError:
        return Door.SILENT


class MasterGoneError(Exception):
    """The master died before it had let this worker in."""


class MasterLoss:
    """One per worker. `end` is called once, with the reason, when the master is given up."""

    def __init__(
        self,
        runner: WorkerRunner,
        end: Callable[[str], None],
        knock: Callable[[str, int], Door] = knock,
    ) -> None:
        self._host = runner.master_host
        self._port = runner.master_port
        self._environment = runner.environment
        self._end = end
        self._knock = knock
        self._master: str | None = None
        self._probing: gevent.Greenlet | None = None
        self._missing_s = 0.0
        self._code_before: int | None = None
        self._is_doubted = False
        self._is_over = False

    def greeted(self, master: str) -> None:
        """The master with that id has let this worker in."""
        self._master = master

    def answered(self, master: str) -> None:
        """The master with that id is there."""
        if self._is_over:
            return
        self._missing_s = 0.0
        if master != self._master:
            self._give_up("was started anew and knows nothing of this worker: start it anew, too")
            return
        if self._is_doubted:
            self._is_doubted = False
            self._environment.process_exit_code = self._code_before
            logger.warning("the master answers again")

    def missing(self, for_s: float) -> None:
        """Its answers have been missing for so long; returns at once."""
        self._missing_s = for_s
        if self._is_over or for_s < PROBE_AFTER_S:
            return
        if not self._is_doubted:
            self._is_doubted = True
            # Locust gives up by itself, too, and would call that a success.
            self._code_before = self._environment.process_exit_code
            self._environment.process_exit_code = int(ExitCode.ABORTED)
            logger.warning(
                "the master at %s:%d has not answered for %.0f s: no users until it does",
                *(self._host, self._port, for_s),
            )
        if for_s >= RETURN_TIMEOUT_S:
            self._give_up(f"did not answer for {for_s:.0f} s")
        else:
            self._knock_soon()

    def unread(self, for_s: float) -> None:
        """Nothing was read for so long, because this worker does something else: a master that may
        be there is none of its concern, one that is gone is."""
        self._missing_s = for_s
        if not self._is_over and for_s >= PROBE_AFTER_S:
            self._knock_soon()

    def timed_out(self) -> None:
        """Locust has had no heartbeat from the master for its own minute, awake or not."""
        self._give_up("has sent no heartbeat for a minute")

    def _knock_soon(self) -> None:
        if self._probing is None or self._probing.dead:
            self._probing = gevent.spawn(self._probe)

    def _probe(self) -> None:
        door = self._knock(self._host, self._port)
        if door is Door.GONE and self._missing_s >= PROBE_AFTER_S:
            self._give_up(f"is gone: its port refuses, {self._missing_s:.0f} s after its last word")

    def _give_up(self, what: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._end(f"the master at {self._host}:{self._port} {what}")


def end_process(runner: WorkerRunner, reason: str, exit_code: ExitCode = ExitCode.ABORTED) -> None:
    """Print why, stop the users and end with that exit code, at the latest after 3 s."""
    code = int(exit_code)
    print(f"error: {reason}; this worker stops (exit code {code})", file=sys.stderr, flush=True)
    # A native thread, since the loop may be what hangs.
    _exit_after(STOP_TIMEOUT_S + EXIT_TIMEOUT_S, code)
    environment = runner.environment
    environment.process_exit_code = code
    environment.stop_timeout = min(environment.stop_timeout or 0.0, STOP_TIMEOUT_S)
    # Killing Locust's greenlets lets its main one end the process.
    gevent.spawn(runner.quit)


def _exit_after(seconds: float, code: int) -> None:
    sleep = monkey.get_original("time", "sleep")

    def end() -> None:
        sleep(seconds)
        os._exit(code)

    monkey.get_original("_thread", "start_new_thread")(end, ())
