"""`foundation results …`: what is printed, what is refused, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import typer

from deploy import cli
from deploy.results_cli import size_of, size_text
from results.bundle.bundle import verify
from results.run_folder import RunFolder
from results.run_lock import RunLock
from results.sample import Outcome
from results.timeline import Annotation
from tests.unit.results.builder import planned_requests, request, timeline, write
from tests.unit.results.made_run import CHECKS, made_run


@dataclass(frozen=True, slots=True)
class Called:
    code: int
    out: str
    err: str


class Command:
    """Calls the console script's own entry point, with a results folder of its own."""

    def __init__(
        self, runs_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.runs_dir = runs_dir
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Called:
        words = ["foundation", "results", *arguments]
        self._monkeypatch.setattr(sys, "argv", words)
        self._monkeypatch.setenv("FOUNDATION_RESULTS_DIR", str(self.runs_dir))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int) or code is None
        assert "Traceback" not in err
        return Called(code or 0, out, err)


@pytest.fixture
def results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(tmp_path / "runs", monkeypatch, capfd)


def aged(folder: RunFolder) -> RunFolder:
    """As if nothing had been written for an hour."""
    then_s = time.time() - 3600
    for path in folder.path.rglob("*"):
        os.utime(path, (then_s, then_s))
    return folder


def test_list_prints_a_line_for_each_run_and_what_is_broken(results: Command) -> None:
    assert results("list").code == 4, "there is no such folder"
    results.runs_dir.mkdir()
    assert results("list").out == f"no runs in {results.runs_dir}\n"
    made_run(results.runs_dir, "good")
    made_run(results.runs_dir, "red", samples=[request(0.1, outcome=Outcome.TIMEOUT)] * 20)
    made_run(results.runs_dir, "bad").verdict.write_text("{")
    aged(made_run(results.runs_dir, "dead", is_killed=True))
    made_run(results.runs_dir, "busy", is_killed=True)
    said = results("list")
    assert said.code == 0
    lines = {line.split()[0]: line for line in said.out.splitlines()}
    assert "PASS" in lines["good"] and " 56 " in lines["good"] and "2026-01-31 12:00" in said.out
    assert "FAIL" in lines["red"]
    assert "killed" in lines["dead"] and "running" in lines["busy"]
    assert "bad: cannot read" in said.out and "verdict.json as JSON" in said.out


def test_list_as_json_is_for_programs(results: Command) -> None:
    folder = made_run(results.runs_dir)
    (run,) = json.loads(results("list", "--json").out)
    assert run == {
        "run_id": "run-1",
        "path": str(folder.path),
        "began_at": "2026-01-31T12:00:00.000+00:00",
        "scenario": "made",
        "state": "judged",
        "verdict": "PASS",
        "requests": 56,
        "size_bytes": run["size_bytes"],
        "problem": None,
    }


def test_names_that_move_the_cursor_are_escaped(results: Command) -> None:
    folder = made_run(results.runs_dir)
    folder.path.rename(results.runs_dir / "a\x1b[2J")
    folder = RunFolder(results.runs_dir / "a\x1b[2J")
    folder.manifest.write_text(json.dumps({"run_id": "x", "scenario": "s\x1b]0;owned\x07"}))
    for said in (results("list"), results("show", f"{folder.path}/"), results("verify", "latest")):
        assert "\x1b" not in said.out + said.err
        assert r"\x1b[2J" in said.out


def test_show_prints_the_page_with_what_happened(results: Command) -> None:
    folder = made_run(results.runs_dir)
    said = results("show", "run")
    assert said.code == 0
    assert "verdict: PASS (exit code 0)" in said.out
    assert "2.0  phase burst begins, until 4 s" in said.out
    assert f"verify: foundation results verify {folder.path}" in said.out
    assert f"make one with `foundation results report {folder.path}`" in said.out


def test_show_exits_with_the_verdicts_code_when_asked(results: Command) -> None:
    made_run(results.runs_dir, samples=[request(0.1, outcome=Outcome.TIMEOUT)] * 20)
    assert results("show", "latest").code == 0
    assert results("show", "latest", "--exit-code").code == 1


def test_show_tells_what_happened_in_a_run_until_it_was_killed(results: Command) -> None:
    aged(made_run(results.runs_dir, is_killed=True))
    said = results("show", "run-1")
    assert said.code == 0
    assert "This run was killed" in said.out and "the last that was recorded" in said.out
    assert "verdict: ABORTED" in said.out
    assert "56" in said.out, "its requests"
    assert "not sealed" in said.out
    assert (
        "still goes on"
        in results("show", str(made_run(results.runs_dir, "b", is_killed=True).path)).out
    )


def test_a_run_whose_process_lives_goes_on_however_old_its_files_are(results: Command) -> None:
    folder = made_run(results.runs_dir, is_killed=True)
    aged(folder)
    lock = RunLock.take(folder.path)
    assert "This run still goes on: " in results("show", "run-1").out
    assert "running" in results("list").out
    said = results("prune", "--keep", "0", "--yes")
    assert "stays: run-1: it may still go on" in said.out and folder.timeline.exists()
    lock.release()
    assert "deleted 1 runs" in results("prune", "--keep", "0", "--yes").out


def test_show_says_when_the_verdict_that_was_written_is_another(results: Command) -> None:
    folder = made_run(results.runs_dir)
    folder.verdict.write_text(folder.verdict.read_text().replace('"PASS"', '"FAIL"', 1))
    said = results("show", "run-1")
    assert "verdict: PASS" in said.out
    assert "verdict.json says FAIL, which is not what the timeline gives" in said.out


def test_show_of_many_moments_leaves_the_middle_out(results: Command) -> None:
    folder = made_run(results.runs_dir)
    notes = tuple(Annotation(1 + n / 100, "note", f"number {n}") for n in range(200))
    folder.timeline.unlink()
    write(folder.timeline, replace(timeline(planned_requests(), checks=CHECKS), annotations=notes))
    said = results("show", "run-1")
    assert "number 0" in said.out and "number 199" in said.out
    assert "number 100" not in said.out and "and 164 more until …" in said.out


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no header line"),
        ("{}\n", "line 1"),
        ("\x00" * 100, "no header"),
        ('{"kind":"header","version":2}\n', "version 2, this suite reads version 1"),
        ("[" * 100_000 + "\n", "line 1"),
    ],
)
def test_show_of_a_broken_timeline_names_file_and_line(
    results: Command, text: str, what: str
) -> None:
    folder = made_run(results.runs_dir)
    folder.timeline.write_text(text)
    said = results("show", "run-1")
    assert said.code == 4
    assert str(folder.timeline) in said.err and what in said.err


def test_verify_says_what_holds_and_what_does_not(results: Command) -> None:
    folder = made_run(results.runs_dir)
    said = results("verify", "run-1")
    assert said.code == 0 and said.out.endswith("verified\n")
    assert "computed again: PASS (exit code 0)" in said.out
    (folder.logs / "node-1.log").write_text("changed\n")
    said = results("verify", str(folder.path))
    assert said.code == 1
    assert "problem: logs/node-1.log: was changed" in said.out
    assert said.err == "foundation: not verified: 1 problem\n"


@pytest.mark.parametrize("command", ["show", "verify", "report"])
@pytest.mark.parametrize("name", ["absent", "../runs/absent", "\x1b[2J", "", "run-"])
def test_a_name_of_no_run_is_bad_input(results: Command, command: str, name: str) -> None:
    made_run(results.runs_dir)
    made_run(results.runs_dir, "run-2")
    said = results(command, name)
    assert said.code == 4 and said.err.startswith("foundation: ")
    assert "\x1b" not in said.err


def test_report_is_made_anew_and_a_sealed_run_still_verifies(results: Command) -> None:
    folder = made_run(results.runs_dir)
    assert results("report", "run-1").code == 0
    assert folder.report.exists() and (folder.csv / "checks.csv").exists()
    assert results("verify", "run-1").code == 0
    assert "report: " in results("show", "run-1").out


def test_report_hides_no_change_by_sealing_anew(results: Command) -> None:
    folder = made_run(results.runs_dir)
    folder.manifest.write_text(folder.manifest.read_text() + "\n")
    said = results("report", "run-1")
    assert said.code == 4
    assert "manifest.json: was changed since the run was sealed" in said.err
    assert not folder.report.exists()
    assert not verify(folder).holds


def test_report_of_a_killed_run_leaves_it_unsealed(results: Command) -> None:
    folder = made_run(results.runs_dir, is_killed=True)
    assert results("report", "run-1").code == 0
    assert folder.report.exists() and not folder.digests.exists()


def test_report_that_cannot_be_made_exits_1(results: Command) -> None:
    folder = made_run(results.runs_dir, is_sealed=False)
    folder.timeline.write_text("{}\n")
    said = results("report", "run-1")
    assert said.code == 1 and "timeline.jsonl, line 1" in said.err


def test_prune_deletes_what_the_limits_exclude_and_says_so(results: Command) -> None:
    folders = [aged(made_run(results.runs_dir, f"run-{n}")) for n in range(4)]
    assert "would delete 2 of 4 runs" in results("prune", "--keep", "2", "--dry-run").out
    assert all(folder.path.exists() for folder in folders)
    said = results("prune", "--keep", "2", "--yes")
    assert said.code == 0 and "deleted 2 runs" in said.out
    assert sorted(path.name for path in results.runs_dir.iterdir()) == ["run-2", "run-3"]
    assert "nothing to delete among 2 runs" in results("prune", "--max-size", "1GB").out
    assert "deleted 2 runs" in results("prune", "--older-than", "1", "--yes").out


def test_prune_leaves_runs_that_go_on_and_what_is_no_run(results: Command) -> None:
    made_run(results.runs_dir, "busy", is_killed=True)
    made_run(results.runs_dir / "..", "real")
    (results.runs_dir / "linked").symlink_to(results.runs_dir / ".." / "real")
    (results.runs_dir / "mine").mkdir()
    (results.runs_dir / "mine" / "timeline.jsonl").write_text("diary\n")
    (results.runs_dir / "other").mkdir()
    said = results("prune", "--keep", "0", "--yes")
    assert said.code == 0
    assert "stays: busy: it may still go on" in said.out
    assert "stays: linked: it is a symbolic link" in said.out
    assert "stays: mine: it is no run's folder for sure" in said.out
    assert sorted(p.name for p in results.runs_dir.iterdir()) == ["busy", "linked", "mine", "other"]


def test_prune_deletes_nothing_without_a_limit_or_without_being_asked(results: Command) -> None:
    folder = aged(made_run(results.runs_dir))
    said = results("prune", "--yes")
    assert said.code == 4 and "name a limit" in said.err
    said = results("prune", "--keep", "0")
    assert said.code == 4 and "say --yes" in said.err
    for wrong in (["--keep", "-1"], ["--older-than", "x"], ["--max-size", "much"]):
        assert results("prune", *wrong, "--yes").code == 2, "a usage error of the shell"
    assert folder.path.exists()


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0", 0), ("500MB", 500_000_000), ("2GiB", 2 << 30), ("1.5k", 1500), (" 1 tb ", 10**12)],
)
def test_sizes_are_read_in_decimal_and_binary_units(text: str, size_bytes: int) -> None:
    assert size_of(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1XB", "1e3", "nan", "1MB2", "٣MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="500MB"):
        size_of(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (4_868_952, "4.9 MB")],
)
def test_sizes_are_shown_short(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
