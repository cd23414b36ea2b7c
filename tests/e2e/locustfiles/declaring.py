"""Three of Locust's clients that declare their writes, against a target that decides their fate.

Each user's last write hangs, after as many rounds of the other ways as ROUNDS says.
"""

from __future__ import annotations

import os
import random
from typing import Any
from uuid import uuid4

from locust import FastHttpUser, HttpUser, constant, task

from locustfiles.harness import judge
from locustfiles.harness.http import LeanHttpUser
from results.check import error_rate
from tests.e2e.deciding_target import HANG, WAYS

TARGET = os.environ["TARGET"]
BEFORE_THE_END = [way for way in WAYS if way != HANG] * int(os.environ["ROUNDS"])


class Ways:
    """What becomes of a user's writes, one after the other; the last one hangs."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._ways = iter(BEFORE_THE_END)

    def path_of(self, id: object) -> str:
        return f"/{self._client}/{next(self._ways, HANG)}/{id}"


class Lean(LeanHttpUser):
    host = TARGET
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.ways = Ways("lean")

    @task
    def write(self) -> None:
        key = uuid4()
        with self.client.post(
            self.ways.path_of(key), write_id=key.bytes, digest=key.bytes[:8], catch_response=True
        ) as response:
            if response.status_code == 201 and random.random() < 0.3:
                response.failure("a check does not take an acknowledgement back")


class Requests(HttpUser):
    host = TARGET
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.ways = Ways("requests")

    @task
    def write(self) -> None:
        key = uuid4()
        named: dict[str, Any] = {"write_id": key, "digest": key.bytes[:8]}
        self.client.post(self.ways.path_of(key), context=named)


class Fast(FastHttpUser):
    host = TARGET
    wait_time = constant(0.05)

    def on_start(self) -> None:
        self.ways = Ways("fast")

    @task
    def write(self) -> None:
        key = uuid4()
        named: dict[str, Any] = {"write_id": str(key), "digest": key.bytes[:8]}
        self.client.post(self.ways.path_of(key), context=named)


judge(checks=[error_rate(below=0.999)])
