"""`foundation cluster` by its real command line, with real nodes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.unit.chaos.process import MARKER_VARIABLE, marked, new_marker, until

_FOUNDATION = str(Path(sys.executable).with_name("foundation"))
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass
class Terminal:
    """Runs `foundation` with a state file and a temporary directory of its own."""

    folder: Path
    marker: str = field(default_factory=new_marker)

    @property
    def state(self) -> Path:
        return self.folder / "run time" / "cluster.json"

    def environment(self, **more: str) -> dict[str, str]:
        temporary = self.folder / "temporary files"
        temporary.mkdir(exist_ok=True)
        return {**os.environ, MARKER_VARIABLE: self.marker, "TMPDIR": str(temporary), **more}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_FOUNDATION, "cluster", *words, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=90,
            cwd=self.folder,
            env=self.environment(**environment),
        )

    def open(self, *words: str) -> subprocess.Popen[str]:
        """In the foreground, in a session of its own as a terminal would give it."""
        return subprocess.Popen(
            [_FOUNDATION, "cluster", "up", *words, "--state", str(self.state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(PYTHONUNBUFFERED="1"),
            start_new_session=True,
        )

    def nothing_is_left(self) -> bool:
        gone = until(lambda: marked(self.marker) == [])
        return gone and not self.state.exists() and not list(self.folder.glob("temporary files/*"))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "a path with spaces"
    folder.mkdir()
    # What is called like one of our packages where the user stands must not be imported.
    (folder / "service.py").write_text("raise RuntimeError('the wrong service')")
    opened = Terminal(folder)
    yield opened
    for process in marked(opened.marker):
        process.kill()


def test_a_detached_cluster_lives_until_it_is_taken_down(terminal: Terminal) -> None:
    up = terminal.run("up", "--size", "2", "--detach")
    assert up.returncode == 0, up.stderr
    assert terminal.state.stat().st_mode & 0o777 == 0o600
    urls = _URL.findall(up.stdout)
    assert f"locust -f locustfiles/p1_saas.py --headless --nodes {urls[0]},{urls[1]}" in up.stdout

    status = terminal.run("status")
    assert status.returncode == 0, status.stderr
    assert _URL.findall(status.stdout) == urls
    assert "gateway" in status.stdout and "running" in status.stdout

    again = terminal.run("up", "--size", "1", "--detach")
    assert again.returncode == 1
    assert "already up" in again.stderr and "foundation cluster down" in again.stderr

    down = terminal.run("down")
    assert (down.returncode, down.stdout) == (0, "The cluster is down.\n")
    assert terminal.nothing_is_left()
    assert terminal.run("down").returncode == 1


def test_status_shows_a_dead_node_and_says_so_with_its_exit_code(terminal: Terminal) -> None:
    assert terminal.run("up", "--size", "1", "--detach").returncode == 0
    supervisor = psutil.Process(json.loads(terminal.state.read_text())["supervisor_pid"])
    [zygote] = supervisor.children()
    [node] = zygote.children()
    node.kill()
    assert until(lambda: "killed (-9)" in terminal.run("status").stdout)
    assert terminal.run("status").returncode == 1
    assert terminal.run("down").returncode == 0
    assert terminal.nothing_is_left()


def test_the_state_of_a_killed_supervisor_is_stale_and_does_not_hinder(terminal: Terminal) -> None:
    assert terminal.run("up", "--size", "1", "--detach").returncode == 0
    os.kill(json.loads(terminal.state.read_text())["supervisor_pid"], signal.SIGKILL)
    assert until(lambda: marked(terminal.marker) == [])
    up = terminal.run("up", "--size", "1", "--detach")
    assert up.returncode == 0, up.stderr
    os.kill(json.loads(terminal.state.read_text())["supervisor_pid"], signal.SIGKILL)
    assert until(lambda: marked(terminal.marker) == [])
    status = terminal.run("status")
    assert status.returncode == 1
    assert "stale state file" in status.stderr
    assert not terminal.state.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_foreground_cluster_ends_with_its_terminal(
    terminal: Terminal, number: signal.Signals
) -> None:
    with terminal.open("--size", "2") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Press Ctrl-C" in line:
                break
        # To the whole group, as the terminal's driver does.
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    assert terminal.nothing_is_left()


def test_a_foreground_cluster_can_be_taken_down_from_elsewhere(terminal: Terminal) -> None:
    with terminal.open("--size", "1") as process:
        assert until(terminal.state.exists)
        assert terminal.run("down").returncode == 0
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert terminal.nothing_is_left()


def test_a_foreground_cluster_whose_supervisor_dies_is_an_error(terminal: Terminal) -> None:
    with terminal.open("--size", "1") as process:
        assert until(terminal.state.exists)
        os.kill(json.loads(terminal.state.read_text())["supervisor_pid"], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "start the cluster anew" in errors
    assert until(lambda: marked(terminal.marker) == [])
    assert not terminal.state.exists()


def test_a_bad_setting_in_the_environment_is_one_clear_error(terminal: Terminal) -> None:
    unknown = terminal.run("up", "--size", "2", "--detach", FOUNDATION_QUEUE_EVENT="1")
    assert unknown.returncode == 1
    assert unknown.stderr == (
        "foundation: node-1: FOUNDATION_QUEUE_EVENT is not a setting of a node: "
        "did you mean FOUNDATION_QUEUE_EVENTS?\n"
    )
    wrong = terminal.run("up", "--size", "2", "--detach", FOUNDATION_LOG_LEVEL="loud")
    assert wrong.returncode == 1
    assert "FOUNDATION_LOG_LEVEL" in wrong.stderr and "Traceback" not in wrong.stderr
    assert terminal.nothing_is_left()


def test_a_busy_port_is_named(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        run = terminal.run("up", "--size", "1", "--port", port, "--detach")
    assert run.returncode == 1
    assert f"port {port}" in run.stderr and "choose another" in run.stderr
    assert terminal.nothing_is_left()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", "0"], "--size"),
        (["--size", "21"], "--size"),
        (["--size", "1", "--role", "app", "--role", "jobs"], "leave --size out"),
        (["--role", "no role!"], "roles"),
        (["--emulated-latency", "-1"], "latency"),
        (["--port", "70000"], "--port"),
    ],
)
def test_an_option_that_makes_no_sense_is_an_error(
    terminal: Terminal, words: list[str], said: str
) -> None:
    run = terminal.run("up", "--detach", *words)
    assert run.returncode in (1, 2)
    assert said in run.stderr and "Traceback" not in run.stderr
    assert terminal.nothing_is_left()


def test_foundation_node_hands_its_arguments_to_the_node() -> None:
    run = subprocess.run(
        [_FOUNDATION, "node", "--help"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0
    assert "--port" in run.stdout
