"""Hello, barrier and clock between a master and workers, Locust's own, all in one process."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest
from locust import User, task
from locust.env import Environment
from locust.event import Events
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from locustfiles.harness.distribution import barrier, clock_sync, hello
from locustfiles.harness.distribution.barrier import Barrier, answer_prepare
from locustfiles.harness.distribution.clock_sync import ClockSync, answer_clock
from locustfiles.harness.distribution.fingerprint import Fingerprint
from locustfiles.harness.distribution.hello import HELLO, OTHER_SUITE, Welcome, say_hello
from locustfiles.harness.distribution.master_loss import MasterGoneError
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.clock import shift, shift_us

OWN = Fingerprint("2", "3", "0", {}, {}, {}, (), "", {})
OTHER = replace(OWN, locust="1")
TIMEOUT_S = 10.0


class IdleUser(User):
    @task
    def idle(self) -> None:
        gevent.sleep(1)


def wait_until(condition: Callable[[], object]) -> None:
    with gevent.Timeout(TIMEOUT_S):
        while not condition():
            gevent.sleep(0.01)


def environment() -> Environment:
    options = argparse.Namespace(headless=True, web_base_path="", enable_rebalancing=False)
    events = Events()  # type: ignore[no-untyped-call]
    return Environment(user_classes=[IdleUser], events=events, parsed_options=options)


def quit_like_locust(worker: WorkerRunner) -> None:
    worker.client.send(Message("quit", None, worker.client_id))  # type: ignore[no-untyped-call]


@pytest.fixture
def runners() -> Iterator[list[Any]]:
    found: list[Any] = []
    yield found
    for runner in reversed(found):
        runner.greenlet.kill(block=True)
        end = runner.server if isinstance(runner, MasterRunner) else runner.client
        end.socket.context.destroy(linger=0)
    shift(0)


@pytest.fixture
def master(runners: list[Any]) -> MasterRunner:
    runner = environment().create_master_runner("127.0.0.1", 0)
    runners.append(runner)
    return runner


@pytest.fixture
def connect(master: MasterRunner, runners: list[Any]) -> Callable[[], WorkerRunner]:
    def connect_one() -> WorkerRunner:
        runner = environment().create_worker_runner("127.0.0.1", master.server.port)
        runners.append(runner)
        return runner

    return connect_one


Connect = Callable[[], WorkerRunner]


# Hello


def test_only_a_worker_that_was_welcomed_is_counted(master: MasterRunner, connect: Connect) -> None:
    early = connect()
    assert len(master.clients.ready) == 1, "the control: Locust counts whoever connects"
    welcome = Welcome(master.environment, master, OWN)
    late = connect()
    assert (len(master.clients), master.clients.ready, master.worker_count) == (0, [], 0)
    for count, worker in enumerate((early, late), 1):
        assert worker.client_id not in master.clients
        assert not welcome.is_welcome(worker.client_id)
        say_hello(worker, OWN)
        assert welcome.is_welcome(worker.client_id)
        assert len(master.clients.ready) == len(master.clients) == count
        assert worker.client_id in master.clients


def test_a_refused_worker_is_told_why_and_the_master_lives_on(
    master: MasterRunner, connect: Connect
) -> None:
    noted: list[str] = []
    welcome = Welcome(master.environment, master, OWN, noted.append)
    worker = connect()
    with pytest.raises(BadConfiguration, match=r"refused this worker.*\n  - Locust is 1 at the"):
        say_hello(worker, OTHER)
    worker.send_message(HELLO, OTHER.as_wire())
    gevent.sleep(0.1)
    (note,) = noted
    assert worker.client_id in note and "Locust is 1 at the worker, 2 at the master" in note
    assert not welcome.is_welcome(worker.client_id)
    # Locust's master shuts down when the last worker that it knows quits.
    quit_like_locust(worker)
    other = connect()
    say_hello(other, OWN)
    assert list(master.clients) == [other.client_id]


def test_a_worker_that_was_welcome_and_differs_now_is_no_longer(
    master: MasterRunner, connect: Connect
) -> None:
    welcome = Welcome(master.environment, master, OWN)
    worker = connect()
    say_hello(worker, OWN)
    worker.send_message(HELLO, OTHER.as_wire())
    wait_until(lambda: not welcome.is_welcome(worker.client_id))
    assert len(master.clients) == 0


@pytest.mark.parametrize("wire", [None, 7, {"locust": "2"}])
def test_a_hello_that_cannot_be_read_is_refused(
    master: MasterRunner, connect: Connect, wire: Any
) -> None:
    noted: list[str] = []
    Welcome(master.environment, master, OWN, noted.append)
    worker = connect()
    worker.send_message(HELLO, wire)
    wait_until(lambda: noted)
    assert OTHER_SUITE in noted[0]


def test_a_hello_is_repeated_until_the_master_listens(
    master: MasterRunner, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "REPEAT_S", 0.05)
    worker = connect()
    greeting = gevent.spawn(say_hello, worker, OWN)
    gevent.sleep(0.2)
    assert not greeting.ready()
    welcome = Welcome(master.environment, master, OWN)
    greeting.get(timeout=TIMEOUT_S)
    assert welcome.is_welcome(worker.client_id)


def test_a_worker_whose_master_dies_before_the_welcome_knows_it(
    master: MasterRunner, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "REPEAT_S", 0.05)
    monkeypatch.setattr(hello, "PROBE_AFTER_S", 0.1)
    worker = connect()
    greeting = gevent.spawn(say_hello, worker, OWN)
    gevent.sleep(0.3)
    assert not greeting.ready(), "the port greets: it may still come to it"
    master.greenlet.kill(block=True)
    server: Any = master.server
    server.close(linger=0)
    with pytest.raises(MasterGoneError, match="is gone: its port refuses, before it let this"):
        greeting.get(timeout=TIMEOUT_S)


def test_a_worker_that_said_hello_to_an_earlier_master_joins_the_next(
    master: MasterRunner, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "REPEAT_S", 0.05)
    worker = connect()
    # What a master that was started anew knows of it.
    del master.clients[worker.client_id]
    welcome = Welcome(master.environment, master, OWN)
    assert say_hello(worker, OWN) == welcome.master
    assert list(master.clients) == [worker.client_id]
    assert welcome.is_welcome(worker.client_id)


def test_a_master_that_does_not_know_the_hello_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "REPEAT_S", 0.05)
    monkeypatch.setattr(hello, "HELLO_TIMEOUT_S", 0.2)
    with pytest.raises(BadConfiguration, match="did not answer the hello within 0 s: start it"):
        say_hello(connect(), OWN)


def test_a_stranger_is_named_once_and_told_to_quit(
    master: MasterRunner, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "HELLO_GRACE_S", 0.2)
    early = connect()
    noted: list[str] = []
    Welcome(master.environment, master, OWN, noted.append)
    late, good = connect(), connect()
    say_hello(good, OWN)
    wait_until(lambda: not early.greenlet.greenlets and not late.greenlet.greenlets)
    assert len(noted) == 2
    assert all("has not said hello" in text for text in noted)
    assert good.greenlet.greenlets, "the one that said hello stays"


def test_strangers_are_told_when_the_master_quits(master: MasterRunner, connect: Connect) -> None:
    Welcome(master.environment, master, OWN)
    stranger = connect()
    events: Any = master.environment.events
    gevent.spawn(events.quitting.fire, environment=master.environment, reverse=True)
    wait_until(lambda: not stranger.greenlet.greenlets)


# Barrier


class Ready:
    """A worker that answers the barrier when it may."""

    def __init__(self, runner: WorkerRunner, may_answer: bool = True) -> None:
        say_hello(runner, OWN)
        self.runner = runner
        self.may = gevent.event.Event()
        if may_answer:
            self.may.set()
        clock = ClockSync(runner)
        clock.measure = self._measure  # type: ignore[method-assign]
        answer_prepare(runner, clock)

    def _measure(self) -> bool:
        return bool(self.may.wait(TIMEOUT_S))


@pytest.fixture
def gate(master: MasterRunner, monkeypatch: pytest.MonkeyPatch) -> tuple[Welcome, Barrier]:
    monkeypatch.setattr(barrier, "READY_TIMEOUT_S", 1.5)
    monkeypatch.setattr(barrier, "POLL_S", 0.05)
    welcome = Welcome(master.environment, master, OWN)
    return welcome, Barrier(master, welcome)


def test_the_barrier_opens_when_every_worker_is_ready(
    gate: tuple[Welcome, Barrier], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barrier, "READY_TIMEOUT_S", TIMEOUT_S)
    first, second = Ready(connect()), Ready(connect(), may_answer=False)
    waiting = gevent.spawn(gate[1].gather)
    gevent.sleep(0.1)
    assert not waiting.ready()
    second.may.set()
    assert waiting.get(timeout=TIMEOUT_S) == ()
    assert all(gate[0].is_welcome(one.runner.client_id) for one in (first, second))


def test_a_silent_worker_is_left_out_until_it_answers(
    gate: tuple[Welcome, Barrier], connect: Connect
) -> None:
    welcome, start = gate
    Ready(connect())
    late = Ready(connect(), may_answer=False)
    assert start.gather() == (late.runner.client_id,)
    assert not welcome.is_welcome(late.runner.client_id)
    late.may.set()
    wait_until(lambda: welcome.is_welcome(late.runner.client_id))


def test_the_next_run_asks_those_that_were_left_out_again(
    gate: tuple[Welcome, Barrier], connect: Connect
) -> None:
    welcome, start = gate
    Ready(connect())
    late = Ready(connect(), may_answer=False)
    assert start.gather() != ()
    waiting = gevent.spawn(start.gather)
    gevent.sleep(0.05)
    late.may.set()
    assert waiting.get(timeout=TIMEOUT_S) == ()
    assert welcome.is_welcome(late.runner.client_id)


def test_a_worker_that_was_ready_once_is_asked_for_each_run(
    gate: tuple[Welcome, Barrier], connect: Connect
) -> None:
    Ready(connect())
    tired = Ready(connect())
    assert gate[1].gather() == ()
    tired.may.clear()
    assert gate[1].gather() == (tired.runner.client_id,)
    tired.may.set()


def test_an_answer_to_an_earlier_run_is_none(
    gate: tuple[Welcome, Barrier], connect: Connect
) -> None:
    Ready(connect())
    silent = connect()
    say_hello(silent, OWN)
    assert gate[1].gather() == (silent.client_id,)
    silent.send_message(barrier.READY, {"round": 0})
    gevent.sleep(0.1)
    assert not gate[0].is_welcome(silent.client_id)
    silent.send_message(barrier.READY, {"round": 1})
    wait_until(lambda: gate[0].is_welcome(silent.client_id))


def test_a_worker_that_quits_while_it_is_awaited_is_awaited_no_longer(
    gate: tuple[Welcome, Barrier], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barrier, "READY_TIMEOUT_S", TIMEOUT_S)
    Ready(connect())
    gone = Ready(connect(), may_answer=False)
    waiting = gevent.spawn(gate[1].gather)
    gevent.sleep(0.1)
    quit_like_locust(gone.runner)
    assert waiting.get(timeout=TIMEOUT_S / 2) == ()


def test_a_worker_that_locust_misses_is_not_awaited(
    gate: tuple[Welcome, Barrier],
    master: MasterRunner,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(barrier, "READY_TIMEOUT_S", TIMEOUT_S)
    Ready(connect())
    dead = connect()
    say_hello(dead, OWN)
    dead.greenlet.kill(block=True)
    waiting = gevent.spawn(gate[1].gather)
    gevent.sleep(0.1)
    assert not waiting.ready(), "the control"
    master.clients[dead.client_id].state = STATE_MISSING
    assert waiting.get(timeout=TIMEOUT_S / 2) == ()


def test_a_run_needs_a_worker_that_is_ready(
    gate: tuple[Welcome, Barrier], connect: Connect
) -> None:
    Ready(connect(), may_answer=False)
    with pytest.raises(TimeoutError, match="no worker was ready within 2 s"):
        gate[1].gather()


def test_a_worker_whose_clock_is_unknown_is_not_ready(
    gate: tuple[Welcome, Barrier], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_sync, "QUICK_TIMEOUT_S", 0.1)
    Ready(connect())
    blind = connect()
    say_hello(blind, OWN)
    answer_prepare(blind, ClockSync(blind))
    assert gate[1].gather() == (blind.client_id,), "the master tells no time here"


# Clock


def test_a_few_quick_exchanges_bring_the_clock_onto_the_masters(
    master: MasterRunner, connect: Connect
) -> None:
    answer_clock(master)
    clock = ClockSync(connect())
    assert clock.figures() == {}
    assert clock.measure()
    figures = clock.figures()
    # It is one process with one clock.
    assert abs(figures["clock_offset_ms"]) <= figures["clock_uncertainty_ms"] < 1_000
    assert shift_us() == clock.offset.offset_us


def test_a_master_that_does_not_tell_its_time_leaves_the_clock_unknown(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_sync, "QUICK_TIMEOUT_S", 0.1)
    clock = ClockSync(connect())
    assert not clock.measure()
    assert clock.figures() == {}


def test_an_impossible_exchange_shifts_nothing(connect: Connect) -> None:
    clock = ClockSync(connect())
    clock.take(1_000, 5_000_000, 4_000_000, 2_000)
    assert (shift_us(), clock.figures()) == (0, {})
    clock.take(1_000, 5_001_500, 5_001_500, 2_000)
    assert shift_us() == 5_000_000
