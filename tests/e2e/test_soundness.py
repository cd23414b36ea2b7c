"""What is tolerated on a busy machine, and that nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.scenario import Finished
from tests.e2e.soundness import assert_found, assert_sound

LAG = ("generator_lag",)


def ended(
    folder: Path, code: int, findings: tuple[str, ...], checks: Mapping[str, str]
) -> Finished:
    document = {
        "exit_code": code,
        "checks": [{"id": one, "status": status, "value": 1.0} for one, status in checks.items()],
        "generator": {"findings": [{"code": finding} for finding in findings]},
    }
    (folder / "verdict.json").write_text(json.dumps(document))
    return Finished(code, "", "", folder)


@pytest.mark.parametrize(
    ("code", "findings", "checks"),
    [
        (0, (), {"errors": "PASS", "p95": "PASS"}),
        (3, LAG, {"errors": "PASS", "p95": "PASS"}),
        (1, (), {"errors": "PASS", "p95": "FAIL"}),
        (3, LAG, {"errors": "PASS", "p95": "INCONCLUSIVE"}),
        (3, (*LAG, "arrivals_late"), {"errors": "PASS", "p95": "PASS"}),
        (3, ("processor_starved",), {"errors": "PASS", "p95": "INCONCLUSIVE"}),
    ],
)
def test_a_lag_and_a_slow_target_are_sound(
    tmp_path: Path, code: int, findings: tuple[str, ...], checks: dict[str, str]
) -> None:
    assert_sound(ended(tmp_path, code, findings, checks), may_miss={"p95"})


@pytest.mark.parametrize(
    ("code", "findings", "checks"),
    [
        (1, (), {"errors": "FAIL", "p95": "PASS"}),
        (3, LAG, {"errors": "INCONCLUSIVE", "p95": "PASS"}),
        (3, ("workers_lost",), {"errors": "PASS", "p95": "PASS"}),
        (3, ("arrivals_late",), {"errors": "PASS", "p95": "PASS"}),
        (3, (*LAG, "workers_lost"), {"errors": "PASS", "p95": "PASS"}),
        (0, (), {"errors": "PASS", "p95": "FAIL"}),
        (1, (), {"errors": "PASS", "p95": "PASS"}),
        (5, (), {"errors": "PASS", "p95": "PASS"}),
        (0, (), {"errors": "PASS"}),
    ],
)
def test_anything_else_is_not_sound(
    tmp_path: Path, code: int, findings: tuple[str, ...], checks: dict[str, str]
) -> None:
    with pytest.raises(AssertionError):
        assert_sound(ended(tmp_path, code, findings, checks), may_miss={"p95"})


def test_a_bug_is_found_by_a_fail_or_seen_by_a_generator_that_lagged(tmp_path: Path) -> None:
    assert_found(ended(tmp_path, 1, (), {"p95": "FAIL"}), "p95")
    assert_found(ended(tmp_path, 3, LAG, {"p95": "INCONCLUSIVE"}), "p95")
    for code, findings, status in ((0, (), "PASS"), (3, LAG, "PASS"), (3, (), "INCONCLUSIVE")):
        with pytest.raises(AssertionError):
            assert_found(ended(tmp_path, code, findings, {"p95": status}), "p95")
