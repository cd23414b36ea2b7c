"""What users raise of their own: counted once each, named by kind, and shipped before the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from locust import User, constant, task
from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, StopUser

from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.load_side import MAX_ERROR_KINDS, LoadSide
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.run_book import RunBook
from locustfiles.harness.target.target import Node
from locustfiles.harness.user import FoundationUser
from results.run_folder import create_run
from results.timeline import Header
from results.timeline_reader import read_timeline

LIMIT_S = 10.0
NODES = (Node("node-1", "http://127.0.0.1:9", ("app",)),)

BEGUN: list[str] = []
"""Names of the users that began their work, which must not raise."""

Shipped = list[tuple[str, dict[str, Any]]]


class Idle(FoundationUser):
    abstract = True
    wait_time = constant(0.05)

    def on_start(self) -> None:
        """No connections: nobody listens."""


class NoTasks(Idle):
    pass


class TaskRaises(Idle):
    @task
    def work(self) -> None:
        raise AttributeError("seeded")


class Sound(Idle):
    @task
    def work(self) -> None:
        BEGUN.append("Sound")


class StartRaises(Sound):
    def on_start(self) -> None:
        raise KeyError("seeded")


class StopRaises(Sound):
    def on_stop(self) -> None:
        raise OSError("seeded")


class Interrupts(Idle):
    @task
    def work(self) -> None:
        raise InterruptTaskSet


class Reschedules(Idle):
    @task
    def work(self) -> None:
        BEGUN.append("Reschedules")
        raise RescheduleTask


class Leaves(Idle):
    @task
    def work(self) -> None:
        BEGUN.append("Leaves")
        raise StopUser


def shipped_by(user: type[User], enough: Callable[[LoadSide], bool]) -> Shipped:
    """What a load side ships of one user that runs until it is enough, and is stopped."""
    shipped: Shipped = []
    plan = RunPlan("run", wall_us(time.perf_counter()), 1, NODES, ad_hoc=True)
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    side = LoadSide(
        plan,
        source="local",
        worker_index=0,
        users=lambda: runner.user_count,
        ship=lambda kind, report: shipped.append((kind, report)),
    )
    side.attach(environment)
    runner.start(1, 1)
    deadline_s = time.monotonic() + LIMIT_S
    while not (runner.spawning_greenlet is not None and runner.spawning_greenlet.ready()):
        assert time.monotonic() < deadline_s
        gevent.sleep(0.01)
    while not enough(side):
        assert time.monotonic() < deadline_s, "the users never failed"
        gevent.sleep(0.01)
    runner.stop()
    side.finish()
    side.detach(environment)
    before = side.user_errors
    user_error: Any = environment.events.user_error
    user_error.fire(user_instance=object(), exception=ValueError())
    assert side.user_errors == before, "a run that is over counts nothing"
    runner.quit()
    return shipped


def counted(shipped: Shipped) -> float:
    return max(
        (report["values"]["user_errors"] for kind, report in shipped if kind == "health"),
        default=0.0,
    )


def kinds(shipped: Shipped) -> list[str]:
    notes = [report for kind, report in shipped if kind == "annotation"]
    assert {note["label"] for note in notes} <= {"user_errors"}
    return [note["text"] for note in notes]


@pytest.mark.parametrize(
    ("user", "errors", "says"),
    [
        (TaskRaises, 3, "AttributeError in TaskRaises"),
        (NoTasks, 3, "Exception in NoTasks"),
        (StartRaises, 1, "KeyError in StartRaises"),
        (StopRaises, 0, "OSError in StopRaises"),
        (Interrupts, 1, "RescheduleTaskImmediately in Interrupts"),
    ],
)
def test_what_a_user_raises_is_counted_and_told_once_a_kind(
    user: type[User], errors: int, says: str
) -> None:
    shipped = shipped_by(user, lambda side: side.user_errors >= errors)
    assert kinds(shipped) == [says]
    assert counted(shipped) >= max(errors, 1)
    if user in (StartRaises, StopRaises):
        assert counted(shipped) == 1, "it comes by two ways, and counts once"


@pytest.mark.parametrize("user", [Sound, Leaves, Reschedules])
def test_a_user_that_does_its_work_or_leaves_is_no_error(user: type[User]) -> None:
    assert shipped_by(user, lambda _: user.__name__ in BEGUN) == []


def test_kinds_are_bounded_and_errors_are_not() -> None:
    shipped: Shipped = []
    side = LoadSide(
        RunPlan("run", 0, 1, NODES),
        source="local",
        worker_index=0,
        users=lambda: 0,
        ship=lambda kind, report: shipped.append((kind, report)),
    )
    many = MAX_ERROR_KINDS + 5
    user: Any = object()
    for n in range(many):
        side.user_failed(type(user), type(f"Error{n}", (Exception,), {})())
    side.finish()
    assert len(kinds(shipped)) == MAX_ERROR_KINDS
    assert counted(shipped) == many


def opened(tmp_path: Path, elapsed_s: Callable[[], float]) -> RunBook:
    return RunBook(
        create_run(tmp_path, "run"),
        header=Header("run", "s", 0, True),
        plan=None,
        checks=(),
        profile=None,
        elapsed_s=elapsed_s,
    )


def test_the_books_take_what_users_raised(tmp_path: Path) -> None:
    book = opened(tmp_path, lambda: 1.0)
    book.take("annotation", {"t_s": 0.5, "label": "user_errors", "text": "KeyError in A"})
    for wrong in ({"t_s": 0.5, "label": "user_errors"}, {"t_s": "0", "label": "a", "text": "b"}):
        with pytest.raises(ValueError, match="annotation"):
            book.take("annotation", wrong)
    with pytest.raises(ValueError, match="of kind 'gossip'"):
        book.take("gossip", {})
    book.close(None, {})
    (note,) = read_timeline(book.folder.timeline).annotations
    assert (note.t_s, note.label, note.text) == (0.5, "user_errors", "KeyError in A")
