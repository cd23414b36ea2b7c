"""What a run prints while it goes on and when it is over.

On a terminal the progress line rewrites itself every second; elsewhere a line every ten seconds
and at each change of phase keeps logs short. This module must not compute anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from locustfiles.harness.audit.auditing import AuditSoFar
from locustfiles.harness.run_book import Moment
from results.page.summary import progress_line, summary
from results.run_folder import RunFolder
from results.verdict import Judgement

PLAIN_INTERVAL_S = 10


class Console:
    """Prints to `out`, standard output by default."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._shown_phase: str | None = None
        self._open_line = False

    def say(self, text: str) -> None:
        """One line of its own."""
        self._end_line()
        print(text, file=self._out, flush=True)

    def progress(self, moment: Moment, *, users: int, total_s: float) -> None:
        """The run at this second."""
        changed = moment.phase != self._shown_phase
        if not self._live and not changed and moment.second % PLAIN_INTERVAL_S:
            return
        self._shown_phase = moment.phase
        line = progress_line(
            phase=moment.phase if moment.second >= 0 else "start",
            elapsed_s=moment.second,
            total_s=total_s,
            users=users,
            planned_users=moment.planned_users,
            rate_per_s=moment.rate_per_s,
            errors=moment.errors,
            requests=moment.ended,
            arrivals=moment.arrivals,
        )
        if not self._live:
            self.say(line)
            return
        self._rewrite(line)

    def auditing(self, so_far: AuditSoFar) -> None:
        """How far the audit is; called about once a second."""
        if not self._live and so_far.second > 1 and so_far.second % PLAIN_INTERVAL_S:
            return
        share = so_far.asked / max(so_far.writes, 1)
        nodes = "1 node" if so_far.nodes == 1 else f"{so_far.nodes:,} nodes"
        line = f"auditing {so_far.writes:,} writes on {nodes}: {share * 100:.0f} %"
        if self._live:
            self._rewrite(line)
        else:
            self.say(line)

    def verdict(self, judgement: Judgement, folder: RunFolder, closing: Sequence[str] = ()) -> None:
        """The page at the end; `closing` are its last lines."""
        self._end_line()
        page = summary(judgement, folder=str(folder.path), closing=closing, styled=self._live)
        print(page, file=self._out, flush=True)

    def _rewrite(self, line: str) -> None:
        # The cursor waits at the start of the line, so that a log line overwrites it.
        print(f"\x1b[K{line}", end="\r", file=self._out, flush=True)
        self._open_line = True

    def _end_line(self) -> None:
        if self._open_line:
            print(file=self._out)
            self._open_line = False
