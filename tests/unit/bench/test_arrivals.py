"""The rows of the arrivals benchmark: late, unsent or unproven is no good figure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.arrivals import rows_of
from tests.bench.row import BenchError

LATENCY = {"p50": 1.0, "p99": 5.0}
HEALTH = [
    {"cpu_percent": 40.0, "lateness_p99_ms": 2.0, "lateness_max_ms": 3.0},
    {"cpu_percent": 60.0, "lateness_p99_ms": 4.0, "lateness_max_ms": 9.0},
    {"cpu_percent": 1.0},
]


def document(*, started: int = 90_000, verdict: str = "PASS") -> dict[str, Any]:
    total = {"raw_ms": LATENCY, "corrected_ms": LATENCY}
    counts = {"planned": 90_000, "started": started}
    window = {"name": "run", "arrivals_total": counts, "total": total}
    return {"verdict": verdict, "reasons": ["why"], "windows": [window]}


def statuses(made: dict[str, Any], health: list[dict[str, float]]) -> dict[str, str]:
    return {row.name.removeprefix("arrivals "): row.status for row in rows_of(made, health)}


def test_a_good_run_passes_and_its_lateness_holds() -> None:
    found = statuses(document(), HEALTH)
    assert (found["verdict"], found["unsent"], found["lateness p99"]) == ("PASS", "PASS", "holds")


def test_one_arrival_that_was_not_started_fails() -> None:
    assert statuses(document(started=89_999), HEALTH)["unsent"] == "FAIL"


def test_a_run_that_proves_nothing_fails() -> None:
    assert statuses(document(verdict="INCONCLUSIVE"), HEALTH)["verdict"] == "FAIL"


def test_the_worst_second_is_held_against_the_limit() -> None:
    late = [*HEALTH, {"cpu_percent": 90.0, "lateness_p99_ms": 10.0, "lateness_max_ms": 30.0}]
    assert statuses(document(), late)["lateness p99"] == "missed"


def test_without_a_measurement_of_lateness_there_is_no_figure() -> None:
    with pytest.raises(BenchError, match="how late"):
        rows_of(document(), [{"cpu_percent": 1.0}])
