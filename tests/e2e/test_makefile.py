"""`make` sets the project up wherever it lies: any path, no root, only what is committed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP_TIMEOUT_S = 900.0
REMEDY = "PYTHON=/path/to/python3.11"
"""What the recipe tells a user whose Python is too old; no path that it uses."""

_ABSOLUTE = re.compile(
    r"""(?:^|[\s='":;(])(?:/[\w.]|~)|\$\((?:CURDIR|HOME|abspath|realpath)\b|\$\{HOME\}|`pwd`"""
)


def absolute_paths(makefile: str) -> list[str]:
    """The lines of recipes and variables that name a place outside the project, or the project's
    own absolute path, which may hold a space. Comments, the remedy and /dev/null are left out."""
    lines = (
        line.replace(REMEDY, "").replace("/dev/null", "")
        for line in makefile.splitlines()
        if not line.startswith("#")
    )
    return [line for line in lines if _ABSOLUTE.search(line)]


def test_no_recipe_uses_an_absolute_path() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(PYTHON) -m venv .venv" in makefile
    assert absolute_paths(makefile) == []


@pytest.mark.parametrize(
    "line",
    [
        "\tsudo cp x /etc/foundation",
        "BIN := /opt/venv/bin",
        "\tPYTHON=/usr/bin/python3 run",
        "\t'/usr/bin/env' python",
        "\t$(CURDIR)/.venv/bin/pip install",
        "\trm -rf ~/.cache",
    ],
)
def test_an_absolute_path_in_a_recipe_is_caught(line: str) -> None:
    assert absolute_paths(f"run:\n{line}\n") == [line]


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_make_sets_up_a_folder_with_a_space_in_its_name(tmp_path: Path) -> None:
    """From a bare copy of what is committed to a working command line."""
    folder = tmp_path / "a load test"
    copy_committed_files(folder)
    run(folder, "make", f"PYTHON={base_python()}", ".venv/run.stamp")
    assert "locust 2." in run(folder, ".venv/bin/locust", "--version")
    assert "cluster" in run(folder, ".venv/bin/foundation", "--help")
    scenarios = run(folder, ".venv/bin/locust", "-f", "locustfiles/p1_saas.py", "--list")
    assert "User" in scenarios


def copy_committed_files(folder: Path) -> None:
    """As a clone has them: a file that was forgotten is missing there."""
    archive = folder.with_suffix(".tar")
    command = ["git", "archive", "--format=tar", f"--output={archive}", "HEAD"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    shutil.unpack_archive(archive, folder, filter="data")


def base_python() -> str:
    """The Python that this environment was made from: a newcomer has no other."""
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def run(folder: Path, *command: str) -> str:
    """What it printed. Raises AssertionError with that when it failed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FOUNDATION_", "LOCUST_", "PYTHON", "PYTEST_", "VIRTUAL_", "MAKE"))
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=inherited,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SETUP_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    return done.stdout
