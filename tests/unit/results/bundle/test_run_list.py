"""The list of runs: how each ended, what is broken of it, and finding one by name."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from results.bundle.run_list import ListedRun, State, find_run, list_runs, listed
from results.errors import RunFolderError
from results.run_folder import RunFolder, create_run
from results.run_lock import RunLock
from results.verdict import Verdict
from tests.unit.results.made_run import NOON, made_run

LATER_S = time.time() + 3600
"""Nothing that a test writes is young then."""


def the_only(runs_dir: Path, now_s: float = LATER_S) -> ListedRun:
    (run,) = list_runs(runs_dir, now_s=now_s)
    return run


def test_a_judged_run_is_listed_with_its_facts(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    run = the_only(tmp_path)
    assert (run.state, run.verdict, run.word) == (State.JUDGED, Verdict.PASS, "PASS")
    assert (run.scenario, run.requests, run.began_at) == ("made", 56, NOON)
    assert run.size_bytes == sum(p.stat().st_size for p in folder.path.rglob("*") if p.is_file())
    assert run.is_ours and run.problem is None


def test_runs_come_in_the_order_of_their_beginning_the_newest_first(tmp_path: Path) -> None:
    made_run(tmp_path, "b", started_at=NOON)
    made_run(tmp_path, "c", started_at=NOON - timedelta(hours=1))
    made_run(tmp_path, "a", started_at=NOON + timedelta(hours=1))
    assert [run.run_id for run in list_runs(tmp_path, now_s=LATER_S)] == ["a", "b", "c"]


def test_a_run_without_a_verdict_goes_on_while_it_writes_and_was_killed_after_that(
    tmp_path: Path,
) -> None:
    made_run(tmp_path, is_killed=True)
    assert the_only(tmp_path, now_s=time.time()).state is State.RUNNING
    assert the_only(tmp_path).state is State.KILLED
    assert the_only(tmp_path).word == "killed"


def test_a_run_that_is_silent_goes_on_while_its_process_lives(tmp_path: Path) -> None:
    folder = made_run(tmp_path, is_killed=True)
    lock = RunLock.take(folder.path)
    assert the_only(tmp_path).state is State.RUNNING
    lock.release()
    assert the_only(tmp_path).state is State.KILLED


def test_a_report_of_a_killed_run_does_not_bring_it_to_life(tmp_path: Path) -> None:
    folder = made_run(tmp_path, is_killed=True)
    for path in folder.path.rglob("*"):
        os.utime(path, (1e9, 1e9))
    folder.csv.mkdir()
    (folder.csv / "windows.csv").touch()
    folder.report.touch()
    assert the_only(tmp_path, now_s=time.time()).state is State.KILLED
    folder.timeline.touch()
    assert the_only(tmp_path, now_s=time.time()).state is State.RUNNING, "the control"


def test_other_folders_and_files_are_no_runs(tmp_path: Path) -> None:
    create_run(tmp_path, "never-began")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    made_run(tmp_path, "run-1").path.rename(tmp_path / ".hidden")
    assert list_runs(tmp_path, now_s=LATER_S) == []


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"there is no folder .*--dir"):
        list_runs(tmp_path / "absent", now_s=LATER_S)
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot look through"):
        list_runs(tmp_path / "file", now_s=LATER_S)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("verdict.json", ""),
        ("verdict.json", "{"),
        ("verdict.json", "[]"),
        ("verdict.json", "[" * 100_000),
        ("verdict.json", '{"verdict": "GREEN"}'),
        ("verdict.json", '{"verdict": ["PASS"]}'),
        ("verdict.json", '{"verdict": {}}'),
        ("manifest.json", "\x00"),
        ("manifest.json", "7"),
    ],
)
def test_a_broken_document_is_told_of_its_run_and_hides_no_other(
    tmp_path: Path, name: str, text: str
) -> None:
    folder = made_run(tmp_path, "broken")
    made_run(tmp_path, "fine")
    (folder.path / name).write_text(text)
    runs = {run.run_id: run for run in list_runs(tmp_path, now_s=LATER_S)}
    assert runs["fine"].state is State.JUDGED
    assert runs["broken"].state is State.BROKEN
    assert name in (runs["broken"].problem or "")


@pytest.mark.parametrize(
    "manifest",
    [
        {"started_at": "yesterday", "scenario": 7},
        {"started_at": 12, "scenario": None},
        {"started_at": "2026-01-31T12:00:00"},
        {"started_at": "9999-12-31T23:59:59+00:00"},
        {"started_at": "0001-01-01T00:00:00+00:00"},
        {"started_at": "9999-12-31T23:59:59.999999+00:00"},
        {"started_at": "9999-12-31T23:59:59-14:00"},
        {"started_at": "0001-01-01T00:00:00+14:00"},
    ],
)
@pytest.mark.parametrize(
    "windows",
    [
        *(None, [], [7], [{"total": 7}]),
        *([{"total": {"requests": odd}}] for odd in ("1", True, 1.5, -1, 10**400)),
    ],
    ids=range(9),
)
def test_odd_values_are_as_if_they_were_not_there(
    tmp_path: Path, manifest: dict[str, object], windows: object
) -> None:
    folder = made_run(tmp_path)
    folder.manifest.write_text(json.dumps({"run_id": "run-1", **manifest}))
    folder.verdict.write_text(json.dumps({"verdict": "FAIL", "windows": windows}))
    run = the_only(tmp_path)
    assert (run.state, run.requests, run.scenario) == (State.JUDGED, None, None)
    assert str(run.began_at)


@pytest.mark.parametrize("time_s", [-(2**60), 2**60])
def test_files_of_impossible_times_hide_no_run(tmp_path: Path, time_s: int) -> None:
    folder = made_run(tmp_path)
    folder.manifest.unlink()
    for path in folder.path.rglob("*"):
        # A file system takes what is nearest.
        os.utime(path, (time_s, time_s))
    run = the_only(tmp_path)
    assert run.began_at.year != 2026 and run.verdict is Verdict.PASS


def test_a_folder_with_a_file_of_a_runs_name_alone_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "timeline.jsonl").write_text("what I did in 2026\n")
    run = the_only(tmp_path)
    assert (run.state, run.is_ours) == (State.BROKEN, False)


def test_a_documents_link_or_pipe_is_not_followed(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "runs")
    folder.verdict.unlink()
    folder.verdict.symlink_to(made_run(tmp_path / "other").verdict)
    assert the_only(tmp_path / "runs").state is State.BROKEN
    folder.verdict.unlink()
    os.mkfifo(folder.verdict)
    assert the_only(tmp_path / "runs").state is State.BROKEN


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for n, name in enumerate(["20260131T1200Z-p1-aa", "20260131T1300Z-p1-bb", "nightly"]):
        made_run(tmp_path, name, started_at=NOON + timedelta(hours=n))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nightly", "nightly"),
        ("n", "nightly"),
        ("20260131T12", "20260131T1200Z-p1-aa"),
        ("latest", "nightly"),
    ],
)
def test_a_run_is_found_by_its_id_a_beginning_of_it_or_as_the_latest(
    three: Path, text: str, name: str
) -> None:
    assert find_run(three, text, now_s=LATER_S) == RunFolder(three / name)


def test_a_run_is_found_by_its_path(
    three: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for text in (str(three / "nightly"), f"{three}/nightly/"):
        assert find_run(elsewhere, text, now_s=LATER_S).path == three / "nightly"
    monkeypatch.chdir(three)
    assert find_run(elsewhere, "nightly", now_s=LATER_S).path == Path("nightly")
    monkeypatch.chdir(three / "nightly")
    assert find_run(elsewhere, ".", now_s=LATER_S).path == Path(".")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("2026", "begins 2 runs: 20260131T1200Z-p1-aa, 20260131T1300Z-p1-bb: say more"),
        ("nightli", "did you mean nightly?"),
        ("p1-bb", "did you mean 20260131T1300Z-p1-bb?"),
        ("zzz", "`foundation results list` has them"),
        ("../nightly", "is not there"),
        ("/etc", "is no run's folder"),
        ("/etc/passwd", "is no run's folder"),
        ("", "is no run's name"),
        ("\x1b[2J", r"\\x1b"),
        ("a\x00/b", "is not there"),
        ("x" * 5000, "there is no run"),
        ("x/" * 5000, "is not there"),
    ],
    ids=range(12),
)
def test_what_is_no_run_is_refused_with_what_is_near(three: Path, text: str, what: str) -> None:
    with pytest.raises(RunFolderError, match=what) as caught:
        find_run(three, text, now_s=LATER_S)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_there_is_no_latest_of_no_runs(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="there is no run in"):
        find_run(tmp_path, "latest", now_s=LATER_S)


def test_a_run_that_vanishes_while_it_is_looked_at_is_no_error(tmp_path: Path) -> None:
    run = listed(RunFolder(tmp_path / "gone"), now_s=LATER_S)
    assert replace(run, problem=None).state is State.BROKEN
