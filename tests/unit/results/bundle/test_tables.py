"""CSV files: every number of the judgement, and no cell that a spreadsheet would compute."""

from __future__ import annotations

import csv
import os
from io import StringIO
from pathlib import Path

import pytest

from results.bundle.tables import as_csv, check_rows, endpoint_rows, window_rows, write_csv
from results.check import error_rate
from results.document import Document
from results.errors import RunFolderError
from results.replay import judge_timeline
from results.run_folder import read_json
from results.sample import Outcome, Sample
from results.series import series
from results.timeline_reader import read_timeline
from results.verdict import Judgement
from tests.unit.results.builder import planned_requests, request
from tests.unit.results.made_run import made_run

FORMULA = '=HYPERLINK("http://127.0.0.1/?"&A1)'


def written(
    tmp_path: Path, samples: list[Sample] | None = None
) -> tuple[dict[str, list[dict[str, str]]], Judgement]:
    folder = made_run(tmp_path, samples=samples, checks=(error_rate(below=0.5, endpoint="GET /*"),))
    timeline = read_timeline(folder.timeline)
    write_csv(folder, Document(read_json(folder.verdict)), series(timeline))
    tables = {}
    for path in folder.csv.iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.stem] = list(csv.DictReader(file, strict=True))
    return tables, judge_timeline(timeline)


def test_there_is_a_row_for_each_window_endpoint_second_and_check(tmp_path: Path) -> None:
    failed = request(1.0, outcome=Outcome.TIMEOUT, name="POST /b")
    tables, judgement = written(tmp_path, [*planned_requests(), failed])
    assert sorted(tables) == ["checks", "endpoints", "seconds", "windows"]
    windows = {row["window"]: row for row in tables["windows"]}
    assert list(windows) == [one.window.name for one in judgement.windows]
    run = judgement.windows[0].total
    assert windows["run"]["requests"] == str(run.ended)
    assert windows["run"]["errors_by_kind"] == "timeout=1"
    assert float(windows["run"]["raw_p99_ms"]) == run.raw.quantile_ms(0.99)
    assert windows["run"]["corrected_p99_ms"] == "", "nothing is not 0"
    assert windows["phase:steady"]["intervals_s"] == "[0, 2) [4, 6)"
    endpoints = {(row["window"], row["endpoint"]): row for row in tables["endpoints"]}
    assert endpoints["run", "POST /b"]["errors"] == "1"
    assert sum(int(row["ended"]) for row in tables["seconds"]) == run.ended
    assert sum(int(row["errors_timeout"]) for row in tables["seconds"]) == 1
    (check,) = tables["checks"]
    assert (check["status"], check["endpoint"]) == ("PASS", "GET /*")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (FORMULA, "'" + FORMULA),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\t=1", r"\x09=1"),
        ("\r=1", r"\x0d=1"),
        ("-1_0", "'-1_0"),
        ("-inf", "'-inf"),
        ("-1.5", "-1.5"),
        ("+1e3", "+1e3"),
        ("GET /a,b", "GET /a,b"),
        ('say "hi"', 'say "hi"'),
        ("a\nb\0", r"a\x0ab\x00"),
        ("<b>ü", "<b>ü"),
        ("GET /d;=HYPERLINK(1)", "GET /d;'=HYPERLINK(1)"),
        ('GET /d;"=HYPERLINK(1)"', 'GET /d;"\'=HYPERLINK(1)"'),
        ("a; +1;-2|@3", "a; '+1;'-2|'@3"),
        ("GET /d;v=1", "GET /d;v=1"),
    ],
)
def test_text_stays_text(text: str, cell: str) -> None:
    out = as_csv([("name", "n"), (text, -1.5), (None, 7)])
    assert list(csv.reader(StringIO(out, newline=""), strict=True)) == [
        ["name", "n"],
        [cell, "-1.5"],
        ["", "7"],
    ]
    assert out.endswith("\r\n"), "RFC 4180"


@pytest.mark.parametrize("text", ["GET /d;=1+1", 'GET /d;"=1+1"', "x,=1+1", '";=1+1', "=1;=1"])
@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_no_cell_is_a_formula_whatever_separates_the_columns(text: str, separator: str) -> None:
    out = as_csv([("name", "n"), ("run", text, 1.5)])
    (row,) = list(csv.reader(StringIO(out, newline=""), delimiter=separator))[1:]
    assert not [cell for cell in row if cell.lstrip(" \"'").startswith("=") and cell[0] != "'"]
    assert out.splitlines()[1].startswith('"run","'), "text is in quotes, whatever it is"


def test_an_endpoint_that_is_a_formula_is_text_in_every_table(tmp_path: Path) -> None:
    tables, _ = written(tmp_path, [*planned_requests(), request(1.0, name=FORMULA)])
    assert "'" + FORMULA in {row["endpoint"] for row in tables["endpoints"]}
    cells = [cell for table in tables.values() for row in table for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def test_a_verdict_of_a_stranger_gives_empty_cells_and_no_error() -> None:
    strange: list[object] = [{}, {"name": 7, "total": [], "endpoints": {"a": None, "b": {}}}]
    document = Document({"windows": strange, "checks": [{"value": "=1", "limit": True}]})
    assert len(list(window_rows(document.rows("windows")))) == 3
    assert [row[1] for row in endpoint_rows(document.rows("windows"))] == ["endpoint", "b"]
    (_, check) = check_rows(document.rows("checks"))
    assert set(check) == {"", None}


def test_tables_are_written_again_whole_and_nowhere_else(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "runs")
    timeline = read_timeline(folder.timeline)
    for _ in range(2):
        write_csv(folder, Document(read_json(folder.verdict)), series(timeline))
    assert sorted(os.listdir(folder.csv)) == [
        "checks.csv",
        "endpoints.csv",
        "seconds.csv",
        "windows.csv",
    ]
    other = made_run(tmp_path / "runs", "run-2")
    other.csv.symlink_to(tmp_path)
    with pytest.raises(RunFolderError, match="symbolic link"):
        write_csv(other, Document(), series(timeline))
    other.csv.unlink()
    other.csv.touch()
    with pytest.raises(RunFolderError, match="cannot make"):
        write_csv(other, Document(), series(timeline))
