"""A load process of LeanHttpUser with or without recorder and ledger: prints its CPU per request.

    python -m tests.bench.recorder_load on|off PORT SECONDS

The users are benchmark 2a's. With `on`, they declare their writes, and recorder and ledger are
emptied once a second, letting the users run between two slices, as the harness does. This module
imports Locust, so pytest must not.
"""

from __future__ import annotations

import json
import random
import sys
from time import time_ns

import gevent
import orjson
import uuid_utils
from locust import task
from locust.env import Environment

from locustfiles.harness.digest import client_digest
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.load_side import sink_of
from results.ledger.ledger import Ledger
from results.recorder import Recorder
from service.content import USER_ACTION, of_action
from tests.bench.client_cpu import USERS, WARM_UP_S
from tests.bench.client_load import ACTIONS, Lean, body, measure


class Declaring(LeanHttpUser):
    """As `Lean`, with each action's id and digest. No subclass, which would inherit its task."""

    wait_time = Lean.wait_time
    timeout_s = Lean.timeout_s

    @task
    def act(self) -> None:
        action, key = random.choice(ACTIONS), uuid_utils.uuid7()
        sent = body() | {"id": str(key)}
        self.client.post(
            f"/v1/saas/actions/{action}",
            json=sent,
            name="/v1/saas/actions/{action}",
            write_id=key.bytes,
            digest=client_digest(
                USER_ACTION, None, of_action(action, sent["user_id"], sent["payload"])
            ),
        )


def ship(recorder: Recorder, ledger: Ledger) -> None:
    """Once a second: close, encode in slices, drop the reports."""
    while True:
        gevent.sleep(1.0)
        while (writes := ledger.take()) is not None:
            writes.as_dict()
            gevent.sleep(0)
        recorder.close(time_ns() // 1000)
        for report in recorder.reports():
            if report is not None:
                orjson.dumps(report.as_dict())
            gevent.sleep(0)


def main(state: str, port: int, seconds: float) -> dict[str, float]:
    user = Declaring if state == "on" else Lean
    user.host = f"http://127.0.0.1:{port}"
    environment = Environment(user_classes=[user])
    if state == "on":
        origin_us = time_ns() // 1000
        recorder = Recorder(source="bench", origin_us=origin_us)
        ledger = Ledger(source="bench", origin_us=origin_us)
        environment.sample_sink = sink_of(recorder, ledger)  # type: ignore[attr-defined]
        gevent.spawn(ship, recorder, ledger)
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS / WARM_UP_S * 2)
    result = measure(lambda: environment.stats.total.num_requests, WARM_UP_S, seconds)
    runner.quit()
    return result


if __name__ == "__main__":
    _, state, port, seconds = sys.argv
    print(json.dumps(main(state, int(port), float(seconds))))
