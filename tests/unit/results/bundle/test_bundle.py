"""A sealed run verifies; one changed byte of any file, or a changed verdict, is found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from results.bundle.bundle import is_sealed, seal, verify
from results.check import requests
from results.errors import BundleError
from results.run_folder import RunFolder
from results.sample import Outcome
from tests.unit.results.builder import planned_requests, request
from tests.unit.results.made_run import made_run

FILES = ["junit.xml", "logs/node-1.log", "manifest.json", "timeline.jsonl", "verdict.json"]


def problems_of(folder: RunFolder) -> str:
    found = verify(folder)
    assert found.holds is (not found.problems)
    return "\n".join(found.problems)


def edit_verdict(folder: RunFolder, **fields: Any) -> None:
    document = json.loads(folder.verdict.read_text())
    folder.verdict.write_text(json.dumps(document | fields))


def test_a_sealed_run_verifies_here_and_with_sha256sum(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    found = verify(folder)
    assert found.problems == found.notes == ()
    assert found.files == len(FILES)
    assert found.size_bytes == sum((folder.path / name).stat().st_size for name in FILES)
    assert found.judgement is not None and found.judgement.exit_code == 0
    check = ["sha256sum", "--check", "--strict", "--quiet", "digests.txt"]
    subprocess.run(check, cwd=folder.path, check=True, timeout=30)
    listed = [line.split("  ")[1] for line in folder.digests.read_text().splitlines()]
    assert listed == FILES


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_of_any_file_is_found(tmp_path: Path, name: str) -> None:
    folder = made_run(tmp_path)
    path = folder.path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert f"{name}: was changed" in problems_of(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_found(tmp_path: Path, name: str) -> None:
    folder = made_run(tmp_path)
    (folder.path / name).unlink()
    assert f"{name}: is missing" in problems_of(folder)


def test_a_file_that_came_later_is_found(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    (folder.path / "report.html").touch()
    assert problems_of(folder) == "report.html: is not listed in digests.txt, so it came later"


def test_what_a_write_that_was_cut_off_has_left_is_noted_and_nothing_hides_under_such_a_name(
    tmp_path: Path,
) -> None:
    folder = made_run(tmp_path)
    (folder.path / ".report.html.77.part").touch()
    found = verify(folder)
    assert found.holds
    (note,) = found.notes
    assert note == ".report.html.77.part is what a write that was cut off has left"
    (folder.logs / ".anything.part").touch()
    assert "logs/.anything.part" in verify(folder).notes[0], "as any file among the logs"
    (folder.path / ".anything.part").touch()
    assert ".anything.part: is not listed in digests.txt" in problems_of(folder)
    seal(folder)
    assert ".anything.part" in folder.digests.read_text()


def test_logs_that_were_left_out_are_noted_and_no_problem(tmp_path: Path) -> None:
    folder = made_run(tmp_path, is_sealed=False)
    seal(folder, leave_out=("logs",))
    found = verify(folder)
    assert found.holds
    assert [note.split(" is ")[0] for note in found.notes] == ["logs/node-1.log"]
    seal(folder)
    assert verify(folder).notes == ()


def test_a_run_that_is_not_sealed_does_not_verify_though_its_verdict_is_right(
    tmp_path: Path,
) -> None:
    folder = made_run(tmp_path, is_sealed=False)
    assert not is_sealed(folder)
    found = verify(folder)
    assert len(found.problems) == 1 and "there is no digests.txt" in found.problems[0]
    assert found.judgement is not None


def test_a_killed_run_does_not_verify_and_says_why(tmp_path: Path) -> None:
    folder = made_run(tmp_path, is_killed=True)
    text = problems_of(folder)
    assert "killed before it was sealed" in text
    assert "there is no verdict.json" in text


def test_a_verdict_that_was_edited_and_sealed_anew_is_found_by_field(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    document = json.loads(folder.verdict.read_text())
    document["checks"][1]["value"] += 1
    edit_verdict(folder, exit_code=1, checks=document["checks"])
    seal(folder)
    found = verify(folder)
    assert len(found.problems) == 2
    assert found.problems[0] == ("verdict.json, exit_code: it says 1, timeline and ledger give 0")
    assert found.problems[1].startswith("verdict.json, checks[1].value: it says 57")


def test_a_timeline_that_was_edited_and_sealed_anew_is_found_by_the_verdict(
    tmp_path: Path,
) -> None:
    folder = made_run(tmp_path)
    lines = folder.timeline.read_text().splitlines(keepends=True)
    reports = [n for n, line in enumerate(lines) if '"kind":"second"' in line]
    del lines[reports[0]]
    folder.timeline.write_text("".join(lines))
    seal(folder)
    text = problems_of(folder)
    assert "verdict.json, verdict: it says" in text
    assert "more fields differ" in text


def name_another_version(folder: RunFolder) -> None:
    document = json.loads(folder.manifest.read_text())
    document["versions"]["foundation-load"] = "0.0.7"
    folder.manifest.write_text(json.dumps(document))


def test_a_field_that_another_version_did_not_write_is_noted_and_one_that_must_be_is_not(
    tmp_path: Path,
) -> None:
    folder = made_run(tmp_path)
    document = json.loads(folder.verdict.read_text())
    del document["windows"][0]["total"]["bytes_received"]
    folder.verdict.write_text(json.dumps(document))
    name_another_version(folder)
    seal(folder)
    found = verify(folder)
    assert found.holds
    assert found.notes == (
        "verdict.json lacks windows[0].total.bytes_received, which this suite writes",
    )
    del document["checks"]
    folder.verdict.write_text(json.dumps(document))
    seal(folder)
    assert "checks: it says nothing" in problems_of(folder)


@pytest.mark.parametrize("of", ["endpoints", "errors"])
def test_what_the_run_was_made_of_is_lacking_whatever_version_wrote_it(
    of: str, tmp_path: Path
) -> None:
    failed = [request(1.5, outcome=Outcome.RESET), *planned_requests()]
    folder = made_run(tmp_path, samples=failed, checks=(requests(above=1),))
    document = json.loads(folder.verdict.read_text())
    window = document["windows"][0]
    data = window[of] if of == "endpoints" else window["total"][of]
    data.popitem()
    folder.verdict.write_text(json.dumps(document))
    name_another_version(folder)
    seal(folder)
    found = verify(folder)
    assert f"{of}." in found.problems[0] and "it says nothing" in found.problems[0]
    assert found.notes == ()


def test_a_verdict_that_was_gutted_and_sealed_anew_is_found_by_every_field(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    document = json.loads(folder.verdict.read_text())
    for check in document["checks"]:
        check.clear()
    document["windows"][0]["total"] = {}
    folder.verdict.write_text(json.dumps(document))
    seal(folder)
    found = verify(folder)
    assert "checks[0].id: it says nothing, timeline and ledger give" in found.problems[0]
    assert found.notes == ()


@pytest.mark.parametrize("text", ["hi", "", "<testsuites/>", b"\xff"])
def test_a_junit_file_that_was_edited_and_sealed_anew_is_found(
    tmp_path: Path, text: str | bytes
) -> None:
    folder = made_run(tmp_path)
    folder.junit.write_bytes(text.encode() if isinstance(text, str) else text)
    seal(folder)
    assert "junit.xml" in problems_of(folder)
    folder.junit.unlink()
    seal(folder)
    assert "there is no junit.xml" in problems_of(folder)


def test_a_field_that_is_there_twice_is_refused_whichever_is_right(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    text = folder.verdict.read_text().lstrip("{")
    folder.verdict.write_text('{"verdict": "FAIL",' + text)
    seal(folder)
    assert "the field 'verdict' is there twice" in problems_of(folder)


def test_a_bundle_that_was_renamed_verifies(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    assert verify(RunFolder(folder.path.rename(tmp_path / "ticket-7"))).holds


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "as JSON"),
        ("{", "as JSON"),
        ("[" * 100_000, "as JSON"),
        ("[]", "the document"),
        ("null", "the document"),
        ('{"verdict": NaN}', "verdict"),
    ],
)
def test_a_broken_verdict_is_a_problem_and_no_traceback(
    tmp_path: Path, text: str, what: str
) -> None:
    folder = made_run(tmp_path)
    folder.verdict.write_text(text)
    assert what in problems_of(folder)


def test_another_version_of_the_timeline_says_which_suite_reads_it(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    text = folder.timeline.read_text()
    folder.timeline.write_text(text.replace('"version":1', '"version":99', 1))
    seal(folder)
    assert "has version 99" in problems_of(folder)
    assert "use the version of the suite that wrote it" in problems_of(folder)


def test_differences_name_the_version_that_wrote_the_run(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    name_another_version(folder)
    seal(folder)
    assert problems_of(folder) == "", "another version alone is no problem"
    edit_verdict(folder, exit_code=1)
    assert "foundation-load 0.0.7" in problems_of(folder)


@pytest.mark.parametrize("name", ["timeline.jsonl", "verdict.json", "logs", "ledger", "extra"])
def test_nothing_is_read_through_a_link(tmp_path: Path, name: str) -> None:
    folder = made_run(tmp_path / "runs")
    other = made_run(tmp_path / "elsewhere")
    path = folder.path / name
    if path.is_dir():
        (path / "node-1.log").unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(other.path / name)
    text = problems_of(folder)
    assert "symbolic link" in text
    with pytest.raises(BundleError, match=f"{name} is a symbolic link: remove it"):
        seal(folder)


def test_a_path_out_of_the_folder_is_refused_and_not_read(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with folder.digests.open("a") as file:
        file.write(f"{'0' * 64}  ../pipe\n")
    assert "line 6: '../pipe' does not lead to a file in the folder" in problems_of(folder)


def test_a_seal_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    folder = made_run(tmp_path)
    before = folder.digests.read_bytes()
    (folder.path / "link").symlink_to("/etc/passwd")
    with pytest.raises(BundleError):
        seal(folder)
    assert folder.digests.read_bytes() == before
    assert not list(folder.path.glob(".*.part"))


def test_a_folder_that_is_none_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot look through"):
        verify(RunFolder(tmp_path / "absent"))
