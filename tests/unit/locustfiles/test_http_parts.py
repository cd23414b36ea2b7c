"""Runs the unit tests of the HTTP client's pure parts in an interpreter of their own.

Those modules import neither Locust nor gevent, but their package does, and pytest's own process
must stay free of both. The child leaves Locust's monkey patching out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


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


def test_the_pure_parts_of_the_client_hold() -> None:
    done = run_in_child(str(HERE / "pure"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_failing_check_fails_the_child(tmp_path: Path) -> None:
    (tmp_path / "check_nothing.py").write_text("def test_it() -> None:\n    assert False\n")
    assert run_in_child(str(tmp_path)).returncode == 1
