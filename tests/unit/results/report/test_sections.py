"""The tables of the page: cells hold what the verdict's document says."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.report import disruption, outcome, surroundings, traffic
from results.report.document import Document
from results.report.record import KeptFile, Record, read_record
from results.report.table import Table
from results.run_folder import RunFolder
from results.sample import Outcome
from results.timeline import Header, Timeline
from tests.unit.results.builder import request, timeline, write
from tests.unit.results.report.stormy_run import stormy_run


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return read_record(stormy_run(tmp_path_factory.mktemp("runs")).path)


def of(document: object, made: Timeline | None = None) -> Record:
    """A record of which only the verdict is known."""
    empty = made or Timeline(Header("r", "s", 0))
    return Record(RunFolder(Path("r")), Document(), empty, Document(document))


def cells(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def by_first(table: Table | None) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in cells(table)}


def test_the_headline_says_the_verdict_in_word_mark_and_sentence(stormy: Record) -> None:
    head = outcome.headline(stormy)
    assert (head.verdict, head.tone, head.mark, head.exit_code) == ("FAIL", "fail", "✗", "1")
    assert head.meaning == "The target did not meet its checks."
    assert any("lost" in reason for reason in head.reasons)
    assert not head.recomputed


def test_a_verdict_that_is_none_of_ours_gets_no_colour() -> None:
    head = outcome.headline(of({"verdict": "GREAT", "exit_code": 0}))
    assert (head.verdict, head.tone, head.mark) == ("GREAT", "", "")
    assert outcome.headline(of({})).verdict == "NO VERDICT"


def test_tiles_hold_the_figures_of_the_whole_run(stormy: Record) -> None:
    shown = {tile.name: tile for tile in outcome.tiles(stormy)}
    assert shown["Requests"].value == "16,600"
    assert shown["Errors"].tone == "bad"
    assert (shown["Writes lost"].value, shown["Writes lost"].tone) == ("4", "bad")
    assert outcome.tiles(of({})) == ()


def test_a_clean_run_has_no_tile_in_alarm() -> None:
    window = {"name": "run", "total": {"requests": 5, "errors": {}, "error_rate": 0.0}}
    shown = outcome.tiles(of({"windows": [window], "audit": {"totals": {"present": 5}}}))
    assert {tile.tone for tile in shown} == {"", "good"}


def test_checks_have_status_value_and_unit(stormy: Record) -> None:
    rows = cells(outcome.check_table(stormy))
    assert ["✗ FAIL", "errors < 0.1%", "run", "4.289 %", "16,600"] in rows
    assert ["✓ PASS", "p95 < 400ms in phase:peak", "phase:peak", "235.9 ms", "6,603"] in rows
    assert outcome.check_table(of({"checks": []})) is None


def test_a_check_near_its_limit_shows_its_interval() -> None:
    check = {
        "id": "e",
        "expression": "errors < 1%",
        "measure": "error_rate",
        "window": "run",
        "value": 0.01,
        "interval": [0.008, 0.0125],
        "samples": 900,
        "status": "FAIL",
        "endpoint": "GET /a",
    }
    rows = cells(outcome.check_table(of({"checks": [check, {"id": "old", "status": "PASS"}]})))
    assert rows[0] == [
        "✗ FAIL",
        "errors < 1%",
        "GET /a",
        "run",
        "1 %",
        "0.8 % to 1.25 %",
        "900",
    ]
    assert rows[1][:3] == ["✓ PASS", "old", "all"]


def test_a_check_of_an_old_bundle_has_a_value_without_its_unit() -> None:
    check = {"id": "x", "expression": "raw p99 < 5 ms", "value": 7.25, "status": "FAIL"}
    assert cells(outcome.check_table(of({"checks": [check]})))[0][3] == "7.25"


def test_every_window_has_a_row(stormy: Record) -> None:
    rows = by_first(traffic.window_table(stormy))
    assert {"run", "phase:burst", "fault:kill-1", "recovery:kill-1", "baseline"} <= rows.keys()
    assert rows["fault:kill-1"][0] == "1:20 to 1:35"
    assert rows["phase:steady"][0] == "0:00 to 1:00, 4:00 to 5:00"


def test_unfit_seconds_of_a_window_count_once() -> None:
    marks = [{"from_s": 1, "to_s": 4}, {"from_s": 3, "to_s": 6}, {"from_s": 8, "to_s": 9}]
    table = traffic.window_table(of({"windows": [{"name": "run", "unfit": marks}, {"name": "b"}]}))
    assert table is not None
    assert table.columns[-1].name == "Unfit"
    assert [row[-1].text for row in table.rows] == ["6 s", "0 s"]


def test_endpoints_come_by_their_number_of_requests(stormy: Record) -> None:
    tables = traffic.endpoint_tables(stormy)
    rows = cells(tables.whole)
    assert rows[0][0] == "POST /v1/saas/actions/{action}"
    assert sum(int(row[1].replace(",", "")) for row in rows) == 16_600
    assert len(tables.parts) == len(traffic.windows(stormy)) - 1


def test_errors_are_told_by_kind_and_status(stormy: Record) -> None:
    rows = by_first(traffic.error_table(stormy))
    assert list(rows) == ["refused", "timeout", "http_5xx"]
    assert rows["http_5xx"][-1].endswith(" x 503")
    assert rows["refused"][2] == "the connection was refused"
    assert traffic.error_table(of({})) is None


def test_every_outcome_that_is_an_error_has_words() -> None:
    errors = {outcome.value for outcome in Outcome} - {Outcome.OK, Outcome.CANCELLED}
    assert set(traffic.ERROR_KINDS) == errors


def test_arrivals_and_figures_are_shown_where_there_are_any() -> None:
    arrived = {
        "planned": 9,
        "offered": 8,
        "started": 6,
        "unsent": 2,
        "completed": 6,
        "unsent_by_reason": {"no_session": 2},
    }
    seen = {"count": 3, "sum": 6.0, "mean": 2.0, "least": 1, "most": 3, "rate_per_s": 0.5}
    record = of({"windows": [{"name": "run", "arrivals": {"V": arrived}, "figures": {"f": seen}}]})
    assert cells(traffic.arrival_table(record)) == [["V", "run", "9", "8", "6", "2", "6"]]
    assert cells(traffic.figure_table(record)) == [["f", "run", "3", "6", "2", "1", "3", "0.5"]]
    assert traffic.arrival_table(of({})) is None
    assert traffic.figure_table(of({})) is None


def test_faults_have_their_impact(stormy: Record) -> None:
    rows = by_first(disruption.fault_table(stormy))
    assert rows["kill-1"][:4] == ["kill", "node-2", "1:20", "15.0 s"]
    assert rows["kill-1"][4] == "0.0 s"
    assert disruption.fault_table(of({})) is None


def test_a_fault_that_was_never_seen_healed_says_so() -> None:
    fault = {"id": "a", "kind": "kill", "node": "", "began_s": 3.0, "healed_s": None}
    (row,) = cells(disruption.fault_table(of({"faults": [fault]})))
    assert row[4] == "never seen healed"
    assert row[6] == "not seen"


def test_writes_are_counted_by_fate_window_and_node(stormy: Record) -> None:
    section = disruption.audit_section(stormy)
    assert section is not None
    fates, windows, nodes = section.tables
    assert by_first(fates)["lost"][0] == "4"
    heads = [column.name for column in windows.columns]
    assert by_first(windows)["fault:kill-1"][heads.index("lost") - 1] == "4"
    assert by_first(nodes)["http://127.0.0.1:8002"][heads.index("lost") - 1] == "4"
    assert section.examples[0][0] == "lost"
    assert [c.tone for c in fates.rows[1]] == ["", "bad", ""]


def test_a_run_without_a_ledger_has_no_audit_and_one_that_was_not_audited_says_why() -> None:
    assert disruption.audit_section(of({"audit": None})) is None
    assert disruption.audit_section(of({"audit": {}})) is None
    section = disruption.audit_section(
        of({"audit": {"not_made": "the run was aborted", "unread_nodes": {"n1": "timeout"}}})
    )
    assert section is not None
    assert section.not_made == "the run was aborted"
    assert section.unread_nodes == (("n1", "timeout"),)
    assert section.tables == ()


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


def test_nothing_known_is_nothing_shown() -> None:
    empty = of({})
    assert surroundings.health_table(empty) is None
    assert surroundings.target_table(empty) is None
    assert surroundings.event_table(empty) is None
    assert surroundings.environment_tables(empty) == ()
    assert traffic.window_table(empty) is None
    assert traffic.endpoint_tables(empty).whole is None
    assert surroundings.file_table([KeptFile("a/b", 5)]).rows[0][1].text == "5 bytes"


def test_a_timeline_that_can_be_written_can_be_shown(tmp_path: Path) -> None:
    write(tmp_path / "timeline.jsonl", timeline([request(0.5)]))
    assert cells(traffic.endpoint_tables(read_record(tmp_path)).whole)[0][0] == "GET /a"
