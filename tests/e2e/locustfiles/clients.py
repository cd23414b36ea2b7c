"""Clients of another protocol, which fire Locust's event themselves, beside a LeanHttpUser.

The environment variable CLIENTS names what is particular about them.
"""

from __future__ import annotations

import os
from typing import Any

from locust import User, constant, task

from locustfiles.harness import judge
from locustfiles.harness.http import LeanHttpUser
from results.check import error_rate, latency

CLIENTS = os.environ.get("CLIENTS", "")


class Grpc(User):
    host = "localhost:50051"
    wait_time = constant(0.1)

    @task
    def call(self) -> None:
        request: Any = self.environment.events.request
        told: dict[str, Any] = {"request_type": "grpc", "response_length": 3, "context": {}}
        told["response_time"] = None if CLIENTS == "untimed" else 7
        request.fire(name="/shop.Shop/Buy", exception=None, **told)
        request.fire(name="/shop.Shop/Pay", exception=TimeoutError("deadline"), **told)


class Lean(LeanHttpUser):
    host = os.environ["TARGET"]
    wait_time = constant(0.1)

    @task
    def ask(self) -> None:
        self.client.get("/lean")


checks = [error_rate(below=0.9)]
if CLIENTS != "no_latency":
    checks.append(latency(quantile=0.99, below_ms=5_000))
judge(checks=checks)
