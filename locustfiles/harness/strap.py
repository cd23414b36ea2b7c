"""Straps a scenario into Locust: which listener does what, in which process.

The only process, and the master, own the run: target, books, verdict. The only process, and each
worker, send the load: recorder and health. Life cycle, by Locust's events:

1. init_command_line_parser: the options; init: everything that can be wrong is found here, the
   target is reached or the embedded cluster started, before any load (else exit code 4), and the
   web UI, if there is one, gets its additions;
2. test_start: books and load side begin; the exit code is 3 until a verdict changes it. Without a
   web UI an interrupt before it, as while workers are awaited, ends the process with exit code 5;
3. test_stop: load sides ship what is left, the verdict is computed and the exit code set. The web
   UI may go back to 2, with the shape or without;
4. quitting: a run that still goes on is ended as ABORTED, the embedded cluster is stopped;
5. quit: the report is awaited and the run sealed; the summary is the last thing printed.

Locust swallows exceptions of listeners, so nothing here may rely on raising but in `init`.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import locust
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import Events
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner
from locust.web import WebUI

from locustfiles.harness.arrivals.open_load import (
    most_sessions,
    refuse_ad_hoc,
    require_sound_arrivals,
    require_sound_checks,
)
from locustfiles.harness.console import Console
from locustfiles.harness.course import planned
from locustfiles.harness.declared_checks import (
    require_abortable_checks,
    require_free_ids,
    require_known_windows,
    require_long_enough,
    with_slo,
)
from locustfiles.harness.distribution.fingerprint import given_options, suite_hashes
from locustfiles.harness.distribution.worker import Worker
from locustfiles.harness.exit_code import keep_exit_code
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.interrupt import Interrupts, stop_before_the_load
from locustfiles.harness.limit import check_descriptors
from locustfiles.harness.options import Options, add_options, parsed_options
from locustfiles.harness.owner import Owner
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.stress import stress_of
from locustfiles.harness.unplanned import require_unplanned, users_wanted
from locustfiles.harness.web.declared import DeclaredUsers
from locustfiles.harness.web.web_access import require_free_port
from locustfiles.harness.web.web_ui import attach
from results.check import expanded
from results.errors import ResultsError
from results.measure import Measure
from results.verdict import ExitCode
from results.windows import RUN, phase_windows
from shapes.locust_shape import PhasedShape

STRAPPED = "foundation_strapped"
"""Attribute of Locust's events: ids of all that was strapped in, of which there may be one."""

STOP_TIMEOUT = "stop_timeout"
"""Locust's name of `--stop-timeout`."""

logger = logging.getLogger(__name__)


def strap_in(scenario: Scenario, events: Events | None = None) -> None:
    """Run `scenario` with Locust's own command line. Call it once, at the end of a locustfile."""
    Harness(scenario).listen(events or locust.events)


class Harness:
    """One per process. What it does depends on the runner that Locust made."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        # Now: Locust applies --config-users between this and `init`.
        self._declared = DeclaredUsers(scenario.users)
        self._owner: Owner | None = None
        self._worker: Worker | None = None
        self._interrupts = Interrupts()
        self._console = Console()

    def listen(self, events: Events) -> None:
        strapped: list[str] = getattr(events, STRAPPED, [])
        strapped.append(self._scenario.id)
        setattr(events, STRAPPED, strapped)
        if len(strapped) > 1:
            # Found when Locust reads its command line: only then it is known what will be run.
            return
        add = partial(_add_options, self._scenario, strapped)
        listeners: tuple[tuple[Any, Callable[..., None]], ...] = (
            (events.init_command_line_parser, add),
            (events.init_command_line_parser, _remember_sources),
            (events.init, self._on_init),
            (events.test_start, self._on_test_start),
            (events.test_stop, self._on_test_stop),
            (events.quit, self._on_quit),
        )
        for event, listener in listeners:
            event.add_listener(listener)

    def _on_init(
        self, environment: Environment, runner: Runner, web_ui: WebUI | None = None, **_: Any
    ) -> None:
        try:
            self._prepare(environment, runner, web_ui)
        except (BadConfiguration, ResultsError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(ExitCode.BAD_CONFIGURATION)
        except KeyboardInterrupt:
            stop_before_the_load()

    def _prepare(self, environment: Environment, runner: Runner, web_ui: WebUI | None) -> None:
        # Locust's default is 0 as well.
        if not environment.stop_timeout and STOP_TIMEOUT not in given_options(sys.argv[1:]):
            environment.stop_timeout = self._scenario.stop_timeout_s
        options = Options.of(environment, loads_nodes=self._scenario.cluster is not None)
        if not isinstance(runner, WorkerRunner):
            self._scenario = with_slo(self._scenario, options)
        shape = self._configured_shape(environment, options)
        if isinstance(runner, WorkerRunner):
            # A failed request is the verdict's business, not the worker's exit code.
            environment.process_exit_code = int(ExitCode.PASS)
            self._worker = Worker(environment, runner)
            self._interrupts.watch_worker(runner, self._worker.finish)
            self._worker.greet()
            return
        assert isinstance(runner, LocalRunner | MasterRunner)
        _require_declared(self._scenario, environment)
        require_abortable_checks(self._scenario)
        require_free_ids(self._scenario)
        if shape is not None:
            self._require_no_changes(environment, web_ui)
            _require_sound_checks(self._scenario, shape)
        environment.process_exit_code = int(ExitCode.INCONCLUSIVE)
        owner = Owner(self._scenario, options, environment, runner, shape, self._console)
        self._owner = owner
        keep_exit_code(environment, lambda: owner.verdicts.exit_code)
        # Only now, so that it comes before the master's own listener: Locust fires in reverse, and
        # a run that the master has stopped no longer shows that Locust was told to quit.
        quitting: Any = environment.events.quitting
        quitting.add_listener(self._on_quitting)
        if isinstance(runner, MasterRunner):
            self._interrupts.watch_awaited_workers(owner, runner)
        if web_ui is None:
            self._interrupts.watch_headless(owner, runner)
        else:
            require_free_port(web_ui.host, web_ui.port)
            self._interrupts.watch_beside_web_ui()
        # Also on ways out that fire no event, such as sys.exit while workers are awaited.
        atexit.register(self._owner.release)
        self._owner.acquire()
        if web_ui is not None:
            self._open_web_ui(web_ui, environment, self._owner)

    def _configured_shape(self, environment: Environment, options: Options) -> PhasedShape | None:
        """None for a scenario without a plan. Raises BadConfiguration."""
        scenario, shape = self._scenario, environment.shape_class
        if scenario.shape is None:
            require_unplanned(scenario, options, environment)
            if why := refuse_ad_hoc(environment.user_classes):
                raise BadConfiguration(why)
            _check_descriptors(scenario, users_wanted(environment), environment)
            return None
        _quieten(environment)
        if not isinstance(shape, PhasedShape):
            raise BadConfiguration(
                f"{scenario.id} has no phased shape: define one subclass of PhasedShape "
                "in the locustfile, and no other shape"
            )
        _configure(shape, options, environment)
        require_sound_arrivals(shape.plan, environment.user_classes)
        planned_peak = round(shape.plan.peak(0.0, shape.plan.duration_s)) + shape.fixed_users
        sessions = most_sessions(shape.plan, environment.user_classes)
        _check_descriptors(scenario, planned_peak + sessions, environment)
        return shape

    def _require_no_changes(self, environment: Environment, web_ui: WebUI | None) -> None:
        runs_by_itself = web_ui is None or parsed_options(environment).autostart
        if runs_by_itself and (changes := self._declared.changes()):
            raise BadConfiguration(
                f"the shape plans the users as they are declared ({'; '.join(changes)}): leave "
                "out --config-users, or start the web UI for ad-hoc load"
            )

    def _open_web_ui(self, web_ui: WebUI, environment: Environment, owner: Owner) -> None:
        if self._scenario.cluster is not None:
            # Shown by the form and the report; users know their nodes, others get the first one.
            environment.host = environment.host or owner.nodes[0].url
        scheme = "https" if web_ui.tls_cert else "http"
        path = parsed_options(environment).web_base_path
        url = f"{scheme}://{web_ui.host or '0.0.0.0'}:{web_ui.port}{path}"
        starts = "Start runs the scenario's shape; " if self._scenario.shape else ""
        self._console.say(f"web UI: {url} ({starts}Ctrl-C ends)")
        refuse_users = partial(_why_too_many, self._scenario, environment)
        attach(web_ui, environment, owner, declared=self._declared, refuse_users=refuse_users)

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        self._interrupts.run_begins(environment)
        if self._worker is not None:
            self._worker.begin()
        if self._owner is not None:
            self._owner.begin()

    def _on_test_stop(self, **_: Any) -> None:
        if self._worker is not None:
            self._worker.finish()
        if self._owner is not None:
            self._owner.finish()

    def _on_quitting(self, **_: Any) -> None:
        self._interrupts.release()
        if self._owner is not None:
            self._owner.abort()
            self._owner.release()

    def _on_quit(self, **_: Any) -> None:
        if self._owner is not None:
            self._owner.verdicts.close()


def _remember_sources(**_: Any) -> None:
    """Before Locust forks, so that all its processes have the same."""
    suite_hashes()


def _add_options(
    scenario: Scenario, strapped: Sequence[str], parser: LocustArgumentParser, **_: Any
) -> None:
    if len(strapped) > 1:
        print(
            f"error: {', '.join(strapped)} are judged in one process: call strap_in or judge once, "
            "in one locustfile, and import from no file that calls them",
            file=sys.stderr,
        )
        sys.exit(int(ExitCode.BAD_CONFIGURATION))
    add_options(parser, is_existing=scenario.is_existing)


def _configure(shape: PhasedShape, options: Options, environment: Environment) -> None:
    """Raises BadConfiguration for profiles that do not fit the classes, and for bad scales."""
    users = environment.user_classes
    try:
        shape.configure(users=users)
    except ValueError as error:
        raise BadConfiguration(f"the shape {type(shape).__name__}: {error}") from None
    try:
        shape.configure(time_scale=options.time_scale, load_scale=options.load_scale, users=users)
    except ValueError as error:
        raise BadConfiguration(
            f"--time-scale {options.time_scale:g} with --load-scale {options.load_scale:g} does "
            f"not fit this scenario ({error}): use factors nearer to 1"
        ) from None


def _check_descriptors(scenario: Scenario, users: int, environment: Environment) -> None:
    """Raises BadConfiguration where this process, or one of its own workers, has too few."""
    runner = environment.runner
    processes = parsed_options(environment).processes
    carries_load = isinstance(runner, LocalRunner) or (
        bool(processes) and isinstance(runner, MasterRunner)
    )
    check_descriptors(
        peak_users=users,
        connections_per_user=scenario.connections_per_user,
        processes=processes or 1,
        is_required=carries_load,
        warns=isinstance(runner, WorkerRunner) and not processes,
    )


def _why_too_many(scenario: Scenario, environment: Environment, users: int) -> str | None:
    try:
        _check_descriptors(scenario, users, environment)
    except BadConfiguration as error:
        return str(error)
    return None


def _require_declared(scenario: Scenario, environment: Environment) -> None:
    """Raises BadConfiguration when Locust found another shape, or other users, than declared."""
    if scenario.is_existing:
        return
    if scenario.shape is not None and type(environment.shape_class) is not scenario.shape:
        raise BadConfiguration(
            f"{scenario.id} declares the shape {scenario.shape.__name__}, but Locust would run "
            f"{type(environment.shape_class).__name__}: keep one shape in the locustfile, and "
            "name it in the scenario"
        )
    parsed = parsed_options(environment)
    if parsed.class_picker or parsed.user_classes:
        return
    found, declared = set(environment.user_classes), set(scenario.users)
    if found != declared:
        names = ", ".join(sorted(user.__name__ for user in found ^ declared))
        raise BadConfiguration(
            f"{scenario.id} declares other users than the locustfile has ({names}): declare every "
            "user class, and set `abstract = True` on those that are only bases"
        )
    if not isinstance(environment.shape_class, PhasedShape):
        return
    plan = environment.shape_class.plan
    if plan.peak(0.0, plan.duration_s) > 0 and all(one.fixed_count for one in found):
        raise BadConfiguration(
            f"{scenario.id} has a profile of users, but each of its classes has a fixed_count: "
            "leave it out of the class that the profile is for, or plan steady(0, …)"
        )


def _require_sound_checks(scenario: Scenario, shape: PhasedShape) -> None:
    """Raises BadConfiguration for checks that could only be found wrong after the run."""
    plan = planned(shape, scenario)
    try:
        stress_of(shape, plan)
    except ValueError as error:
        raise BadConfiguration(f"{scenario.id}: {error}") from None
    for check in scenario.checks:
        try:
            require_sound_checks(shape.plan, [check], scenario.endpoint)
        except BadConfiguration as error:
            raise BadConfiguration(f"{scenario.place(check)}: {error}") from None
    if scenario.mean_cycle_s is None:
        _refuse_achieved(scenario, is_open=bool(shape.plan.arrivals))
    windows = [RUN, *(window.name for window in phase_windows(plan))]
    try:
        expanded(scenario.checks, windows)
    except ValueError as error:
        raise BadConfiguration(f"{scenario.id}: {error}") from None
    require_known_windows(scenario, windows, plan.duration_s)
    require_long_enough(scenario, plan)


def _refuse_achieved(scenario: Scenario, *, is_open: bool) -> None:
    for check in scenario.checks:
        if is_open and check.endpoint is None:
            # Arrivals are counted against those planned.
            continue
        if check.measure is Measure.ACHIEVED and check.mean_cycle_s is None:
            raise BadConfiguration(
                f"{scenario.place(check)}: the check {check.id!r} counts against the plan, but no "
                "mean cycle is declared: give the scenario (or the check) a mean_cycle_s, or leave "
                "it out"
            )


class _NoRateWarning(logging.Filter):
    """Locust warns of spawn rates above 100/s; a step of a plan is one batch by design (D5)."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "spawn rate is very high" not in record.getMessage()


def _quieten(environment: Environment) -> None:
    """The progress line replaces Locust's table every two seconds, unless it was asked for."""
    options = parsed_options(environment)
    if not options.print_stats:
        options.only_summary = True
    logging.getLogger("locust.runners").addFilter(_NoRateWarning())
    # Locust's master would block each tick for up to a second to count users that we do not wait
    # for: the plan counts planned users (D5).
    os.environ.setdefault("LOCUST_WAIT_FOR_WORKERS_REPORT_AFTER_RAMP_UP", "0")
