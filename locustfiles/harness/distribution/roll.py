"""The master's roll of the workers in one run: who is in it, who is gone, who said it is done.

Locust drops a worker from its own list as soon as that worker has stopped, which is no loss once
the worker has said that it is done. This module must not know books or verdicts.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from gevent.event import Event
from locust.exception import RPCError
from locust.runners import MasterRunner

from locustfiles.harness.distribution.worker import FINISH, OVER

POLL_S = 0.5
"""A worker that is lost while it is awaited sends nothing, so look for that too."""

logger = logging.getLogger(__name__)


class WorkerRoll:
    """One per run. `sent` holds, by source, how many second reports its worker says it sent, and
    `writes` how many of writes, if any."""

    def __init__(self, runner: MasterRunner, run_id: str) -> None:
        self._runner = runner
        self._run_id = run_id
        self._known = set(runner.clients)
        self._done: set[str] = set()
        self._news = Event()
        self._given_up = False
        self.sent: dict[str, int] = {}
        self.writes: dict[str, int] = {}
        self.failures = 0

    def finished(self, worker: str, said: dict[str, Any]) -> None:
        """Take a worker's FINISHED of this run."""
        self.sent[said["source"]] = said["sent"]
        if said["writes"]:
            self.writes[said["source"]] = said["writes"]
        self.failures += said["failures"]
        self._done.add(worker)
        self._news.set()

    def lost(self) -> set[str]:
        """Workers that are gone, or do not answer, and have not said that they are done."""
        present = set(self._runner.clients)
        return ((self._known - present) | self._missing()) - self._done

    def done(self) -> frozenset[str]:
        """Workers that have said that they are done."""
        return frozenset(self._done)

    def waiting(self) -> set[str]:
        """Workers that live and have not said that they are done."""
        return (self._known & set(self._runner.clients)) - self._missing() - self._done

    def collect(self, timeout_s: float) -> set[str]:
        """Have every worker ship what is left; returns those that stayed silent."""
        self._known |= set(self._runner.clients)
        if self.waiting():
            self._runner.send_message(FINISH, {"run_id": self._run_id})
        deadline_s = time.monotonic() + timeout_s
        while self.waiting() and not self._given_up and time.monotonic() < deadline_s:
            self._news.wait(POLL_S)
            self._news.clear()
        return self.waiting()

    def say_over(self) -> None:
        """The run is judged. A worker that does not hear it learns it with the next run."""
        try:
            self._runner.send_message(OVER, {"run_id": self._run_id})
        except RPCError as error:
            logger.warning("the workers could not be told that the run is over: %s", error)

    def give_up(self) -> None:
        """End `collect` early."""
        self._given_up = True
        self._news.set()

    def _missing(self) -> set[str]:
        return {node.id for node in self._runner.clients.missing}
