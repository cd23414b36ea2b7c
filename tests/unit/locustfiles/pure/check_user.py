"""What a scenario's users are given unless they say otherwise."""

from __future__ import annotations

import time
from dataclasses import fields

import gevent
from locust import User, constant, task
from locust.env import Environment

from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.user import FoundationUser


def test_a_request_times_out_before_its_stopped_user_is_killed() -> None:
    defaults = {field.name: field.default for field in fields(Scenario)}
    stop_timeout_s = defaults["stop_timeout_s"]
    assert isinstance(stop_timeout_s, float)
    assert 0 < FoundationUser.timeout_s < stop_timeout_s


def tasks_begun_after_a_stop(base: type[User]) -> tuple[int, int]:
    """Of five users that all wait when the loop stands still until their waits are over."""
    begun = 0

    class Waiting(base):  # type: ignore[misc, valid-type]
        host = "http://127.0.0.1:1"
        wait_time = constant(0.2)
        start_spread_s = 0.0

        @task
        def begin(self) -> None:
            nonlocal begun
            begun += 1

    environment = Environment(user_classes=[Waiting])
    environment.stop_timeout = 1.0
    runner = environment.create_local_runner()
    runner.start(5, 5)
    deadline_s = time.monotonic() + 10
    while begun < 5 and time.monotonic() < deadline_s:
        gevent.sleep(0.01)
    before = begun
    # Locust's own stop blocks as long: it looks at the sources of its caller's whole stack.
    time.sleep(0.3)
    runner.stop()
    runner.quit()
    return before, begun


def test_a_user_that_wakes_while_it_is_stopped_begins_nothing() -> None:
    before, after = tasks_begun_after_a_stop(LeanHttpUser)
    assert before == after == 5


def test_locusts_own_users_begin_a_request_that_is_cut_off() -> None:
    """The control: when this no longer holds, LeanHttpUser.stop has no reason to be."""
    before, after = tasks_begun_after_a_stop(User)
    assert (before, after) == (5, 10)
