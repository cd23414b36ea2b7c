"""What was run, by which generator, where."""

from __future__ import annotations

from results.report import surroundings
from results.report.record import Record
from results.timeline import Header, Timeline
from tests.unit.results.builder import request, timeline
from tests.unit.results.report.cells import by_first, cells, of


def test_facts_say_what_was_run(stormy: Record) -> None:
    shown = dict(surroundings.facts(stormy))
    assert shown["Scenario"] == "p1_saas, tier production"
    assert shown["Started"] == "2026-01-31 12:00:00 UTC"
    assert shown["Length"] == "5:02 (completed), planned 5:00"
    assert shown["Seed"] == "1"
    assert shown["Scales"] == "time x 1, load x 0.2"
    assert "burst 1:00 to 2:10" in shown["Phases"]


def test_facts_of_a_killed_run_say_where_it_breaks_off() -> None:
    made = Timeline(Header("r", "s", 10**18), reports=timeline([request(3.5)]).reports)
    shown = dict(surroundings.facts(of({}, made)))
    assert shown["Length"] == "0:04, then the timeline breaks off"
    assert "Started" not in shown, "no calendar has such a year"


def test_health_target_and_environment_are_shown(stormy: Record) -> None:
    assert by_first(surroundings.health_table(stormy))["w1"][0] == "10.0"
    assert by_first(surroundings.target_table(stormy))["node-2"][-1] == "285 of 300"
    assert cells(surroundings.event_table(stormy))[0] == ["2:20", "note", "deployed build 42"]
    options, versions, *_ = surroundings.environment_tables(stormy)
    assert by_first(options)["token"] == ["***"]
    assert "python" in by_first(versions)
