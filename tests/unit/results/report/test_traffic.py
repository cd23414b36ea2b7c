"""Tables of windows, endpoints, errors, arrivals and figures."""

from __future__ import annotations

from pathlib import Path

from results.report import surroundings, traffic
from results.report.record import KeptFile, Record, read_record
from tests.unit.results.builder import request, timeline, write
from tests.unit.results.report.cells import by_first, cells, of


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
