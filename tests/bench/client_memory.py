"""Benchmark 2c: what an idle user of the client costs in memory beyond a user without a client.

Each kind of user runs in its own process against the client benchmark's responder: every user has
made one request and keeps its connection, and waits. The figure is the growth of the process's PSS
from the first users, whose code pages and caches are everybody's, to the last, per user.

    python -m tests.bench.client_memory KIND PORT USERS    the load process itself
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench import client_cpu
from tests.bench.row import BenchError

USERS = 5_000
LIMIT_KIB = 25_000 / 1_024
"""25 KB, of which the table shows KiB."""

_FIRST_USERS = 100
_TIMEOUT_S = 120.0
_SPAWN_RATE = 1_000


def measure(users: int = USERS) -> tuple[float, float, float]:
    """KiB per idle user: a plain User, LeanHttpUser, FastHttpUser. Raises BenchError."""
    cores = sorted(os.sched_getaffinity(0))
    with client_cpu.responder(cores) as port:
        plain = _run("plain", port, users, cores[0])
        lean = _run("lean", port, users, cores[0])
        return plain, lean, _run("fast", port, users, cores[0])


def _run(kind: str, port: int, users: int, core: int) -> float:
    command = (sys.executable, "-m", "tests.bench.client_memory", kind, str(port), str(users))
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S + 60,
    )
    if done.returncode != 0:
        raise BenchError(f"{users} idle users of {kind} failed:\n{done.stderr[-2000:]}")
    kib: float = json.loads(done.stdout.splitlines()[-1])
    return kib


def _pss_kib() -> int:
    gc.collect()
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise BenchError("this kernel does not tell a process's PSS")


def load(kind: str, port: int, users: int) -> float:
    """KiB per user. Imports Locust, so pytest must not call it."""
    import gevent
    from locust import FastHttpUser, User, constant, task
    from locust.env import Environment

    from locustfiles.harness.http import LeanHttpUser
    from tests.bench.client_load import raise_descriptor_limit

    raise_descriptor_limit()
    idle: list[User] = []
    address = f"http://127.0.0.1:{port}"

    class Plain(User):
        wait_time = constant(3600)

        @task
        def settle(self) -> None:
            idle.append(self)

    class Lean(LeanHttpUser):
        wait_time = constant(3600)
        host = address
        start_spread_s = 0.0

        @task
        def settle(self) -> None:
            assert self.client.post("/v1/saas/actions/logout", name="logout").status_code == 201
            idle.append(self)

    class Fast(FastHttpUser):
        wait_time = constant(3600)
        host = address

        @task
        def settle(self) -> None:
            assert self.client.post("/v1/saas/actions/logout", name="logout").status_code == 201
            idle.append(self)

    kinds: dict[str, type[User]] = {"plain": Plain, "lean": Lean, "fast": Fast}
    runner = Environment(user_classes=[kinds[kind]]).create_local_runner()

    def reach(count: int) -> None:
        runner.start(count, spawn_rate=_SPAWN_RATE)
        with gevent.Timeout(_TIMEOUT_S):
            while len(idle) < count:
                gevent.sleep(0.05)

    reach(_FIRST_USERS)
    before = _pss_kib()
    reach(_FIRST_USERS + users)
    return (_pss_kib() - before) / users


if __name__ == "__main__":
    _, kind, port, users = sys.argv
    print(json.dumps(load(kind, int(port), int(users))), flush=True)
    # Thousands of users need not be stopped one by one.
    os._exit(0)
