"""Calls `foundation results …` by its real command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("foundation")
TIMEOUT_S = 60


def results(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "results", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
