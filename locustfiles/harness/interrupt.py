"""What ends a process before its time: Ctrl-C, SIGTERM, and workers that do not come.

The main greenlet waits in Locust's `main`, where an interrupt must arrive as a KeyboardInterrupt:
Locust then shuts down. Life cycle: watched from init on, `release`d when Locust quits. This module
must not decide how a run that was cut off is judged.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import gevent
from locust.env import Environment
from locust.runners import STATE_CLEANUP, LocalRunner, MasterRunner, WorkerRunner

from locustfiles.harness.options import parsed_options
from locustfiles.harness.owner import Owner
from results.verdict import ExitCode

END_MARGIN_S = 5.0
"""Beyond the stop timeout, for users that are being stopped to be gone."""

POLL_S = 0.05


class Interrupts:
    """One per process."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._is_leaving = False
        self._is_quitting = False

    def watch_headless(self, owner: Owner, runner: LocalRunner | MasterRunner) -> None:
        # With a shape Locust installs its own handler only after the run.
        for number in (signal.SIGTERM, signal.SIGINT):
            self._watch(number, _interrupt, owner, runner, number)

    def watch_beside_web_ui(self) -> None:
        # Python's own would raise in any greenlet that happens to run.
        self._watch(signal.SIGINT, _interrupt_main)

    def watch_worker(self, runner: WorkerRunner, finish: Callable[[], None]) -> None:
        """`finish` ships what is left; of several calls at once all wait for it."""
        self._watch(signal.SIGINT, self._leave, runner, finish)

    def watch_awaited_workers(self, owner: Owner, runner: MasterRunner) -> None:
        """Locust gives up after `--expect-workers-max-wait`, with 1: the exit code of a FAIL."""
        options = parsed_options(runner.environment)
        limit_s, began_s = options.expect_workers_max_wait, time.monotonic()
        if not limit_s:
            return
        locusts_quit = runner.quit

        def quit() -> None:
            came = len(runner.clients.ready)
            locusts_quit()
            is_locusts_main = gevent.getcurrent() is gevent.get_hub().parent
            is_over = owner.has_begun or self._is_quitting
            if is_over or not is_locusts_main or time.monotonic() - began_s < limit_s:
                return
            print(
                f"error: {came} of {options.expect_workers} workers were ready after {limit_s} s: "
                "start the others with --worker (their logs say what keeps them from joining), or "
                "change --expect-workers or --expect-workers-max-wait",
                file=sys.stderr,
            )
            sys.exit(int(ExitCode.BAD_CONFIGURATION))

        runner.quit = quit  # type: ignore[method-assign]

    def run_begins(self, environment: Environment) -> None:
        """Without a shape Locust's own handler of SIGTERM is there from now on, and two of them
        would shut down twice."""
        if environment.shape_class is None and signal.SIGTERM in self._handlers:
            self._handlers.pop(signal.SIGTERM).cancel()

    def release(self) -> None:
        self._is_quitting = True
        for handler in self._handlers.values():
            handler.cancel()

    def _watch(self, number: int, *call: Any) -> None:
        self._handlers[number] = gevent.signal_handler(number, *call)

    def _leave(self, runner: WorkerRunner, finish: Callable[[], None]) -> None:
        """Ctrl-C in a terminal reaches each process: ship what is left, then let Locust shut down.

        Its own way says goodbye to the master first, which then counts the worker as lost. Where
        the master was faster and has asked for the end already, that end is waited for, too. A
        second Ctrl-C waits for nothing.
        """
        is_first, self._is_leaving = not self._is_leaving, True
        if is_first:
            if runner.state == STATE_CLEANUP:
                _wait_until_stopped(runner)
            else:
                runner.stop()
            finish()
        _interrupt_main()


def stop_before_the_load() -> NoReturn:
    """End the process with exit code 5."""
    print("stopped before the load began", file=sys.stderr)
    sys.exit(int(ExitCode.ABORTED))


def _interrupt(owner: Owner, runner: LocalRunner | MasterRunner, number: int) -> None:
    """End the run as Ctrl-C does: the main greenlet gets a KeyboardInterrupt."""
    if owner.has_begun:
        owner.note_interrupt(by_person=number == signal.SIGINT)
        # Raised here it would get there too, after gevent has printed a traceback.
        _interrupt_main()
        return
    # Workers are awaited, in a place of Locust's that forgets those which have come.
    runner.quit()
    stop_before_the_load()


def _wait_until_stopped(runner: WorkerRunner) -> None:
    deadline_s = time.monotonic() + (runner.environment.stop_timeout or 0.0) + END_MARGIN_S
    while runner.state == STATE_CLEANUP and time.monotonic() < deadline_s:
        gevent.sleep(POLL_S)


def _interrupt_main() -> None:
    gevent.kill(gevent.get_hub().parent, KeyboardInterrupt)
