"""What becomes of a worker whose master is silent, and what its port tells."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from locustfiles.harness.distribution.master_loss import (
    PROBE_AFTER_S,
    RETURN_TIMEOUT_S,
    Door,
    MasterLoss,
    knock,
)

TIMEOUT_S = 0.2


class Worker:
    """What MasterLoss sees of Locust's runner, and what it does."""

    def __init__(self, door: Door) -> None:
        self.master_host, self.master_port = "master.example", 5557
        self.environment = SimpleNamespace(process_exit_code=0)
        self.door = door
        self.knocks = 0
        self.ends: list[str] = []
        runner: Any = self
        self.loss = MasterLoss(runner, self.ends.append, self.knock)
        self.loss.greeted("m")

    def knock(self, host: str, port: int) -> Door:
        assert (host, port) == (self.master_host, self.master_port)
        self.knocks += 1
        return self.door

    def unread_for(self, seconds: float) -> None:
        self.loss.unread(seconds)
        gevent.sleep(0)
        gevent.sleep(0)

    def silent_for(self, seconds: float) -> None:
        self.loss.missing(seconds)
        gevent.sleep(0)
        gevent.sleep(0)


def test_a_short_silence_is_nothing() -> None:
    worker = Worker(Door.GONE)
    worker.silent_for(PROBE_AFTER_S - 0.01)
    assert (worker.knocks, worker.ends, worker.environment.process_exit_code) == (0, [], 0)


def test_a_master_that_is_gone_ends_the_worker_once() -> None:
    worker = Worker(Door.GONE)
    for seconds in (4.0, 4.5, 5.0):
        worker.silent_for(seconds)
    (reason,) = worker.ends
    assert "master.example:5557 is gone" in reason


@pytest.mark.parametrize("door", [Door.SILENT, Door.OPEN])
def test_a_master_that_may_come_back_is_awaited_for_a_minute(door: Door) -> None:
    worker = Worker(door)
    for seconds in range(4, round(RETURN_TIMEOUT_S)):
        worker.silent_for(float(seconds))
    assert worker.ends == []
    assert worker.knocks > 50, "it is asked again and again"
    assert worker.environment.process_exit_code == 5, "Locust may give up first"
    worker.silent_for(RETURN_TIMEOUT_S)
    (reason,) = worker.ends
    assert "did not answer for 60 s" in reason


def test_a_probe_that_is_under_way_when_the_minute_is_over_ends_nothing_again() -> None:
    worker = Worker(Door.GONE)
    worker.loss.missing(RETURN_TIMEOUT_S - 0.5)
    worker.loss.missing(RETURN_TIMEOUT_S)
    gevent.sleep(0)
    assert (worker.knocks, len(worker.ends)) == (1, 1)


def test_a_master_that_comes_back_has_its_worker_as_before() -> None:
    worker = Worker(Door.SILENT)
    worker.silent_for(20.0)
    worker.loss.answered("m")
    assert worker.environment.process_exit_code == 0
    worker.door = Door.GONE
    worker.silent_for(0.5)
    assert worker.ends == []
    worker.silent_for(4.0)
    assert len(worker.ends) == 1, "the next silence is another one"


def test_an_answer_while_the_port_is_probed_saves_the_worker() -> None:
    worker = Worker(Door.GONE)
    worker.loss.missing(4.0)
    worker.loss.answered("m")
    gevent.sleep(0)
    assert (worker.knocks, worker.ends) == (1, [])


def test_a_master_that_was_started_anew_ends_the_worker_once() -> None:
    worker = Worker(Door.OPEN)
    worker.loss.answered("m")
    assert worker.ends == []
    for _ in range(3):
        worker.loss.answered("another")
    (reason,) = worker.ends
    assert "was started anew and knows nothing of this worker" in reason


def test_a_worker_that_reads_nothing_ends_when_the_port_refuses_and_only_then() -> None:
    worker = Worker(Door.OPEN)
    for seconds in (PROBE_AFTER_S - 0.01, PROBE_AFTER_S, 2 * RETURN_TIMEOUT_S):
        worker.unread_for(seconds)
    worker.door = Door.SILENT
    worker.unread_for(2 * RETURN_TIMEOUT_S)
    assert (worker.knocks, worker.ends, worker.environment.process_exit_code) == (3, [], 0)
    worker.door = Door.GONE
    worker.unread_for(3 * RETURN_TIMEOUT_S)
    worker.unread_for(3 * RETURN_TIMEOUT_S)
    (reason,) = worker.ends
    assert "is gone" in reason


def test_locusts_own_minute_is_no_success_and_nothing_takes_it_back() -> None:
    worker = Worker(Door.OPEN)
    worker.silent_for(20.0)
    worker.loss.timed_out()
    worker.loss.answered("m")
    worker.loss.timed_out()
    (reason,) = worker.ends
    assert "no heartbeat for a minute" in reason
    assert worker.environment.process_exit_code == 5


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(handle: Any) -> Iterator[int]:
    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop()


def test_a_port_that_refuses_says_that_the_master_is_gone(free_port: int) -> None:
    assert knock("127.0.0.1", free_port, TIMEOUT_S) is Door.GONE


def test_a_greeting_says_that_it_is_there() -> None:
    for port in serving(lambda peer, _: peer.sendall(b"\xff")):
        assert knock("127.0.0.1", port, TIMEOUT_S) is Door.OPEN


def test_a_tunnel_whose_other_end_refuses_says_that_it_is_gone() -> None:
    for port in serving(lambda peer, _: peer.close()):
        assert knock("127.0.0.1", port, TIMEOUT_S) is Door.GONE


def test_a_port_without_a_word_says_nothing() -> None:
    for port in serving(lambda peer, _: gevent.sleep(10 * TIMEOUT_S)):
        assert knock("127.0.0.1", port, TIMEOUT_S) is Door.SILENT


def test_a_name_that_is_not_found_says_nothing(free_port: int) -> None:
    assert knock("no-such-host.invalid", free_port, TIMEOUT_S) is Door.SILENT
