"""Signals: what Ctrl-C and SIGTERM do in the process that owns a run, and in its workers.

The main greenlet waits in Locust's `main`, where an interrupt must arrive as a KeyboardInterrupt:
Locust then shuts down. Life cycle: watched from init on, `release`d when Locust quits. This module
must not decide how a run that was cut off is judged.
"""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import gevent
from locust.env import Environment
from locust.runners import STATE_CLEANUP, LocalRunner, MasterRunner, WorkerRunner

from locustfiles.harness.owner import Owner
from results.verdict import ExitCode


class Interrupts:
    """One per process."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}

    def watch_headless(self, owner: Owner, runner: LocalRunner | MasterRunner) -> None:
        # With a shape Locust installs its own handler only after the run.
        for number in (signal.SIGTERM, signal.SIGINT):
            self._watch(number, _interrupt, owner, runner, number)

    def watch_beside_web_ui(self) -> None:
        # Python's own would raise in any greenlet that happens to run.
        self._watch(signal.SIGINT, _interrupt_main)

    def watch_worker(self, runner: WorkerRunner) -> None:
        self._watch(signal.SIGINT, _leave, runner)

    def run_begins(self, environment: Environment) -> None:
        """Without a shape Locust's own handler of SIGTERM is there from now on, and two of them
        would shut down twice."""
        if environment.shape_class is None and signal.SIGTERM in self._handlers:
            self._handlers.pop(signal.SIGTERM).cancel()

    def release(self) -> None:
        for handler in self._handlers.values():
            handler.cancel()

    def _watch(self, number: int, *call: Any) -> None:
        self._handlers[number] = gevent.signal_handler(number, *call)


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


def _leave(runner: WorkerRunner) -> None:
    """Ctrl-C in a terminal reaches each process: ship what is left, then let Locust shut down.

    Its own way says goodbye to the master first, which then counts the worker as lost.
    """
    if runner.state != STATE_CLEANUP:
        runner.stop()
    _interrupt_main()


def _interrupt_main() -> None:
    gevent.kill(gevent.get_hub().parent, KeyboardInterrupt)
