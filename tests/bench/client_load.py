"""One client of the client benchmark, in a process of its own: prints its CPU per request.

The same users do the same on each client: P1's seven actions in equal shares (P1-5), a JSON body
of some hundred bytes, a think time of 51-150 ms (P1-7), with Locust's statistics running and no
recorder. `floor` is the least that Python with gevent can do: a socket, a parser, no Locust.
This module imports Locust, so pytest must not import it.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from typing import Any

import gevent
import gevent.socket
import uuid_utils
from httptools import HttpResponseParser
from locust import FastHttpUser, HttpUser, User, between, task
from locust.env import Environment

from locustfiles.harness.http import LeanHttpUser

ACTIONS = (
    "login",
    "dashboard_view",
    "profile_update",
    "data_query",
    "report_generation",
    "settings_change",
    "logout",
)
TIMEOUT_S = 30.0


def body() -> dict[str, Any]:
    return {
        "id": str(uuid_utils.uuid7()),
        "user_id": "user_123",
        "payload": {"page": 3, "size": 50},
    }


class Lean(LeanHttpUser):
    wait_time = between(0.051, 0.15)
    timeout_s = TIMEOUT_S

    @task
    def act(self) -> None:
        action = random.choice(ACTIONS)
        self.client.post(
            f"/v1/saas/actions/{action}", json=body(), name="/v1/saas/actions/{action}"
        )


class Fast(FastHttpUser):
    wait_time = between(0.051, 0.15)
    network_timeout = TIMEOUT_S

    @task
    def act(self) -> None:
        action = random.choice(ACTIONS)
        self.client.post(
            f"/v1/saas/actions/{action}", json=body(), name="/v1/saas/actions/{action}"
        )


class Requests(HttpUser):
    wait_time = between(0.051, 0.15)

    @task
    def act(self) -> None:
        action = random.choice(ACTIONS)
        self.client.post(
            f"/v1/saas/actions/{action}",
            json=body(),
            name="/v1/saas/actions/{action}",
            timeout=TIMEOUT_S,
        )


KINDS: dict[str, type[User]] = {"lean": Lean, "fast": Fast, "http": Requests}


class _Done:
    """Tells the floor's loop that a message is complete."""

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


def floor_user(port: int, counter: list[int], spread_s: float) -> None:
    """What no Python client on gevent can undercut by much: no names, no statistics, no timeout."""
    gevent.sleep(random.random() * spread_s)
    sock = gevent.socket.create_connection(("127.0.0.1", port))
    done = _Done()
    parser = HttpResponseParser(done)
    while True:
        payload = json.dumps(body()).encode()
        head = (
            f"POST /v1/saas/actions/{random.choice(ACTIONS)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        sock.sendall(head.encode() + payload)
        done.complete = False
        while not done.complete:
            parser.feed_data(sock.recv(65_536))
        counter[0] += 1
        gevent.sleep(0.051 + random.random() * 0.099)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(count: Any, warm_up_s: float, seconds: float) -> dict[str, float]:
    """CPU over requests of `seconds` in the middle of the run."""
    gevent.sleep(warm_up_s)
    cpu, requests, start = cpu_s(), count(), time.perf_counter()
    gevent.sleep(seconds)
    cpu, requests = cpu_s() - cpu, count() - requests
    elapsed = time.perf_counter() - start
    return {
        "cpu_us": cpu / max(requests, 1) * 1e6,
        "requests": requests,
        "rate": requests / elapsed,
        "cpu_share": cpu / elapsed,
    }


def raise_descriptor_limit() -> None:
    """As Locust's own command does: two thousand users need more than the usual 1,024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(kind: str, port: int, users: int, warm_up_s: float, seconds: float) -> dict[str, float]:
    if kind == "floor":
        counter = [0]
        for _ in range(users):
            gevent.spawn(floor_user, port, counter, warm_up_s / 2)
        return measure(lambda: counter[0], warm_up_s, seconds)
    user = KINDS[kind]
    user.host = f"http://127.0.0.1:{port}"
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=max(users / warm_up_s * 2, 1))
    row = measure(lambda: environment.stats.total.num_requests, warm_up_s, seconds)
    row["failures"] = environment.stats.total.num_failures
    runner.quit()
    return row


if __name__ == "__main__":
    _, kind, port, users, warm_up_s, seconds = sys.argv
    raise_descriptor_limit()
    result = main(kind, int(port), int(users), float(warm_up_s), float(seconds))
    print(json.dumps(result), flush=True)
