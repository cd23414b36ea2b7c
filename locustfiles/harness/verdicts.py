"""What the owning process's runs ended in: their verdicts, the exit code, what is shown of them.

Life cycle: `begin` when a run begins, `judge` when it has ended, once each; `close` when Locust has
quit: waits for what follows a verdict, and prints the latest. The exit code is 3 from a run's begin
until its verdict; of several runs the worst counts. This module must not know how a run goes on.
"""

from __future__ import annotations

import logging

from locust.env import Environment

from locustfiles.harness.closing import Closed, Closing
from locustfiles.harness.console import Console
from locustfiles.harness.options import parsed_options
from locustfiles.harness.run import Run
from results.run_folder import RunFolder
from results.verdict import ExitCode, Judgement, worst

logger = logging.getLogger(__name__)


class Verdicts:
    """One per owning process. `last` is the latest verdict, with its run's folder."""

    def __init__(self, environment: Environment, console: Console) -> None:
        self._environment = environment
        self._console = console
        self._exit_codes: list[ExitCode] = []
        self._unseen: tuple[Judgement, Closed] | None = None
        is_headless = bool(parsed_options(environment).headless)
        self._closing = Closing(in_background=not is_headless, say=console.say)
        self._is_headless = is_headless
        self.last: tuple[Judgement, RunFolder] | None = None

    @property
    def runs(self) -> int:
        """How many were begun."""
        return len(self._exit_codes)

    def begin(self) -> None:
        """A run begins."""
        self._unseen = None
        self._exit_codes.append(ExitCode.INCONCLUSIVE)
        self._set_exit_code()

    def judge(self, run: Run, sent: dict[str, int]) -> None:
        """Close the run's book and judge it; without a verdict the exit code stays 3."""
        try:
            run.book.close(run.interrupted, sent, run.writes)
            judgement = run.book.judge(run.audited)
        except Exception:
            # The edge to Locust, which would swallow it.
            logger.exception("no verdict could be computed; see %s", run.book.folder.path)
            run.book.lock.release()
            return
        folder = run.book.folder
        self.last = (judgement, folder)
        self._exit_codes[-1] = judgement.exit_code
        self._set_exit_code()
        if self._is_headless:
            # Printed last, when all of its files are there.
            self._unseen = (judgement, self._closing.begin(folder, run.book.lock))
        else:
            self._console.verdict(judgement, folder)
            self._closing.begin(folder, run.book.lock)

    @property
    def exit_code(self) -> int:
        """Of the worst verdict so far; 3 without one."""
        return int(worst(self._exit_codes))

    def _set_exit_code(self) -> None:
        self._environment.process_exit_code = self.exit_code

    def close(self) -> None:
        """Wait until every run's report is written and the run is sealed; print what is unseen."""
        self._closing.finish()
        unseen, self._unseen = self._unseen, None
        if unseen is not None:
            judgement, closed = unseen
            self._console.verdict(judgement, closed.folder, closed.lines())
