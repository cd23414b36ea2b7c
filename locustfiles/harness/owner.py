"""The owning process's part of a run: the only process, or the master of several.

It owns target, books and verdict; in the only process also the load side. Life cycle:

1. `acquire` at init: run folder, target reached or embedded cluster started;
2. `begin` at test_start, `_watch` once a second, `finish` at test_stop: again for each run that
   the web UI starts, the cluster stays;
3. `abort` ends a run that still goes on, `release` the cluster, `show` prints the last verdict.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import LocalRunner, MasterRunner

from locustfiles.harness.console import Console
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.options import Options, parsed_options
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.run_book import RunBook
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.target import Target, client_token, reach, start_cluster
from locustfiles.harness.worker import FINISH, FINISHED, REPORT
from results.generator import RECORDER_FAILURES
from results.run_folder import RunFolder, create_run, new_run_id
from results.verdict import Judgement
from shapes.locust_shape import PhasedShape

FINISH_MARGIN_S = 10.0
"""Beyond the stop timeout, for workers to encode and send what is left."""

logger = logging.getLogger(__name__)


class Owner:
    """One per owning process. Everything after `acquire` must not raise: Locust swallows it."""

    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        environment: Environment,
        runner: LocalRunner | MasterRunner,
        shape: PhasedShape,
        console: Console,
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._environment = environment
        self._runner = runner
        self._shape = shape
        self._console = console
        self._target: Target | None = None
        self._next_folder: RunFolder | None = None
        self._runs = 0
        self._book: RunBook | None = None
        self._load_side: LoadSide | None = None
        self._greenlets: list[gevent.Greenlet] = []
        self._failures = 0
        self._interrupted: str | None = None
        self._workers: set[str] = set()
        self._sent: dict[str, int] = {}
        self._finished: set[str] = set()
        self._all_finished = Event()
        self._judged: tuple[Judgement, RunFolder] | None = None
        if isinstance(runner, MasterRunner):
            runner.register_message(REPORT, self._on_report)
            runner.register_message(FINISHED, self._on_finished)

    # Before the load

    def acquire(self) -> None:
        """Raises BadConfiguration or RunFolderError, before any load."""
        self._next_folder = self._new_folder()
        if self._options.nodes:
            self._target = reach(self._options.nodes, client_token())
            return
        size = self._options.cluster_size or self._scenario.cluster.size
        self._console.say(f"starting an embedded cluster of {size} nodes")
        self._target = start_cluster(
            size=size,
            roles=self._scenario.cluster.of_size(size),
            log_dir=self._next_folder.logs,
        )

    def _new_folder(self) -> RunFolder:
        runs_dir = Path(self._options.results_dir)
        if self._options.run_id is not None:
            suffix = f"-{self._runs + 1}" if self._runs else ""
            return create_run(runs_dir, self._options.run_id + suffix)
        run_id = new_run_id(self._scenario.id, now=datetime.now(UTC), suffix=secrets.token_hex(2))
        return create_run(runs_dir, run_id)

    # While it runs

    def begin(self) -> None:
        """A run starts."""
        try:
            self._begin()
        except Exception:
            # The edge to Locust, which would swallow it and let users start without books.
            logger.exception("the run cannot be recorded, so it is not started")
            gevent.spawn(self._runner.quit)

    def _begin(self) -> None:
        assert self._target is not None
        folder = self._next_folder or self._new_folder()
        self._next_folder, self._judged = None, None
        self._runs += 1
        self._shape.reset_time()
        assert self._shape.began_wall_us is not None
        plan = RunPlan(
            folder.run_id, self._shape.began_wall_us, self._options.seed, self._target.nodes
        )
        plan.publish(parsed_options(self._environment))
        self._book = RunBook(
            folder,
            scenario=self._scenario,
            options=self._options,
            plan=plan,
            profile=self._shape.plan,
            elapsed_s=self._shape.elapsed_s,
        )
        self._console.say(f"run {folder.run_id}: {len(plan.nodes)} nodes, results in {folder.path}")
        self._failures, self._sent, self._interrupted = 0, {}, None
        self._finished.clear()
        self._all_finished.clear()
        if isinstance(self._runner, MasterRunner):
            self._workers = set(self._runner.clients)
        else:
            self._begin_load(plan)
        self._greenlets.append(gevent.spawn(self._guarded, self._watch))

    def _begin_load(self, plan: RunPlan) -> None:
        self._load_side = LoadSide(
            plan,
            source="local",
            worker_index=0,
            users=lambda: self._runner.user_count,
            ship=self._take,
        )
        self._load_side.attach(self._environment)
        self._greenlets.append(gevent.spawn(self._guarded, self._load_side.run))

    def _guarded(self, work: Callable[[], None]) -> None:
        """The edge of a background greenlet: a failure is logged once and voids the run."""
        try:
            work()
        except Exception:
            self._failures += 1
            logger.exception("recording failed; the verdict will be INCONCLUSIVE")

    def _watch(self) -> None:
        while self._book is not None:
            users = self._runner.user_count
            moment = self._book.tick(users)
            if parsed_options(self._environment).headless:
                self._console.progress(moment, users=users, total_s=self._shape.plan.duration_s)
            if isinstance(self._runner, MasterRunner):
                self._watch_workers(self._runner)
            gevent.sleep(1.0)

    def _watch_workers(self, runner: MasterRunner) -> None:
        assert self._book is not None
        present = set(runner.clients)
        missing = {node.id for node in runner.clients.missing}
        for worker in (self._workers - present) | missing:
            self._book.worker_lost(worker)
        self._workers |= present

    def _take(self, kind: str, report: dict[str, Any]) -> None:
        if self._book is not None:
            self._book.take(kind, report)

    def _on_report(self, environment: Environment, msg: Message, **_: Any) -> None:
        self._guarded(lambda: self._take(msg.data["kind"], msg.data["report"]))

    def _on_finished(self, environment: Environment, msg: Message, **_: Any) -> None:
        self._sent[msg.data["source"]] = msg.data["sent"]
        self._finished.add(msg.node_id)
        if self._workers_present() <= self._finished:
            self._all_finished.set()

    def _workers_present(self) -> set[str]:
        if not isinstance(self._runner, MasterRunner):
            return set()
        missing = {node.id for node in self._runner.clients.missing}
        return (self._workers & set(self._runner.clients)) - missing

    # At its end

    def finish(self) -> None:
        """The run is over or was stopped: collect, judge, set the exit code."""
        book = self._book
        if book is None:
            return
        duration_s, elapsed_s = self._shape.plan.duration_s, self._shape.elapsed_s()
        aborted = self._interrupted
        if aborted is None and elapsed_s < duration_s:
            aborted = f"stopped after {max(0.0, elapsed_s):.0f} of {duration_s:.0f} s"
        self._guarded(self._collect)
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        self._book = self._load_side = None
        try:
            if self._failures:
                book.count(RECORDER_FAILURES, self._failures)
            book.close(aborted, self._sent)
            judgement = book.judge()
        except Exception:
            # The edge to Locust: without a verdict the exit code stays 3.
            logger.exception("no verdict could be computed; the timeline is in %s", book.folder)
            return
        self._judged = (judgement, book.folder)
        self._environment.process_exit_code = int(judgement.exit_code)
        if not parsed_options(self._environment).headless:
            self.show()

    def _collect(self) -> None:
        """Have every load side ship what is left."""
        if isinstance(self._runner, MasterRunner):
            if not self._workers_present() <= self._finished:
                self._runner.send_message(FINISH)
                self._all_finished.wait(self._environment.stop_timeout + FINISH_MARGIN_S)
            self._watch_workers(self._runner)
        elif self._load_side is not None:
            gevent.killall(self._greenlets)
            self._load_side.finish()
            self._sent[self._load_side.source] = self._load_side.recorder.sequence

    def abort(self) -> None:
        """End a run that still goes on: SIGTERM came, or the web UI quits."""
        if self._book is None:
            return
        self._interrupted = "Locust was told to quit"
        if isinstance(self._runner, MasterRunner):
            self._runner.stop(send_stop_to_client=False)
        else:
            self._runner.stop()

    def release(self) -> None:
        """Stop the embedded cluster, if there is one. Idempotent."""
        target, self._target = self._target, None
        if target is not None:
            target.close()

    def show(self) -> None:
        """Print the last verdict once."""
        judged, self._judged = self._judged, None
        if judged is not None:
            self._console.verdict(*judged)
