"""A worker that was away when its run ended ends it on its own, once, and is ready for the next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from locust.runners import STATE_INIT, STATE_RUNNING

from locustfiles.harness import fault_healed, note
from locustfiles.harness.distribution.beat import ANSWER, EPOCHS
from locustfiles.harness.distribution.worker import FINISHED, OVER, REPORT, Worker
from locustfiles.harness.http.clock import own_wall_us, shift
from locustfiles.harness.notes import close_desk, open_desk
from locustfiles.harness.plan import ATTRIBUTE
from results.note import MAX_NOTES
from tests.unit.locustfiles.pure.check_crew import worker_runner


def made() -> Any:
    return worker_runner()


class Master:
    """A worker in the run `one`, and what its master's answers make of that."""

    def __init__(self) -> None:
        self.runner = made()
        self.runner.master_host, self.runner.master_port = "127.0.0.1", 5557
        self.runner.worker_state = STATE_RUNNING
        self.stops = 0
        self.runner.stop = self._stop
        self.orders: list[str] = []
        self.runner.handle_message = lambda msg: self.orders.append(msg.data["host"])
        self.worker = Worker(self.runner.environment, self.runner)
        self.worker.loss.greeted("m")
        in_run: Any = SimpleNamespace(plan=SimpleNamespace(run_id="one"))
        self.worker._load_side = in_run

    def _stop(self) -> None:
        self.stops += 1

    def orders_users(self, run_id: str, order: str) -> None:
        """A spawn message; `order` is for the tests to tell it from others."""
        data = {"host": order, "parsed_options": {ATTRIBUTE: {"run_id": run_id}}}
        self.runner.handle_message(SimpleNamespace(type="spawn", data=data))

    def tells_epochs(self, run_id: str) -> None:
        listener, _ = self.runner.custom_messages[EPOCHS]
        data = {"run_id": run_id, "epochs": []}
        listener(environment=self.runner.environment, msg=SimpleNamespace(data=data))

    def says_over(self, run_id: str) -> None:
        listener, _ = self.runner.custom_messages[OVER]
        msg = SimpleNamespace(data={"run_id": run_id})
        listener(environment=self.runner.environment, msg=msg)

    def answers(self, run_id: str | None) -> None:
        now_us = own_wall_us()
        times = {"t0_us": now_us, "t1_us": now_us, "t2_us": now_us}
        data: dict[str, Any] = {**times, "lease_s": 3.0, "master": "m", "run_id": run_id}
        data["epochs"] = []
        listener, _ = self.runner.custom_messages[ANSWER]
        listener(environment=self.runner.environment, msg=SimpleNamespace(data=data))
        gevent.sleep(0.01)


@pytest.mark.parametrize("master_runs", [None, "two"], ids=["nothing", "another"])
def test_a_run_that_is_over_at_the_master_ends_here_once(master_runs: str | None) -> None:
    master = Master()
    try:
        master.answers("one")
        assert master.stops == 0 and master.runner.worker_state == STATE_RUNNING
        master.answers(master_runs)
        master.answers(master_runs)
        assert master.stops == 1
        assert master.runner.worker_state == STATE_INIT, "or the next run would not begin"
    finally:
        master.runner.greenlet.kill()
        shift(0)


def test_a_worker_ships_and_says_that_it_is_done_also_when_its_arrivals_do_not_end() -> None:
    master = Master()
    did: list[str] = []

    def stuck(timeout_s: float) -> None:
        raise gevent.Timeout(timeout_s)

    in_run: Any = SimpleNamespace(
        plan=SimpleNamespace(run_id="one"),
        recorder=SimpleNamespace(sequence=3),
        ledger=SimpleNamespace(sequence=2),
        drain=stuck,
        finish=lambda: did.append("shipped"),
        detach=lambda environment: did.append("detached"),
    )
    master.worker._load_side = in_run
    said: list[tuple[str, Any]] = []
    master.runner.send_message = lambda kind, data: said.append((kind, data))
    try:
        with pytest.raises(gevent.Timeout):
            master.worker.finish()
        assert did == ["shipped", "detached"]
        ((kind, data),) = said
        assert kind == FINISHED
        assert (data["run_id"], data["sent"], data["writes"]) == ("one", 3, 2)
    finally:
        master.runner.greenlet.kill()
        shift(0)


def test_a_fault_may_heal_from_the_loads_end_until_the_master_says_that_the_run_is_over() -> None:
    """The master waits for it, as it would for one of its own process."""
    master = Master()
    plan: Any = SimpleNamespace(run_id="one")
    in_run: Any = SimpleNamespace(
        plan=plan,
        recorder=SimpleNamespace(sequence=0),
        ledger=SimpleNamespace(sequence=0),
        drain=lambda timeout_s: None,
        finish=lambda: None,
        detach=lambda environment: None,
    )
    master.worker._load_side, master.worker._plan = in_run, plan
    said: list[tuple[str, Any]] = []
    master.runner.send_message = lambda kind, data: said.append((kind, data))
    open_desk(master.worker._ship, lambda: 6.0)
    try:
        for _ in range(MAX_NOTES + 3):
            note("there are many of these")
        said.clear()
        master.worker.finish()
        assert [data.get("report") for _, data in said] == [{"count": 3}, None]
        fault_healed("kill-1")
        master.says_over("another")
        fault_healed("kill-2")
        shipped = [(kind, data["run_id"], data["report"]) for kind, data in said[2:]]
        assert shipped == [
            (REPORT, "one", {"t_s": 6.0, "id": "kill-1"}),
            (REPORT, "one", {"t_s": 6.0, "id": "kill-2"}),
        ]
        master.says_over("one")
        with pytest.raises(LookupError, match="none goes on"):
            fault_healed("kill-3")
        assert len(said) == 4
    finally:
        close_desk()
        master.runner.greenlet.kill()
        shift(0)


def test_outside_of_a_run_there_is_nothing_to_end() -> None:
    master = Master()
    master.worker._load_side = None
    try:
        master.answers(None)
        master.answers("two")
        assert master.stops == 0
    finally:
        master.runner.greenlet.kill()
        shift(0)


def test_users_that_are_ordered_for_a_run_that_is_over_are_not_started() -> None:
    """Nobody would record them, and nobody would end them."""
    master = Master()
    try:
        master.orders_users("one", "before the master has told of a run")
        master.answers("one")
        master.orders_users("one", "in it")
        master.answers(None)
        master.orders_users("one", "after the master's answer")
        master.answers("one")
        master.orders_users("one", "after it has ended here")
        master.tells_epochs("two")
        master.orders_users("one", "of the run before")
        master.orders_users("two", "in the next")
        assert master.orders == ["in it", "in the next"]
    finally:
        master.runner.greenlet.kill()
        shift(0)


def test_users_that_are_ordered_while_their_run_is_ended_here_are_not_started() -> None:
    master = Master()
    try:
        master.answers("one")
        plan: Any = SimpleNamespace(run_id="one")
        master.worker._plan = plan
        finish: Any = SimpleNamespace(data={"run_id": "one"})
        master.worker._on_finish(master.runner.environment, finish)
        assert master.stops == 1
        master.orders_users("one", "late")
        assert master.orders == []
    finally:
        master.runner.greenlet.kill()
        shift(0)
