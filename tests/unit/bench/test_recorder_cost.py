"""The recorder's benchmark takes the path of a real run: recorder, ledger, books, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

WITHOUT_BOOKS = """
from tests.bench import recorder_cost

recorder_cost.RunBook.take = lambda *_: None
recorder_cost.main(1)
"""

WITHOUT_LEDGER = """
from tests.bench import recorder_cost

recorder_cost.sink_of = lambda recorder, ledger: recorder.record
recorder_cost.main(1)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100
    )


def test_every_second_and_write_that_is_measured_reaches_the_disk() -> None:
    done = run("-m", "tests.bench.recorder_cost", "1")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert len(figures["cost_us"]) == 1
    assert len(figures["stall_cpu_ms"]) > 100


@pytest.mark.parametrize("shortcut", [WITHOUT_BOOKS, WITHOUT_LEDGER])
def test_a_benchmark_that_leaves_something_out_fails(shortcut: str) -> None:
    done = run("-c", shortcut)
    assert done.returncode != 0
    assert "AssertionError" in done.stderr
