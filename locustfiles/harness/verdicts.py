"""What the owning process's runs ended in: their verdicts, the exit code, what is shown of them.

Life cycle: `begin` when a run begins, `judge` when it has ended, once each; `show` prints the
latest verdict. The exit code is 3 from a run's begin until its verdict; of several runs the worst
counts. This module must not know how a run goes on.
"""

from __future__ import annotations

import logging

from locust.env import Environment

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
        self._unseen: tuple[Judgement, RunFolder] | None = None
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
            judgement = run.book.judge()
        except Exception:
            # The edge to Locust, which would swallow it.
            logger.exception("no verdict could be computed; see %s", run.book.folder.path)
            return
        self._unseen = self.last = (judgement, run.book.folder)
        self._exit_codes[-1] = judgement.exit_code
        self._set_exit_code()
        if not parsed_options(self._environment).headless:
            self.show()

    @property
    def exit_code(self) -> int:
        """Of the worst verdict so far; 3 without one."""
        return int(worst(self._exit_codes))

    def _set_exit_code(self) -> None:
        self._environment.process_exit_code = self.exit_code

    def show(self) -> None:
        """Print the last verdict once."""
        unseen, self._unseen = self._unseen, None
        if unseen is not None:
            self._console.verdict(*unseen)
