"""A worker's part of a run: it sends load and ships what it recorded to the master.

Life cycle: made at init, where `greet` asks the master to be let in; `begin` at test_start, when
Locust's spawn message has brought the plan; `finish` at test_stop, after the users have stopped:
ships the rest and says how much it sent. The master asks for that with its own message, because
Locust's quit gives workers half a second. From then until the master says that the run is over,
after its audit, a locustfile may still say that a fault has healed.
Every message names its run, so that none is taken for another's. This module must not know checks
or verdicts.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import STATE_INIT, WorkerRunner

from locustfiles.harness.arrivals.open_load import begin_arrivals
from locustfiles.harness.distribution.barrier import answer_prepare, make_ready
from locustfiles.harness.distribution.beat import Holding, WorkerBeat, WorkerShare
from locustfiles.harness.distribution.clock_sync import ClockSync
from locustfiles.harness.distribution.crew import WorkerCrew
from locustfiles.harness.distribution.fingerprint import fingerprint
from locustfiles.harness.distribution.hello import say_hello
from locustfiles.harness.distribution.master_loss import (
    EXIT_TIMEOUT_S,
    STOP_TIMEOUT_S,
    MasterGoneError,
    MasterLoss,
    end_process,
)
from locustfiles.harness.distribution.way_out import WayOut
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.notes import close_desk, open_desk, settle_desk
from locustfiles.harness.options import parsed_options
from locustfiles.harness.plan import ATTRIBUTE, RunPlan
from locustfiles.harness.target.allowed_target import Allowance
from results.health import SHIPPING_FAILURES
from results.verdict import ExitCode
from shapes.locust_shape import PhasedShape

REPORT = "foundation_report"
"""Worker to master: {"run_id": …, "kind": "second" | "writes" | "health" | …, "report": …}."""
FINISH = "foundation_finish"
"""Master to worker: stop your users and ship what is left. {"run_id": …}"""
FINISHED = "foundation_finished"
"""Worker to master: {"run_id": …, "source": …, "sent": second reports, "writes": reports of
writes, "failures": …}."""
OVER = "foundation_over"
"""Master to worker: the run is judged, nothing more is written of it. {"run_id": …}"""

logger = logging.getLogger(__name__)


def source_of(worker_index: int) -> str:
    """A worker's name in reports, by the number that Locust's master gave it."""
    return f"worker-{worker_index}"


class Worker:
    """One per worker process."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self._environment = environment
        self._runner = runner
        self._plan: RunPlan | None = None
        self._load_side: LoadSide | None = None
        self._shipping: gevent.Greenlet | None = None
        self._failures = 0
        self._unsent = 0
        self._finishing = BoundedSemaphore()
        self.clock = ClockSync(runner)
        self.loss = MasterLoss(runner, partial(end_process, runner))
        self.beat = WorkerBeat(
            runner,
            holding=lambda: Holding(self._crew.share, self._crew.crew.counts()),
            fence=self._fence,
            exchanged=self.clock.take,
            answered=self.loss.answered,
            missing=self.loss.missing,
            unread=self.loss.unread,
            master_runs=self._end_what_is_over,
        )
        self._crew = WorkerCrew(runner, self.beat.may_send, self.beat.beat_now)
        WayOut(runner, self.loss.timed_out)
        self._over: str | None = None
        self._handle = runner.handle_message
        runner.handle_message = self._handle_message  # type: ignore[method-assign]
        self.share: WorkerShare | None = None
        runner.register_message(FINISH, self._on_finish, concurrent=True)
        runner.register_message(OVER, self._on_over)
        answer_prepare(runner, self.clock)

    def greet(self) -> None:
        """Say hello to the master, and make ready. Raises BadConfiguration when it is refused."""
        try:
            self.loss.greeted(say_hello(self._runner, fingerprint(self._environment)))
        except MasterGoneError as error:
            code = int(ExitCode.ABORTED)
            print(f"error: {error}; this worker stops (exit code {code})", file=sys.stderr)
            sys.exit(code)
        # Now, so that it has its lease when it is ready.
        self._runner.greenlet.spawn(self.beat.run)
        if not make_ready(self.clock):
            raise BadConfiguration(
                f"the master at {self._runner.master_host}:{self._runner.master_port} did not tell "
                "its time, by which this worker's is corrected: see that it is not overloaded"
            )
        host, port = self._runner.master_host, self._runner.master_port
        logger.info("welcome at the master %s:%d, and ready", host, port)

    def _handle_message(self, msg: Message) -> None:
        """Locust would begin a run with each spawn message that it takes outside of one: for a run
        that is over, users would run that nobody records, and that nobody ends."""
        if msg.type == "spawn":
            plan = msg.data["parsed_options"].get(ATTRIBUTE)
            if plan is not None and self._is_past(plan["run_id"]):
                logger.info("an order of users came for the run %s, which is over", plan["run_id"])
                return
        self._handle(msg)

    def _is_past(self, run_id: str) -> bool:
        """Whether that run has ended here, or is not the one that the master is in."""
        return run_id == self._over or run_id != self.beat.master_run

    def begin(self) -> None:
        """A run starts in this process."""
        self._failures = 0
        self._unsent = 0
        self._plan = plan = RunPlan.of(parsed_options(self._environment))
        self._require_allowed(plan)
        shape = self._environment.shape_class
        if isinstance(shape, PhasedShape):
            # The master's scales, whatever this worker's own command line says.
            shape.configure(
                time_scale=plan.time_scale,
                load_scale=plan.load_scale,
                users=self._environment.user_classes,
            )
        self.share = self.beat.begin(plan.run_id, plan.origin_us)
        self._load_side = LoadSide(
            plan,
            source=self._source(),
            worker_index=self._runner.worker_index,
            users=lambda: sum(self._crew.crew.counts().values()),
            ship=self._ship,
            probes=(lambda: {SHIPPING_FAILURES: self._unsent}, self.clock.figures),
        )
        self._load_side.attach(self._environment)
        open_desk(self._ship, self._load_side.elapsed_s)
        begin_arrivals(self._environment, self._load_side, self.share)
        self._shipping = gevent.spawn(self._run, self._load_side)

    def _require_allowed(self, plan: RunPlan) -> None:
        """The master has checked the targets, but this machine may resolve a name otherwise."""
        try:
            Allowance.of(plan.allow_target).require(node.url for node in plan.nodes)
        except BadConfiguration as error:
            end_process(self._runner, str(error), ExitCode.BAD_CONFIGURATION)
            # Locust starts the users when this returns: the process ends before.
            gevent.sleep(STOP_TIMEOUT_S + EXIT_TIMEOUT_S)

    def _run(self, load_side: LoadSide) -> None:
        try:
            load_side.run()
        except Exception:
            # The edge of the greenlet. What it still holds is shipped at the end, but the loop's
            # lag is no longer measured: the master is told, and the run is void.
            self._failures += 1
            logger.exception("shipping failed; the verdict will be INCONCLUSIVE")

    def finish(self) -> None:
        """The users have stopped: ship the rest. Of several that come at once all wait for it."""
        with self._finishing:
            self._finish()

    def _finish(self) -> None:
        load_side, self._load_side = self._load_side, None
        if load_side is None:
            return
        self._over = load_side.plan.run_id
        try:
            load_side.drain(self._environment.stop_timeout)
        finally:
            # Whatever became of its end: what was recorded is shipped.
            if self._shipping is not None:
                self._shipping.kill()
            load_side.finish()
            settle_desk()
            load_side.detach(self._environment)
            self._say_finished(
                load_side.plan.run_id, load_side.recorder.sequence, load_side.ledger.sequence
            )

    def _fence(self) -> None:
        self._crew.fence()
        if self._load_side is not None:
            t_s = round(self._load_side.elapsed_s(), 3)
            text = f"{self._source()} stopped its users: the master had not renewed its lease"
            self._ship("annotation", {"t_s": t_s, "label": "worker_fenced", "text": text})

    def _end_what_is_over(self, master_runs: str | None) -> None:
        """A worker that was away did not hear that the run had ended."""
        load_side = self._load_side
        if load_side is None or load_side.plan.run_id in (master_runs, self._over):
            return
        self._over = load_side.plan.run_id
        logger.warning("the run %s is over: it ends here, too", self._over)
        gevent.spawn(self._end_orphan)

    def _end_orphan(self) -> None:
        self._runner.stop()
        close_desk()
        # As after Locust's own stop message, or the next spawn message would start no run.
        self._runner.worker_state = STATE_INIT

    def _on_finish(self, environment: Environment, msg: Message, **_: Any) -> None:
        run_id = msg.data["run_id"]
        if self._plan is None or self._plan.run_id != run_id:
            # It came too late to have users in that run, and may already be in the next.
            self._say_finished(run_id, 0, 0)
            return
        self._over = run_id
        # Fires test_stop, and so `finish`, once the users are gone.
        self._runner.stop()

    def _on_over(self, environment: Environment, msg: Message, **_: Any) -> None:
        if self._plan is not None and self._plan.run_id == msg.data["run_id"]:
            close_desk()

    def _say_finished(self, run_id: str, sent: int, writes: int) -> None:
        said = {"source": self._source(), "failures": self._failures}
        counts = {"sent": sent, "writes": writes}
        self._runner.send_message(FINISHED, {"run_id": run_id, **said, **counts})

    def _source(self) -> str:
        return source_of(self._runner.worker_index)

    def _ship(self, kind: str, report: dict[str, Any]) -> None:
        assert self._plan is not None
        message = {"run_id": self._plan.run_id, "kind": kind, "report": report}
        try:
            self._runner.send_message(REPORT, message)
        except RPCError as error:
            # The gap in the sequence voids the run; the load goes on.
            self._unsent += 1
            logger.error("a report could not be sent to the master: %s", error)
