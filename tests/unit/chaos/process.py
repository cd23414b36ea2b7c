"""What tests of process ownership need: a stub supervisor, a marker, and a search for survivors.

Every process of a test carries a marker in its environment (FOUNDATION_RUN_ID, which nodes know),
and forks inherit it. So the search finds whatever descends from a test, however it was orphaned.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
STUB = (sys.executable, "-P", str(Path(__file__).with_name("stub_supervisor.py")))
MARKER_VARIABLE = "FOUNDATION_RUN_ID"


def new_marker() -> str:
    return f"test-{secrets.token_hex(8)}"


def marked(marker: str) -> list[psutil.Process]:
    """Every living process with `marker` in its environment, but this one."""
    return [process for process in psutil.process_iter() if _carries(process, marker)]


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARKER_VARIABLE) == marker
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def until(reached: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    """Asks until `reached` is true or the time is up; returns what it said last."""
    deadline_s = time.perf_counter() + timeout_s
    while not (answer := reached()) and time.perf_counter() < deadline_s:
        time.sleep(0.01)
    return answer
