"""A verdict that could not be filed is no PASS, and no file says that it is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from results.bundle.bundle import seal, verify
from results.bundle.filing import file_verdict
from results.check import requests
from results.replay import replay
from results.run_folder import RunFolder
from results.verdict import Judgement, Verdict
from tests.unit.results.made_run import made_run


def unfiled(tmp_path: Path, **made: object) -> tuple[RunFolder, Judgement]:
    folder = made_run(tmp_path, is_sealed=False, **made)  # type: ignore[arg-type]
    folder.verdict.unlink()
    folder.junit.unlink()
    return folder, replay(folder.timeline)


def test_a_verdict_is_filed_for_programs_and_for_ci_systems(tmp_path: Path) -> None:
    folder, judgement = unfiled(tmp_path)
    assert file_verdict(folder, judgement) is judgement
    assert json.loads(folder.verdict.read_text())["verdict"] == "PASS"
    assert "<failure" not in folder.junit.read_text() and 'errors="0"' in folder.junit.read_text()
    seal(folder)
    assert verify(folder).holds


FILES: list[Callable[[RunFolder], Path]] = [
    lambda folder: folder.verdict,
    lambda folder: folder.junit,
]


@pytest.mark.parametrize("path_of", FILES, ids=["verdict.json", "junit.xml"])
def test_a_pass_without_one_of_its_files_is_inconclusive_and_the_other_says_so(
    tmp_path: Path, path_of: Callable[[RunFolder], Path]
) -> None:
    folder, judgement = unfiled(tmp_path)
    assert judgement.verdict is Verdict.PASS, "the control"
    # Nothing can be renamed to where a folder is.
    (path_of(folder) / "full").mkdir(parents=True)
    counts = file_verdict(folder, judgement)
    assert (counts.verdict, counts.exit_code) == (Verdict.INCONCLUSIVE, 3)
    assert counts.reasons[0].startswith("the verdict could not be filed: cannot write")
    assert not [reason for reason in counts.reasons if "hold" in reason]
    if folder.verdict.is_file():
        assert json.loads(folder.verdict.read_text())["verdict"] == "INCONCLUSIVE"
    else:
        assert "the verdict could not be filed" in folder.junit.read_text()
        assert 'errors="1"' in folder.junit.read_text()


def test_a_failure_without_its_files_stays_one(tmp_path: Path) -> None:
    folder, judgement = unfiled(tmp_path, checks=(requests(above=10_000),))
    assert judgement.verdict is Verdict.FAIL, "the control"
    (folder.junit / "full").mkdir(parents=True)
    counts = file_verdict(folder, judgement)
    assert (counts.verdict, counts.exit_code) == (Verdict.FAIL, 1)
    assert counts.reasons[:-1] == judgement.reasons
    assert "could not be filed" in counts.reasons[-1]


def test_a_file_that_cannot_be_written_anew_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, judgement = unfiled(tmp_path)
    (folder.junit / "full").mkdir(parents=True)
    # From the first file on the disk is full.
    replaced: list[str] = []
    replace = Path.replace

    def filling_up(path: Path, target: Path) -> Path:
        replaced.append(target.name)
        if len(replaced) > 1:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", filling_up)
    assert file_verdict(folder, judgement).exit_code == 3
    assert replaced[0] == "verdict.json" and not folder.verdict.exists()
    assert not list(folder.path.glob(".*.part"))
