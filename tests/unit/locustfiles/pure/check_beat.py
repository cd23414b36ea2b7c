"""Beats: a worker's turns by a clock of its own, and what the master makes of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_RUNNING

from locustfiles.harness.arrivals.own_share import may_decide
from locustfiles.harness.distribution import beat as beat_module
from locustfiles.harness.distribution import muster as muster_module
from locustfiles.harness.distribution.beat import ANSWER, BEAT, EPOCHS, Holding, WorkerBeat
from locustfiles.harness.distribution.lease import ARRIVAL_LEASE_S, EPOCH_AHEAD_S, LEASE_S
from locustfiles.harness.distribution.muster import Muster
from shapes.epoch import Epoch, Epochs


class Clock:
    """Seconds of both processes; moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.wall_step_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s + self.wall_step_s

    def us(self) -> int:
        return round(self.now_s * 1e6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (beat_module, muster_module):
        monkeypatch.setattr(module, "own_wall_us", made.us)
        monkeypatch.setattr(module, "time", made)
    return made


class Runner:
    """Locust's side of a connection: what is sent lies in `sent`."""

    def __init__(self, environment: Environment | None = None) -> None:
        self.client_id = "here_1"
        self.clients: dict[str, Any] = {}
        self.state = STATE_RUNNING
        self.greenlet = SimpleNamespace(spawn=lambda *_: None)
        self.sent: list[tuple[str, Any, str | None]] = []
        self.handled: list[Any] = []
        self.listeners: dict[str, Callable[..., None]] = {}

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        self.listeners[kind] = listener

    def send_message(self, kind: str, data: Any = None, client_id: str | None = None) -> None:
        self.sent.append((kind, data, client_id))

    def handle_message(self, msg: Message) -> None:
        self.handled.append(msg)
        listener = self.listeners.get(msg.type)
        if listener is not None:
            listener(environment=None, msg=msg)

    def take(self, kind: str) -> list[Any]:
        """The data of all messages of that kind that were sent since."""
        found = [data for sent, data, _ in self.sent if sent == kind]
        self.sent = [one for one in self.sent if one[0] != kind]
        return found


def connection() -> Any:
    return Runner()


class Worker:
    """A worker's beats and what came of them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runner = connection()
        self.events: list[str] = []
        self.missing_s = 0.0
        self.unread_s = 0.0
        self.beat = WorkerBeat(
            self.runner,
            holding=lambda: Holding({"A": 2}, {"A": 1}),
            fence=lambda: self.events.append("fence"),
            exchanged=lambda *times: None,
            answered=lambda master: self.events.append(f"answered by {master}"),
            missing=lambda for_s: setattr(self, "missing_s", for_s),
            unread=lambda for_s: setattr(self, "unread_s", for_s),
            master_runs=lambda run_id: self.events.append(f"runs {run_id}"),
        )

    def turn(self, after_s: float = 0.0) -> dict[str, Any]:
        self.clock.now_s += after_s
        self.beat._turn()
        self.events.append("beat")
        (sent,) = self.runner.take(BEAT)
        found: dict[str, Any] = sent
        return found

    def answered(self, to: dict[str, Any], lease_s: float = LEASE_S, **more: Any) -> None:
        times = {"t0_us": to["t0_us"], "t1_us": self.clock.us(), "t2_us": self.clock.us()}
        data = {"lease_s": lease_s, "master": "m", "run_id": None, "epochs": [], **times, **more}
        self.runner.handle_message(message(ANSWER, data, "here_1"))


def message(kind: str, data: Any, worker: str) -> Any:
    return Message(kind, data, worker)  # type: ignore[no-untyped-call]


def test_a_lease_counts_from_the_beat_that_it_answers(clock: Clock) -> None:
    worker = Worker(clock)
    sent = worker.turn()
    assert not worker.beat.may_send()
    clock.now_s += 2.0
    worker.answered(sent)
    assert worker.beat.may_send()
    clock.now_s += LEASE_S - 2.0
    assert not worker.beat.may_send()


def test_after_standing_still_a_worker_fences_before_it_beats(clock: Clock) -> None:
    worker = Worker(clock)
    worker.answered(worker.turn())
    worker.events.clear()
    worker.turn(after_s=10.0)
    assert worker.events == ["fence", "beat"]
    worker.turn(after_s=0.5)
    assert worker.events.count("fence") == 1, "once"
    assert worker.missing_s <= 2.0, "standing still is no silence of the master"


def test_an_answer_that_comes_too_late_gives_no_lease(clock: Clock) -> None:
    worker = Worker(clock)
    sent = worker.turn()
    clock.now_s += LEASE_S
    worker.answered(sent)
    assert not worker.beat.may_send()


def test_a_worker_shows_at_once_that_it_hears_but_not_again_and_again(clock: Clock) -> None:
    worker = Worker(clock)
    sent = worker.turn()
    assert sent["seen_us"] is None
    worker.answered(sent, lease_s=0.0)
    assert worker.beat._now.is_set()
    worker.beat._now.clear()
    sent = worker.turn()
    assert sent["seen_us"] == clock.us()
    worker.answered(sent, lease_s=0.0)
    assert not worker.beat._now.is_set(), "one that is not welcome would never stop"


def test_answers_that_lie_behind_another_message_are_no_silence(clock: Clock) -> None:
    worker = Worker(clock)
    worker.answered(worker.turn())

    def handle_stop(environment: Any, msg: Message) -> None:
        for _ in range(20):
            worker.turn(after_s=0.5)

    worker.runner.listeners["stop"] = handle_stop
    worker.runner.handle_message(message("stop", None, "here_1"))
    assert worker.missing_s < 1.0
    assert worker.unread_s > 9.0, "but a master that is gone is to be found"
    assert "fence" not in worker.events, "its users go anyway"
    for _ in range(8):
        worker.turn(after_s=0.5)
    assert worker.missing_s > 3.0, "the control"


def test_a_lease_that_runs_out_behind_another_message_fences(clock: Clock) -> None:
    worker = Worker(clock)
    worker.answered(worker.turn())
    worker.runner.listeners["spawn"] = lambda **_: worker.turn(after_s=LEASE_S)
    worker.runner.handle_message(message("spawn", None, "here_1"))
    assert worker.events[-2:] == ["fence", "beat"]


def test_a_worker_that_has_stopped_fences_again_in_its_next_run(clock: Clock) -> None:
    worker = Worker(clock)
    worker.runner.handle_message(message("stop", None, "here_1"))
    worker.answered(worker.turn())
    worker.turn(after_s=LEASE_S)
    assert worker.events.count("fence") == 1


def test_it_is_told_which_master_answers(clock: Clock) -> None:
    worker = Worker(clock)
    worker.answered(worker.turn(), master="m2")
    assert "answered by m2" in worker.events


def test_epochs_are_those_of_the_run_and_come_once(clock: Clock) -> None:
    worker = Worker(clock)
    first = Epochs([Epoch(0, 0, ("a", "here_1"))])
    worker.answered(worker.turn(), run_id="one", epochs=first.as_wire())
    share = worker.beat.begin("one", origin_us=clock.us())
    assert share.epochs.owner(1, 5) == "here_1" == share.worker
    sent = worker.turn()
    assert (sent["run_id"], sent["epochs"]) == ("one", 1)
    again = [[1, 7, ["a"]]]
    worker.answered(sent, run_id="one", epochs=again)
    data = {"run_id": "one", "epochs": [*first.as_wire(), *again]}
    worker.runner.handle_message(message(EPOCHS, data, "here_1"))
    assert len(share.epochs) == 2
    assert share.lease_until_us() == ARRIVAL_LEASE_S * 1e6
    worker.answered(worker.turn(), run_id="two", epochs=[[0, 0, ["b"]]])
    assert worker.beat.begin("two", 0).epochs.owner(0, 0) == "b"
    assert len(share.epochs) == 2, "a run that is over keeps its own"


def test_only_an_answer_of_this_run_says_until_when_arrivals_may_be_decided_on(
    clock: Clock,
) -> None:
    worker = Worker(clock)
    origin_us = clock.us()
    worker.answered(worker.turn())
    share = worker.beat.begin("one", origin_us)
    assert may_decide(share, 0) is False, "that answer told of no run"
    rows = Epochs([Epoch(0, 0, ("here_1",))]).as_wire()
    told = message(EPOCHS, {"run_id": "one", "epochs": rows}, "here_1")
    worker.runner.handle_message(told)
    assert may_decide(share, 0) is False, "another epoch may be on its way"
    sent = worker.turn()
    clock.now_s += 1.0
    worker.answered(sent, lease_s=0.0, run_id="one", epochs=rows)
    assert may_decide(share, 0) is False, "its share may be others'"
    worker.answered(sent, run_id="one", epochs=rows)
    assert may_decide(share, round(ARRIVAL_LEASE_S * 1e6) - 1)
    assert not may_decide(share, round(ARRIVAL_LEASE_S * 1e6)), "from the beat's sending on"
    assert worker.beat.may_send()
    contradicting = [[0, 0, ["b"]]]
    with pytest.raises(ValueError, match="told before"):
        worker.answered(worker.turn(), run_id="one", epochs=contradicting)
    assert not may_decide(share, round(ARRIVAL_LEASE_S * 1e6)), "whose it is is not known"


class Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def joined(self, worker: str, t_s: float) -> None:
        self.texts.append(f"{worker} joined")

    def away(
        self, worker: str, t_s: float, heard_s: float, ended_s: float, share: float, others: int
    ) -> None:
        self.texts.append(f"{worker} away {ended_s - heard_s:.1f} {share:.2f} {others}")

    def left(self, worker: str, t_s: float, share: float, others: int) -> None:
        self.texts.append(f"{worker} left {share:.2f} {others}")

    def back(self, worker: str, t_s: float) -> None:
        self.texts.append(f"{worker} back")

    def epoch(self, epoch: Epoch, t_s: float) -> None:
        self.texts.append(f"{epoch.number} from {epoch.from_us / 1e6:.1f}: {epoch.workers}")


class Master:
    """The master's side of it; `a` and `b` are its workers."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        environment = Environment()
        self.runner = connection()
        environment.runner = self.runner
        self.welcome = {"a", "b", "c"}
        for worker in ("a", "b", "c"):
            self.runner.clients[worker] = SimpleNamespace(user_classes_count={"A": 7})
        self.muster = Muster(environment, self.runner, self.welcome.__contains__)
        self.environment = environment
        self.notes = Notes()

    def begin(self) -> None:
        began_s = self.clock.now_s
        self.muster.begin("run", lambda: self.clock.now_s - began_s, self.notes)
        self.muster.handout.counts = {"A": 8}
        self.muster._hand_out()
        for worker in self.muster.present():
            self.hear(worker)
        self.runner.sent.clear()

    def hear(self, worker: str, seen_s: float | None = 0.0, **more: Any) -> dict[str, Any]:
        """A beat of that worker comes, which heard an answer so long ago; the answer to it."""
        seen_us = None if seen_s is None else self.clock.us() - round(seen_s * 1e6)
        share = {n: c for n, c in self.muster.handout.told.get(worker, {}).items() if c}
        data = {"t0_us": 5, "seen_us": seen_us, "run_id": "run", "epochs": 0, "users": share}
        beat = message(BEAT, {**data, "share": share, **more}, worker)
        self.runner.listeners[BEAT](environment=None, msg=beat)
        found: dict[str, Any] = self.runner.take(ANSWER)[-1]
        return found

    def pass_time(self, seconds: float, *hearing: str) -> None:
        for _ in range(round(seconds / 0.25)):
            self.clock.now_s += 0.25
            for worker in hearing:
                self.hear(worker)
            self.look()

    def look(self) -> None:
        self.muster._look(self.clock.now_s)

    def told(self) -> dict[str, dict[str, int]]:
        """Spawn messages since it was asked last, by worker."""
        found = {to: data for kind, data, to in self.runner.sent if kind == "spawn"}
        self.runner.take("spawn")
        return {str(to): data["user_classes_count"] for to, data in found.items()}


@pytest.fixture
def master(clock: Clock) -> Master:
    return Master(clock)


def test_only_a_welcome_worker_that_hears_gets_a_lease(master: Master) -> None:
    assert master.hear("a", seen_s=None)["lease_s"] == 0
    assert master.hear("a", seen_s=LEASE_S)["lease_s"] == 0, "what it heard is too long ago"
    assert master.muster.present() == ()
    assert master.hear("a", seen_s=LEASE_S - 0.1)["lease_s"] == LEASE_S
    master.welcome.discard("b")
    assert master.hear("b")["lease_s"] == 0
    del master.runner.clients["c"]
    assert master.hear("c")["lease_s"] == 0, "Locust has dropped it"
    assert master.muster.present() == ("a",)


def test_an_answer_brings_the_epochs_that_a_worker_does_not_know(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.hear("c")
    both, three = [0, 0, ["a", "b"]], [1, round(EPOCH_AHEAD_S * 1e6), ["a", "b", "c"]]
    assert master.hear("a", epochs=0)["epochs"] == [both, three]
    assert master.hear("a", epochs=1)["epochs"] == [three]
    assert master.hear("a", epochs=2)["epochs"] == []
    assert master.hear("a", epochs=2, run_id="before")["epochs"] == [both, three]


def test_a_share_goes_to_the_others_when_the_lease_is_over_and_not_before(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.pass_time(LEASE_S - 0.25, "a")
    assert master.told() == {}
    master.pass_time(0.5, "a")
    assert master.told() == {"a": {"A": 8}}
    assert master.runner.clients["b"].user_classes_count == {}
    away, epoch = master.notes.texts
    assert away == f"b away {LEASE_S:.1f} 0.50 1"
    assert epoch == f"1 from {LEASE_S + EPOCH_AHEAD_S:.1f}: ('a',)"


def test_of_two_that_die_together_each_had_what_it_was_told(master: Master) -> None:
    for worker in ("a", "b", "c"):
        master.hear(worker)
    master.begin()
    master.muster.handout.counts = {"A": 10}
    master.muster._hand_out()
    for worker in ("a", "b", "c"):
        master.hear(worker)
    master.runner.sent.clear()
    master.pass_time(LEASE_S + 0.25, "a")
    assert master.notes.texts[:2] == ["b away 3.0 0.30 1", "c away 3.0 0.30 1"]
    assert master.told() == {"a": {"A": 10}}


def test_the_share_of_one_that_has_left_goes_to_the_others_at_once(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.pass_time(0.5, "a", "b")
    master.muster.left("b")
    assert master.told() == {"a": {"A": 8}}
    assert master.hear("b", share={"A": 4})["lease_s"] == 0, "its process is not gone yet"
    assert master.muster.present() == ("a",)
    master.pass_time(LEASE_S + 0.5, "a")
    away, epoch = master.notes.texts
    assert away == "b left 0.50 1"
    assert epoch == f"1 from {0.5 + EPOCH_AHEAD_S:.1f}: ('a',)"
    master.muster.end()
    assert master.hear("b")["lease_s"] == LEASE_S, "it may be in the next run"


def test_who_says_that_it_is_done_when_its_run_is_ended_has_not_left(master: Master) -> None:
    master.hear("a")
    master.begin()
    stopping: Any = master.environment.events.test_stopping
    stopping.fire(environment=master.environment)
    master.muster.left("a")
    assert master.notes.texts == [] and master.muster.present() == ("a",)


def test_orders_are_stamped_by_a_clock_that_never_goes_back(master: Master) -> None:
    """A worker takes no order that is older than its last: here the wall clock is stepped."""
    master.hear("a")
    master.begin()
    stamps = []
    for users in (10, 11, 12):
        master.clock.now_s += 1.0
        master.clock.wall_step_s -= 20.0
        master.muster.handout.counts = {"A": users}
        master.muster._hand_out()
        stamps += [data["timestamp"] for data in master.runner.take("spawn")]
        master.hear("a")
    assert len(stamps) == 3 and stamps == sorted(set(stamps))


def test_one_that_comes_back_gets_its_share_when_the_others_have_let_go(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.pass_time(LEASE_S + 0.5, "a")
    master.told()
    master.hear("b", share={}, users={})
    assert master.told() == {"a": {"A": 4}, "b": {"A": 0}}
    master.hear("a", share={"A": 8})
    assert master.told() == {}, "they still run there"
    master.hear("a", share={"A": 4})
    assert master.told() == {"b": {"A": 4}}
    assert master.notes.texts[2] == "b back"
    assert master.notes.texts[3].endswith("('a', 'b')")


def test_what_was_not_taken_is_told_again(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.hear("a")
    master.hear("b", share={})
    assert master.told() == {}
    master.clock.now_s += muster_module.TELL_AGAIN_S + 0.1
    master.hear("b", share={})
    assert master.told() == {"b": {"A": 4}}
    master.hear("b", share={})
    assert master.told() == {}, "but not with every beat"


def test_nobody_is_away_after_the_master_stood_still(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    master.look()
    master.clock.now_s += 10.0
    master.look()
    assert master.muster.present() == ("a", "b") and master.notes.texts == []


def test_users_are_those_of_fresh_beats(master: Master) -> None:
    for worker in ("a", "b"):
        master.hear(worker)
    master.begin()
    for worker in ("a", "b"):
        master.hear(worker)
    assert master.muster.users() == 8
    master.clock.now_s += 1.5
    master.hear("a")
    assert master.muster.users() == 4, "a dead worker's users do not run"
    assert master.runner.clients["a"].user_classes_count == {"A": 4}


def test_while_a_run_is_stopped_nobody_is_noted_or_told_anything(master: Master) -> None:
    master.hear("a")
    master.begin()
    stopping: Any = master.environment.events.test_stopping
    stopping.fire(environment=master.environment)
    assert not master.muster.is_deserted
    running = master.runner.clients["a"].user_classes_count
    assert running == {"A": 8}
    master.pass_time(LEASE_S + 1.0)
    assert master.runner.clients["a"].user_classes_count == running, "Locust waits for them"
    master.hear("b")
    assert master.notes.texts == [] and master.told() == {}
    assert master.hear("b")["run_id"] == "run", "until it is collected"
    master.muster.end()
    assert master.hear("b")["run_id"] is None
    master.look()
    assert master.muster.present() == ("b",), "who is still silent is away"


def test_a_failure_ends_neither_the_watch_nor_the_beats(
    master: Master, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muster_module, "WATCH_S", 0.001)
    turns = []

    def fail(now_s: float) -> None:
        turns.append(now_s)
        raise OSError("the disk is full")

    monkeypatch.setattr(master.muster, "_look", fail)
    worker = Worker(clock)
    worker.runner.send_message = lambda *_: fail(0.0)
    monkeypatch.setattr(beat_module, "BEAT_S", 0.001)
    greenlets = [gevent.spawn(master.muster._watch), gevent.spawn(worker.beat.run)]
    with gevent.Timeout(10, AssertionError("both go on")):
        while len([one for one in turns if one]) < 3 or turns.count(0.0) < 3:
            gevent.sleep(0.002)
    gevent.killall(greenlets)


def test_a_run_that_is_stopped_without_workers_is_deserted(master: Master) -> None:
    master.hear("a")
    master.begin()
    del master.runner.clients["a"]
    stopping: Any = master.environment.events.test_stopping
    stopping.fire(environment=master.environment)
    assert master.muster.is_deserted
