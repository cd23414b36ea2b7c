"""A load process of LeanHttpUser with or without a recorder: prints its CPU per request.

    python -m tests.bench.recorder_load on|off PORT SECONDS

The users are benchmark 2a's. With `on`, the recorder is emptied once a second, letting the users
run between two slices, as the harness does. This module imports Locust, so pytest must not.
"""

from __future__ import annotations

import json
import sys
from time import time_ns

import gevent
import orjson
from locust.env import Environment

from results.recorder import Recorder
from tests.bench.client_cpu import USERS, WARM_UP_S
from tests.bench.client_load import Lean, measure


def ship(recorder: Recorder) -> None:
    """Once a second: close, encode in slices, drop the reports."""
    while True:
        gevent.sleep(1.0)
        recorder.close(time_ns() // 1000)
        for report in recorder.reports():
            if report is not None:
                orjson.dumps(report.as_dict())
            gevent.sleep(0)


def main(state: str, port: int, seconds: float) -> dict[str, float]:
    Lean.host = f"http://127.0.0.1:{port}"
    environment = Environment(user_classes=[Lean])
    if state == "on":
        recorder = Recorder(source="bench", origin_us=time_ns() // 1000)
        environment.sample_sink = recorder.record  # type: ignore[attr-defined]
        gevent.spawn(ship, recorder)
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS / WARM_UP_S * 2)
    result = measure(lambda: environment.stats.total.num_requests, WARM_UP_S, seconds)
    runner.quit()
    return result


if __name__ == "__main__":
    _, state, port, seconds = sys.argv
    print(json.dumps(main(state, int(port), float(seconds))))
