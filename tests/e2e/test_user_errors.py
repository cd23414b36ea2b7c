"""A scenario's own bug is no PASS: what its users raise voids the run, on one process and more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenario import HERE, Finished, run
from tests.e2e.soundness import assert_sound

RAISING = HERE / "raising.py"


def run_raising(tmp_path: Path, raising: str, *options: str) -> Finished:
    environment = {"RAISING": raising}
    return run(tmp_path / "runs", *options, locustfile=RAISING, environment=environment)


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["one", "two"])
def test_a_task_that_raises_voids_the_run_and_is_named(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    done = run_raising(tmp_path, "task", *processes)
    assert done.exit_code == 3, done.stdout + done.stderr
    assert {check["status"] for check in done.verdict["checks"]} == {"PASS"}, "the control"
    findings = {one["code"]: one["text"] for one in done.verdict["generator"]["findings"]}
    assert "AttributeError in RaisingUser" in findings["user_errors"]
    notes = [line["text"] for line in done.timeline("annotation")]
    assert set(notes) == {"AttributeError in RaisingUser"}
    assert len(notes) <= (2 if processes else 1), "once in each process"


def test_the_same_users_pass_when_they_do_not_raise(tmp_path: Path) -> None:
    done = run_raising(tmp_path, "none")
    assert_sound(done)
    assert done.timeline("annotation") == []
    assert {line["values"].get("user_errors") for line in done.timeline("health")} == {0}
