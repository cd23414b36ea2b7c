"""Arrivals on real sessions: at their times, once each, never beyond the lease, none in silence."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from locust import task
from locust.env import Environment
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopUser,
)

from locustfiles.harness.arrivals import session_pool
from locustfiles.harness.arrivals.arrival_user import ArrivalUser
from locustfiles.harness.arrivals.own_share import OwnShare, WholeShare
from locustfiles.harness.arrivals.scheduler import Scheduler, sequence_of
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.plan import RunPlan
from results.arrival import ArrivalSecond, ArrivalTally
from results.recorder import Recorder
from shapes.epoch import Epoch, Epochs
from shapes.profile import Piecewise, per_s, steady

SEED = 5
LIMIT_S = 10.0


class Visitor(ArrivalUser):
    """Its tasks note who served which arrival; `takes_s` is how long each takes."""

    host = "http://127.0.0.1:9"
    takes_s = 0.0
    served: list[tuple[int, int]]
    ended: list[int]

    def on_start(self) -> None:
        """No connections: nobody listens."""

    def on_stop(self) -> None:
        type(self).ended.append(self.number)

    @task
    def visit(self) -> None:
        assert self.arrival is not None
        type(self).served.append((self.arrival, self.number))
        if self.takes_s:
            gevent.sleep(self.takes_s)


def visitor(**settings: Any) -> type[Visitor]:
    """A class of its own, so that tests share nothing."""
    fresh = {"served": [], "ended": [], "abstract": False, **settings}
    return type("Visitor", (Visitor,), fresh)


class Share:
    """A worker's share, of which a test says what the master says."""

    def __init__(self, worker: str, *epochs: Epoch, until_us: int | None = None) -> None:
        self.worker = worker
        self.epochs = Epochs(epochs)
        self.until_us = until_us

    def lease_until_us(self) -> int | None:
        return self.until_us


class Process:
    """One process's load side with its scheduler, whose second 0 is `ahead_s` from now."""

    def __init__(
        self,
        kind: type[ArrivalUser],
        profile: Piecewise,
        share: OwnShare | None = None,
        *,
        ahead_s: float = 0.1,
    ) -> None:
        self.kind, self.profile = kind, profile
        origin_us = wall_us(time.perf_counter()) + int(ahead_s * 1e6)
        self.environment = Environment(user_classes=[kind])
        plan = RunPlan("run", origin_us, SEED, ())
        self.side = LoadSide(
            plan,
            source="local",
            worker_index=0,
            users=lambda: 0,
            ship=lambda kind, report: None,
        )
        self.side.attach(self.environment)
        self.recorder: Recorder = self.side.recorder
        self.scheduler = Scheduler(
            self.environment,
            self.recorder,
            share or WholeShare(),
            {kind: profile},
            seed=SEED,
            origin_us=origin_us,
            failed=self.side.user_failed,
        )
        self.scheduler.start()

    def until(self, run_s: float) -> None:
        """Run time reaches that."""
        gevent.sleep(max(0.0, run_s - self.side.elapsed_s()))

    def end(self, timeout_s: float = 2.0) -> ArrivalSecond:
        """Stop, and give what became of all arrivals."""
        self.scheduler.close()
        self.scheduler.finish(timeout_s)
        self.side.detach(self.environment)
        self.recorder.close()
        total = ArrivalTally()
        for report in self.recorder.reports():
            if report is not None:
                for arrived in report.arrivals.values():
                    total.add(arrived)
        return total.second()

    def planned(self) -> list[tuple[int, int]]:
        return list(sequence_of(self.kind, self.profile, SEED))


def indices(kind: type[Visitor]) -> list[int]:
    return [index for index, _ in kind.served]


def poll(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        gevent.sleep(0.01)


def test_every_arrival_is_served_once_and_in_order_by_the_session_that_is_still_warm() -> None:
    kind = visitor()
    process = Process(kind, steady(per_s(50), 0.5))
    process.until(0.6)
    found = process.end()
    assert found == ArrivalSecond(started=25, completed=25)
    assert indices(kind) == list(range(25))
    ((_, most),) = Counter(number for _, number in kind.served).most_common(1)
    assert most >= 20, "a machine that stands still a moment needs another session for that moment"
    assert sorted(kind.ended) == sorted({number for _, number in kind.served})


def test_none_starts_before_its_time_and_lateness_is_measured() -> None:
    kind = visitor()
    began: dict[int, float] = {}
    process = Process(kind, steady(per_s(40), 0.5))

    def note(user: Visitor) -> None:
        assert user.arrival is not None
        began[user.arrival] = process.side.elapsed_s()

    kind.tasks = [note]
    process.until(0.6)
    lateness = process.scheduler.lateness.take()
    process.end()
    late_s = [began[index] - t_us / 1e6 for index, t_us in process.planned()]
    assert min(late_s) >= 0
    assert lateness is not None
    p99_ms, most_ms = lateness
    assert 0 < p99_ms <= most_ms <= max(late_s) * 1000 + 0.001
    assert process.scheduler.lateness.take() is None, "nothing since then"


def test_busy_sessions_are_joined_by_others_up_to_the_limit_and_the_rest_is_unsent() -> None:
    kind = visitor(takes_s=30.0, max_sessions=7)
    process = Process(kind, steady(per_s(100), 0.2))
    process.until(0.3)
    figures = process.scheduler.figures()
    assert figures == {"sessions": 7, "sessions_busy": 7}
    found = process.end(timeout_s=0.1)
    assert found == ArrivalSecond(started=7, completed=0, unsent={"no_session": 13})
    assert sorted(kind.ended) == list(range(7)), "on_stop runs also where tasks were cancelled"


def test_a_worker_has_its_share_of_the_limit_rounded_up() -> None:
    kind = visitor(takes_s=30.0, max_sessions=7)
    share = Share("b", Epoch(0, 0, ("a", "b")))
    process = Process(kind, steady(per_s(100), 0.2), share)
    process.until(0.3)
    assert process.end(timeout_s=0.1).started == 4


def test_two_workers_serve_what_one_would_through_a_change_of_epoch() -> None:
    profile = steady(per_s(100), 0.6)
    epochs = (Epoch(0, 0, ("a", "b")), Epoch(1, 250_000, ("b",)), Epoch(2, 400_000, ("b", "a")))
    kinds = {name: visitor() for name in "ab"}
    processes = {name: Process(kinds[name], profile, Share(name, *epochs)) for name in "ab"}
    for process in processes.values():
        process.until(0.7)
    found = {name: process.end() for name, process in processes.items()}
    whole = Epochs(epochs)
    for name, kind in kinds.items():
        own = [i for i, t_us in processes[name].planned() if whole.owner(i, t_us) == name]
        assert indices(kind) == own
    assert found["a"].started + found["b"].started == 60


def test_without_a_lease_nothing_starts_and_coming_back_late_sends_nothing_late() -> None:
    kind = visitor()
    share = Share("a", Epoch(0, 0, ("a",)), until_us=300_000)
    process = Process(kind, steady(per_s(100), 2.4), share)
    process.until(0.8)
    assert indices(kind) == list(range(30)), "those before the lease's end"
    # Meanwhile others have taken over, and it is among them again.
    share.epochs.add(Epoch(1, 600_000, ("b",)))
    share.epochs.add(Epoch(2, 2_000_000, ("a",)))
    process.until(1.9)
    share.until_us = None
    process.until(2.5)
    found = process.end()
    assert found == ArrivalSecond(started=70, completed=70, unsent={"late": 30})
    assert indices(kind) == [*range(30), *range(200, 240)]


def test_a_lease_that_is_renewed_in_time_changes_nothing() -> None:
    kind = visitor()
    share = Share("a", Epoch(0, 0, ("a",)), until_us=100_000)
    process = Process(kind, steady(per_s(50), 0.6), share)
    for tenth in range(1, 7):
        process.until(tenth / 10 - 0.05)
        share.until_us = tenth * 100_000 + 100_000
    process.until(0.7)
    assert process.end() == ArrivalSecond(started=30, completed=30)


def test_a_run_that_ends_without_a_lease_decides_on_nothing_more() -> None:
    kind = visitor()
    share = Share("a", Epoch(0, 0, ("a",)), until_us=100_000)
    process = Process(kind, steady(per_s(100), 0.4), share)
    process.until(0.4)
    assert process.end() == ArrivalSecond(started=10, completed=10)


def test_a_worker_waits_for_its_first_epoch() -> None:
    kind = visitor()
    share = Share("a", until_us=None)
    process = Process(kind, steady(per_s(50), 0.4))
    process.end()
    late = Process(visitor(), steady(per_s(50), 0.4), share)
    late.until(0.2)
    share.epochs.add(Epoch(0, 0, ("a",)))
    late.until(0.5)
    assert late.end() == ArrivalSecond(started=20, completed=20), "within a second of their times"


def test_one_that_joins_late_goes_past_what_was_before_it() -> None:
    kind = visitor()
    share = Share("b", Epoch(0, 0, ("a",)), Epoch(1, 100_300_000, ("b",)))
    process = Process(kind, steady(per_s(1000), 101), share, ahead_s=-100.0)
    process.until(101.1)
    found = process.end()
    assert found.offered == 700
    assert found.unsent.get("late", 0) == 0
    assert indices(kind)[0] == 100_300


def test_what_is_due_when_the_run_is_stopped_is_unsent_and_not_begun() -> None:
    kind = visitor()
    process = Process(kind, steady(per_s(100), 5))
    process.until(0.2)
    # The loop stands still, so that arrivals become due that nobody looked at.
    began_s = time.monotonic()
    while time.monotonic() - began_s < 0.3:
        pass
    process.scheduler.close()
    found = process.end()
    assert found.started == len(kind.served) <= 25
    assert found.unsent.keys() == {"stopped"}
    assert found.unsent["stopped"] >= 25


def test_what_is_in_flight_may_end_within_the_timeout() -> None:
    kind = visitor(takes_s=0.3)
    process = Process(kind, steady(per_s(50), 0.2))
    process.until(0.25)
    assert process.end(timeout_s=5.0) == ArrivalSecond(started=10, completed=10)


def logs_in_for(seconds: float) -> Callable[[Visitor], None]:
    def on_start(user: Visitor) -> None:
        gevent.sleep(seconds)

    return on_start


def test_a_session_that_is_not_ready_in_time_is_no_lateness_of_the_generator() -> None:
    kind = visitor(on_start=logs_in_for(1.2), max_sessions=1)
    process = Process(kind, steady(per_s(5), 1.6))
    process.until(1.7)
    lateness = process.scheduler.lateness.take()
    found = process.end()
    assert found.unsent["session_late"] == 1, "the one that the session was made for"
    assert "late" not in found.unsent
    assert found.started == len(kind.served) >= 1, "those after it"
    assert lateness is not None and lateness[1] < 1_000, "the target's time is not in it"


def test_what_was_handed_over_before_the_end_may_begin_a_second_after_its_time() -> None:
    kind = visitor(on_start=logs_in_for(0.4))
    process = Process(kind, steady(per_s(20), 0.3))
    process.until(0.31)
    assert process.end(timeout_s=5.0) == ArrivalSecond(started=6, completed=6)


def test_a_session_that_is_cancelled_before_it_is_ready_says_what_kept_its_arrival() -> None:
    kind = visitor(on_start=logs_in_for(30))
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.25)
    assert process.end(timeout_s=0.1).unsent == {"stopped": 4}
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.25)
    assert process.end(timeout_s=1.3).unsent == {"session_late": 4}


def test_a_broken_sequence_voids_the_run_instead_of_ending_it_in_silence() -> None:
    class Broken:
        def lines(self) -> list[Any]:
            return [object()]

    kind = visitor()
    process = Process(kind, steady(per_s(10), 0.1))
    process.end()
    broken = Process(kind, Broken())  # type: ignore[arg-type]
    poll(lambda: "recorder_failures" in broken.scheduler.figures())
    assert broken.scheduler.figures()["recorder_failures"] == 1
    broken.end()


def test_making_a_user_may_fail_too() -> None:
    def broken(self: Visitor, environment: Environment) -> None:
        raise LookupError("seeded")

    kind = visitor(__init__=broken)
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.3)
    found = process.end()
    assert found.unsent == {"session_failed": 4}
    assert process.side.user_errors == 4


@pytest.mark.parametrize("error", [gevent.Timeout(0.01), SystemExit(1), KeyError("seeded")])
def test_whatever_a_task_raises_is_counted_and_ends_the_task_alone(error: BaseException) -> None:
    def fail(user: Visitor) -> None:
        if user.arrival == 1:
            raise error

    kind = visitor(max_sessions=1)
    kind.tasks = [fail]
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.3)
    found = process.end()
    assert found == ArrivalSecond(started=4, completed=4)
    assert process.side.user_errors == 1
    assert kind.ended == [0], "the session lives on"


def test_a_timeout_that_strikes_outside_of_a_task_is_counted_too() -> None:
    def on_start(user: Visitor) -> None:
        raise gevent.Timeout(0.01)

    kind = visitor(on_start=on_start)
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.3)
    assert process.end().unsent == {"session_failed": 4}
    assert process.side.user_errors == 4


@pytest.mark.parametrize(
    "leave", [RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet], ids=lambda e: e.__name__
)
def test_locusts_ways_to_leave_a_task_are_no_errors(leave: type[Exception]) -> None:
    def go(user: Visitor) -> None:
        raise leave

    kind = visitor(max_sessions=1)
    kind.tasks = [go]
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.3)
    assert process.end() == ArrivalSecond(started=4, completed=4)
    assert process.side.user_errors == 0
    assert kind.ended == [0], "the session lives on"


def test_an_on_stop_that_takes_too_long_does_not_keep_the_end_from_coming(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_pool, "KILL_TIMEOUT_S", 0.2)

    def linger(user: Visitor) -> None:
        gevent.sleep(30)

    kind = visitor(takes_s=30.0, on_stop=linger)
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.25)
    assert process.end(timeout_s=0.1) == ArrivalSecond(started=4, completed=0)
    assert "4 session(s) of Visitor did not end" in caplog.text
    poll(lambda: process.scheduler.figures()["sessions"] == 0)


def test_an_exception_of_on_stop_is_counted() -> None:
    def broken(self: Visitor) -> None:
        raise OSError("seeded")

    kind = visitor(on_stop=broken)
    process = Process(kind, steady(per_s(20), 0.2))
    process.until(0.3)
    assert process.end().completed == 4
    assert process.side.user_errors == 1


def test_a_stopped_session_is_replaced_and_its_arrival_is_complete() -> None:
    def leave(user: Visitor) -> None:
        raise StopUser

    kind = visitor(max_sessions=1)
    kind.tasks = [leave]
    process = Process(kind, steady(per_s(20), 0.5))
    process.until(0.6)
    assert process.end() == ArrivalSecond(started=10, completed=10)
    assert len(kind.ended) == 10


# The same choices in every process


def served_by(kind: type[ArrivalUser], *arrivals: int) -> list[tuple[str, float]]:
    """What a fresh session does for these arrivals, one after the other."""
    did: list[tuple[str, float]] = []
    environment = Environment(user_classes=[kind])
    plan = RunPlan("run", 0, SEED, ())
    side = LoadSide(plan, source="x", worker_index=3, users=lambda: 0, ship=lambda k, r: None)
    side.attach(environment)
    try:
        user = kind(environment)
        kind.did = did  # type: ignore[attr-defined]
        for arrival in arrivals:
            user.serve(arrival, 1)
            assert user.client.intended_us is None, "no request took it, and the next must not"
    finally:
        side.detach(environment)
    return did


class Chooser(ArrivalUser):
    host = "http://127.0.0.1:9"
    did: list[tuple[str, float]]

    @task(3)
    def often(self) -> None:
        self.did.append(("often", self.random.random()))

    @task(1)
    def seldom(self) -> None:
        self.did.append(("seldom", self.random.random()))


def test_task_and_random_data_are_a_function_of_seed_and_index() -> None:
    forwards = served_by(Chooser, *range(200))
    backwards = served_by(Chooser, *reversed(range(200)))
    assert forwards == backwards[::-1], "whatever the session did before"
    assert served_by(Chooser, 7) == [forwards[7]]
    assert len({value for _, value in forwards}) == 200


def test_tasks_are_chosen_by_their_weights() -> None:
    counts = Counter(did for did, _ in served_by(Chooser, *range(2_000)))
    # 1,500 and 500 with a deviation of 19: five of them.
    assert abs(counts["often"] - 1_500) < 100
    assert counts["often"] + counts["seldom"] == 2_000


def test_a_session_that_draws_nothing_is_not_seeded() -> None:
    """Seeding costs more than all else of an arrival."""
    kind = visitor()
    environment = Environment(user_classes=[kind])
    plan = RunPlan("run", 0, SEED, ())
    side = LoadSide(plan, source="x", worker_index=0, users=lambda: 0, ship=lambda k, r: None)
    side.attach(environment)
    user = kind(environment)
    user.serve(3, 1)
    before = user._random.getstate()
    assert user._random.getstate() == before
    user.random.random()
    assert user._random.getstate() != before
    side.detach(environment)
