"""What a run leaves verifies, and does not after one byte of any file was changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from results.bundle.bundle import verify
from results.run_folder import RunFolder
from tests.e2e.results_command import results
from tests.e2e.scenario import HERE, Finished, Run, run, wait_until
from tests.fault.limited_disk import SmallDisk

KINDS = (
    "timeline.jsonl",
    "manifest.json",
    "verdict.json",
    "junit.xml",
    "report.html",
    "csv/windows.csv",
    "csv/endpoints.csv",
    "csv/seconds.csv",
    "csv/checks.csv",
    "ledger/writes.bin",
    "ledger/nodes.jsonl",
    "ledger/index.jsonl",
    "ledger/reads.bin",
    "ledger/audit.json",
    "logs/node-1.log",
    "logs/supervisor.log",
)
"""Every file that a run with writes on its own cluster leaves."""


def test_a_run_leaves_a_bundle_that_verifies_until_one_byte_of_any_file_is_changed(
    tmp_path: Path,
) -> None:
    # One run for all that is asked of it: several tests would each have one on their worker.
    done = run(tmp_path / "runs", locustfile=HERE / "writing.py")
    assert done.exit_code == 0, done.stdout + done.stderr
    verifies_and_says_how(done)
    is_shown_later_as_at_its_end(done)
    moved = done.folder.rename(tmp_path / "moved")
    assert results("verify", str(moved)).returncode == 0
    for kind in KINDS:
        shutil.copytree(moved, copy := tmp_path / "copy")
        change_a_byte(copy / kind)
        assert f"{kind}: was changed since the run was sealed" in verify(RunFolder(copy)).problems
        shutil.rmtree(copy)
    change_a_byte(moved / KINDS[0])
    said = results("verify", str(moved))
    assert said.returncode == 1 and f"problem: {KINDS[0]}: was changed" in said.stdout


def verifies_and_says_how(done: Finished) -> None:
    said = results("verify", str(done.folder))
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(KINDS)} files" in said.stdout
    assert "note: " not in said.stdout, "the nodes' logs are sealed as well"
    assert done.stdout.rstrip().endswith(
        f"files: {done.folder}\n"
        f"report: {done.folder}/report.html\n"
        f"verify: foundation results verify {done.folder}"
    )
    check = ["sha256sum", "--check", "--strict", "--quiet", "digests.txt"]
    subprocess.run(check, cwd=done.folder, check=True, timeout=60)
    listed = (done.folder / "digests.txt").read_text().splitlines()
    assert {line.split("  ")[1] for line in listed} == set(KINDS)


def is_shown_later_as_at_its_end(done: Finished) -> None:
    said = results("show", str(done.folder))
    assert said.returncode == 0
    page = done.stdout[done.stdout.index("verdict: ") :]
    assert page.strip() in said.stdout
    (listed,) = json.loads(results("list", "--json", "--dir", str(done.folder.parent)).stdout)
    assert (listed["run_id"], listed["verdict"]) == ("run", "PASS")
    assert listed["requests"] == done.window("run")["total"]["requests"]


def change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    assert data
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)


def test_a_disk_without_room_for_the_report_costs_the_report_alone(tmp_path: Path) -> None:
    # The report takes five megabytes, everything else a tenth of one.
    with SmallDisk(tmp_path / "disk", 2_000_000) as disk:
        done = run(disk.folder / "runs", locustfile=HERE / "odd.py", environment={"ODD": "nothing"})
        assert done.exit_code == 0, done.stdout + done.stderr
        assert "No space left on device" in done.stdout
        assert "try `foundation results report" in done.stdout
        assert not (done.folder / "report.html").exists()
        assert not list(done.folder.rglob("*.part"))
        said = results("verify", str(done.folder))
        assert said.returncode == 0, said.stdout + said.stderr


def test_a_disk_that_is_full_from_the_middle_on_leaves_what_was_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    with SmallDisk(tmp_path / "disk", 10_000_000) as disk:
        with Run(disk.folder / "runs", locustfile=HERE / "odd.py") as started:
            wait_until(lambda: started.seconds_recorded() >= 1, "no load: " + started.errors())
            disk.take()
            done = started.finish()
        assert done.exit_code == 3, done.stdout + done.stderr
        assert "verdict: INCONCLUSIVE" in done.stdout
        assert "no report (" in done.stdout and "No space left on device" in done.stdout
        assert "not sealed, so it cannot be verified: cannot write" in done.stdout
        assert "Traceback" not in done.stderr
        said = results("show", str(done.folder))
        assert said.returncode == 0 and "the last that was recorded" in said.stdout
        assert results("list", "--dir", str(done.folder.parent)).returncode == 0
        said = results("verify", str(done.folder))
        assert said.returncode == 1 and "there is no digests.txt" in said.stdout
