"""Runs the unit tests of parts that import Locust or gevent, in interpreters of their own.

Pytest's own process must stay free of both: Locust's monkey patching would poison asyncio tests.
The children leave it out. Each has a share of the files, so that they run beside each other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted((HERE / "pure").glob("check_*.py"))
CHILDREN = 6


def run_in_child(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"),
            *("-p", "no:xdist", "-c", os.devnull, "--rootdir", str(HERE), "-W", "error"),
            *("-W", "ignore::DeprecationWarning", "-o", "python_files=check_*.py", *arguments),
        ],
        env={**environment, "LOCUST_SKIP_MONKEY_PATCH": "1"},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("child", range(CHILDREN))
def test_the_checks_of_the_load_side_hold(child: int) -> None:
    done = run_in_child(*map(str, FILES[child::CHILDREN]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_failing_check_fails_the_child(tmp_path: Path) -> None:
    (tmp_path / "check_nothing.py").write_text("def test_it() -> None:\n    assert False\n")
    assert run_in_child(str(tmp_path)).returncode == 1
