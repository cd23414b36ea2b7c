"""Who decides on which arrival, by what each worker knows: a real master and real beats, simulated.

Every worker hears of epochs through its own link, which holds messages for as long as it likes, and
has its own clock, which is wrong by as much as it may be.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locust.env import Environment

from locustfiles.harness.arrivals.own_share import may_decide
from locustfiles.harness.distribution import beat as beat_module
from locustfiles.harness.distribution import muster as muster_module
from locustfiles.harness.distribution.beat import EPOCHS, Holding, WorkerBeat, WorkerShare
from locustfiles.harness.distribution.lease import ARRIVAL_LEASE_S, BEAT_S, LEASE_S
from locustfiles.harness.distribution.muster import WATCH_S, Muster
from tests.unit.locustfiles.pure.check_beat import Notes, connection, message

RATE, LOAD_S = 100, 10
ARRIVALS_US = [10_000 * index + 5_000 for index in range(RATE * LOAD_S)]

MASTER = "master"
BEGIN_S, ORIGIN_S = 2.0, 3.0
CALM_S = ORIGIN_S + LOAD_S
"""Links hold nothing from then on, so that everybody hears everything in the end."""
END_S = CALM_S + LEASE_S + 3.0
TURN_S = 0.05
LATENCY_S = 0.01


class Hold(NamedTuple):
    """A link keeps what is sent within, and delivers it at the end."""

    from_s: float
    for_s: float
    up: bool = True
    down: bool = True


class Member(NamedTuple):
    """Its clock is off by `skew_s`, of which it knows all but `error_s`."""

    joins_s: float = 0.0
    holds: tuple[Hold, ...] = ()
    dies_s: float = 1e9
    skew_s: float = 0.0
    error_s: float = 0.0
    hears_epochs: bool = True
    """Whether they come at once; else with the answers alone."""


class World:
    """`decided` are (index, worker, seconds after its time) in the end."""

    def __init__(self, members: dict[str, Member]) -> None:
        self.now_s = 0.0
        self.actor = Member()
        self.members = members
        self.decided: list[tuple[int, str, float]] = []
        self._events: list[tuple[float, int, Member, Callable[[], None]]] = []
        self._number = count()
        self._delivered_s: dict[tuple[str, str], float] = {}
        self._runner = connection()
        self._runner.send_message = self._from_master
        environment = Environment()
        environment.runner = self._runner
        self._runner.clients = {name: SimpleNamespace() for name in members}
        self.muster = Muster(environment, self._runner)
        self.workers = {name: SimulatedWorker(self, name) for name in members}
        self.notes = Notes()

    # Their clock, in place of beat's and muster's

    def perf_counter(self) -> float:
        return self.now_s

    def own_wall_us(self) -> int:
        return round((self.now_s + self.actor.skew_s) * 1e6)

    def shift_us(self) -> int:
        return round((self.actor.error_s - self.actor.skew_s) * 1e6)

    def run(self) -> World:
        for name, member in self.members.items():
            self.every(TURN_S, member.joins_s, member, self.workers[name].turn, member.dies_s)
        self.every(WATCH_S, 0.0, Member(), lambda: self.muster._look(self.now_s))
        self.at(BEGIN_S, Member(), self._begin)
        while self._events and self._events[0][0] < END_S:
            self.now_s, _, self.actor, act = heapq.heappop(self._events)
            act()
        return self

    def _begin(self) -> None:
        self.muster.begin("run", lambda: self.now_s - ORIGIN_S, self.notes)

    def at(self, at_s: float, actor: Member, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._number), actor, act))

    def every(
        self,
        step_s: float,
        from_s: float,
        actor: Member,
        act: Callable[[], None],
        until_s: float = END_S,
    ) -> None:
        def turn() -> None:
            if self.now_s < until_s:
                act()
                self.at(self.now_s + step_s, actor, turn)

        self.at(from_s, actor, turn)

    def _from_master(self, kind: str, data: Any, worker: str) -> None:
        if kind == EPOCHS and not self.members[worker].hears_epochs:
            return
        self.send(MASTER, worker, kind, data)

    def send(self, sender: str, receiver: str, kind: str, data: Any) -> None:
        """In order, as over a connection."""
        is_up = receiver == MASTER
        name = sender if is_up else receiver
        at_s = self.now_s + LATENCY_S
        for hold in self.members[name].holds:
            if (hold.up if is_up else hold.down) and hold.from_s <= at_s:
                at_s = max(at_s, min(CALM_S, hold.from_s + hold.for_s))
        at_s = max(at_s, self._delivered_s.get((sender, receiver), 0.0))
        self._delivered_s[sender, receiver] = at_s
        if is_up:
            heard = message(kind, data, name)
            listener = self._runner.listeners[kind]
            self.at(at_s, Member(), lambda: listener(environment=None, msg=heard))
        else:
            worker = self.workers[name]
            self.at(at_s, self.members[name], lambda: worker.hear(message(kind, data, name)))


class SimulatedWorker:
    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._runner = connection()
        self._runner.client_id = name
        self._runner.send_message = lambda kind, data: world.send(name, MASTER, kind, data)
        self._beat = WorkerBeat(
            self._runner,
            holding=lambda: Holding({}, {}),
            fence=lambda: None,
            exchanged=lambda *times: None,
        )
        self._beat_at_s = 0.0
        self._share: WorkerShare | None = None
        self._next = 0

    def hear(self, msg: Any) -> None:
        if self._world.now_s >= self._world.actor.dies_s:
            return
        self._runner.handle_message(msg)
        if self._share is None and self._beat._run_id == "run":
            self._share = self._beat.begin("run", round(ORIGIN_S * 1e6))

    def turn(self) -> None:
        """As beat.run and the scheduler."""
        now_s = self._world.now_s
        if self._beat._now.is_set() or now_s >= self._beat_at_s:
            self._beat._now.clear()
            self._beat_at_s = now_s + BEAT_S
            self._beat._turn()
        share = self._share
        run_us = (now_s + self._world.actor.error_s - ORIGIN_S) * 1e6
        while share is not None and self._next < len(ARRIVALS_US):
            t_us = ARRIVALS_US[self._next]
            if t_us > run_us or not may_decide(share, t_us):
                return
            if share.epochs.owner(self._next, t_us) == self._name:
                late_s = (run_us - t_us) / 1e6
                self._world.decided.append((self._next, self._name, late_s))
            self._next += 1


@contextmanager
def worlds() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beat_module.logger, "disabled", True)
        yield patch


def simulated(members: dict[str, Member], **constants: float) -> World:
    """The run of such workers, to its end; `constants` instead of those of beat and muster."""
    with worlds() as patch:
        world = World(members)
        for module in (beat_module, muster_module):
            patch.setattr(module, "own_wall_us", world.own_wall_us)
            patch.setattr(module, "time", world)
        patch.setattr(beat_module, "shift_us", world.shift_us)
        for name, value in constants.items():
            module = beat_module if name == "ARRIVAL_LEASE_S" else muster_module
            assert hasattr(module, name)
            patch.setattr(module, name, value)
        return world.run()


def times_each(world: World) -> dict[int, int]:
    """How often each arrival was decided on, but for those that were once."""
    found = Counter(index for index, _, _ in world.decided)
    return {index: found[index] for index in range(len(ARRIVALS_US)) if found[index] != 1}


HOLDS = st.builds(
    Hold,
    st.floats(0.0, CALM_S),
    st.one_of(st.floats(0.0, 2.5), st.floats(0.0, 1.5 * LEASE_S)),
    st.booleans(),
    st.booleans(),
)
MEMBERS = st.builds(
    Member,
    st.one_of(st.just(0.0), st.floats(0.0, CALM_S)),
    st.lists(HOLDS, max_size=3).map(tuple),
    st.just(1e9),
    st.floats(-20.0, 20.0),
    st.floats(-0.09, 0.09),
    st.booleans(),
)
CREWS = st.lists(MEMBERS, min_size=2, max_size=4).map(
    lambda members: {f"w{number}": member for number, member in enumerate(members)}
)


@settings(deadline=None, max_examples=60)
@given(CREWS)
def test_every_arrival_is_one_workers_however_late_each_hears_of_epochs(
    members: dict[str, Member],
) -> None:
    assert times_each(simulated({"first": Member(), **members})) == {}


@settings(deadline=None, max_examples=30)
@given(CREWS, st.floats(BEGIN_S, CALM_S))
def test_no_arrival_is_two_workers_when_one_is_lost(
    members: dict[str, Member], dies_s: float
) -> None:
    members = {"first": Member(), **members}
    members["w0"] = members["w0"]._replace(dies_s=dies_s)
    assert set(times_each(simulated(members)).values()) <= {0}


def test_a_lost_workers_arrivals_are_taken_over_within_five_seconds() -> None:
    dies_s = 5.0
    found = times_each(simulated({"a": Member(), "b": Member(dies_s=dies_s), "c": Member()}))
    assert set(found.values()) == {0}, "the control: some were its own"
    missing_s = [ORIGIN_S + ARRIVALS_US[index] / 1e6 for index in found]
    assert dies_s - BEAT_S <= min(missing_s) and max(missing_s) < dies_s + 5.0


HELD = {
    "a": Member(),
    "b": Member(holds=(Hold(4.95, 2.2),)),
    "c": Member(joins_s=5.0),
}
"""The third joins while the second hears nothing, but keeps its lease."""


def test_a_worker_that_hears_of_an_epoch_late_decides_late() -> None:
    world = simulated(HELD)
    assert times_each(world) == {}
    assert not any("away" in text for text in world.notes.texts)
    late_s = {worker: max(late for _, w, late in world.decided if w == worker) for worker in HELD}
    assert late_s["b"] > 0.5 and late_s["a"] < 0.1 and late_s["c"] < 0.1
    answers_missing = simulated({**HELD, "b": Member(holds=(Hold(4.95, 0.9),))})
    assert max(late for _, _, late in answers_missing.decided) < 0.1, "less than a second of it"


def test_a_clock_that_is_wrong_by_less_than_a_tenth_makes_no_arrival_two_workers() -> None:
    assert not any(times_each(simulated(crew)) for crew in held_at_all_moments_of_a_beat())


def held_at_all_moments_of_a_beat() -> Iterator[dict[str, Member]]:
    for step in range(16):
        at_s = 5.0 + step / 16 * BEAT_S
        late = Member(holds=(Hold(at_s + 0.05, 2.5),), error_s=0.09)
        yield {**HELD, "b": late, "c": Member(joins_s=at_s)}


@pytest.mark.parametrize(
    "constants",
    [{"ARRIVAL_LEASE_S": LEASE_S}, {"EPOCH_AHEAD_S": 0.5}, {"EPOCH_AHEAD_S": ARRIVAL_LEASE_S}],
    ids=["lease", "ahead", "margin"],
)
def test_the_control_of_the_simulation_without_one_of_the_rules(
    constants: dict[str, float],
) -> None:
    crews = held_at_all_moments_of_a_beat()
    found = [set(times_each(simulated(crew, **constants)).values()) for crew in crews]
    assert any(2 in times for times in found)
