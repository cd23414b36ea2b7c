"""The same plan with one process and with many, through deaths, stops, cuts and returns.

What the master says is held against what the target saw: every user asks five times a second.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.counting_target import CountingTarget, counting_target
from tests.e2e.fleet import Fleet, assert_carried_out
from tests.e2e.forwarder import forwarder
from tests.e2e.scenario import HERE, Finished, Run, run, wait_until
from tests.e2e.web_session import WebSession

STAGED = HERE / "staged.py"
USERS = 21
"""Twenty of the plan and a fixed one."""
RATE = 5 * USERS

BACK_ON_PLAN_S = 5.0
"""The issue's limit."""


def planned_by_second(done: Finished) -> dict[int, int]:
    """Users that were asked for in each second of the run."""
    return {int(line["t_s"] // 1): line["planned"] for line in done.timeline("progress")}


def running_by_moment(done: Finished) -> dict[float, int]:
    """Users that ran, by the workers' own beats."""
    return {line["t_s"]: line["users"] for line in done.timeline("progress")}


def notes(done: Finished, label: str) -> list[dict[str, Any]]:
    return [line for line in done.timeline("annotation") if line["label"] == label]


def origin_us(done: Finished) -> int:
    (header,) = done.timeline("header")
    value: int = header["origin_us"]
    return value


class Disturbed(AssertionError):
    """Something else held up this machine: the run says nothing about the suite."""


STALL_MS = 700.0
"""A loop that stands still for longer cannot beat, nor users ask, as these tests expect."""


def on_a_calm_machine(test: Callable[[Path], None]) -> Callable[[Path], None]:
    """Once more when the machine was held up, twice at most."""

    @functools.wraps(test)
    def repeated(tmp_path: Path) -> None:
        for attempt in range(3):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            try:
                return test(folder)
            except Disturbed:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    return repeated


def require_calm(done: Finished, stopped: int = 0) -> None:
    """Raises Disturbed. `stopped` processes were held up by the test itself."""
    worst: dict[str, float] = {}
    for line in done.timeline("health"):
        lag_ms = line["values"].get("lag_max_ms", 0.0)
        worst[line["source"]] = max(lag_ms, worst.get(line["source"], 0.0))
    stalls = sorted(worst.values())[: len(worst) - stopped]
    if max(stalls, default=0.0) > STALL_MS:
        raise Disturbed(f"loops stood still for {worst} ms")


@on_a_calm_machine
def test_one_process_and_two_plan_and_run_the_same_users_in_every_second(tmp_path: Path) -> None:
    def finished(staged: str, *processes: str) -> Finished:
        folder = tmp_path / f"{staged}-{len(processes)}"
        folder.mkdir()
        return run(
            folder / "runs",
            *("--host", target.url, *processes),
            locustfile=STAGED,
            environment={"STAGED": staged},
        )

    with counting_target() as target, ThreadPoolExecutor(4) as pool:
        runs = {
            staged: (
                pool.submit(finished, staged),
                pool.submit(finished, staged, "--processes", "2"),
            )
            for staged in ("stages", "ramp")
        }
        results = {staged: (one.result(), two.result()) for staged, (one, two) in runs.items()}
    for staged, (one, two) in results.items():
        require_calm(one)
        require_calm(two)
        assert_complete(one)
        assert_complete(two)
        plans = planned_by_second(one), planned_by_second(two)
        shared = plans[0].keys() & plans[1].keys() & set(range(17))
        assert len(shared) >= 15, "a busy machine may miss a second"
        assert {s: plans[0][s] for s in shared} == {s: plans[1][s] for s in shared}, staged
        (plan,) = one.timeline("plan")
        ticks = dict(enumerate(plan["users"]))
        for planned in plans:
            # Noted three quarters into the second, whose tick came in its first half: by then the
            # ramp of two users a second has one more.
            beyond = {users - ticks[s] for s, users in planned.items() if s in ticks}
            assert beyond <= {"stages": {0}, "ramp": {0, 1}}[staged]
        for done in (one, two):
            for t_s, users in running_by_moment(done).items():
                second = int(t_s // 1)
                # At the end they drain.
                assert second >= 16 or users == planned_by_second(done)[second], (staged, t_s)


def assert_complete(done: Finished) -> None:
    assert done.exit_code == 0, done.stdout + done.stderr
    assert not notes(done, "worker_lost"), "the control: nobody was lost"


def steady(seconds: int) -> dict[str, str]:
    return {"STAGED": "steady", "STAGED_S": str(seconds)}


def until_second(master: Run, second: int) -> None:
    """Wait until the run is in that second, by its own count."""

    def is_there() -> bool:
        try:
            text = (master.folder / "timeline.jsonl").read_text()
        except FileNotFoundError:
            return False
        return f'"progress","t_s":{second}.' in text

    wait_until(is_there, f"the run never came to second {second}")


def elapsed_at(done: Finished, at_s: float) -> float:
    """A moment since the epoch in seconds of the run."""
    return at_s - origin_us(done) / 1e6


def assert_back_on_plan(done: Finished, target: CountingTarget, from_s: float, to_s: float) -> None:
    """The load is the plan's in the whole seconds between, as the workers and the target say.

    While users move to a worker that has joined, those that run may be fewer, never more.
    """
    seconds = range(int(from_s + 0.999), int(to_s))
    assert len(seconds) >= 2, "there has to be something to look at"
    moving = {int(note["t_s"]) + late for note in notes(done, "worker_joined") for late in (0, 1)}
    running = {s: u for t, u in running_by_moment(done).items() if (s := int(t // 1)) in seconds}
    assert max(running.values()) <= USERS
    settled = {second: users for second, users in running.items() if second not in moving}
    assert len(settled) >= 2
    assert settled == dict.fromkeys(settled, USERS)
    asked = target.by_second(origin_us(done))
    mean = sum(asked[second] for second in seconds) / len(seconds)
    assert 0.9 * RATE <= mean <= 1.1 * RATE, sorted(asked.items())


def assert_never_above_plan(done: Finished, target: CountingTarget) -> None:
    assert max(running_by_moment(done).values()) <= USERS
    asked = target.by_second(origin_us(done))
    # From the first whole second on: in the one before it users begin. A process that was late
    # may send in one second what was due in the one before it.
    pairs = [asked[s] + asked[s + 1] for s in range(1, max(asked))]
    assert max(pairs) <= 2 * 1.15 * RATE, sorted(asked.items())


@on_a_calm_machine
def test_a_killed_workers_share_is_with_the_others_in_five_seconds_and_a_new_one_gets_its_part(
    tmp_path: Path,
) -> None:
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = fleet.master("--host", target.url, workers=2, environment=steady(18))
        first, second = (fleet.worker(name, environment=steady(18)) for name in ("first", "second"))
        until_second(master, 3)
        killed_s = time.time()
        first.process.kill()
        until_second(master, 9)
        joined_s = time.time()
        third = fleet.worker("third", environment=steady(18))
        done = master.finish()
        assert second.process.wait(10) == 0 and third.process.wait(10) == 0
    require_calm(done)
    killed_s, joined_s = elapsed_at(done, killed_s), elapsed_at(done, joined_s)
    assert_back_on_plan(done, target, killed_s + BACK_ON_PLAN_S, 18)
    assert_never_above_plan(done, target)
    asked = target.by_second(origin_us(done))
    assert asked[int(killed_s) + 1] < 0.8 * RATE, "the control: its share was missing"

    assert done.exit_code == 3, done.stdout + done.stderr
    (lost,) = notes(done, "worker_lost")
    assert killed_s < lost["t_s"] < killed_s + BACK_ON_PLAN_S
    (reason,) = [text for text in done.verdict["reasons"] if "was lost" in text]
    name = lost["text"].split()[0]
    assert reason.startswith(f"{name} was lost") and "by its last rate" in reason
    assert not any("never said how many" in text for text in done.verdict["reasons"])
    # What is missing is bounded: by the target's own count.
    reported = sum(
        endpoint["ended"]
        for line in done.timeline("second")
        if line["source"] == name
        for endpoint in line["endpoints"].values()
    )
    sent = len(target.of(first.process.pid))
    (line,) = [one for one in done.timeline("health") if one["values"].get("away") == 1]
    bound_s, rate = (line["values"][key] for key in ("away_unreported_s", "away_rate_per_s"))
    assert 0 <= sent - reported <= bound_s * rate * 1.2 + 10, (sent, reported, line)

    (joined,) = notes(done, "worker_joined")
    assert joined_s < joined["t_s"] < joined_s + BACK_ON_PLAN_S
    its_part = [at_s for at_s in target.of(third.process.pid) if elapsed_at(done, at_s) < 18]
    seconds = 18 - elapsed_at(done, its_part[0])
    assert 0.3 * RATE < len(its_part) / seconds < 0.7 * RATE
    assert len(notes(done, "epoch")) == 2, "one without the first, one with the third"


@pytest.mark.long
@on_a_calm_machine
def test_a_worker_that_stood_still_for_ten_seconds_has_its_share_again_and_no_more(
    tmp_path: Path,
) -> None:
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = fleet.master("--host", target.url, workers=2, environment=steady(20))
        first, second = (fleet.worker(name, environment=steady(20)) for name in ("first", "second"))
        until_second(master, 3)
        stopped_s = time.time()
        os.kill(first.process.pid, signal.SIGSTOP)
        try:
            until_second(master, 13)
        finally:
            continued_s = time.time()
            os.kill(first.process.pid, signal.SIGCONT)
        done = master.finish()
        assert first.process.wait(10) == 0 and second.process.wait(10) == 0
    require_calm(done, stopped=1)
    assert_away_and_back(done, target, first, stopped_s, continued_s, 20)


@pytest.mark.long
@on_a_calm_machine
def test_a_link_that_was_down_leaves_as_many_users_as_planned_and_not_half_as_many_more(
    tmp_path: Path,
) -> None:
    with (
        counting_target() as target,
        Fleet(tmp_path, STAGED) as fleet,
        forwarder(fleet.port) as link,
    ):
        master = fleet.master("--host", target.url, workers=2, environment=steady(18))
        first = fleet.worker("first", "--master-port", str(link.port), environment=steady(18))
        second = fleet.worker("second", environment=steady(18))
        until_second(master, 3)
        cut_s = time.time()
        link.cut()
        until_second(master, 11)
        joined_s = time.time()
        link.join()
        done = master.finish()
        assert first.process.wait(10) == 0 and second.process.wait(10) == 0
    require_calm(done)
    assert_away_and_back(done, target, first, cut_s, joined_s, 18)
    cut_s, joined_s = elapsed_at(done, cut_s), elapsed_at(done, joined_s)
    alone = [elapsed_at(done, at_s) for at_s in target.of(first.process.pid)]
    assert not [at_s for at_s in alone if cut_s + 4.5 < at_s < joined_s], "its lease was over"
    assert "worker_fenced" in {line["label"] for line in done.timeline("annotation")}


def assert_away_and_back(
    done: Finished,
    target: CountingTarget,
    first: Run,
    away_s: float,
    back_s: float,
    duration_s: float,
) -> None:
    away_s, back_s = elapsed_at(done, away_s), elapsed_at(done, back_s)
    assert_back_on_plan(done, target, away_s + BACK_ON_PLAN_S, back_s)
    assert_back_on_plan(done, target, back_s + 2, duration_s)
    assert_never_above_plan(done, target)
    again = [at_s for at_s in target.of(first.process.pid) if elapsed_at(done, at_s) > back_s + 2]
    assert again, "it has its share again"

    assert done.exit_code == 3, done.stdout + done.stderr
    (lost,), (back,) = notes(done, "worker_lost"), notes(done, "worker_back")
    assert away_s < lost["t_s"] < away_s + BACK_ON_PLAN_S
    assert back_s <= back["t_s"] < back_s + BACK_ON_PLAN_S
    name = lost["text"].split()[0]
    (reason,) = [text for text in done.verdict["reasons"] if "was away" in text]
    assert reason.startswith(f"{name} was away from")
    assert not any("was lost" in text for text in done.verdict["reasons"])


OPEN = HERE / "open.py"
ARRIVALS = {"OPEN_RATE": "60", "OPEN_S": "12", "OPEN_CHECKS": "none"}
HELD_S = 2.2
"""Longer than a worker may decide on arrivals without an answer, shorter than its lease."""


@on_a_calm_machine
def test_a_worker_that_hears_late_of_one_that_joins_starts_no_arrival_of_the_others(
    tmp_path: Path,
) -> None:
    with (
        counting_target() as target,
        Fleet(tmp_path, OPEN, ARRIVALS) as fleet,
        forwarder(fleet.port) as link,
    ):
        master = fleet.master("--host", target.url, workers=2)
        fleet.worker("first")
        fleet.worker("second", "--master-port", str(link.port))
        until_second(master, 3)
        third = psutil.Process(fleet.worker("third").process.pid)
        wait_until(lambda: is_connected(third, fleet.port), "the third never came")
        # It is not welcome yet, which takes some tenths of a second: the second cannot know of it.
        cut_s = time.time()
        link.cut()
        wait_until(lambda: time.time() > cut_s + HELD_S, "time goes on")
        link.join()
        done = master.finish()
    found = Counter(int(path.split("/")[2]) for _, path in target.asked if path.startswith("/a/"))
    assert set(found.values()) == {1}, "twice is never"
    arrived = done.window("run")["arrivals_total"]
    assert arrived["planned"] == int(ARRIVALS["OPEN_RATE"]) * int(ARRIVALS["OPEN_S"])
    assert arrived["planned"] == len(found) + arrived["unsent"], arrived
    assert arrived["unsent_by_reason"].keys() <= {"late"}
    epochs = notes(done, "epoch")
    if len(epochs) != 1 or not 0 < epochs[0]["t_s"] - elapsed_at(done, cut_s) < HELD_S - 0.5:
        raise Disturbed(f"the third joined at another moment: {epochs}")
    late_ms = max(line["values"].get("lateness_max_ms", 0.0) for line in done.timeline("health"))
    assert late_ms > 300, "the control: the second waited until it heard"


def is_connected(process: psutil.Process, port: int) -> bool:
    return any(one.raddr and one.raddr.port == port for one in process.net_connections())


def test_without_any_worker_left_the_run_ends_and_says_why(tmp_path: Path) -> None:
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = fleet.master("--host", target.url, workers=1, environment=steady(60))
        only = fleet.worker("only", environment=steady(60))
        until_second(master, 1)
        only.process.kill()
        done = master.finish()
    assert done.exit_code == 5, done.stdout + done.stderr
    assert done.verdict["verdict"] == "ABORTED"
    assert any("no worker was left" in reason for reason in done.verdict["reasons"])
    assert any("was lost" in reason for reason in done.verdict["reasons"])
    (lost,) = notes(done, "worker_lost")
    assert "since no other worker was there" in lost["text"]


def test_without_any_worker_left_a_run_without_a_plan_ends_too(tmp_path: Path) -> None:
    unplanned = {"STAGED": "none"}
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        options = ("--host", target.url, "-u", "4", "-r", "4")
        master = fleet.master(*options, workers=1, environment=unplanned)
        only = fleet.worker("only", environment=unplanned)
        wait_until(lambda: master.seconds_recorded() >= 2, "it never began")
        only.process.kill()
        done = master.finish()
    assert done.exit_code == 5, done.stdout + done.stderr
    assert any("no worker was left" in reason for reason in done.verdict["reasons"])


def requests_of(done: Finished) -> int:
    count: int = done.window("run")["total"]["requests"]
    return count


def asked_by_users(target: CountingTarget) -> int:
    """The master asks for a path of no user's, to see that it is there."""
    return sum(path.count("/") == 3 for _, path in target.asked)


def test_a_ramp_that_is_longer_than_the_run_ends_with_it(tmp_path: Path) -> None:
    """Or users would go on starting whom nobody records."""
    with counting_target() as target:
        done = run(
            tmp_path / "runs",
            *("--host", target.url, "--processes", "2", "-u", "200", "-r", "5", "-t", "4"),
            locustfile=STAGED,
            environment={"STAGED": "none"},
        )
        asked = asked_by_users(target)
    assert_carried_out(done)
    assert asked == requests_of(done) > 0
    assert max(running_by_moment(done).values()) <= 25


def test_a_ramp_by_hand_that_is_longer_than_its_run_time_ends_with_it(tmp_path: Path) -> None:
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = ("--master", "--master-bind-port", str(fleet.port), "--host", target.url)
        with WebSession(
            tmp_path / "runs", *master, locustfile=STAGED, environment=steady(60)
        ) as session:
            for name in ("first", "second"):
                fleet.worker(name, environment=steady(60))
            wait_until(lambda: worker_count(session) == 2, "both are welcome")
            assert session.start(300, rate=5, run_time="3s")["success"]
            first = session.judged(1)
            assert session.start(2, rate=2, run_time="3s")["success"]
            second = session.judged(2)
            asked = asked_by_users(target)
    assert asked == requests_of(first) + requests_of(second)
    assert max(running_by_moment(second).values()) <= 2


@pytest.mark.long
def test_a_worker_that_leaves_properly_is_not_lost(tmp_path: Path) -> None:
    plan = steady(9)
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = fleet.master("--host", target.url, workers=2, environment=plan)
        leaves = fleet.worker("leaves", environment=plan)
        fleet.worker("stays", environment=plan)
        until_second(master, 2)
        leaves.interrupt(signal.SIGINT)
        done = master.finish()
        asked = asked_by_users(target)
    (left,) = notes(done, "worker_left")
    assert not notes(done, "worker_lost") and not notes(done, "worker_back")
    assert "another worker took its share (48% of the load) over then" in left["text"] or (
        "another worker took its share (52% of the load) over then" in left["text"]
    ), left
    assert done.exit_code == 3, done.stdout + done.stderr
    assert any(left["text"].split(") ", 1)[1] in reason for reason in done.verdict["reasons"])
    assert asked == requests_of(done), "nothing of it is missing"
    last = max(running_by_moment(done))
    assert running_by_moment(done)[last] in (0, USERS)


def test_users_by_hand_are_rebalanced_too_and_who_missed_the_runs_end_is_in_the_next(
    tmp_path: Path,
) -> None:
    with counting_target() as target, Fleet(tmp_path, STAGED) as fleet:
        master = ("--master", "--master-bind-port", str(fleet.port), "--host", target.url)
        with (
            WebSession(
                tmp_path / "runs", *master, locustfile=STAGED, environment=steady(60)
            ) as session,
            forwarder(fleet.port) as link,
        ):
            fleet.worker("first", "--master-port", str(link.port), environment=steady(60))
            fleet.worker("second", environment=steady(60))
            wait_until(lambda: worker_count(session) == 2, "both are welcome")
            assert session.start(11)["success"]
            session.wait_for_users(11)
            link.cut()
            wait_until(lambda: running_now(session) in (5, 6), "its part is missing")
            session.wait_for_users(11)
            session.stop()
            first = session.judged(1)
            link.join()
            wait_until(lambda: worker_count(session) == 2, "it is back")
            assert session.start(11)["success"]
            session.wait_for_users(11)
            wait_until(
                lambda: len(set(SOURCES.findall(session.latest_timeline().read_text()))) == 2,
                "both send load",
            )
            session.stop()
            again = session.judged(2)
    assert first.verdict["verdict"] == "INCONCLUSIVE"
    assert any("was lost" in reason for reason in first.verdict["reasons"])
    assert max(running_by_moment(first).values()) <= 11
    assert not notes(again, "worker_lost")
    assert max(running_by_moment(again).values()) <= 11


SOURCES = re.compile(r'"kind":"second","source":"(worker-\d)"')


def running_now(session: WebSession) -> int:
    lines = session.latest_timeline().read_text().splitlines()
    users: int = [json.loads(line) for line in lines if '"kind":"progress"' in line][-1]["users"]
    return users


def worker_count(session: WebSession) -> int:
    count: int = session.client.get("/worker-count").json()["worker_count"]
    return count


@pytest.mark.long
@pytest.mark.parametrize(
    "test",
    [
        test_a_killed_workers_share_is_with_the_others_in_five_seconds_and_a_new_one_gets_its_part,
        test_a_worker_that_stood_still_for_ten_seconds_has_its_share_again_and_no_more,
        test_a_link_that_was_down_leaves_as_many_users_as_planned_and_not_half_as_many_more,
    ],
    ids=["killed", "stopped", "cut"],
)
def test_it_is_so_time_and_again(tmp_path: Path, test: Callable[[Path], None]) -> None:
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        test(folder)
    print("5 of 5 runs")
