"""A master and its workers as processes of their own, as on several machines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.scenario import Finished, Run, free_port

SKEWED = (
    "import runpy, sys, time;"
    "skew_s, seconds, nanoseconds = float(sys.argv[1]), time.time, time.time_ns;"
    "time.time = lambda: seconds() + skew_s;"
    "time.time_ns = lambda: nanoseconds() + int(skew_s * 1e9);"
    "sys.argv = sys.argv[4:];"
    "runpy.run_module('locust', run_name='__main__')"
)
"""Runs Locust on a machine whose wall clock is so far ahead; its monotonic clock is as ever."""

OTHER_LOCUST = (
    "import runpy, sys, locust;"
    "locust.__version__ = '2.46.0';"
    "sys.argv = sys.argv[3:];"
    "runpy.run_module('locust.__main__', run_name='__main__', alter_sys=True)"
)
"""Runs Locust as if it were of another version."""


def skewed_by(seconds: float) -> tuple[str, ...]:
    """A wrapper for `Run`."""
    return sys.executable, "-c", SKEWED, str(seconds)


class Fleet:
    """Processes on one port, all ended with the block. Names are those of their folders.

    `shared` is part of the environment of each.
    """

    def __init__(
        self, folder: Path, locustfile: Path, shared: Mapping[str, str] | None = None
    ) -> None:
        self._shared = dict(shared or {})
        self.port = free_port()
        self._folder = folder
        self._locustfile = locustfile
        self._stack = ExitStack()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def master(
        self, *options: str, workers: int, environment: Mapping[str, str] | None = None
    ) -> Run:
        named = ("--master", "--expect-workers", str(workers), "--master-bind-port", str(self.port))
        return self._stack.enter_context(
            Run(
                self._folder / "master",
                *(*named, *options),
                locustfile=self._locustfile,
                environment={**self._shared, **(environment or {})},
            )
        )

    def worker(
        self,
        name: str,
        *options: str,
        locustfile: Path | None = None,
        environment: Mapping[str, str] | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> Run:
        return self._stack.enter_context(
            Run(
                self._folder / name,
                *("--worker", "--master-port", str(self.port), *options),
                locustfile=locustfile or self._locustfile,
                environment={**self._shared, **(environment or {})},
                wrapper=wrapper,
            )
        )


STARVED = {
    *("generator_lag", "processor_starved", "unwatched"),
    *("worker_away", "users_missing", "reports_late"),
}
"""What a busy machine may do to processes that get no processor for seconds."""


def assert_carried_out(done: Finished) -> None:
    """PASS, or void for want of a processor alone: what the test is about did no harm."""
    findings = {finding["code"] for finding in done.verdict["generator"]["findings"]}
    said = done.stdout + done.stderr
    assert findings <= STARVED, said
    assert done.exit_code == done.verdict["exit_code"] == (3 if findings else 0), said
