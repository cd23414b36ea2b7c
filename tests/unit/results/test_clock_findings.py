"""A worker's clock: corrected below the limits, a reason against the run beyond them."""

from __future__ import annotations

import pytest

from results.fitness.clock import clock_moved, clock_offset, clock_uncertainty
from results.generator import assess, worst_health
from results.timeline import Health, Timeline
from tests.unit.results.builder import HEALTHY, planned_requests, timeline


def run_of(*offsets_ms: float, within_ms: float = 1.0, source: str = "w1") -> Timeline:
    """One reading a second."""
    lines = [
        Health(float(t), source, {"clock_offset_ms": offset, "clock_uncertainty_ms": within_ms})
        for t, offset in enumerate(offsets_ms)
    ]
    return timeline(planned_requests(), health=(*HEALTHY, *lines))


@pytest.mark.parametrize("offset_ms", [5_000.0, -5_000.0, 0.0, -3_000.0])
def test_a_corrected_clock_voids_nothing(offset_ms: float) -> None:
    assert clock_offset(run_of(*[offset_ms] * 4)) == []
    assert assess(run_of(*[offset_ms] * 4)) == ()


@pytest.mark.parametrize(("offset_ms", "way"), [(5_001.0, "behind"), (-5_001.0, "ahead of")])
def test_a_clock_beyond_the_limit_voids_the_run_and_says_which_way(
    offset_ms: float, way: str
) -> None:
    found = assess(run_of(offset_ms, offset_ms))
    assert [one.code for one in found] == ["clock_offset"]
    assert f"w1: its clock was 5.0 s {way} the master's" in found[0].text
    assert found[0].marks[0].to_s == 1.0


def test_of_several_workers_only_the_one_that_is_off_is_named() -> None:
    good, bad = run_of(1, 1), run_of(-8_000, -8_000, source="w2")
    both = timeline(planned_requests(), health=(*good.health, *bad.health))
    (finding,) = clock_offset(both)
    assert finding.text.startswith("w2: its clock was 8.0 s ahead of")


def test_an_uncertain_clock_voids_the_run_after_three_seconds() -> None:
    assert clock_uncertainty(run_of(*[0.0] * 6, within_ms=100.0)) == []
    assert clock_uncertainty(run_of(*[0.0] * 2, within_ms=101.0)) == []
    (finding,) = assess(run_of(*[0.0] * 4, within_ms=101.0))
    assert finding.code == "clock_uncertainty"
    assert "known to within 101 ms only, not 100 ms, for 4 s" in finding.text


def test_a_clock_that_moved_voids_the_run() -> None:
    assert clock_moved(run_of(0, 100, 502.0)) == []
    (finding,) = assess(run_of(0, 100, 502.1))
    assert finding.code == "clock_moved"
    assert "moved by 500 ms" in finding.text
    assert (finding.marks[0].from_s, finding.marks[0].to_s) == (0.0, 2.0)
    (finding,) = clock_moved(run_of(0, -900.0, -900.0))
    assert "between second 0 and 1" in finding.text


def test_a_movement_that_the_uncertainty_explains_is_none() -> None:
    assert clock_moved(run_of(0, 700, within_ms=100.0)) == []
    assert clock_moved(run_of(0, 701, within_ms=100.0)) != []


def test_the_worst_offset_is_the_one_furthest_from_zero() -> None:
    assert worst_health(run_of(10, -3_000, 20))["w1"]["clock_offset_ms"] == -3_000


def test_a_run_without_workers_has_no_clock_to_judge() -> None:
    alone = timeline(planned_requests(), health=HEALTHY)
    assert clock_offset(alone) == clock_uncertainty(alone) == clock_moved(alone) == []
