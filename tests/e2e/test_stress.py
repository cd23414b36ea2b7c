"""Load goes up until a check breaks: the run ends there, complete, and says what held."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from results.check import figure
from results.replay import judge_timeline, replay
from results.timeline_reader import read_timeline
from results.verdict import as_document
from tests.e2e.scenario import HERE, ROOT, Finished, run
from tests.e2e.soundness import assert_sound
from tests.e2e.web_session import WebSession

STRESSED = HERE / "stressed.py"
STRESSED_OPEN = HERE / "stressed_open.py"
SAID = re.compile(
    r"the check p50 < 120ms held up to 6 users \(p50 [\d.]+ ms\) "
    r"and broke at 60 users \(p50 [\d.,]+ ms( after 3 of 4 s)?\)"
)


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.limited_target"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


def assert_ended_where_it_broke(done: Finished) -> None:
    """At 60 users; those of the next stair, if they came at all, went again."""
    reasons = [reason for reason in done.verdict["reasons"] if SAID.fullmatch(reason)]
    assert len(reasons) == 1, done.verdict["reasons"]
    (end,) = done.timeline("end")
    assert end["reason"] == "completed"
    assert 11 <= end["plan_ends_s"] <= 15, "within three seconds of the third stair's end"
    assert end["t_s"] >= end["plan_ends_s"]
    (mark,) = done.timeline("annotation")
    assert (mark["label"], mark["text"]) == ("limit_found", reasons[0])
    assert done.window("run")["figures"]["capacity"]["most"] == 6
    windows = [window["name"] for window in done.verdict["windows"]]
    assert windows[:4] == ["run", "phase:stress 1", "phase:stress 2", "phase:stress 3"]
    last = done.verdict["windows"][-1]
    assert last["intervals_s"][-1][1] == min(end["plan_ends_s"], 16.0)
    after = [line for line in done.timeline("progress") if line["t_s"] > end["plan_ends_s"] + 1]
    assert all(line["planned"] == 0 for line in after)


def test_stress_ends_complete_where_the_check_broke(tmp_path: Path, target: str) -> None:
    done = run(tmp_path / "runs", "--nodes", target, locustfile=STRESSED)
    assert_sound(done)
    assert_ended_where_it_broke(done)
    assert "the plan ends here" in done.stderr
    assert "held up to 6 users" in done.stdout, "people read it at the end"

    # What was said of the stair that held is what the timeline says of it.
    said = re.search(r"up to 6 users \(p50 ([\d.]+) ms\)", json.dumps(done.verdict["reasons"]))
    assert said is not None
    held = done.window("phase:stress 2")["total"]["raw_ms"]["p50"]
    assert float(said[1]) == pytest.approx(held, abs=0.05)
    broken = done.window("phase:stress 3")["total"]["raw_ms"]["p50"]
    assert broken > 120

    # The timeline alone gives the same verdict, and a criterion that it did not meet a FAIL.
    path = done.folder / "timeline.jsonl"
    assert json.loads(json.dumps(as_document(replay(path)))) == done.verdict
    wanted = figure("capacity", "most", at_least=7)
    asked = replace(read_timeline(path), checks=(wanted.as_dict(),), health=())
    (result,) = judge_timeline(asked).results
    assert result.value == 6
    assert "asked for most(capacity) >= 7" in result.reason


def test_a_limit_that_is_not_reached_is_said_not_to_be_found(tmp_path: Path, target: str) -> None:
    options = ("--nodes", target, "--load-scale", "0.05", "--time-scale", "0.25")
    done = run(tmp_path / "runs", *options, locustfile=STRESSED)
    assert done.timeline("annotation")[0]["label"] == "limit_not_found"
    (end,) = done.timeline("end")
    assert "plan_ends_s" not in end
    assert_sound(done)
    assert any("held up to 6 users" in one for one in done.verdict["reasons"])
    assert any("its limit was not found" in one for one in done.verdict["reasons"])


@pytest.mark.parametrize(
    ("odd", "remedy"),
    [
        ("count", "use one of error_rate, errors, latency, mean_latency"),
        ("window", "leave window= out"),
    ],
)
def test_a_check_that_no_stair_can_be_held_to_is_bad_configuration(
    tmp_path: Path, target: str, odd: str, remedy: str
) -> None:
    done = run(tmp_path / "runs", "--nodes", target, locustfile=STRESSED, environment={"ODD": odd})
    assert done.exit_code == 4, done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


def test_stairs_that_a_scale_makes_too_short_are_bad_configuration(
    tmp_path: Path, target: str
) -> None:
    options = ("--nodes", target, "--time-scale", "0.05")
    done = run(tmp_path / "runs", *options, locustfile=STRESSED)
    assert done.exit_code == 4, done.stderr
    assert "shorter than a second" in done.stderr


@pytest.mark.long
def test_a_run_started_in_the_web_ui_ends_where_the_check_broke_and_so_does_the_next(
    tmp_path: Path, target: str
) -> None:
    with WebSession(tmp_path / "runs", "--nodes", target, locustfile=STRESSED) as session:
        for number in (1, 2):
            session.start_shape()
            assert_ended_where_it_broke(session.judged(number))


@pytest.mark.long
def test_stress_of_two_processes_ends_where_the_check_broke(tmp_path: Path, target: str) -> None:
    options = ("--nodes", target, "--processes", "2")
    done = run(tmp_path / "runs", *options, locustfile=STRESSED)
    assert_sound(done)
    assert_ended_where_it_broke(done)
    assert {line["source"] for line in done.timeline("second")} == {
        "worker-0",
        "worker-1",
        "owner",
    }


@pytest.mark.long
@pytest.mark.parametrize("processes", ["1", "2"])
def test_stress_of_arrivals_finds_the_rate_and_sends_none_beyond_the_plans_end(
    tmp_path: Path, target: str, processes: str
) -> None:
    more = () if processes == "1" else ("--processes", processes)
    done = run(tmp_path / "runs", "--nodes", target, *more, locustfile=STRESSED_OPEN)
    assert_sound(done)
    (said,) = [one for one in done.verdict["reasons"] if "held up to 100 arrivals/s" in one]
    assert "and broke at 500 arrivals/s (" in said
    (end,) = done.timeline("end")
    assert 17 <= end["plan_ends_s"] <= 21, "three seconds into the third stair at the earliest"
    arrived = done.window("run")["arrivals"]["Arriving"]
    assert arrived["planned"] == 980 + 500 * (end["plan_ends_s"] - 14)
    # Workers are told a quarter of a second ahead, which a busy machine may take.
    beyond = arrived["offered"] - arrived["planned"]
    assert 0 <= beyond <= (0 if processes == "1" else 250)
