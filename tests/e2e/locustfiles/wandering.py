"""A LeanHttpUser that asks for whatever WANDERS names: another host, or a redirect to one."""

from __future__ import annotations

import os

from locust import constant, task

from locustfiles.harness import ScenarioUser, judge
from results.check import errors


class Wanderer(ScenarioUser):
    wait_time = constant(0.1)

    @task
    def wander(self) -> None:
        self.client.get(os.environ["WANDERS"], name="away")


judge(checks=[errors()])
