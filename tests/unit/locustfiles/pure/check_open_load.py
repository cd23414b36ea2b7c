"""What an open load is refused for before it begins, and what it plans."""

from __future__ import annotations

from typing import Any

import pytest
from locust import SequentialTaskSet, TaskSet, User, constant, task
from locust.env import Environment

from locustfiles.harness.arrivals.arrival_user import ArrivalUser, FoundationArrivalUser
from locustfiles.harness.arrivals.arrivals_so_far import ArrivalsSoFar
from locustfiles.harness.arrivals.lateness import MAX_KEPT, Lateness
from locustfiles.harness.arrivals.open_load import (
    most_sessions,
    planned_arrivals,
    refuse_ad_hoc,
    require_sound_arrivals,
    require_sound_checks,
)
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.target.target import Node
from results.arrival import ArrivalsNow, Unsent
from results.check import achieved, unsent
from results.recorder import Recorder
from results.sample import Sample
from results.timeline import Health
from shapes.load import Load, load_of
from shapes.profile import Profile, per_s, ramp, steady


class Buyer(ArrivalUser):
    host = "http://127.0.0.1:9"

    @task
    def buy(self) -> None: ...


class Reader(LeanHttpUser):
    @task
    def read(self) -> None: ...


def buyer(**settings: Any) -> type[ArrivalUser]:
    return type("Buyer", (Buyer,), {"abstract": False, **settings})


def load(**profiles: Profile) -> Load:
    return load_of(profiles, dict.fromkeys(profiles, 1), {})


ARRIVALS = steady(per_s(10), 2)
USERS = steady(3, 2)


class Steps(TaskSet):
    @task
    def step(self) -> None: ...


class Order(SequentialTaskSet):
    @task
    def first(self) -> None: ...


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tasks": [Steps]}, "TaskSet Steps"),
        ({"tasks": [Buyer.buy, Order]}, "TaskSet Order"),
        ({"wait_time": constant(1)}, "wait_time"),
        ({"fixed_count": 2}, "fixed_count"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"max_sessions": -1}, "max_sessions"),
        ({"max_sessions": 2.5}, "whole numbers"),
        ({"max_sessions": True}, "whole numbers"),
        ({"max_sessions": "9"}, "whole numbers"),
        ({"min_sessions": 5, "max_sessions": 4}, "min_sessions"),
        ({"min_sessions": -1}, "min_sessions"),
        ({"spacing": "random"}, "spacing"),
    ],
)
def test_a_class_whose_sessions_could_not_serve_is_refused_with_the_remedy(
    settings: dict[str, Any], says: str
) -> None:
    require_sound_arrivals(load(Buyer=ARRIVALS), [buyer()])
    with pytest.raises(BadConfiguration, match=says):
        require_sound_arrivals(load(Buyer=ARRIVALS), [buyer(**settings)])


def test_a_class_without_tasks_is_refused() -> None:
    class Idle(ArrivalUser):
        host = "http://127.0.0.1:9"

    with pytest.raises(BadConfiguration, match="@task"):
        require_sound_arrivals(load(Idle=ARRIVALS), [Idle])


def test_a_nested_task_set_is_refused_too() -> None:
    class Nested(Buyer):
        @task
        class Inner(TaskSet):
            @task
            def step(self) -> None: ...

    with pytest.raises(BadConfiguration, match="TaskSet Inner"):
        require_sound_arrivals(load(Nested=ARRIVALS), [Nested])


def test_arrivals_of_a_class_that_does_not_arrive_are_refused() -> None:
    with pytest.raises(BadConfiguration, match="is no ArrivalUser"):
        require_sound_arrivals(load(Reader=ARRIVALS), [Reader])


def test_users_of_a_class_that_arrives_are_refused() -> None:
    with pytest.raises(BadConfiguration, match="profile plans users"):
        require_sound_arrivals(load(Buyer=USERS), [Buyer])


def test_checks_that_the_load_could_not_meet_are_refused() -> None:
    mixed = load(Buyer=ARRIVALS, Reader=USERS)
    for good, checks, endpoint in (
        (load(Buyer=ARRIVALS), [unsent(at_most=0), achieved(at_least=0.9)], None),
        (mixed, [unsent(at_most=0), achieved(at_least=0.9)], "GET /read"),
        (mixed, [achieved(at_least=0.9, endpoint="GET /read")], None),
        (load(Reader=USERS), [achieved(at_least=0.9)], None),
    ):
        require_sound_checks(good, checks, endpoint)
    with pytest.raises(BadConfiguration, match="counts arrivals"):
        require_sound_checks(load(Reader=USERS), [unsent(at_most=0)], None)
    with pytest.raises(BadConfiguration, match="endpoint"):
        require_sound_checks(mixed, [achieved(at_least=0.9)], None)


def test_planned_arrivals_are_those_of_the_sequence_by_second_and_class() -> None:
    both = load_of(
        {"Buyer": ramp(per_s(0), per_s(10), 4), "Reader": steady(2, 6)},
        {"Buyer": 1, "Reader": 1},
        {},
    )
    found = planned_arrivals(both, [Buyer, Reader], seed=1)
    assert found == {"Buyer": (1, 4, 6, 9, 0, 0)}
    poisson = planned_arrivals(load(Buyer=steady(per_s(50), 4)), [buyer(spacing="poisson")], seed=1)
    again = planned_arrivals(load(Buyer=steady(per_s(50), 4)), [buyer(spacing="poisson")], seed=2)
    assert poisson != again and 100 < sum(poisson["Buyer"]) < 300


def test_sessions_of_all_classes_count_for_the_descriptors() -> None:
    profile = steady(per_s(10), 2)
    two = load_of(profile, {"Buyer": 1, "Other": 1}, {})
    other = type("Other", (Buyer,), {"abstract": False, "max_sessions": 30})
    assert most_sessions(two, [buyer(max_sessions=12), other, Reader]) == 42


def test_an_ad_hoc_run_of_a_class_that_arrives_is_refused() -> None:
    users: list[type[User]] = [Reader]
    assert refuse_ad_hoc(users) is None
    said = refuse_ad_hoc([*users, Buyer])
    assert said is not None and said.startswith("Buyer: ")


def test_foundations_arrivals_have_its_nodes() -> None:
    class Shopper(FoundationArrivalUser):
        @task
        def shop(self) -> None:
            asked.append((self.arrival, self.foundation, self.client.intended_us))

    asked: list[tuple[int | None, object, int | None]] = []
    nodes = (
        Node("node-1", "http://127.0.0.1:9", ("gateway",)),
        Node("node-2", "http://127.0.0.1:10", ("app",)),
    )
    environment = Environment(user_classes=[Shopper])
    plan = RunPlan("run", 0, 1, nodes)
    side = LoadSide(plan, source="x", worker_index=0, users=lambda: 0, ship=lambda k, r: None)
    side.attach(environment)
    shopper = Shopper(environment)
    assert shopper.origins == ("http://127.0.0.1:10",), "those with the role that it loads"
    shopper.serve(7, 99)
    side.detach(environment)
    assert asked == [(7, shopper.foundation, 99)]
    require_sound_arrivals(load(Shopper=ARRIVALS), [Shopper])


# What it is measured by


def test_lateness_is_the_99th_percentile_and_the_most_since_the_last_line() -> None:
    lateness = Lateness()
    assert lateness.take() is None
    for late_us in range(1_000, 101_000, 1_000):
        lateness.add(late_us)
    assert lateness.take() == (99.0, 100.0)
    lateness.add(-5)
    assert lateness.take() == (0.0, 0.0), "clocks may differ by microseconds"


def test_lateness_keeps_a_bounded_number_and_the_true_maximum() -> None:
    lateness = Lateness()
    for _ in range(MAX_KEPT):
        lateness.add(1_000)
    for _ in range(MAX_KEPT // 10):
        lateness.add(9_000_000)
    assert lateness.take() == (1.0, 9_000.0)


def test_the_progress_line_counts_arrivals_of_all_processes_that_are_heard() -> None:
    shown = ArrivalsSoFar()
    for source, seconds in (("w1", (0, 1)), ("w2", (0, 1, 2))):
        recorder = Recorder(source=source, origin_us=0)
        for second in seconds:
            recorder.arrival("Buyer", second * 1_000_000)
            recorder.arrival("Buyer", second * 1_000_000 + 5, unsent=Unsent.NO_SESSION)
        recorder.close()
        for report in recorder.reports():
            if report is not None:
                shown.take_second(report)
    shown.take_health(Health(2.0, "w1", {"sessions": 5.0, "sessions_busy": 2.0}))
    shown.take_health(Health(2.0, "w2", {"sessions": 6.0, "sessions_busy": 6.0}))
    shown.take_health(Health(2.0, "master", {"cpu_percent": 5.0}))
    assert shown.at(2) == ArrivalsNow(rate_per_s=4.0, sessions=11, busy=8, unsent=5)
    assert shown.at(9) == ArrivalsNow(rate_per_s=2.0, sessions=0, busy=0, unsent=5), "not heard"


# The one attribute of the session


def test_the_next_request_takes_the_intended_start_unless_it_brings_its_own() -> None:
    samples: list[Sample] = []
    environment = Environment(user_classes=[Reader])
    environment.sample_sink = samples.append  # type: ignore[attr-defined]
    user = type("Reader", (Reader,), {"host": "http://127.0.0.1:9"})(environment)
    user.client.intended_us = 5
    user.client.get("/", intended_us=7)
    assert user.client.intended_us == 5
    user.client.get("/")
    user.client.get("/")
    assert [sample.intended_us for sample in samples] == [7, 5, None]
