"""The users of one process: those who are leaving do not count, the newest leave first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import gevent
import pytest
from locust import User, constant, task
from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from locustfiles.harness.distribution.crew import FENCE_GRACE_S, Crew, LocalCrew, WorkerCrew

STOP_TIMEOUT_S = 20.0


class Busy(User):
    """In the middle of a task until it is let out."""

    wait_time = constant(0)
    doors: ClassVar[list[Any]] = []

    @task
    def stay(self) -> None:
        door = gevent.event.Event()
        self.doors.append(door)
        door.wait(60)


class Idle(User):
    """Between two tasks."""

    wait_time = constant(60)

    @task
    def pass_by(self) -> None: ...


def until(condition: Callable[[], bool], what: str) -> None:
    with gevent.Timeout(10, AssertionError(what)):
        while not condition():
            gevent.sleep(0.005)


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    Busy.doors.clear()
    environment = Environment(user_classes=[Busy, Idle], stop_timeout=STOP_TIMEOUT_S)
    made = environment.create_local_runner()
    yield made
    made.user_greenlets.kill(block=True)
    made.greenlet.kill(block=True)


def let_out() -> None:
    for door in Busy.doors:
        door.set()


def started(runner: LocalRunner, crew: Crew, **share: int) -> None:
    runner.spawn_users(crew.missing(share))
    until(lambda: len(Busy.doors) >= share.get("Busy", 0), "users begin")
    gevent.sleep(0.01)


def test_users_that_are_on_their_way_out_do_not_count(runner: LocalRunner) -> None:
    crew = Crew(runner)
    started(runner, crew, Busy=10)
    crew.let_go({"Busy": 4})
    assert crew.counts() == {"Busy": 4}
    assert runner.user_classes_count["Busy"] == 10, "the control: Locust counts them"
    assert crew.missing({"Busy": 7}) == {"Busy": 3}
    let_out()
    until(lambda: runner.user_count == 4, "they end with their task")
    assert crew.counts() == {"Busy": 4}


def test_the_newest_leave_first_and_the_others_are_the_same_as_before(runner: LocalRunner) -> None:
    crew = Crew(runner)
    started(runner, crew, Idle=3)
    first = crew.running()
    started(runner, crew, Idle=6)
    assert crew.running()[:3] == first
    crew.let_go({"Idle": 3})
    assert crew.running() == first
    until(lambda: runner.user_count == 3, "waiting users stop at once")
    assert crew.running() == first


def test_each_that_was_asked_to_leave_is_ended_in_time_whatever_comes_after() -> None:
    environment = Environment(user_classes=[Busy], stop_timeout=0.2)
    runner = environment.create_local_runner()
    crew = Crew(runner)
    Busy.doors.clear()
    try:
        started(runner, crew, Busy=4)
        crew.let_go({"Busy": 2})
        crew.let_go({"Busy": 2})
        runner.spawn_users(crew.missing({"Busy": 3}))
        until(lambda: runner.user_count == 3, "two were killed, one began")
        assert crew.counts() == {"Busy": 3}
    finally:
        runner.user_greenlets.kill(block=True)
        runner.greenlet.kill(block=True)


def test_a_fence_ends_everybody_soon_also_those_who_had_longer(runner: LocalRunner) -> None:
    crew = Crew(runner)
    started(runner, crew, Busy=4, Idle=2)
    crew.let_go({"Busy": 2, "Idle": 2})
    crew.fence()
    assert crew.counts() == {}
    with gevent.Timeout(FENCE_GRACE_S + 5, AssertionError("ended long before the stop timeout")):
        runner.user_greenlets.join()


def test_the_only_process_holds_what_it_was_told_after_a_step_down_and_up(
    runner: LocalRunner,
) -> None:
    told: dict[str, int] = {}
    crew = LocalCrew(runner, lambda: told)
    for users in (10, 4, 9):
        told["Busy"] = users
        # As Locust's runner does, with numbers that count leaving users.
        counted = runner.user_classes_count["Busy"]
        runner.spawn_users({"Busy": max(0, users - counted)})
        runner.stop_users({"Busy": max(0, counted - users)})
        assert crew.crew.counts() == told
        gevent.sleep(0.01)
    let_out()
    until(lambda: runner.user_count == 9, "nine, and not three")


class Wires:
    """What a worker's runner needs of its connection."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


def worker_runner() -> WorkerRunner:
    environment = Environment(user_classes=[Busy, Idle], stop_timeout=STOP_TIMEOUT_S)
    runner: Any = object.__new__(WorkerRunner)
    super(WorkerRunner, runner).__init__(environment)
    runner.client, runner.client_id, runner.worker_state = Wires(), "here_1", "ready"
    environment.runner = runner
    made: WorkerRunner = runner
    return made


def test_a_worker_without_a_lease_takes_no_share() -> None:
    runner = worker_runner()
    may_run, told = [True], []
    crew = WorkerCrew(runner, lambda: may_run[0], lambda: told.append(crew.share))
    try:
        runner.start_worker({"Idle": 3, "Busy": 0})
        assert crew.share == {"Idle": 3} and runner.user_count == 3
        may_run[0] = False
        crew.fence()
        assert crew.share == {}
        until(lambda: runner.user_count == 0, "nobody runs")
        runner.start_worker({"Idle": 5, "Busy": 0})
        assert (crew.share, runner.user_count) == ({}, 0), "that message was late"
        may_run[0] = True
        runner.start_worker({"Idle": 2, "Busy": 0})
        assert crew.share == {"Idle": 2} and crew.crew.counts() == {"Idle": 2}
        assert told == [{"Idle": 3}, {}, {"Idle": 2}], "said at once"
    finally:
        runner.user_greenlets.kill(block=True)
        runner.greenlet.kill(block=True)
