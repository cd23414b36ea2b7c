"""A worker's way out is carried out to its end, though a user's own task asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from locust import User, task
from locust.runners import MASTER_HEARTBEAT_TIMEOUT

from locustfiles.harness.distribution.way_out import WayOut
from tests.unit.locustfiles.pure.check_crew import until, worker_runner


class Asking(User):
    """Asks for the end in its task."""

    @task
    def ask(self) -> None:
        environment: Any = self.environment
        getattr(environment.runner, environment.way)()
        environment.finished.append(self)
        gevent.sleep(60)


class Worker:
    """Locust's runner with ten such users. `shipped` is what the end of its run has done."""

    def __init__(self, *, is_ours: bool = True) -> None:
        self.runner: Any = worker_runner()
        self.environment: Any = self.runner.environment
        self.environment.user_classes = [Asking]
        self.environment.stop_timeout = 0.2
        self.shipped: list[str] = []
        self.lost = 0
        test_stop: Any = self.environment.events.test_stop
        test_stop.add_listener(self._ship)
        self.runner.last_heartbeat_timestamp = time.time()
        if is_ours:
            WayOut(self.runner, self._lose)
        self.main = self.runner.greenlet.spawn(gevent.sleep, 60)

    def _ship(self, **_: Any) -> None:
        # Whoever waits here and is killed has shipped nothing.
        gevent.sleep(0.02)
        self.shipped.append("all")

    def _lose(self) -> None:
        self.lost += 1

    def asks(self, way: str) -> None:
        self.environment.way, self.environment.finished = way, []
        self.runner.spawn_users({"Asking": 10})


@pytest.fixture
def workers() -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**how: Any) -> Worker:
        made.append(Worker(**how))
        return made[-1]

    yield make
    for worker in made:
        worker.runner.user_greenlets.kill(block=True)
        worker.runner.greenlet.kill(block=True)


Make = Callable[..., Worker]


def test_users_that_quit_end_the_worker_after_everything_is_shipped(workers: Make) -> None:
    worker = workers()
    worker.asks("quit")
    until(lambda: worker.main.dead, "the process ends")
    assert worker.shipped == ["all"] and worker.runner.user_count == 0
    assert len(worker.environment.finished) == 10, "nothing of their tasks is cut off"


def test_locusts_own_quit_ships_nothing_then(workers: Make) -> None:
    worker = workers(is_ours=False)
    worker.asks("quit")
    until(lambda: worker.runner.user_count == 0, "its users end")
    gevent.sleep(0.1)
    assert worker.shipped == [] and not worker.main.dead, "the control"


def test_users_that_stop_the_run_leave_the_worker_there(workers: Make) -> None:
    worker = workers()
    worker.asks("stop")
    until(lambda: worker.shipped != [], "it is shipped")
    assert worker.runner.user_count == 0 and not worker.main.dead
    worker.runner.quit()
    assert worker.main.dead, "the way out is open afterwards"


def test_other_greenlets_wait_for_the_end_and_it_survives_them(workers: Make) -> None:
    worker = workers()
    waiting = gevent.spawn(worker.runner.quit)
    gevent.sleep(0.01)
    assert not waiting.dead
    waiting.kill()
    until(lambda: worker.main.dead, "the process ends")
    assert worker.shipped == ["all"]


@pytest.mark.parametrize(("silent_s", "lost"), [(1, 0), (MASTER_HEARTBEAT_TIMEOUT + 1, 1)])
def test_locusts_own_giving_up_on_the_master_is_no_success(
    workers: Make, silent_s: float, lost: int
) -> None:
    worker = workers()
    worker.runner.last_heartbeat_timestamp -= silent_s
    worker.runner.greenlet.spawn(worker.runner.quit)
    until(lambda: bool(worker.lost) or worker.main.dead, "it ends")
    assert (worker.lost, worker.main.dead) == (lost, not lost)
    worker.runner.quit()
    assert worker.lost == lost, "only Locust's own checker asks for that"
