"""A target that lies about writes: the right check is red, in the right window, and no other.

The positive controls of the whole way from the client's record of a write to the verdict. The lies
that are left to the unit tests of the audit's parts are short for time.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from results.replay import replay
from results.verdict import as_document
from tests.e2e.node_process import running
from tests.e2e.scenario import HERE, Finished, Run, run, wait_until
from tests.e2e.soundness import LATE, assert_sound

WRITING = HERE / "writing.py"
ORDERS = HERE / "orders.py"
OF_THE_AUDIT = ("lost", "altered", "duplicated", "phantom")


@contextmanager
def liar(lie: str) -> Iterator[str]:
    """The URL of a lying target."""
    target = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.lying_target", lie],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert target.stdout is not None
        yield target.stdout.readline().strip()
    finally:
        target.communicate(timeout=10)


def written_to(lie: str, results_dir: Path, **environment: str) -> Finished:
    with liar(lie) as url:
        return run(results_dir, "--nodes", url, locustfile=WRITING, environment=environment)


def statuses(done: Finished) -> dict[str, str]:
    return {check["id"]: check["status"] for check in done.verdict["checks"]}


def totals(done: Finished) -> dict[str, int]:
    counts: dict[str, int] = done.verdict["audit"]["totals"]
    return counts


def in_window(done: Finished, window: str) -> dict[str, int]:
    counts: dict[str, int] = done.verdict["audit"]["by_window"].get(window, {})
    return counts


def assert_recomputed(done: Finished) -> None:
    """The same verdict follows from timeline and ledger alone."""
    recomputed: dict[str, Any] = as_document(replay(done.folder / "timeline.jsonl"))
    assert recomputed["audit"] == done.verdict["audit"]
    assert recomputed["exit_code"] == done.verdict["exit_code"]


def assert_only(done: Finished, check: str, fate: str) -> None:
    """Of the audit's checks this one is red, and all of its writes ended among the lies."""
    said = done.stdout + done.stderr
    assert done.exit_code == 1, said
    red = {name for name in OF_THE_AUDIT if statuses(done)[name] != "PASS"}
    assert red == {check}, said
    assert totals(done)[fate] > 10
    # Each of the four users may end one when the plan is over.
    assert totals(done)[fate] - in_window(done, "phase:false")[fate] <= 4
    assert fate not in in_window(done, "phase:true")
    assert_recomputed(done)


def test_a_run_against_an_honest_target_is_green(tmp_path: Path) -> None:
    done = written_to("none", tmp_path / "results")
    assert_sound(done)
    assert set(OF_THE_AUDIT) < statuses(done).keys()
    assert set(totals(done)) == {"present"}
    assert totals(done)["present"] > 50
    assert_recomputed(done)


def test_altered_writes_are_red_in_the_phase_of_the_lies(tmp_path: Path) -> None:
    done = written_to("alters", tmp_path / "results")
    assert_only(done, "altered", "altered")


def test_writes_that_are_lost_only_during_a_fault_are_red_in_its_window(tmp_path: Path) -> None:
    done = written_to("drops", tmp_path / "results", WRITING_FAULT="1")
    said = done.stdout + done.stderr
    assert done.exit_code == 1, said
    found = statuses(done)
    assert found["lost@fault:liar"] == found["lost"] == "FAIL", said
    assert found["lost@baseline"] == "PASS", said
    assert in_window(done, "fault:liar")["lost"] == totals(done)["lost"] > 10
    assert_recomputed(done)


def test_reads_that_fail_make_writes_unverified_and_the_run_inconclusive(tmp_path: Path) -> None:
    done = written_to("unreadable", tmp_path / "results")
    said = done.stdout + done.stderr
    assert done.exit_code == 3, said
    assert set(totals(done)) == {"unverified"}
    assert {statuses(done)[name] for name in OF_THE_AUDIT[:3]} == {"INCONCLUSIVE"}, said
    assert statuses(done)["phantom"] == "PASS", "no write was refused"
    assert "it answered 500" in said
    assert_recomputed(done)


@pytest.mark.long
@pytest.mark.parametrize(
    ("lie", "check", "fate"),
    [
        ("drops", "lost", "lost"),
        ("twice", "duplicated", "duplicated"),
        ("refuses", "phantom", "phantom"),
    ],
)
def test_a_lie_turns_its_check_red_in_its_phase(
    lie: str, check: str, fate: str, tmp_path: Path
) -> None:
    assert_only(written_to(lie, tmp_path / "results"), check, fate)


@pytest.mark.long
@pytest.mark.parametrize("lie", ["freezes", "late"])
def test_a_slow_target_is_red_in_its_phase_and_its_writes_are_there(
    lie: str, tmp_path: Path
) -> None:
    done = written_to(lie, tmp_path / "results")
    said = done.stdout + done.stderr
    findings = {finding["code"] for finding in done.verdict["generator"]["findings"]}
    assert findings <= LATE, said
    assert statuses(done)["raw_max@phase:false"] == ("INCONCLUSIVE" if findings else "FAIL"), said
    assert statuses(done)["raw_max@phase:true"] == "PASS", said
    assert {statuses(done)[name] for name in OF_THE_AUDIT} == {"PASS"}, said
    assert set(totals(done)) == {"present"}


def test_a_real_node_that_is_killed_under_writes_loses_none_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    results, data = tmp_path / "results", tmp_path / "data"
    with running(data) as node:
        options = ("--nodes", node.url)
        with Run(
            results, *options, locustfile=WRITING, environment={"WRITING_FAULT": "1"}
        ) as started:
            wait_until(lambda: started.seconds_recorded() > 1, "a second of writes")
            node.stop(signal.SIGKILL)
            with running(data, port=node.port):
                done = started.finish()
    said = done.stdout + done.stderr
    assert done.window("run")["total"]["errors"], "it was away"
    assert statuses(done)["lost"] == "PASS", said
    assert totals(done).keys() <= {"present", "stored", "absent", "refused"}, said
    assert totals(done)["present"] > 20
    assert_recomputed(done)


@pytest.mark.long
def test_a_real_node_that_forgets_is_red(tmp_path: Path) -> None:
    with running(tmp_path / "data", command=("-m", "tests.e2e.forgetful_node")) as node:
        done = run(tmp_path / "results", "--nodes", node.url, locustfile=WRITING)
    assert done.exit_code == 1, done.stdout + done.stderr
    assert {name for name in OF_THE_AUDIT if statuses(done)[name] != "PASS"} == {"lost"}
    assert totals(done)["lost"] > 10


@pytest.mark.long
@pytest.mark.parametrize(
    ("lie", "check", "exit_code"),
    [("none", None, 0), ("drops", "lost", 1), ("unreadable", None, 3)],
)
def test_an_own_service_is_audited_by_its_own_auditor_on_several_processes(
    lie: str, check: str | None, exit_code: int, tmp_path: Path
) -> None:
    options = ("--processes", "2", "-u", "4", "-r", "4", "-t", "3s")
    with liar(lie) as url:
        done = run(tmp_path / "results", *options, "--host", url, locustfile=ORDERS)
    said = done.stdout + done.stderr
    assert done.exit_code == exit_code, said
    assert "altered" not in statuses(done) or lie == "unreadable", "it tells no content"
    assert {name for name, status in statuses(done).items() if status == "FAIL"} == {check} - {None}
    assert_recomputed(done)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_audit_ends_the_run_as_aborted(number: int, tmp_path: Path) -> None:
    results = tmp_path / "results"
    with (
        liar("mute") as url,
        Run(results, "--nodes", url, "--time-scale", "0.5", locustfile=WRITING) as started,
    ):
        wait_until(lambda: "auditing" in started.output(), "the audit to go on")
        started.interrupt(number)
        done = started.finish()
    assert done.exit_code == 5, done.stdout + done.stderr
    assert done.verdict["audit"]["not_made"] == "it was interrupted"
    assert "Traceback" not in done.stderr
    assert_recomputed(done)


@pytest.mark.long
def test_a_node_that_is_back_in_a_while_is_waited_for(tmp_path: Path) -> None:
    done = written_to("restarts", tmp_path / "results")
    assert_sound(done)
    assert set(totals(done)) == {"present"}
