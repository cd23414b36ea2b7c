"""Workers of a killed master end soon, with a code that is no success, and leave nothing behind."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.scenario import HERE, Run, free_port, wait_until
from tests.e2e.web_session import WebSession

PAIRED = HERE / "paired" / "paired.py"
LONG = {"SECONDS": "60"}
WITHIN_S = 10.0
ABORTED = 5


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kill(run: Run) -> float:
    """As the kernel does for want of memory; when, by the monotonic clock."""
    run.interrupt(signal.SIGKILL)
    run.process.wait(WITHIN_S)
    return time.monotonic()


def test_workers_of_a_killed_master_abort_within_ten_seconds(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED, LONG) as fleet:
        master = fleet.master(workers=2)
        workers = [fleet.worker("w1"), fleet.worker("w2", environment={"STUBBORN": "1"})]
        wait_until(lambda: master.seconds_recorded() >= 4, "no load: " + master.errors())
        # Its cluster too: the supervisor ends with the process that started it.
        family = [one for run in (master, *workers) for one in run.family()]
        assert is_listened_on(fleet.port), "the control"
        killed_s = kill(master)
        for worker in workers:
            worker.process.wait(WITHIN_S)
        took_s = time.monotonic() - killed_s
        assert [worker.process.returncode for worker in workers] == [ABORTED, ABORTED]
        assert took_s < WITHIN_S
        for worker in workers:
            (line,) = (line for line in worker.errors().splitlines() if line.startswith("error: "))
            assert f"the master at 127.0.0.1:{fleet.port} is gone" in line
            assert "this worker stops (exit code 5)" in line
        wait_until(lambda: all(is_over(one) for one in family), "a process outlived the run")
        assert not is_listened_on(fleet.port)


def test_a_worker_that_waits_for_its_users_ends_with_its_master(tmp_path: Path) -> None:
    port = str(free_port())
    session = WebSession(
        *(tmp_path / "runs", "--master", "--master-bind-port", port),
        locustfile=PAIRED,
        environment=LONG,
    )
    worker = Run(
        *(tmp_path / "w1", "--worker", "--master-port", port),
        locustfile=PAIRED,
        environment={**LONG, "STUBBORN": "1"},
    )
    with session as master, worker, ThreadPoolExecutor(1) as browser:
        wait_until(lambda: "welcome at the master" in worker.errors(), "it was not welcomed")
        master.start_shape()
        wait_until(lambda: master.seconds_recorded() >= 2, "no load: " + master.errors())
        # It answers when everybody has stopped, and so never.
        browser.submit(master.client.post, "/stop")
        wait_until(lambda: "its way out hangs" in worker.errors(), "it was not stopped")
        killed_s = kill(master)
        assert worker.process.wait(WITHIN_S) == ABORTED, worker.errors()
        assert time.monotonic() - killed_s < WITHIN_S
        assert "is gone: its port refuses" in worker.errors()
        assert "has not renewed the lease" not in worker.errors(), "its users stop by themselves"


def test_a_worker_does_not_stay_with_a_master_that_was_started_anew(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED, LONG) as fleet:
        master = fleet.master(workers=1)
        worker = fleet.worker("w1", environment={"PROBE_AFTER_S": "60"})
        wait_until(lambda: master.seconds_recorded() >= 2, "no load: " + master.errors())
        kill(master)
        named = ("--master", "--expect-workers", "1", "--master-bind-port", str(fleet.port))
        with Run(tmp_path / "again", *named, locustfile=PAIRED, environment=LONG) as again:
            wait_until(lambda: is_listened_on(fleet.port), "no master: " + again.errors())
            assert worker.process.wait(WITHIN_S) == ABORTED, worker.errors()
            assert "was started anew and knows nothing of this worker" in worker.errors()
            other = fleet.worker("w2")
            wait_until(lambda: again.seconds_recorded() >= 1, "no load: " + other.errors())


@pytest.mark.long
def test_workers_that_wait_for_a_run_end_with_their_master_too(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED, LONG) as fleet:
        master = fleet.master(workers=2)
        worker = fleet.worker("w1")
        wait_until(lambda: "welcome at the master" in worker.errors(), "it was not welcomed")
        killed_s = kill(master)
        assert worker.process.wait(2 * WITHIN_S) == ABORTED, worker.errors()
        assert time.monotonic() - killed_s < WITHIN_S


def test_processes_of_a_killed_parent_end_within_ten_seconds(tmp_path: Path) -> None:
    # Given to all of them alike, so that none is refused for what it was given.
    options = ("--processes", "2", "--seed", "7", "--flavour", "sweet", "--door-key", "x")
    run = Run(tmp_path / "runs", *options, locustfile=PAIRED, environment=LONG)
    with run as started:
        wait_until(lambda: started.seconds_recorded() >= 4, "no load: " + started.errors())
        family = started.family()
        assert len(family) >= 5, "the control: two workers, supervisor, zygote and a node"
        killed_s = kill(started)
        wait_until(lambda: all(is_over(one) for one in family), "a process outlived its parent")
        assert time.monotonic() - killed_s < WITHIN_S
        assert started.errors().count("is gone: its port refuses") >= 2


@pytest.mark.long
def test_a_master_that_stands_still_for_seconds_keeps_its_workers(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED, {"SECONDS": "14"}) as fleet:
        master = fleet.master(workers=1)
        worker = fleet.worker("w1")
        wait_until(lambda: master.seconds_recorded() >= 3, "no load: " + master.errors())
        master.interrupt(signal.SIGSTOP)
        try:
            wait_until(lambda: "has not answered for" in worker.errors(), "never in doubt")
        finally:
            master.interrupt(signal.SIGCONT)
        wait_until(lambda: "the master answers again" in worker.errors(), "not back")
        assert worker.finish().exit_code == 0, worker.errors()
        assert master.finish().exit_code in (0, 3)
