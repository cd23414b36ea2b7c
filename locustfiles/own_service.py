"""A service of your own, wherever it runs: one page, and a burst of five times the usual users.

Question: does the service hold a burst, and is it as quick as before when the burst is over?
Workload: closed; a user thinks 0.5 to 1.5 s between two requests.
Shape: 10 users for 60 s; +40 for 20 s from 20 s.
Roles: none; any HTTP service, named with --host.
Faults: none.
Passes when: errors < 1 % in the run and in each phase, p99 < 500 ms in each phase.
"""

from pathlib import Path

from locust import between, task

from locustfiles.harness import Scenario, ScenarioUser, strap_in
from results.check import error_rate, latency
from shapes.locust_shape import PhasedShape
from shapes.profile import at, burst, overlay, steady


class Peak(PhasedShape):
    profile = overlay(steady(10, 60), at(20, burst(40, 20)))


class Guest(ScenarioUser):
    wait_time = between(0.5, 1.5)

    @task
    def front_page(self) -> None:
        self.client.get("/")


here = Path(__file__).parent
quick = latency(quantile=0.99, below_ms=500, window="phase:*")
held = (error_rate(below=0.01), error_rate(below=0.01, window="phase:*"), quick)
strap_in(
    Scenario(id="own_service", tier="own", users=(Guest,), shape=Peak, checks=held, source_dir=here)
)
