"""The telemetry benchmark measures series that are warm and really counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

COLD = """
from tests.bench import telemetry_cost

warm = telemetry_cost.Telemetry
telemetry_cost.Telemetry = lambda: warm(series=10)
telemetry_cost.main(1_000)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_count_takes_some_cpu() -> None:
    done = run("-m", "tests.bench.telemetry_cost", "100000")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout) < 1_000


def test_a_benchmark_whose_series_overflow_fails() -> None:
    done = run("-c", COLD)
    assert done.returncode != 0
    assert "AssertionError" in done.stderr
