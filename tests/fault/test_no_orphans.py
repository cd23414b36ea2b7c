"""Whoever is killed, no process and no temporary folder of a cluster is left behind (D7)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.unit.chaos.process import MARKER_VARIABLE, ROOT, STUB, marked, new_marker, until

_CONTROLLER = """
import json, os, sys, time
from deploy.local import LocalCluster

command, roles, forks = json.loads(sys.argv[1])
cluster = LocalCluster.start(size=len(roles), roles=roles, command=command)
if forks and os.fork() == 0:
    time.sleep(120)  # a worker that inherited the supervisor's pipe, and outlives its master
    os._exit(0)
info = cluster.client.supervisor()
print(json.dumps({"supervisor": info.pid, "zygote": info.zygote_pid,
                  "nodes": [node.pid for node in cluster.nodes], "data": info.data_dir,
                  "api_url": cluster.client.api_url, "token": cluster.client.token}), flush=True)
sys.exit(cluster.wait(120))
"""


@dataclass(frozen=True)
class Controlled:
    """A controller in a process of its own, and what it said about its cluster."""

    controller: subprocess.Popen[str]
    marker: str
    supervisor: int
    zygote: int
    nodes: list[int]
    data: Path
    base: Path

    def nothing_is_left(self) -> bool:
        """Every process is gone within the time limit."""
        return until(lambda: marked(self.marker) == [])

    def temporary(self) -> list[Path]:
        return list(self.base.glob("foundation-cluster-*"))


@pytest.fixture
def controllers(tmp_path: Path) -> Iterator[Controllers]:
    started = Controllers(tmp_path)
    yield started
    for process in marked(started.marker):
        with suppress(psutil.NoSuchProcess):  # ended since it was listed
            process.kill()
    for controller in started.processes:
        controller.kill()
        controller.communicate(timeout=30)


class Controllers:
    """Starts controllers; everything that they start carries one marker."""

    def __init__(self, folder: Path) -> None:
        self.marker = new_marker()
        self.base = folder / "temporary files"
        self.base.mkdir()
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *roles: str, forks: bool = False) -> Controlled:
        controller = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLER, json.dumps([STUB, roles, forks])],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, MARKER_VARIABLE: self.marker, "TMPDIR": str(self.base)},
        )
        self.processes.append(controller)
        assert controller.stdout is not None
        said = json.loads(controller.stdout.readline())
        return Controlled(
            controller,
            self.marker,
            said["supervisor"],
            said["zygote"],
            said["nodes"],
            Path(said["data"]),
            self.base,
        )


def test_a_cluster_ends_with_its_controller_killed_by_sigkill(controllers: Controllers) -> None:
    run = controllers.start("app", "app")
    assert len(marked(run.marker)) == 5
    run.controller.kill()
    assert run.nothing_is_left()
    assert run.temporary() == []


def test_a_cluster_ends_although_a_fork_of_the_controller_keeps_its_pipe(
    controllers: Controllers,
) -> None:
    run = controllers.start("app", forks=True)
    [worker] = [
        process
        for process in marked(run.marker)
        if process.ppid() == run.controller.pid and process.pid != run.supervisor
    ]
    run.controller.kill()
    assert until(lambda: [process.pid for process in marked(run.marker)] == [worker.pid])
    assert run.temporary() == []


def test_paused_nodes_end_with_the_controller_too(controllers: Controllers) -> None:
    run = controllers.start("app", "app")
    for pid in run.nodes:
        os.kill(pid, signal.SIGSTOP)
    run.controller.kill()
    assert run.nothing_is_left()


def test_nodes_die_with_a_supervisor_killed_by_sigkill(controllers: Controllers) -> None:
    run = controllers.start("app", "deaf")
    os.kill(run.nodes[0], signal.SIGSTOP)
    os.kill(run.supervisor, signal.SIGKILL)
    assert run.nothing_is_left()
    assert run.controller.wait(30) == 247, "the controller saw the supervisor end by signal 9"


def test_what_a_killed_supervisor_left_is_removed_by_the_next(controllers: Controllers) -> None:
    run = controllers.start("app")
    os.kill(run.supervisor, signal.SIGKILL)
    assert run.nothing_is_left()
    assert run.data.exists()
    after = controllers.start("app")
    assert not run.data.exists()
    assert after.data.exists()


def test_a_supervisor_without_its_zygote_ends_everything_with_an_error(
    controllers: Controllers,
) -> None:
    run = controllers.start("app", "deaf")
    os.kill(run.nodes[0], signal.SIGSTOP)
    os.kill(run.zygote, signal.SIGKILL)
    assert run.controller.wait(30) == 1
    assert run.nothing_is_left()
    assert run.temporary() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_supervisor_in_order(
    controllers: Controllers, number: signal.Signals
) -> None:
    run = controllers.start("app", "app")
    os.kill(run.supervisor, number)
    assert run.controller.wait(30) == 0
    assert run.nothing_is_left()
    assert run.temporary() == []


def test_a_stopped_supervisor_killed_leaves_nothing(controllers: Controllers) -> None:
    run = controllers.start("app")
    for pid in (run.supervisor, run.zygote):
        os.kill(pid, signal.SIGSTOP)
    os.kill(run.supervisor, signal.SIGKILL)
    assert run.nothing_is_left()


def test_without_a_parent_death_signal_a_node_would_be_left(controllers: Controllers) -> None:
    """Positive control of the test above: the zygote, stopped, cannot kill its nodes itself."""
    run = controllers.start("unbound", "app")
    os.kill(run.zygote, signal.SIGSTOP)
    os.kill(run.supervisor, signal.SIGKILL)
    assert until(lambda: [process.pid for process in marked(run.marker)] == [run.nodes[0]])


def test_killing_the_controller_while_nodes_start_leaves_nothing(controllers: Controllers) -> None:
    marker, base = controllers.marker, controllers.base
    controller = subprocess.Popen(
        [sys.executable, "-c", _CONTROLLER, json.dumps([STUB, ["app", "hang"], False])],
        cwd=ROOT,
        env={**os.environ, MARKER_VARIABLE: marker, "TMPDIR": str(base)},
    )
    assert until(lambda: len(marked(marker)) == 5), "controller, supervisor, zygote and two nodes"
    controller.kill()
    controller.wait(30)
    assert until(lambda: marked(marker) == [])
    assert list(base.glob("foundation-cluster-*")) == []


def test_the_search_for_orphans_finds_a_process_that_escaped(controllers: Controllers) -> None:
    """Positive control: what forks away from a node is beyond any supervisor, and must be seen."""
    run = controllers.start("escape", "app")
    note = run.data / "node-1" / "escaped.pid"
    assert until(lambda: note.exists() and note.read_text() != "")
    escaped = int(note.read_text())
    assert escaped in [process.pid for process in marked(run.marker)]
    run.controller.kill()
    assert until(lambda: [process.pid for process in marked(run.marker)] == [escaped])
    psutil.Process(escaped).kill()
    assert run.nothing_is_left()
