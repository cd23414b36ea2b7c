"""Processes of a benchmark never outlive it, and the command line tells what it can do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.bench.process import ROOT, end, owned, run_json
from tests.bench.row import BenchError

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
    " time.sleep(600)",
)
OWNER = f"""
from tests.bench.process import owned
with owned({SLEEPER!r}) as child:
    print(child.pid, flush=True)
    child.wait()
"""


def gone(pid: int, within_s: float = 20.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_child_ends_with_its_block() -> None:
    with owned(SLEEPER) as child:
        assert child.poll() is None
    assert child.returncode == -15


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    with owned(STUBBORN, stdout=subprocess.PIPE, grace_s=0.2) as child:
        assert child.stdout is not None
        child.stdout.readline()
    assert child.returncode == -9


def test_a_child_dies_with_an_owner_that_is_killed() -> None:
    command = (sys.executable, "-c", OWNER)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert psutil.pid_exists(pid)
        owner.kill()
    assert gone(pid)


def test_a_child_without_an_owner_would_be_seen() -> None:
    """The control of the test above."""
    child = subprocess.Popen(SLEEPER)
    assert not gone(child.pid, within_s=0.2)
    end(child, grace_s=5.0)


def test_a_program_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('no such benchmark')")
    with pytest.raises(BenchError, match="no such benchmark"):
        run_json([str(program)], timeout_s=30)


def test_a_program_that_hangs_is_an_error() -> None:
    with pytest.raises(BenchError, match="took over"):
        run_json(list(SLEEPER[1:]), timeout_s=0.2)


def test_an_unknown_benchmark_is_wrong_usage_and_names_the_known() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench", "--only", "nonsense"),
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    for name in ("single", "batch", "client", "recorder", "p1", "cluster", "query"):
        assert name in done.stderr
