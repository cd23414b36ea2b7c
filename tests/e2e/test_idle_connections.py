"""1,000 idle connections and 200 that dribble their headers: everybody else is served.

What they cost the others in time is a ratio in `make bench` (`tests/bench/idle.py`).
"""

from __future__ import annotations

import contextlib
import resource
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.e2e.node_process import NodeProcess, running
from tests.e2e.raw_http import connect, push, read_until_closed, split

IDLE = 1_000
SLOW = 200
HEALTHY = 300
HEADER_DEADLINE_S = 2.0
_OTHER_FILES = 200
HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """Descriptors for all connections of this process."""
    needed = IDLE + SLOW + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} file descriptors, the hard limit is {hard}: raise it")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def opened(node: NodeProcess, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(node.port)) for _ in range(count)]


def ask(sock: socket.socket) -> int:
    """The status of one more request; 0 when the node has ended the connection."""
    push(sock, HEALTH)
    answer = sock.recv(65_536)
    return int(answer[9:12]) if answer else 0


def serve_healthy(node: NodeProcess, dribbling: Sequence[socket.socket]) -> Counter[int]:
    """Statuses of healthy requests, between which each slow client sends one more byte."""
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=node.url, timeout=20, trust_env=False) as http:
        for number in range(HEALTHY):
            for sock in dribbling[number % 10 :: 10]:
                push(sock, b"a")
            response = http.post("/v1/events", json={"type": "healthy", "data": {"n": number}})
            statuses[response.status_code] += 1
            found = http.get(f"/v1/events/{response.json()['id']}") if number % 10 == 0 else None
            assert found is None or found.status_code == 200
    return statuses


def test_healthy_requests_are_served_beside_idle_and_slow_connections(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", header_deadline_s=HEADER_DEADLINE_S) as node,
        opened(node, IDLE) as idle,
        opened(node, SLOW) as slow,
    ):
        assert Counter(map(ask, idle)) == {200: IDLE}
        for sock in slow:
            push(sock, b"GET /health HTTP/1.1\r\na: ")
        assert serve_healthy(node, slow) == {201: HEALTHY}
        # The slow ones are answered at their deadline; the idle ones have not lost theirs.
        ends = Counter(reply.code for sock in slow for reply in split(read_until_closed(sock)))
        assert ends == {"request_timeout": SLOW}
        assert Counter(map(ask, idle)) == {200: IDLE}


def test_a_node_that_idle_connections_fill_is_caught(tmp_path: Path) -> None:
    """Positive control: with room for the idle ones alone, healthy requests are refused."""
    with (
        running(tmp_path / "data", max_connections=IDLE) as node,
        opened(node, IDLE) as idle,
    ):
        assert Counter(map(ask, idle)) == {200: IDLE}
        with pytest.raises((AssertionError, KeyError)):
            assert serve_healthy(node, []) == {201: HEALTHY}
