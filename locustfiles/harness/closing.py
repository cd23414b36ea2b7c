"""What follows a verdict: the report, by a process of its own, and the seal.

The report takes seconds of CPU and libraries that no load process may load, so another process
makes it, which ends with this one. Life cycle:

1. `begin` at a verdict: a greenlet starts that process and waits for it;
2. `finish` when Locust quits and the nodes are gone: waits for what goes on, and seals what was
   not sealed, or without its nodes' logs. Called again meanwhile, or interrupted, it gives up
   waiting.

Where a web UI goes on the run is sealed after its report, by a process too: hashing stalls a load
that may be running. Nothing here changes a verdict or an exit code, and nothing raises: what
failed is one line, with the remedy. This module must not judge.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent import subprocess

from results.bundle.bundle import LOGS, seal
from results.errors import ResultsError
from results.printable import printable
from results.run_folder import RunFolder
from results.run_lock import RunLock

REPORT_TIMEOUT_S = 60.0
"""Half an hour of load takes ten seconds (docs/report.md); a machine may be slow."""

SEAL_TIMEOUT_S = 60.0

KILL_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Closed:
    """How it went with one run: what failed is said, else None. `lock` is held until it is sealed
    for good."""

    folder: RunFolder
    lock: RunLock
    no_report: str | None = None
    no_seal: str | None = None

    def lines(self) -> list[str]:
        """The last lines of a run's page."""
        where = self.folder.path
        found = [f"report: {self.folder.report}"]
        if self.no_report is not None:
            found = [f"no report ({self.no_report}): try `foundation results report {where}`"]
        if self.no_seal is not None:
            return [*found, f"not sealed, so it cannot be verified: {self.no_seal}"]
        return [*found, f"verify: foundation results verify {where}"]


class Closing:
    """One per owning process."""

    def __init__(
        self,
        *,
        in_background: bool,
        say: Callable[[str], None],
        report_module: str = "results.report",
        timeout_s: float = REPORT_TIMEOUT_S,
    ) -> None:
        """`in_background`: further runs may begin, as with a web UI; `say` tells of one that is
        closed."""
        self._in_background = in_background
        self._say = say
        self._report_module = report_module
        self._timeout_s = timeout_s
        self._greenlets: list[gevent.Greenlet] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._unsealed: list[Closed] = []
        self._is_finishing = False

    def begin(self, folder: RunFolder, lock: RunLock) -> Closed:
        """The run in that folder has its verdict. What is returned is complete after `finish`."""
        closed = Closed(folder, lock)
        self._unsealed.append(closed)
        self._greenlets.append(gevent.spawn(self._close, closed))
        return closed

    def finish(self) -> None:
        """Wait for everything, and seal what is left; an interrupt ends the waiting alone."""
        if self._is_finishing:
            self._give_up()
        self._is_finishing = True
        try:
            gevent.joinall(self._greenlets)
        except KeyboardInterrupt:
            self._give_up()
            gevent.joinall(self._greenlets, timeout=KILL_TIMEOUT_S)
        unsealed, self._unsealed = self._unsealed, []
        for closed in unsealed:
            try:
                seal(closed.folder)
                closed.no_seal = None
            except ResultsError as error:
                closed.no_seal = str(error)
                if self._in_background:
                    self._say(closed.lines()[-1])
            closed.lock.release()
        self._greenlets.clear()
        self._is_finishing = False

    def _give_up(self) -> None:
        for process in self._processes:
            process.kill()

    def _close(self, closed: Closed) -> None:
        where = str(closed.folder.path)
        closed.no_report = self._run(self._report_module, where, timeout_s=self._timeout_s)
        if not self._in_background:
            return
        has_logs = _has_logs(closed.folder)
        left_out = (LOGS,) if has_logs else ()
        closed.no_seal = self._run(
            "results.bundle.bundle", where, *left_out, timeout_s=SEAL_TIMEOUT_S
        )
        if closed.no_seal is None and not has_logs and closed in self._unsealed:
            self._unsealed.remove(closed)
            closed.lock.release()
        for line in closed.lines():
            self._say(line)

    def _run(self, module: str, *arguments: str, timeout_s: float) -> str | None:
        """Why it failed, else None."""
        pid = str(os.getpid())
        command = [sys.executable, "-P", "-m", "results.bundle.attendant", pid, module, *arguments]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C in a terminal is for us.
                start_new_session=True,
            )
        except OSError as error:
            return f"{sys.executable} cannot be started: {error.strerror}"
        self._processes.append(process)
        try:
            _, told = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"it took more than {timeout_s:g} s"
        finally:
            self._processes.remove(process)
        if process.returncode == 0:
            return None
        lines = told.strip().splitlines() or [f"exit code {process.returncode}"]
        if process.returncode < 0:
            lines = ["it was killed"]
        elif len(lines) > 1:
            logger.error("%s failed:\n%s", module, told.strip())
        return printable(lines[-1].removeprefix("error: "))


def _has_logs(folder: RunFolder) -> bool:
    try:
        return any(folder.logs.iterdir())
    except OSError:
        return False
