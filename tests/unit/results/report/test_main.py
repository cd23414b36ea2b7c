"""`python -m results.report`: the file is there as a whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from results.report.__main__ import main
from results.run_folder import RunFolder
from tests.unit.results.made_run import made_run

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return made_run(tmp_path)


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_command_writes_page_and_tables_and_nothing_else(run: RunFolder) -> None:
    before = files_of(run.path)
    command = [sys.executable, "-P", "-m", "results.report", str(run.path)]
    done = subprocess.run(command, cwd=run.path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(run.report)
    made = files_of(run.path) - before
    assert made == {"report.html"} | {
        f"csv/{name}.csv" for name in ("windows", "endpoints", "seconds", "checks")
    }
    assert run.report.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_report_is_made_again_over_an_earlier_one(tmp_path: Path, is_killed: bool) -> None:
    run = made_run(tmp_path, is_killed=is_killed)
    assert main([str(run.path)]) == 0
    first = run.report.read_text()
    assert main([str(run.path)]) == 0
    assert run.report.read_text()[:2_000] == first[:2_000]


def test_an_error_is_one_line_with_its_place(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.report.write_text("an earlier one")
    run.timeline.write_text("not a timeline\n")
    assert main([str(run.path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: no report: ")
    assert f"{run.timeline}, line 1" in said.err
    assert said.err.count("\n") == 1
    assert run.report.read_text() == "an earlier one"


def test_a_place_that_cannot_be_written_is_named_and_left_clean(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.report.mkdir()
    (run.report / "in the way").write_text("")
    assert main([str(run.path)]) == 1
    assert f"cannot write {run.report}" in capsys.readouterr().err
    assert not [name for name in files_of(run.path) if name.endswith(".part")]


def test_a_disk_that_is_full_leaves_the_earlier_report(run: RunFolder) -> None:
    assert main([str(run.path)]) == 0
    earlier = run.report.read_bytes()
    # Less than the page takes: the kernel refuses the write, as a full disk does.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    code = f"{limit}; from results.report.__main__ import main; main([{str(run.path)!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert f"error: no report: cannot write {run.report}: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert run.report.read_bytes() == earlier
    assert not [name for name in files_of(run.path) if name.endswith(".part")]


def test_a_link_in_its_place_is_replaced_and_not_followed(run: RunFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.html"
    elsewhere.write_text("mine")
    run.report.symlink_to(elsewhere)
    assert main([str(run.path)]) == 0
    assert elsewhere.read_text() == "mine"
    assert not run.report.is_symlink()
