"""What a run left: read as it is, recomputed where the verdict is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.errors import RunFolderError, TimelineError
from results.report.record import kept_files, read_record
from results.run_folder import RunFolder
from tests.unit.results.made_run import made_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return made_run(tmp_path)


def test_the_verdict_of_the_run_is_shown_as_it_stands(run: RunFolder) -> None:
    document = json.loads(run.verdict.read_text())
    run.verdict.write_text(json.dumps({**document, "reasons": ["as it stands"]}))
    record = read_record(run.path)
    assert record.verdict.lines("reasons") == ["as it stands"]
    assert record.recomputed is None
    assert record.doubts == ()


def test_a_killed_run_is_told_from_its_timeline(tmp_path: Path) -> None:
    record = read_record(made_run(tmp_path, is_killed=True).path)
    assert record.verdict.text("verdict") == "ABORTED"
    assert record.recomputed is not None
    assert "wrote no verdict" in record.recomputed
    assert record.verdict.rows("windows")


def test_a_verdict_that_cannot_be_read_is_computed_again_and_said_so(run: RunFolder) -> None:
    run.verdict.write_text('{"verdict": "PA')
    record = read_record(run.path)
    assert record.verdict.text("verdict") == "PASS"
    assert record.recomputed is not None
    assert "cannot be read" in record.recomputed


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_page_does_without_a_manifest_and_says_so(run: RunFolder, content: str | None) -> None:
    run.manifest.unlink()
    if content is not None:
        run.manifest.write_text(content)
    record = read_record(run.path)
    assert not record.manifest
    (doubt,) = record.doubts
    assert "manifest.json" in doubt


def test_without_a_timeline_there_is_nothing_to_report(run: RunFolder, tmp_path: Path) -> None:
    run.timeline.unlink()
    with pytest.raises(RunFolderError, match=r"holds no timeline\.jsonl"):
        read_record(run.path)
    with pytest.raises(RunFolderError, match="is not a run's folder"):
        read_record(tmp_path / "nowhere")


def test_a_broken_timeline_is_named_with_its_line(run: RunFolder) -> None:
    run.timeline.write_bytes(b"{}\n" + run.timeline.read_bytes())
    with pytest.raises(TimelineError, match=r"timeline\.jsonl, line 1"):
        read_record(run.path)


def test_files_are_listed_without_links_and_parts(run: RunFolder) -> None:
    (run.path / "outside").symlink_to("/etc/hostname")
    (run.path / ".report.html.1.part").write_text("half")
    listed = {file.path for file in kept_files(run.path)}
    assert {"timeline.jsonl", "verdict.json", "logs/node-1.log"} <= listed
    assert not {"outside", ".report.html.1.part"} & listed
