"""Users as any locustfile has them: nothing of the suite is in it."""

from __future__ import annotations

import random
import time

from locust import FastHttpUser, HttpUser, constant, task


class Browser(HttpUser):
    wait_time = constant(0.05)

    @task(5)
    def browse(self) -> None:
        self.client.get("/")
        self.client.get("/status/404")
        self.client.get(f"/item/{random.randrange(3)}", name="/item/{id}")
        with self.client.get("/", name="marked", catch_response=True) as response:
            response.failure("not what I want")
        with self.client.get("/status/503", name="forgiven", catch_response=True) as response:
            response.success()

    @task
    def think_in_the_block(self) -> None:
        with self.client.get("/", name="slow block", catch_response=True):
            time.sleep(0.3)


class Fast(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def browse(self) -> None:
        self.client.get("/")
        self.client.get("/status/500")
        self.client.get("http://127.0.0.1:1/nobody", name="nobody")
