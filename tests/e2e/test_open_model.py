"""The open model by its real command line: arrivals start at their times, come what may (D14)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.scenario import HERE, ROOT, Finished, Run, run, wait_until
from tests.e2e.web_session import WebSession, assert_passed

OPEN = HERE / "open.py"


class Target:
    """`asked` holds the paths that the target was asked for, once it has ended."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url
        self.asked: list[str] = []

    def end(self) -> None:
        out, _ = self._process.communicate("", timeout=30)
        self.asked = out.split()

    @property
    def indices(self) -> list[int]:
        """Of the arrivals that asked."""
        return sorted(int(path.split("/")[2]) for path in self.asked)


@contextmanager
def freezing_target(
    at_s: float = 0, for_s: float = 0, answer_s: float = 0, backlog: int = 4096
) -> Iterator[Target]:
    """It has ended when the block ends."""
    command = [
        sys.executable,
        "-m",
        "tests.e2e.freezing_target",
        *map(str, (at_s, for_s, answer_s, backlog)),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        target = Target(process, process.stdout.readline().strip())
        yield target
        target.end()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def options(target: Target, *more: str) -> tuple[str, ...]:
    return ("--host", target.url, "--seed", "7", *more)


def environment(**settings: object) -> dict[str, str]:
    return {f"OPEN_{name}".rstrip("_"): str(value) for name, value in settings.items()}


def open_run(tmp_path: Path, target: Target, *more: str, **settings: object) -> Finished:
    tmp_path.mkdir(exist_ok=True)
    return run(
        tmp_path / "runs",
        *options(target, *more),
        locustfile=OPEN,
        environment=environment(**settings),
    )


def arrivals(done: Finished, window: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = done.window(window)["arrivals"]["Buyer"]
    return found


def by_second(done: Finished, what: str) -> Counter[int]:
    """Offered or started arrivals by second of the profile, all processes together."""
    found: Counter[int] = Counter()
    for line in done.timeline("second"):
        if "arrivals" in line:
            found[line["second"]] += line["arrivals"]["Buyer"][what]
    return +found


def planned(done: Finished) -> Counter[int]:
    (plan,) = done.timeline("plan")
    return Counter({second: n for second, n in enumerate(plan["arrivals"]["Buyer"]) if n})


def told(done: Finished) -> str:
    return "\n".join(done.verdict["reasons"]) + done.stdout + done.stderr


def test_the_example_of_the_page_on_open_loads_runs_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "open_model.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    path = tmp_path / "sale.py"
    path.write_text(example)
    with freezing_target() as target:
        done = run(tmp_path / "runs", *options(target), "--time-scale", "0.02", locustfile=path)
    assert done.exit_code == 0, told(done)
    # (20 * 60 + 110 * 30 + 200 * 60) / 50
    assert arrivals(done)["started"] == arrivals(done)["planned"] == 330


# What a load generator that waits for its answers would hide


def test_a_freeze_of_five_seconds_is_in_the_corrected_latency_and_nothing_is_left_out(
    tmp_path: Path,
) -> None:
    with freezing_target(at_s=1, for_s=5) as target:
        done = open_run(tmp_path, target, RATE=100, S=8)
    assert done.exit_code == 0, told(done)
    total = done.window("run")["total"]
    assert total["corrected_ms"]["p99"] > 4_000
    assert total["raw_ms"]["p99"] is not None
    # 500 of 800 arrived while nobody answered: half of them waited for half of it.
    assert total["corrected_ms"]["p90"] > 2_500
    counts = arrivals(done)
    assert (counts["planned"], counts["unsent"]) == (800, 0)
    assert counts["offered"] == counts["started"] == counts["completed"] == 800
    assert target.indices == list(range(800)), "each was sent once"
    assert "corrected: from the intended start." in done.stdout
    assert re.search(r"arrivals \d+/s, sessions \d+ of \d+ busy, unsent 0", done.stdout)


def test_a_target_that_accepts_no_connection_is_not_taken_for_a_generator_that_stood_still(
    tmp_path: Path,
) -> None:
    with freezing_target(at_s=1, for_s=4, backlog=100) as target:
        done = open_run(tmp_path, target, RATE=100, S=7)
    assert done.exit_code == 1, told(done)
    assert done.verdict["generator"]["findings"] == []
    counts = arrivals(done)
    assert counts["planned"] == counts["offered"] == 700
    # Those that came when its queue was full: it holds about a second of four, and what is opened
    # in the last second may be in time.
    assert counts["unsent_by_reason"].keys() == {"session_late"}
    assert 100 <= counts["unsent"] <= 320
    assert "had a session that was not ready in time" in told(done)
    assert done.window("run")["total"]["corrected_ms"]["p99"] > 3_000
    worst = max(line["values"].get("lateness_max_ms", 0) for line in done.timeline("health"))
    assert worst < 1_000, "the generator itself was in time"


def test_what_finds_no_session_is_unsent_and_counted_exactly(tmp_path: Path) -> None:
    with freezing_target(at_s=1, for_s=2) as target:
        done = open_run(tmp_path, target, RATE=100, S=4, SESSIONS=20)
    assert done.exit_code == 1, told(done)
    counts = arrivals(done)
    assert counts["planned"] == counts["offered"] == 400
    assert counts["started"] == len(target.asked), "what was sent, as the target saw it"
    assert counts["unsent"] == 400 - len(target.asked)
    assert counts["unsent_by_reason"] == {"no_session": counts["unsent"]}
    # Two seconds of arrivals, but for the pool's; those during the lead-in of the freeze are sent.
    assert 150 <= counts["unsent"] <= 200
    assert f"{counts['unsent']} found no session free" in told(done)
    assert planned(done) == by_second(done, "offered"), "offered at their times all the same"


@pytest.mark.long
def test_missing_arrivals_without_a_check_are_no_silent_pass(tmp_path: Path) -> None:
    with freezing_target(at_s=1, for_s=1) as target:
        done = open_run(tmp_path, target, RATE=50, S=2.5, SESSIONS=5, CHECKS="none")
    assert done.exit_code == 3, told(done)
    assert "no check says how many may be missing" in told(done)


# The same on any number of processes


@pytest.mark.parametrize("spacing", ["even", pytest.param("poisson", marks=pytest.mark.long)])
def test_two_processes_send_exactly_what_one_sends(tmp_path: Path, spacing: str) -> None:
    """Not only as many: the same tasks with the same random data at the same seconds."""
    settings = {"": "wavy", "RATE": 60, "S": 3, "SPACING": spacing}
    with freezing_target() as target_of_one:
        one = open_run(tmp_path / "one", target_of_one, **settings)
    with freezing_target() as target_of_two:
        two = open_run(tmp_path / "two", target_of_two, "--processes", "2", **settings)
    for done in (one, two):
        assert done.exit_code == 0, told(done)
        assert planned(done) == by_second(done, "offered") == by_second(done, "started")
    assert planned(one) == planned(two)
    assert sorted(target_of_one.asked) == sorted(target_of_two.asked)
    assert len(target_of_one.asked) == sum(planned(one).values()) > 70
    sources = {line["source"] for line in two.timeline("second") if "arrivals" in line}
    assert sources == {"worker-0", "worker-1"}
    data = {path.rpartition("/")[2] for path in target_of_one.asked}
    assert len(data) > 65, "random data differ between arrivals"


def worker_of(started: Run) -> psutil.Process:
    """One of the run's two workers."""
    children = psutil.Process(started.process.pid).children()
    return max(children, key=lambda child: child.pid)


def elapsed_s(started: Run) -> float:
    """By the latest line of progress; before the first one, long ago."""
    try:
        lines = (started.folder / "timeline.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return -9.0
    times = [float(line.split('"t_s":')[1].split(",")[0]) for line in lines if "progress" in line]
    return times[-1] if times else -9.0


def within_plan(done: Finished) -> None:
    """No second has more than was planned."""
    plan = planned(done)
    offered = by_second(done, "offered")
    assert all(offered[second] <= plan[second] for second in offered), (offered, plan)


def test_a_killed_workers_arrivals_are_with_the_others_within_five_seconds(
    tmp_path: Path,
) -> None:
    with (
        freezing_target() as target,
        Run(
            tmp_path / "runs",
            *options(target, "--processes", "2"),
            locustfile=OPEN,
            environment=environment(RATE=60, S=10),
        ) as started,
    ):
        wait_until(lambda: elapsed_s(started) > 2, "the load begins")
        worker_of(started).kill()
        killed_at = elapsed_s(started)
        done = started.finish()
    assert done.exit_code == 3, told(done)
    assert "belonged to a worker that was gone" in told(done)
    within_plan(done)
    assert len(set(target.indices)) == len(target.indices), "none was sent twice"
    offered, plan = by_second(done, "offered"), planned(done)
    # The progress line is up to a second old.
    back = range(int(killed_at) + 7, 10)
    assert back and all(offered[second] == plan[second] for second in back), offered
    lost = arrivals(done)["planned"] - arrivals(done)["offered"]
    # Half of 60/s for at most five seconds, and what it had not reported.
    assert 0 < lost <= 30 * 6.5


@pytest.mark.long
def test_a_worker_that_stood_still_and_comes_back_sends_nothing_twice_and_nothing_late(
    tmp_path: Path,
) -> None:
    with (
        freezing_target() as target,
        Run(
            tmp_path / "runs",
            *options(target, "--processes", "2"),
            locustfile=OPEN,
            environment=environment(RATE=60, S=22),
        ) as started,
    ):
        wait_until(lambda: elapsed_s(started) > 3, "the load begins")
        worker = worker_of(started)
        worker.suspend()
        stopped_at = elapsed_s(started)
        wait_until(lambda: elapsed_s(started) > stopped_at + 10, "ten seconds pass")
        worker.resume()
        done = started.finish()
    assert done.exit_code == 3, told(done)
    within_plan(done)
    assert len(set(target.indices)) == len(target.indices)
    offered, started_at, plan = (
        by_second(done, "offered"),
        by_second(done, "started"),
        planned(done),
    )
    back = [*range(int(stopped_at) + 7, int(stopped_at) + 10), *range(int(stopped_at) + 17, 22)]
    assert all(started_at[second] == plan[second] for second in back), (started_at, plan)
    reasons = arrivals(done)["unsent_by_reason"]
    assert reasons.get("late", 0) > 30, "its own, before the others took over"
    assert sum(offered.values()) <= sum(plan.values())


# A generator that is not fit, and scenarios with faults of their own


def test_a_generator_that_stood_still_sends_nothing_late_and_proves_nothing(
    tmp_path: Path,
) -> None:
    with (
        freezing_target() as target,
        Run(
            tmp_path / "runs",
            *options(target),
            locustfile=OPEN,
            environment=environment(RATE=50, S=6),
        ) as started,
    ):
        wait_until(lambda: elapsed_s(started) > 1, "the load begins")
        process = psutil.Process(started.process.pid)
        process.suspend()
        time_s = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > time_s, "it stands still")
        process.resume()
        done = started.finish()
    assert done.exit_code == 3, told(done)
    counts = arrivals(done)
    late = counts["unsent_by_reason"]["late"]
    # What was due within the last second is started; some 1.5 s of 50/s are not.
    assert late >= 50 and counts["unsent_by_reason"] == {"late": late}
    assert "came too late in a generator that stood still" in told(done)
    assert len(target.asked) == counts["started"] == 300 - late
    assert done.window("run")["total"]["corrected_ms"]["max"] < 1_500, "the rest is not hidden"


def test_a_task_that_raises_is_counted_and_voids_the_run(tmp_path: Path) -> None:
    with freezing_target() as target:
        done = open_run(tmp_path, target, RATE=50, S=2, FLAW="raises")
    assert done.exit_code == 3, told(done)
    assert "KeyError in Buyer" in told(done)
    counts = arrivals(done)
    assert counts["started"] == counts["completed"] == 100, "the load goes on"
    assert done.stderr.count("a bug of the scenario") <= 3 * 20, "not each of them is logged"


@pytest.mark.long
def test_sessions_that_cannot_begin_leave_their_arrivals_unsent(tmp_path: Path) -> None:
    with freezing_target() as target:
        done = open_run(tmp_path, target, RATE=50, S=2, FLAW="on_start")
    assert done.exit_code == 3, told(done)
    assert "RuntimeError in Buyer" in told(done)
    assert arrivals(done)["unsent_by_reason"] == {"session_failed": 100}
    assert "had a session whose on_start failed" in told(done)
    assert target.asked == []


@pytest.mark.long
def test_a_session_that_a_task_stops_is_replaced(tmp_path: Path) -> None:
    with freezing_target() as target:
        done = open_run(tmp_path, target, RATE=50, S=2, FLAW="stops")
    assert done.exit_code == 0, told(done)
    counts = arrivals(done)
    assert counts["started"] == counts["completed"] == 100
    stopped = 100 - len(target.asked)
    assert stopped > 10
    ended = done.window("run")["figures"]["sessions ended"]["sum"]
    assert ended >= stopped, "each that was stopped ran its on_stop, and so did those that stayed"


# Beginning and end


def test_the_web_ui_runs_the_shape_of_an_open_load_and_refuses_it_by_hand(tmp_path: Path) -> None:
    with (
        freezing_target() as target,
        WebSession(
            tmp_path / "runs",
            *options(target),
            locustfile=OPEN,
            environment=environment(RATE=50, S=2),
        ) as ui,
    ):
        refused = ui.start(2)
        assert not refused["success"]
        assert "Buyer: arrivals follow a profile" in refused["message"]
        assert ui.start_shape()["success"]
        done = ui.judged(1)
    assert_passed(done)
    assert arrivals(done)["started"] == len(target.asked) == 100


def test_what_is_in_flight_at_the_end_has_the_stop_timeout_and_is_then_cancelled(
    tmp_path: Path,
) -> None:
    with freezing_target(answer_s=2) as target:
        done = open_run(tmp_path, target, RATE=20, S=2, STOP_S=1)
    assert done.exit_code == 3, told(done)
    counts = arrivals(done)
    assert counts["started"] == 40
    # One second of two is within the stop timeout, for those of the first second; and some time
    # passes between the plan's end and the tick that ends the run.
    assert 15 <= counts["completed"] < 40
    assert done.window("run")["total"]["cancelled"] == 40 - counts["completed"]
    assert f"{40 - counts['completed']} request(s) were still unanswered" in told(done)


def test_sessions_can_be_made_before_the_load(tmp_path: Path) -> None:
    with freezing_target() as target:
        done = open_run(tmp_path, target, RATE=20, S=2, PREPARED=30)
    assert done.exit_code == 0, told(done)
    assert done.window("run")["figures"]["sessions ended"]["sum"] == 30
    first = min(done.timeline("health"), key=lambda line: line["t_s"])["values"]
    assert first["sessions"] > 0, "already in the second before"


def test_users_and_arrivals_run_side_by_side(tmp_path: Path) -> None:
    with freezing_target() as target:
        done = open_run(tmp_path, target, RATE=30, S=3, USERS=2)
    assert done.exit_code == 0, told(done)
    assert arrivals(done)["started"] == 90 == len(target.asked)
    endpoints = done.window("run")["endpoints"]
    assert endpoints["GET /a"]["requests"] == 90
    assert endpoints["GET /a"]["corrected_ms"] is not None
    assert endpoints["GET /b"]["requests"] > 90, "without thinking, as fast as it is answered"
    assert endpoints["GET /b"]["corrected_ms"] is None, "none is invented"


def test_an_interrupt_ends_an_open_run_and_leaves_no_process(tmp_path: Path) -> None:
    with (
        freezing_target() as target,
        Run(
            tmp_path / "runs",
            *options(target),
            locustfile=OPEN,
            environment=environment(RATE=50, S=60),
        ) as started,
    ):
        wait_until(lambda: elapsed_s(started) > 1, "the load begins")
        started.interrupt(signal.SIGINT)
        done = started.finish()
    assert done.exit_code == 5, told(done)
    counts = arrivals(done)
    # Of the plan's 3,000, those up to the second in which the load was stopped.
    assert 0 < counts["started"] <= counts["planned"] < 1_500
    # Those of its last moment were due and not begun.
    assert set(counts["unsent_by_reason"]) <= {"stopped"}
    assert counts["started"] == len(target.asked)
