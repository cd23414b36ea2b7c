"""Users by class over the workers: fixed ones stay (D12), nobody is forgotten or run twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locust import User
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import (
    STATE_INIT,
    STATE_RUNNING,
    STATE_SPAWNING,
    MasterRunner,
    WorkerNode,
    WorkerNodes,
)

from locustfiles.harness.distribution.dispatch import NOBODY, Handout, install
from shapes.load import by_weight
from shapes.locust_shape import PhasedShape
from shapes.profile import steady
from shapes.share import Shares


class Planned(User):
    weight = 3


class Other(User):
    weight = 1


class Jobs(User):
    fixed_count = 4


class Analytics(User):
    fixed_count = 1


CLASSES: list[type[User]] = [Planned, Other, Jobs, Analytics]
FIXED = {"Jobs": 4, "Analytics": 1}


class Shape(PhasedShape):
    profile = steady(10, 10)


class Dispatch:
    """A dispatcher as Locust drives it, and what it last asked of its workers."""

    def __init__(self, *workers: str, has_shape: bool = True, is_master: bool = False) -> None:
        self.workers = list(workers)
        self.handout = Handout(lambda: self.workers)
        self.environment = Environment(user_classes=CLASSES)
        self.environment.shape_class = Shape() if has_shape else None
        runner = self.environment.create_local_runner()
        runner.greenlet.kill(block=False)
        self.shape: Any = self.environment.shape_class
        if has_shape:
            runner.shape_greenlet = runner.greenlet
        self.delivered: list[Shares] = []
        deliver = (lambda: self.delivered.append(self.handout.shares())) if is_master else None
        install(self.environment, self.handout, deliver)
        self.runner = runner
        self._dispatcher = self._new()
        self.asked: Shares = {}

    def _new(self) -> Any:
        nodes = [WorkerNode(name) for name in self.workers] or [WorkerNode("x")]
        return self.environment.dispatcher_class(worker_nodes=nodes, user_classes=CLASSES)

    def tick(self, counts: Mapping[str, int]) -> None:
        """As a tick of our shape."""
        self.shape.counts = dict(counts)
        self._dispatcher.new_dispatch(sum(counts.values()), 1.0)
        (self.asked,) = list(self._dispatcher)

    def ramp(self, users: int, rate: float = 1e9) -> Iterator[Shares]:
        """As a person, or a shape of another kind."""
        self._dispatcher.new_dispatch(users, rate)
        yield from self._dispatcher

    def drop_dispatcher(self) -> None:
        """As Locust does when a worker has been away for a minute, in mid-run."""
        self.runner.state = STATE_RUNNING
        self._dispatcher = self._new()


def by_class(shares: Shares) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in shares.values():
        total.update(one)
    return total


def fixed_by_worker(shares: Shares) -> dict[str, tuple[int, int]]:
    return {worker: (one["Jobs"], one["Analytics"]) for worker, one in shares.items()}


@settings(max_examples=100, deadline=None)
@given(
    workers=st.integers(1, 5),
    planned=st.lists(st.integers(0, 300), min_size=1, max_size=15),
)
def test_steps_leave_each_fixed_user_on_its_worker(workers: int, planned: list[int]) -> None:
    dispatch = Dispatch(*(f"w{n}" for n in range(workers)))
    first = None
    for users in planned:
        dispatch.tick(FIXED | by_weight(users, {"Planned": 3, "Other": 1}))
        asked = by_class(dispatch.asked)
        assert (asked["Jobs"], asked["Analytics"]) == (4, 1)
        assert asked["Planned"] + asked["Other"] == users
        first = first or fixed_by_worker(dispatch.asked)
        assert fixed_by_worker(dispatch.asked) == first, "none was moved, stopped or replaced"
    dispatch.tick(dict.fromkeys(("Jobs", "Analytics", "Planned", "Other"), 0))
    assert by_class(dispatch.asked).total() == 0


def test_when_a_worker_is_lost_the_fixed_users_go_on_elsewhere() -> None:
    dispatch = Dispatch("w0", "w1", "w2")
    dispatch.tick(FIXED | {"Planned": 20})
    dispatch.workers.remove("w1")
    dispatch.tick(FIXED | {"Planned": 10})
    asked = by_class(dispatch.asked)
    assert +asked == {"Jobs": 4, "Analytics": 1, "Planned": 10}
    assert "w1" not in dispatch.asked


def test_a_class_that_a_tick_does_not_name_has_no_users() -> None:
    dispatch = Dispatch("w0")
    dispatch.tick({"Planned": 3, "Other": 2})
    dispatch.tick({"Planned": 3})
    assert dispatch.asked["w0"] == {"Planned": 3, "Other": 0, "Jobs": 0, "Analytics": 0}


def test_a_master_tells_its_workers_itself_and_locust_only_how_many_there_are_to_be() -> None:
    dispatch = Dispatch(is_master=True)
    dispatch.tick({"Planned": 3})
    assert list(dispatch.asked) == [NOBODY] and by_class(dispatch.asked).total() == 3
    assert dispatch.delivered == [{}]
    dispatch.workers.append("w0")
    assert dispatch.handout.is_due()
    assert dispatch.handout.shares()["w0"]["Planned"] == 3


@settings(max_examples=100, deadline=None)
@given(
    targets=st.lists(st.integers(0, 80), min_size=1, max_size=6),
    workers=st.integers(1, 4),
    rate=st.integers(1, 30),
)
def test_other_loads_ramp_in_locusts_own_order_on_any_number_of_workers(
    targets: list[int], workers: int, rate: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gevent.sleep", lambda seconds=0: None)
        own: Any = UsersDispatcher([WorkerNode("w0")], CLASSES)
        ours = Dispatch(*(f"w{n}" for n in range(workers)), has_shape=False)
        for target in targets:
            own.new_dispatch(target, float(rate))
            expected = [by_class(shares) for shares in own]
            found = []
            for shares in ours.ramp(target, float(rate)):
                confirm_all(ours)
                found.append(by_class(shares))
            assert [+one for one in found] == [+one for one in expected]


def confirm_all(dispatch: Dispatch) -> None:
    for worker, share in list(dispatch.handout.told.items()):
        assert dispatch.handout.confirm(worker, {n: c for n, c in share.items() if c})


def test_a_ramp_goes_on_from_where_it_was_when_locust_makes_a_new_dispatcher() -> None:
    dispatch = Dispatch("w0", "w1", has_shape=False)
    for _ in dispatch.ramp(20):
        pass
    dispatch.drop_dispatcher()
    (shares,) = list(dispatch.ramp(20, rate=1.0))
    assert by_class(shares).total() == 20
    assert sum(shares["w0"].values()) == 10, "nobody was stopped and started anew"


def test_locust_never_divides_anew_by_itself() -> None:
    """It would do so in the greenlet that takes beats, where a ramp keeps all of them waiting."""
    dispatch = Dispatch("w0", has_shape=False)
    assert dispatch._dispatcher.dispatch_in_progress
    list(dispatch.ramp(4))
    assert dispatch._dispatcher.dispatch_in_progress
    dispatch._dispatcher.remove_worker(WorkerNode("w0"))
    assert sum(next(dispatch.ramp(4))["w0"].values()) == 4


def test_users_move_only_when_those_who_have_them_say_that_they_stopped() -> None:
    dispatch = Dispatch("w0")
    dispatch.tick({"Planned": 20})
    confirm_all(dispatch)
    dispatch.workers.append("w1")
    shares = dispatch.handout.shares()
    assert (shares["w0"]["Planned"], shares["w1"]["Planned"]) == (10, 0)
    assert not dispatch.handout.is_due()
    assert dispatch.handout.confirm("w1", {})
    assert not dispatch.handout.is_due()
    assert not dispatch.handout.confirm("w0", {"Planned": 20}), "it has not taken it yet"
    assert dispatch.handout.confirm("w0", {"Planned": 10})
    assert dispatch.handout.is_due()
    assert dispatch.handout.shares()["w1"]["Planned"] == 10
    assert dispatch.handout.part_of("w1") == 0.5


def test_a_new_run_knows_nothing_of_the_one_before() -> None:
    dispatch = Dispatch("w0")
    dispatch.tick({"Planned": 20})
    dispatch._dispatcher = dispatch._new()
    assert dispatch.handout.counts == {} and not dispatch.handout.is_due()
    dispatch.workers = ["w1"]
    dispatch.tick({"Planned": 20})
    assert dispatch.asked["w1"]["Planned"] == 20


class Wires:
    """What a master's runner needs of its connections."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send_to_client(self, message: Any) -> None:
        self.sent.append(message)


class Master:
    """Locust's own, with one worker, and a ramp that takes an hour."""

    def __init__(self) -> None:
        environment = Environment(user_classes=CLASSES)
        self.runner: Any = object.__new__(MasterRunner)
        super(MasterRunner, self.runner).__init__(environment)
        environment.runner = self.runner
        wires: Any = Wires()
        self.runner.server, self.runner.clients = wires, WorkerNodes()
        self.runner.clients["w0"] = WorkerNode("w0")
        self.runner._users_dispatcher = None
        self.handout = Handout(lambda: ["w0"])
        self.asked: list[int] = []
        install(environment, self.handout, lambda: self.asked.append(len(self.handout.order)))
        self.completed: list[int] = []
        completed: Any = environment.events.spawning_complete
        completed.add_listener(lambda user_count: self.completed.append(user_count))

    def __enter__(self) -> Master:
        self.ramp = gevent.spawn(self.runner.start, 3600, 1.0)
        self.until(lambda: bool(self.asked), "the ramp begins")
        assert self.runner.state == STATE_SPAWNING
        return self

    def __exit__(self, *_: object) -> None:
        self.ramp.kill()
        self.runner.greenlet.kill()

    @staticmethod
    def until(condition: Any, what: str) -> None:
        with gevent.Timeout(10, AssertionError(what)):
            while not condition():
                gevent.sleep(0.005)


def test_a_ramp_ends_with_its_run() -> None:
    """Or workers would get users that nobody records, and the run would be called running."""
    with Master() as master:
        master.runner.stop(send_stop_to_client=False)
        with gevent.Timeout(0.9, AssertionError("before its next round")):
            master.ramp.join()
        assert master.runner.state not in (STATE_INIT, STATE_SPAWNING, STATE_RUNNING)
        assert master.completed == [] and master.asked == [1]


def test_the_end_of_a_run_also_ends_the_wait_that_follows_a_ramp() -> None:
    with Master() as master:
        master.ramp.kill()
        last = gevent.spawn(master.runner.start, 1, 1.0)
        master.until(lambda: master.runner._users_dispatcher._target_user_count == 1, "it begins")
        gevent.sleep(0)
        master.runner.stop(send_stop_to_client=False)
        last.join(5)
        assert master.completed == [] and master.runner.state != STATE_RUNNING


def test_another_start_ends_the_ramp_before_it_and_not_the_greenlet_that_it_was_in() -> None:
    ended = []
    with Master() as master:
        master.ramp.kill()
        old = gevent.spawn(lambda: ended.append(master.runner.start(3600, 1.0)))
        master.until(lambda: len(master.asked) == 2, "it begins")
        new = gevent.spawn(master.runner.start, 1, 100.0)
        with gevent.Timeout(0.9, AssertionError("before its next round")):
            old.join()
        assert ended == [None], "that may be one that Locust needs"
        new.join(5)
        assert master.handout.counts and sum(master.handout.counts.values()) == 1
        assert len(master.completed) == 1


def test_a_worker_that_locust_drops_starts_no_second_ramp() -> None:
    """It would be in the greenlet of the heartbeats."""
    with Master() as master:
        before = master.runner._users_dispatcher
        master.runner._users_dispatcher = None
        with gevent.Timeout(0.9, AssertionError("at once")):
            master.runner.start(user_count=3600, spawn_rate=1.0)
        assert master.runner._users_dispatcher is before
        assert not master.ramp.dead and master.completed == []
        assert master.asked == [1], "nobody was told anything"
