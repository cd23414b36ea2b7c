"""A run that does not reach its end says so, and leaves no process behind."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from results.run_lock import is_locked
from tests.e2e.results_command import results
from tests.e2e.scenario import HERE, Run, free_port, wait_until

LONG = ("--time-scale", "0.5", "--load-scale", "0.02")


def all_gone(processes: list[psutil.Process]) -> bool:
    return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_a_stopped_run_is_aborted_and_its_nodes_are_gone(
    tmp_path: Path, number: signal.Signals, processes: tuple[str, ...]
) -> None:
    with Run(tmp_path / "runs", *LONG, *processes) as run:
        wait_until(lambda: run.seconds_recorded() >= 2, "the load never started: " + run.errors())
        family = run.family()
        assert len(family) > 6, "the control: supervisor, zygote and five nodes are descendants"
        run.interrupt(number)
        done = run.finish()
        assert done.exit_code == 5, done.stdout + done.stderr
        assert done.verdict["verdict"] == "ABORTED"
        assert done.verdict["windows"][0]["total"]["requests"] > 0, "what was seen is still told"
        assert "verdict: ABORTED" in done.stdout
        wait_until(lambda: all_gone(family), "processes outlived the run")
    said = results("show", str(done.folder))
    assert "verdict: ABORTED" in said.stdout and "the run's end, aborted" in said.stdout
    assert results("verify", str(done.folder)).returncode == 0, "it is sealed, report and all"
    assert (done.folder / "report.html").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_while_workers_are_awaited_ends_with_exit_code_5(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = str(free_port())
    master = ("--master", "--expect-workers", "1", "--master-bind-port", port)
    with Run(tmp_path / "runs", *master, locustfile=HERE / "odd.py") as run:
        wait_until(lambda: "Waiting for workers" in run.errors(), "never waited: " + run.errors())
        family = run.family()
        run.interrupt(number)
        done = run.finish()
        assert done.exit_code == 5, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "before the load began" in done.stderr
        wait_until(lambda: all_gone(family), "processes outlived the run")


def test_a_killed_run_leaves_a_readable_timeline_and_no_process(tmp_path: Path) -> None:
    with Run(tmp_path / "runs", *LONG) as run:
        wait_until(lambda: run.seconds_recorded() >= 2, "the load never started: " + run.errors())
        family = run.family()
        assert is_locked(run.folder), "nobody deletes it, however long it is silent"
        run.interrupt(signal.SIGKILL)
        done = run.finish()
        wait_until(lambda: all_gone(family), "processes outlived the run")
    assert not is_locked(done.folder)
    assert done.timeline("header")
    assert done.timeline("second")
    assert not (done.folder / "verdict.json").exists()
    said = results("show", str(done.folder))
    assert said.returncode == 0, said.stderr
    assert "This is what happened until then" in said.stdout
    assert "phase steady begins" in said.stdout and "the last that was recorded" in said.stdout
    assert "verdict: ABORTED" in said.stdout and "so the run was killed" in said.stdout
    said = results("verify", str(done.folder))
    assert said.returncode == 1 and "killed before it was sealed" in said.stdout


def test_a_lost_worker_makes_the_run_inconclusive_and_is_named(tmp_path: Path) -> None:
    scale = ("--time-scale", "0.04", "--load-scale", "0.02", "--processes", "2")
    with Run(tmp_path / "runs", *scale) as run:
        wait_until(lambda: run.seconds_recorded() >= 4, "the load never started: " + run.errors())
        workers = [
            child
            for child in psutil.Process(run.process.pid).children()
            if "locust" in " ".join(child.cmdline())
        ]
        assert len(workers) == 2
        workers[0].kill()
        done = run.finish()
        assert done.exit_code == 3, done.stdout + done.stderr
        assert done.verdict["verdict"] == "INCONCLUSIVE"
        assert any("lost" in reason for reason in done.verdict["reasons"])
        assert any(line["label"] == "worker_lost" for line in done.timeline("annotation"))
