"""What the pure half may bring into a process that sends load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import results

FORBIDDEN = {"locust", "gevent", "asyncio", "sqlalchemy", "fastapi", "shapes", "service"}


def test_no_module_of_results_brings_in_locust_an_event_loop_or_a_database() -> None:
    folder = Path(results.__file__).parent
    modules = [f"results.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]
    assert "results.recorder" in modules
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"found = {FORBIDDEN!r} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
