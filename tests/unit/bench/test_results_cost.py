"""The benchmark of results judges a run that is whole, and measures all that its rows show."""

from __future__ import annotations

from pathlib import Path

from results.run_folder import create_run
from results.timeline_reader import read_timeline
from tests.bench import results_cost, results_run
from tests.bench.process import run_json

LENGTH_S = 80


def test_the_synthetic_run_has_the_load_that_it_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    requests = results_run.write_run(path, LENGTH_S)
    assert requests == LENGTH_S * 5_000
    made = read_timeline(path)
    assert made.plan is not None
    assert len(made.plan.phases) == len(made.faults) == 4
    assert len(made.checks) == 12
    assert len(made.reports) == LENGTH_S and not made.lost_reports()
    latencies = [each for report in made.reports for each in report.endpoints.values()]
    assert {len(report.endpoints) for report in made.reports} == {20}
    assert all(5_000 <= each.raw.max_us <= 1_500_000 for each in latencies)
    assert all(0 < each.excess.sum_us < each.raw.sum_us for each in latencies)


def test_its_figures_are_those_of_a_whole_judgement() -> None:
    found = run_json(["-m", "tests.bench.results_cost", str(LENGTH_S)], timeout_s=100)
    assert found["verdict"] == "PASS", found["reasons"]
    assert found["requests"] == found["in_seconds"] == LENGTH_S * 5_000
    assert found["windows"] >= 1 + 4 + 1 + 4 + 4, "run, phases, baseline, faults, recoveries"
    assert found["checks"] >= 12
    assert found["cpu_s"].keys() == found["wall_s"].keys() == {"read", "judge", "series"}
    assert found["peak_mb"] > 20
    assert found["report"]["size_mb"] > 4, "the library that draws is in it"


def test_a_run_that_lost_a_report_is_no_pass(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "bench")
    results_run.write_run(folder.timeline, LENGTH_S)
    lines = folder.timeline.read_text().splitlines(keepends=True)
    seconds = [n for n, line in enumerate(lines) if line.startswith('{"kind":"second"')]
    folder.timeline.write_text("".join(lines[: seconds[7]] + lines[seconds[7] + 1 :]))
    assert results_cost.measure(folder)["verdict"] == "INCONCLUSIVE"
