"""A check that says abort ends the run where it breaks, and that run has failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.replay import replay
from results.verdict import as_document
from tests.e2e.own_target import OwnTarget, own_target
from tests.e2e.scenario import HERE, Finished, run
from tests.e2e.soundness import assert_found, assert_sound
from tests.e2e.web_session import WebSession

ABORTING = HERE / "aborting.py"
FAILING = {"VISITED": "/status/500"}


@pytest.fixture(scope="module")
def target() -> Iterator[OwnTarget]:
    with own_target() as started:
        yield started


def assert_stopped(
    done: Finished, check: str = "error_rate_abort", *, before_s: float = 15.0
) -> None:
    """Complete, early, red, and the timeline alone says so again."""
    assert_found(done, check)
    (end,) = done.timeline("end")
    assert end["reason"] == "completed"
    assert end["t_s"] < before_s
    (mark,) = [line for line in done.timeline("annotation") if line["label"] == "check_aborted"]
    assert mark["text"].startswith(f"{check}: ")
    (reason,) = [one for one in done.verdict["reasons"] if one.startswith(f"{check}: ")]
    assert "; the run was stopped there, since the check says abort" in reason
    assert done.stderr.count(f"{check} is broken, ") == 1, "one line on the console"
    again = json.loads(json.dumps(as_document(replay(done.folder / "timeline.jsonl"))))
    assert again == done.verdict


def test_a_plan_ends_where_the_check_breaks(tmp_path: Path, target: OwnTarget) -> None:
    done = run(*(tmp_path / "runs", "--host", target.url), locustfile=ABORTING, environment=FAILING)
    assert_stopped(done)
    (end,) = done.timeline("end")
    assert 2 <= end["plan_ends_s"] <= 8
    assert [window["name"] for window in done.verdict["windows"]] == ["run", "phase:steady"]
    after = [line for line in done.timeline("progress") if line["t_s"] > end["plan_ends_s"] + 1]
    assert all(line["planned"] == 0 for line in after)


def test_a_run_without_a_plan_ends_where_the_check_breaks(
    tmp_path: Path, target: OwnTarget
) -> None:
    options = ("--host", target.url, "-u", "4", "-r", "4", "-t", "60s")
    environment = {**FAILING, "ABORTING": "existing"}
    done = run(tmp_path / "runs", *options, locustfile=ABORTING, environment=environment)
    assert_stopped(done)


def test_an_aborting_check_that_holds_changes_nothing(tmp_path: Path, target: OwnTarget) -> None:
    environment = {
        "ABORTING_S": "3",
        "ABORTING_CHECK": "availability > 50% over 2s, abort after 0s",
    }
    done = run(
        *(tmp_path / "runs", "--host", target.url), locustfile=ABORTING, environment=environment
    )
    assert_sound(done)
    (end,) = done.timeline("end")
    assert "plan_ends_s" not in end
    assert not [line for line in done.timeline("annotation") if line["label"] == "check_aborted"]
    assert "is broken" not in done.stderr


def test_a_check_that_could_never_end_a_run_is_bad_configuration(
    tmp_path: Path, target: OwnTarget
) -> None:
    done = run(
        *(tmp_path / "runs", "--host", target.url),
        locustfile=ABORTING,
        environment={"ABORTING_CHECK": "errors < 5% in fault:*, abort"},
    )
    assert done.exit_code == 4, done.stderr
    assert "error: aborting: errors < 5% in fault:*" in done.stderr
    assert "nobody knows ahead when 'fault:*' is" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_plan_of_two_processes_ends_where_the_check_breaks(
    tmp_path: Path, target: OwnTarget
) -> None:
    done = run(
        *(tmp_path / "runs", "--host", target.url, "--processes", "2"),
        locustfile=ABORTING,
        environment={**FAILING, "ABORTING_CHECK": "availability > 90% for 3s, abort after 2s"},
    )
    assert_stopped(done, "availability_for_3s_abort")
    assert {line["source"] for line in done.timeline("second")} == {"worker-0", "worker-1"}


@pytest.mark.long
def test_two_processes_without_a_plan_end_where_the_check_breaks(
    tmp_path: Path, target: OwnTarget
) -> None:
    options = ("--host", target.url, "-u", "4", "-r", "4", "-t", "60s", "--processes", "2")
    environment = {**FAILING, "ABORTING": "existing"}
    done = run(tmp_path / "runs", *options, locustfile=ABORTING, environment=environment)
    assert_stopped(done)


@pytest.mark.long
@pytest.mark.parametrize("processes", ["1", "2"])
def test_arrivals_end_where_the_check_breaks(
    tmp_path: Path, target: OwnTarget, processes: str
) -> None:
    more = () if processes == "1" else ("--processes", processes)
    environment = {**FAILING, "ABORTING": "arrivals"}
    done = run(
        *(tmp_path / "runs", "--host", target.url, *more),
        locustfile=ABORTING,
        environment=environment,
    )
    assert_stopped(done)
    arrived = done.window("run")["arrivals"]["Arriving"]
    beyond = arrived["offered"] - arrived["planned"]
    assert 0 <= beyond <= (0 if processes == "1" else 20)


@pytest.mark.long
def test_a_target_that_answers_nobody_ends_the_run(tmp_path: Path) -> None:
    with own_target() as dead:
        environment = {"ABORTING_CHECK": "availability > 50% over 3s, abort after 0s"}
        with WebSession(
            tmp_path / "runs", "--host", dead.url, locustfile=ABORTING, environment=environment
        ) as session:
            dead.dead.set()
            session.start_shape()
            done = session.judged(1)
        (end,) = done.timeline("end")
        assert end["plan_ends_s"] < 12
        values = {check["id"]: check["value"] for check in done.verdict["checks"]}
        assert values == {"availability_over_3s_abort": 0.0}


@pytest.mark.long
def test_users_that_a_person_started_are_stopped_where_the_check_breaks(
    tmp_path: Path, target: OwnTarget
) -> None:
    with WebSession(
        tmp_path / "runs", "--host", target.url, locustfile=ABORTING, environment=FAILING
    ) as session:
        session.start(4)
        done = session.judged(1)
        values = {check["id"]: check["value"] for check in done.verdict["checks"]}
        assert values == {"error_rate_abort": 1.0}
        assert any("since the check says abort" in one for one in done.verdict["reasons"])
