"""A worker's part of a run: it sends load and ships what it recorded to the master.

Life cycle: made at init; `begin` at test_start, when Locust's spawn message has brought the plan;
`finish` at test_stop, after the users have stopped: ships the rest and says how much it sent. The
master asks for that with its own message, because Locust's quit gives workers half a second.
This module must not know checks or verdicts.
"""

from __future__ import annotations

import logging
from typing import Any

import gevent
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import WorkerRunner

from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.options import parsed_options
from locustfiles.harness.plan import RunPlan

REPORT = "foundation_report"
"""Worker to master: {"kind": "second" | "health", "report": …}."""
FINISH = "foundation_finish"
"""Master to worker: stop your users and ship what is left."""
FINISHED = "foundation_finished"
"""Worker to master: {"source": …, "sent": number of second reports}."""

logger = logging.getLogger(__name__)


class Worker:
    """One per worker process."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._load_side: LoadSide | None = None
        self._shipping: gevent.Greenlet | None = None
        runner.register_message(FINISH, self._on_finish, concurrent=True)

    def begin(self) -> None:
        """A run starts in this process."""
        index = self._runner.worker_index
        self._load_side = LoadSide(
            RunPlan.of(parsed_options(self._environment)),
            source=f"worker-{index}",
            worker_index=index,
            users=lambda: self._runner.user_count,
            ship=self._ship,
        )
        self._load_side.attach(self._environment)
        self._shipping = gevent.spawn(self._load_side.run)

    def finish(self) -> None:
        """The users have stopped: ship the rest."""
        load_side, self._load_side = self._load_side, None
        if load_side is None:
            return
        if self._shipping is not None:
            self._shipping.kill()
        load_side.finish()
        sent = load_side.recorder.sequence
        self._runner.send_message(FINISHED, {"source": load_side.source, "sent": sent})

    def _on_finish(self, environment: Environment, msg: Message, **_: Any) -> None:
        # Fires test_stop, and so `finish`, once the users are gone.
        self._runner.stop()

    def _ship(self, kind: str, report: dict[str, Any]) -> None:
        try:
            self._runner.send_message(REPORT, {"kind": kind, "report": report})
        except RPCError as error:
            # The gap in the sequence voids the run; the load goes on.
            logger.error("a report could not be sent to the master: %s", error)
