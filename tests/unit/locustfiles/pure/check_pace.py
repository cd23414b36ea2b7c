"""Paced users: their iterations have an intended start, those that think have none."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest
from locust import User, between, constant, constant_pacing, constant_throughput, task
from locust.env import Environment
from locust.user.wait_time import poisson

from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.pace import pace_of
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.scenario_user import ScenarioUser
from results.sample import Sample

PACE_S = 0.1


class Asking(ScenarioUser):
    """Nobody listens: each request fails at once, and is a sample all the same. The third of the
    iterations stands still before its second request."""

    host = "http://127.0.0.1:9"
    wait_time = constant_pacing(PACE_S)

    def on_start(self) -> None:
        gevent.sleep(0.5)
        self.iterations = 0

    @task
    def ask(self) -> None:
        self.iterations += 1
        self.client.get("/", name="/first")
        if self.iterations == 3:
            gevent.sleep(0.35)
        self.client.get("/", name="/second")


def samples_of(kind: type[User], run_s: float) -> list[Sample]:
    environment = Environment(user_classes=[kind])
    runner = environment.create_local_runner()
    plan = RunPlan("run", wall_us(time.perf_counter()), 1, (), ad_hoc=True)
    side = LoadSide(plan, source="x", worker_index=0, users=lambda: 1, ship=lambda k, r: None)
    side.attach(environment)
    samples: list[Sample] = []
    environment.sample_sink = samples.append  # type: ignore[attr-defined]
    runner.start(1, 1)
    gevent.sleep(run_s)
    runner.quit()
    side.detach(environment)
    return samples


def paced(wait: Any) -> type[User]:
    return type("Asking", (Asking,), {"abstract": False, "wait_time": wait})


@pytest.mark.parametrize("wait", [constant_pacing(PACE_S), constant_throughput(1 / PACE_S)])
def test_an_iteration_is_meant_to_start_a_pace_after_the_one_before_it(wait: Any) -> None:
    samples = samples_of(paced(wait), 1.6)
    first = [sample for sample in samples if sample.name == "GET /first"]
    second = [sample for sample in samples if sample.name == "GET /second"]
    assert len(first) > 6
    assert all(sample.intended_us is None for sample in second), "only the iteration's first"
    assert first[0].intended_us is None, "before it there was none"
    late_s = [(s.start_us - s.intended_us) / 1e6 for s in first[1:] if s.intended_us is not None]
    assert len(late_s) == len(first) - 1
    assert min(late_s) >= 0
    assert late_s[0] < 0.3, "what on_start took is no lateness"
    # The third iteration took 0.35 s: the fourth is 0.25 s late, as its corrected latency says.
    fourth = first[3]
    assert fourth.intended_us is not None
    expected_us = first[2].start_us + PACE_S * 1e6
    # The iteration begins a little before its first request does.
    assert abs(fourth.intended_us - expected_us) < 50_000
    assert late_s[2] > 0.2
    # Locust counts its pace from there: what it never sent is not made up for.
    assert late_s[3] < 0.2


def test_what_on_stop_sends_does_not_count_from_an_iteration_that_never_came() -> None:
    class Leaving(Asking):
        wait_time = constant_pacing(30.0)

        def on_stop(self) -> None:
            self.client.get("/", name="/out")

    samples = samples_of(Leaving, 1.0)
    (out,) = (sample for sample in samples if sample.name == "GET /out")
    assert out.intended_us is None
    assert [s.name for s in samples].count("GET /first") == 1, "stopped while it waited"


@pytest.mark.parametrize("wait", [constant(PACE_S), between(0.05, 0.1), poisson(10)])
def test_a_user_that_thinks_has_no_intended_start(wait: Any) -> None:
    samples = samples_of(paced(wait), 0.9)
    assert len(samples) > 2
    assert all(sample.intended_us is None for sample in samples)


def test_a_pace_is_read_from_locusts_own_functions_alone() -> None:
    assert pace_of(constant_pacing(2.5)) == 2.5
    assert pace_of(constant_throughput(4)) == 0.25
    assert pace_of(constant_pacing(0)) is None, "no pace at all"

    def wait_time(user: User) -> float:
        return 1.0

    for other in (wait_time, constant(1), None, 3, lambda user: 1):
        assert pace_of(other) is None


def test_the_wait_itself_is_locusts_own() -> None:
    """With and without the intended start as many iterations are begun."""

    class Plain(User):
        wait_time = constant_pacing(PACE_S)
        began = 0

        def on_start(self) -> None:
            gevent.sleep(0.5)
            self.iterations = 0

        @task
        def ask(self) -> None:
            type(self).began += 1
            self.iterations += 1
            if self.iterations == 3:
                gevent.sleep(0.35)

    environment = Environment(user_classes=[Plain])
    runner = environment.create_local_runner()
    runner.start(1, 1)
    gevent.sleep(1.2)
    runner.quit()
    ours = [s for s in samples_of(paced(constant_pacing(PACE_S)), 1.2) if s.name == "GET /first"]
    assert abs(Plain.began - len(ours)) <= 1
