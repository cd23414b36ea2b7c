"""The rows of benchmark 3: a run that did not pass is no benchmark, whatever its figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.check import error_rate
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.timeline import Health, PlannedPhase, Timeline
from results.verdict import as_document
from tests.bench.p1 import rows_of
from tests.unit.results.builder import PLAN, planned_requests, timeline

NAMES = ("steady", "burst", "peak")
PHASES = tuple(PlannedPhase(name, 2 * n, 2 * n + 2) for n, name in enumerate(NAMES))
LAGGING = tuple(Health(float(t), "w1", {"lag_p99_ms": 400.0}) for t in range(6))


def requests_of_5_ms(outcome: Outcome = Outcome.OK) -> list[Sample]:
    return [s._replace(end_us=s.start_us + 5000) for s in planned_requests(outcome=outcome)]


def statuses(made: Timeline) -> dict[str, str]:
    document = as_document(judge_timeline(made))
    rows = rows_of(document, scale=1.0, full=True, gated_phases=True)
    return {row.name: row.status for row in rows}


@pytest.fixture
def good() -> Timeline:
    plan = replace(PLAN, phases=PHASES)
    return timeline(requests_of_5_ms(), checks=(error_rate(below=0.5),), plan=plan)


def test_every_row_of_a_good_run_passes(good: Timeline) -> None:
    found = statuses(good)
    assert set(found.values()) == {"PASS", "holds"}
    assert {"P1 verdict", "P1 generator", "P1 errors"} < set(found)


def test_a_generator_that_was_not_fit_fails_the_benchmark(good: Timeline) -> None:
    bad = [name for name, s in statuses(replace(good, health=LAGGING)).items() if s == "FAIL"]
    assert bad == ["P1 verdict", "P1 generator"]


def test_a_failed_run_fails_the_benchmark(good: Timeline) -> None:
    failed = replace(good, reports=timeline(requests_of_5_ms(Outcome.HTTP_5XX)).reports)
    bad = [name for name, s in statuses(failed).items() if s == "FAIL"]
    assert bad == ["P1 verdict", "P1 errors"]
