"""What the harness relies on in Locust's dispatcher: fixed users come first and go last (D12).

Checked here because a release of Locust may change it; the shape does nothing for it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from locust import User
from locust.dispatch import UsersDispatcher
from locust.runners import WorkerNode


class Planned(User):
    weight = 3


class Other(User):
    weight = 1


class Jobs(User):
    fixed_count = 4


class Analytics(User):
    fixed_count = 1


CLASSES = [Planned, Other, Jobs, Analytics]
FIXED = sum(one.fixed_count for one in CLASSES)


class Dispatch:
    """A dispatcher and what it last asked of its workers, by class and worker."""

    def __init__(self, workers: int) -> None:
        self._dispatcher: Any = UsersDispatcher(
            worker_nodes=[WorkerNode(f"w{n}") for n in range(workers)], user_classes=CLASSES
        )
        self.asked: dict[str, dict[str, int]] = {}

    def step(self, users: int) -> None:
        """As a tick of the shape: the whole difference at once."""
        before = sum(map(sum, (one.values() for one in self.asked.values())))
        self._dispatcher.new_dispatch(users, float(max(1, abs(users - before))))
        for asked in self._dispatcher:
            self.asked = asked

    def lose_a_worker(self, name: str) -> None:
        self._dispatcher.remove_worker(WorkerNode(name))

    def by_class(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for one in self.asked.values():
            total.update(one)
        return total

    def fixed_by_worker(self) -> dict[str, tuple[int, int]]:
        return {worker: (one["Jobs"], one["Analytics"]) for worker, one in self.asked.items()}


@settings(max_examples=200, deadline=None)
@given(
    workers=st.integers(1, 5),
    planned=st.lists(st.integers(0, 300), min_size=1, max_size=15),
)
def test_steps_leave_each_fixed_user_on_its_worker(workers: int, planned: list[int]) -> None:
    dispatch = Dispatch(workers)
    dispatch.step(FIXED + planned[0])
    first = dispatch.fixed_by_worker()
    for users in planned:
        dispatch.step(FIXED + users)
        asked = dispatch.by_class()
        assert (asked["Jobs"], asked["Analytics"]) == (4, 1)
        assert asked["Planned"] + asked["Other"] == users
        assert dispatch.fixed_by_worker() == first, "none was moved, stopped or replaced"
    dispatch.step(0)
    assert dispatch.by_class().total() == 0


def test_a_plan_that_forgets_the_fixed_users_would_lose_them() -> None:
    """The control: what the shape adds is what keeps them."""
    dispatch = Dispatch(2)
    dispatch.step(200)
    dispatch.step(2)
    assert dispatch.by_class()["Jobs"] + dispatch.by_class()["Analytics"] < FIXED


def test_when_a_worker_is_lost_the_fixed_users_go_on_elsewhere() -> None:
    dispatch = Dispatch(3)
    dispatch.step(FIXED + 20)
    dispatch.lose_a_worker("w1")
    dispatch.step(FIXED + 10)
    asked = dispatch.by_class()
    assert (asked["Jobs"], asked["Analytics"]) == (4, 1)
    assert "w1" not in dispatch.asked
