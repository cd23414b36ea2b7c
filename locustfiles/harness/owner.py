"""The owning process's part of a run: the only process, or the master of several.

It owns target, books and verdict; in the only process also the load side. Life cycle:

1. `acquire` at init: run folder, facts for the manifest, target reached or embedded cluster
   started;
2. `begin` at test_start, `_watch` about once a second, `finish` at test_stop: again for each run
   that the web UI starts, the cluster stays. One run begins when the one before it is judged;
3. `abort` ends a run that still goes on, `release` the cluster.
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
from locust.runners import STATE_CLEANUP, STATE_STOPPING, LocalRunner, MasterRunner

from locustfiles.harness.arrivals.open_load import PlannedArrivals, begin_arrivals, refuse_ad_hoc
from locustfiles.harness.arrivals.own_share import WholeShare
from locustfiles.harness.audit.run_audit import RunAudit, auditor_of, origins_of
from locustfiles.harness.console import Console
from locustfiles.harness.course import (
    Course,
    ad_hoc_course,
    course_of,
    require_recordable_plan,
)
from locustfiles.harness.distribution.barrier import LEFT_OUT, Barrier
from locustfiles.harness.distribution.clock_sync import answer_clock
from locustfiles.harness.distribution.crew import LocalCrew, local_crew
from locustfiles.harness.distribution.fingerprint import fingerprint
from locustfiles.harness.distribution.hello import REFUSED, Welcome
from locustfiles.harness.distribution.muster import Muster
from locustfiles.harness.distribution.roll import WorkerRoll
from locustfiles.harness.distribution.worker import FINISHED, REPORT, source_of
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.notes import close_desk, open_desk
from locustfiles.harness.opening import open_book, said_of, write_manifest
from locustfiles.harness.options import Options, parsed_options
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.run import Run
from locustfiles.harness.run_book import Moment
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.target.acquire import acquire_target
from locustfiles.harness.target.sampler import Sampler, endpoints
from locustfiles.harness.target.target import Node, Target, client_token
from locustfiles.harness.unplanned import unplanned_course
from locustfiles.harness.verdicts import Verdicts
from results.errors import ResultsError
from results.manifest import manifest
from results.run_folder import RunFolder, create_run, new_run_id
from shapes.locust_shape import PhasedShape

FINISH_MARGIN_S = 10.0
"""Beyond the stop timeout, for workers to encode and send what is left."""

AUDIT_TIMEOUT_S = 120.0
"""For the writes of a run to be audited before another may begin: it takes 30 s for a million."""

JUDGE_TIMEOUT_S = 10.0
"""For the end of a run to be written and judged, once nothing is collected any more."""

logger = logging.getLogger(__name__)


class Owner:
    """One per owning process. Everything after `acquire` must not raise: Locust swallows it."""

    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        environment: Environment,
        runner: LocalRunner | MasterRunner,
        shape: PhasedShape | None,
        console: Console,
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._environment = environment
        self._runner = runner
        self._shape = shape
        self._console = console
        self._target: Target | None = None
        self._facts: dict[str, object] = {}
        self._next_folder: RunFolder | None = None
        self._run: Run | None = None
        self._idle = Event()
        self._idle.set()
        self.verdicts = Verdicts(environment, console)
        self.not_begun: str | None = None
        self.welcome: Welcome | None = None
        self._arrivals = PlannedArrivals(runner, options.seed)
        self._barrier: Barrier | None = None
        self._muster: Muster | None = None
        self._crew: LocalCrew | None = None
        if isinstance(runner, MasterRunner):
            self.welcome = Welcome(environment, runner, fingerprint(environment), self._refused)
            self._barrier = Barrier(runner, self.welcome)
            answer_clock(runner)
            self._muster = Muster(environment, runner, self.welcome.is_welcome, self.welcome.master)
            runner.register_message(REPORT, self._on_report)
            runner.register_message(FINISHED, self._on_finished)
        else:
            self._crew = local_crew(environment, runner)

    @property
    def has_begun(self) -> bool:
        """Whether any run was started."""
        return self.verdicts.runs > 0

    @property
    def course(self) -> Course | None:
        """Of the run that goes on, until it is judged."""
        return None if self._run is None else self._run.course

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether no run goes on, at the latest after that time."""
        return bool(self._idle.wait(timeout_s))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes under load, from `acquire` to `release`; the same for every run."""
        return () if self._target is None else self._target.nodes

    # Before the load

    def acquire(self) -> None:
        """Raises BadConfiguration or RunFolderError, before any load."""
        if self._shape is not None:
            require_recordable_plan(self._shape, self._scenario, self._arrivals)
        self._next_folder = self._new_folder()
        # Runs git, which is too slow for test_start.
        self._facts = manifest(
            run_id=self._next_folder.run_id,
            scenario=self._scenario.id,
            tier=self._scenario.tier,
            started_at=datetime.now(UTC),
            options=self._options.as_dict(),
            seed=self._options.seed,
            source_dir=self._scenario.source_dir,
        )
        self._target = acquire_target(
            self._scenario,
            self._options,
            self._environment,
            log_dir=self._next_folder.logs,
            say=self._console.say,
        )

    def _new_folder(self) -> RunFolder:
        runs_dir = Path(self._options.results_dir)
        if self._options.run_id is not None:
            runs = self.verdicts.runs
            return create_run(runs_dir, self._options.run_id + (f"-{runs}" if runs > 1 else ""))
        run_id = new_run_id(self._scenario.id, now=datetime.now(UTC), suffix=secrets.token_hex(2))
        return create_run(runs_dir, run_id)

    # While it runs

    def begin(self) -> None:
        """A run starts. One that cannot be recorded is ended at once, `not_begun` says why."""
        self.not_begun = None
        try:
            self._begin()
        except Exception as error:
            # The edge to Locust, which would swallow it and let users start without books.
            is_known = isinstance(error, ResultsError | BadConfiguration)
            text = "the run cannot be recorded, so it is not started: %s"
            logger.error(text, error, exc_info=not is_known)
            self.not_begun = str(error)
            headless = parsed_options(self._environment).headless
            gevent.spawn(self._runner.quit if headless else self._runner.stop)

    def _begin(self) -> None:
        assert self._target is not None
        self._end_what_was_left()
        limit_s = self._environment.stop_timeout + FINISH_MARGIN_S + AUDIT_TIMEOUT_S
        limit_s += JUDGE_TIMEOUT_S
        if not self._idle.wait(limit_s):
            raise TimeoutError(f"the run before it was not judged within {limit_s:.0f} s")
        if self._is_ad_hoc and (why := refuse_ad_hoc(self._runner.user_classes)):
            raise BadConfiguration(why)
        silent = () if self._barrier is None else self._barrier.gather()
        self.verdicts.begin()
        folder = self._next_folder or self._new_folder()
        self._next_folder = None
        self._say_what_begins(folder)
        # Locust's master resets the time once more when this returns: nothing slow from here on.
        course = self._new_course()
        plan = RunPlan(
            run_id=folder.run_id,
            origin_us=course.origin_us,
            seed=self._options.seed,
            nodes=self._target.nodes,
            phases=() if course.profile is None else tuple(course.profile.phases()),
            ad_hoc=course.profile is None,
            time_scale=self._options.time_scale,
            load_scale=self._options.load_scale,
            allow_target=self._options.allow_target,
        )
        plan.publish(parsed_options(self._environment))
        book = open_book(folder, self._scenario, self._options, course)
        run = Run(folder.run_id, book, course, self._runner, self._users)
        self._idle.clear()
        self._run = run
        open_desk(book.notes.take, course.elapsed_s)
        if isinstance(self._runner, MasterRunner):
            run.roll = WorkerRoll(self._runner, run.run_id)
            run.begin_health(
                run.roll,
                {
                    worker: source_of(self._runner.worker_indexes[worker])
                    for worker in self._runner.clients
                    if worker not in silent
                },
            )
            assert self._muster is not None, "a master has one"
            notes = run.begin_attendance(self._runner, run.roll)
            self._muster.begin(run.run_id, course.elapsed_s, notes)
            run.end_arrivals = self._muster.end_arrivals
            for worker in silent:
                name = source_of(self._runner.get_worker_index(worker))  # type: ignore[no-untyped-call]
                run.note(LEFT_OUT, f"{name} ({worker}) was not ready: others send its share")
        else:
            self._begin_load(run, plan)
        run.greenlets.append(gevent.spawn(run.guarded, lambda: run.watch(self._progress(run))))
        # A service that is not Foundation is asked for no metrics, and never told the token.
        nodes = () if self._scenario.cluster is None else plan.nodes
        sampled = endpoints(nodes, client_token(), self._options.target_metrics)
        sampler = Sampler(sampled, course.elapsed_s, run.book.target)
        run.greenlets.append(gevent.spawn(sampler.run))

    def _refused(self, text: str) -> None:
        if self._run is not None:
            self._run.note(REFUSED, text)

    @property
    def _is_ad_hoc(self) -> bool:
        """Locust ticks a shape in a greenlet of its own; users asked for by hand have none."""
        return self._shape is not None and self._runner.shape_greenlet is None

    def _new_course(self) -> Course:
        if self._shape is None:
            return unplanned_course(self._environment)
        if self._is_ad_hoc:
            return ad_hoc_course()
        return course_of(self._shape, self._scenario, self._arrivals.of(self._shape.plan))

    def _say_what_begins(self, folder: RunFolder) -> None:
        """In the manifest and on the console."""
        users, is_ad_hoc = self._runner.user_classes, self._is_ad_hoc
        write_manifest(
            *(folder, self._facts, self._options),
            nodes=self.nodes,
            users=users,
            is_ad_hoc=is_ad_hoc,
            slo=self._scenario.slo,
        )
        self._console.say(said_of(folder, self._scenario, self.nodes, is_ad_hoc=is_ad_hoc))

    def _users(self) -> int:
        """Users that run now, and that nobody has asked to stop."""
        if self._muster is not None:
            return self._muster.users()
        assert self._crew is not None, "the only process has one"
        return sum(self._crew.crew.counts().values())

    def _end_what_was_left(self) -> None:
        """A run whose end Locust never announced: it was stopped before its first user started."""
        run = self._run
        is_stopping = self._runner.state in (STATE_CLEANUP, STATE_STOPPING)
        if run is not None and not run.is_ending and not is_stopping:
            run.interrupted = "it was stopped before its users started"
            self.finish()

    def _begin_load(self, run: Run, plan: RunPlan) -> None:
        load_side = run.load_side = LoadSide(
            plan,
            source="local",
            worker_index=0,
            users=self._users,
            ship=run.book.take,
            probes=(run.book.slowest_write,),
        )
        load_side.attach(self._environment)
        share = WholeShare()
        run.end_arrivals = share.end_arrivals
        begin_arrivals(self._environment, load_side, share)
        run.greenlets.append(gevent.spawn(run.guarded, load_side.run))

    def _progress(self, run: Run) -> Callable[[Moment, int], None] | None:
        """Shows how a run with a plan goes on; nothing where a web UI does."""
        profile = run.course.profile
        if profile is None or not parsed_options(self._environment).headless:
            return None
        total_s = profile.duration_s
        return lambda moment, users: self._console.progress(moment, users=users, total_s=total_s)

    def _on_report(self, environment: Environment, msg: Message, **_: Any) -> None:
        run = self._run
        if run is not None and run.run_id == msg.data["run_id"]:
            run.guarded(lambda: run.take(msg.node_id, msg.data["kind"], msg.data["report"]))

    def _on_finished(self, environment: Environment, msg: Message, **_: Any) -> None:
        run = self._run
        if run is not None and run.roll is not None and run.run_id == msg.data["run_id"]:
            run.roll.finished(msg.node_id, msg.data)
            if self._muster is not None:
                self._muster.left(msg.node_id)

    # At its end

    def finish(self) -> None:
        """The run is over or was stopped: collect, judge, set the exit code."""
        run = self._run
        if run is None or run.is_ending:
            return
        run.is_ending = True
        run.interrupted = run.interrupted or run.course.cut_short()
        is_deserted = self._muster is not None and self._muster.is_deserted
        if is_deserted and (run.interrupted or run.course.profile is None):
            run.interrupted = ": ".join(filter(None, ("no worker was left", run.interrupted)))
        sent: dict[str, int] = {}
        try:
            run.guarded(lambda: run.collect(self._environment.stop_timeout + FINISH_MARGIN_S, sent))
            self._stop_watching(run)
            run.guarded(lambda: self._audit(run))
        except gevent.GreenletExit:
            # Locust quits by killing this greenlet; the verdict is due all the same.
            self.note_interrupt()
            raise
        finally:
            # Nothing waits from here on, so that a kill cannot come before the verdict.
            self._stop_watching(run)
            close_desk()
            self.verdicts.judge(run, sent)
            self._run = None
            self._idle.set()
            if run.roll is not None:
                run.roll.say_over()
            if is_deserted and parsed_options(self._environment).headless:
                # Without a shape Locust would wait for somebody to end it.
                gevent.spawn(self._runner.quit)

    def _stop_watching(self, run: Run) -> None:
        """No load goes on: nobody's lateness or silence counts from here on. Idempotent."""
        gevent.killall(run.greenlets, block=False)
        if run.load_side is not None:
            run.load_side.detach(self._environment)
        if self._muster is not None:
            self._muster.end()

    def _audit(self, run: Run) -> None:
        """Look every write up where it should be."""
        nodes = origins_of(node.url for node in self.nodes) if self._scenario.cluster else ()
        auditor = auditor_of(self._scenario.auditor, nodes, client_token())
        run.book.stop_clock()
        run.begin_audit(RunAudit(run.book.folder, auditor, nodes), self._console.auditing)

    def note_interrupt(self, *, by_person: bool = False) -> None:
        """An interrupt came: it may have cut off the run that goes on."""
        if self._run is not None:
            self._run.note_interrupt(by_person=by_person)

    def abort(self) -> None:
        """End a run that still goes on: SIGTERM came, or the web UI quits."""
        run = self._run
        if run is None:
            return
        if run.is_ending:
            self.note_interrupt()
            self._idle.wait(JUDGE_TIMEOUT_S)
            return
        if not run.ended_by_hand:
            run.interrupted = run.interrupted or "Locust was told to quit"
        if isinstance(self._runner, MasterRunner):
            self._runner.stop(send_stop_to_client=False)
        else:
            self._runner.stop()

    def release(self) -> None:
        """Stop the embedded cluster, if there is one. Idempotent."""
        target, self._target = self._target, None
        if target is not None:
            target.close()
