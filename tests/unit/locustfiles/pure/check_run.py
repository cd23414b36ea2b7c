"""The parts of a run that need no Locust process: plan, seconds, spread, limits, progress."""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gevent
import msgpack
import pytest
from locust.env import Environment

from locustfiles.harness.arrivals.lateness import Lateness
from locustfiles.harness.console import Console
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.limit import (
    check_descriptors,
    needed_descriptors,
    require_descriptors,
)
from locustfiles.harness.load_side import SAMPLE_SINK, LoadSide, first_request_delay_s
from locustfiles.harness.plan import ATTRIBUTE, RunPlan
from locustfiles.harness.run import Run
from locustfiles.harness.run_book import Moment
from locustfiles.harness.scenario import Cluster
from locustfiles.harness.target.target import Node, with_role
from results.sample import Outcome, Sample
from shapes.profile import burst, sequence, steady

NODES = (
    Node("node-1", "http://127.0.0.1:1", ("gateway",)),
    Node("node-2", "http://127.0.0.1:2", ("app",)),
    Node("node-3", "http://127.0.0.1:3", ("app", "jobs")),
)


PHASES = sequence(steady(1, 30), burst(2, 60), steady(1, 10)).phases()


def plan_beginning_in(seconds: float, seed: int = 1) -> RunPlan:
    return RunPlan("run", wall_us(time.perf_counter()) + int(seconds * 1e6), seed, NODES, PHASES)


def load_side(
    plan: RunPlan, ship: Callable[[str, dict[str, Any]], None], index: int = 0
) -> LoadSide:
    return LoadSide(plan, source="local", worker_index=index, users=lambda: 3, ship=ship)


def test_a_plan_survives_the_spawn_message() -> None:
    plan = plan_beginning_in(1)
    options = argparse.Namespace()
    plan.publish(options)
    arrived = argparse.Namespace(**msgpack.unpackb(msgpack.packb(vars(options))))
    assert RunPlan.of(arrived) == plan


def test_a_plan_that_was_never_published_is_a_clear_error() -> None:
    with pytest.raises(LookupError, match="no run plan"):
        RunPlan.of(argparse.Namespace(**{ATTRIBUTE: None}))


def test_the_target_role_picks_nodes_and_falls_back_to_all() -> None:
    plan = plan_beginning_in(1)
    assert plan.urls_with_role("app") == ("http://127.0.0.1:2", "http://127.0.0.1:3")
    assert with_role(NODES, "analytics") == NODES


class Stuck:
    """Arrivals whose sessions do not end."""

    lateness = Lateness()

    def figures(self) -> dict[str, float]:
        return {}

    def close(self) -> None: ...

    def finish(self, timeout_s: float) -> None:
        raise gevent.Timeout(timeout_s)


def test_what_was_recorded_is_shipped_also_when_the_arrivals_do_not_end() -> None:
    shipped: list[str] = []
    environment = Environment()
    run: Any = Run("run", None, None, environment.create_local_runner(), lambda: 0)  # type: ignore[arg-type]
    run.book = SimpleNamespace(failures=0)
    run.load_side = side = load_side(
        plan_beginning_in(-2), lambda kind, report: shipped.append(kind)
    )
    side.arrivals = Stuck()
    side.observe("seen", 1)
    sent: dict[str, int] = {}
    run.guarded(lambda: run.collect(1.0, sent))
    assert shipped == ["second"] and sent == {"local": 1}
    assert run.book.failures == 1, "and the run is void"


def test_first_requests_are_centred_on_the_step() -> None:
    # Started at 29.1 s for the step at 30 s: from 29.5 s to 30.5 s.
    assert first_request_delay_s(29.1, 0.0) == pytest.approx(0.4)
    assert first_request_delay_s(29.1, 0.999) == pytest.approx(1.399)
    # The first users of a run start a second ahead of second 0.
    assert first_request_delay_s(-0.9, 0.5) == pytest.approx(0.9)


def test_a_first_request_that_is_overdue_goes_at_once() -> None:
    assert first_request_delay_s(29.9, 0.2) == 0.0


def test_the_same_seed_gives_each_user_the_same_stream_and_each_worker_another() -> None:
    plan = plan_beginning_in(1, seed=7)
    first, again = load_side(plan, lambda *_: None), load_side(plan, lambda *_: None)
    other = load_side(plan, lambda *_: None, index=1)
    assert [first.next_user_number() for _ in range(3)] == [0, 1, 2]
    draws = [side.random_of_user(2).random() for side in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]
    assert isinstance(first.random_of_user(0), random.Random)


def test_everything_recorded_is_shipped_at_the_end() -> None:
    shipped: list[tuple[str, dict[str, Any]]] = []
    plan = plan_beginning_in(-5)
    side = load_side(plan, lambda kind, report: shipped.append((kind, report)))
    for second in range(3):
        start_us = plan.origin_us + second * 1_000_000
        side.recorder.record(
            Sample("GET /", None, start_us, start_us + 10, Outcome.OK, 200, 1, 0, None, "http://a")
        )
    side.finish()
    assert [kind for kind, _ in shipped] == ["second"] * 3
    assert [report["second"] for _, report in shipped] == [0, 1, 2]
    json.dumps(shipped)
    msgpack.packb(shipped)


def test_the_phase_is_a_function_of_the_plan_and_the_time() -> None:
    plan = plan_beginning_in(0)
    moments = [-0.5, 0, 29.99, 30, 89.99, 90, 99.99, 100]
    burst_, end = ["burst"] * 2, ["steady"] * 2
    assert [plan.phase_at(t) for t in moments] == [None, *end, *burst_, *end, None]
    assert load_side(plan_beginning_in(-40), lambda *_: None).phase == "burst"
    assert load_side(replace(plan_beginning_in(-40), phases=()), lambda *_: None).phase is None


def test_a_figure_is_shipped_with_the_second_in_which_it_was_observed() -> None:
    shipped: list[dict[str, Any]] = []
    side = load_side(plan_beginning_in(-5), lambda _, report: shipped.append(report))
    side.observe("events read", 3)
    side.observe("events read", 4.5)
    with pytest.raises(ValueError, match="finite"):
        side.observe("events read", float("nan"))
    side.finish()
    figures = [report["figures"]["events read"] for report in shipped]
    assert sum(count for count, *_ in figures) == 2
    assert sum(total for _, total, *_ in figures) == 7.5
    assert min(report["second"] for report in shipped) >= 5
    msgpack.packb(shipped)


def test_a_run_that_is_over_leaves_nothing_on_the_environment() -> None:
    environment = Environment()
    over = load_side(plan_beginning_in(1), lambda *_: None)
    over.attach(environment)
    assert LoadSide.of(environment) is over
    over.detach(environment)
    with pytest.raises(LookupError, match="no run has started"):
        LoadSide.of(environment)
    assert not hasattr(environment, SAMPLE_SINK)


@pytest.mark.parametrize(
    ("size", "roles"),
    [
        (1, (("gateway",),)),
        (2, (("gateway",), ("app",))),
        (4, (("gateway",), ("app",), ("app",), ("app",))),
    ],
)
def test_a_cluster_of_another_size_cuts_roles_or_repeats_the_last(
    size: int, roles: tuple[tuple[str, ...], ...]
) -> None:
    assert Cluster(roles=(("gateway",), ("app",))).of_size(size) == roles


def test_descriptors_are_counted_per_process() -> None:
    assert needed_descriptors(2200, 2, 1) == 4600
    assert needed_descriptors(2200, 2, 3) == 734 * 2 + 200
    require_descriptors(4600, 4600)
    require_descriptors(4600, -1)
    with pytest.raises(BadConfiguration, match="ulimit -n 4601"):
        require_descriptors(4601, 4600)


def test_a_worker_started_by_hand_is_warned_and_not_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def check(*, is_required: bool, warns: bool) -> None:
        check_descriptors(
            peak_users=10**9,
            connections_per_user=1,
            processes=1,
            is_required=is_required,
            warns=warns,
        )

    check(is_required=False, warns=False)
    assert not caplog.records
    check(is_required=False, warns=True)
    assert "ulimit -n" in caplog.text
    with pytest.raises(BadConfiguration, match="ulimit -n"):
        check(is_required=True, warns=False)


def moment(second: int, phase: str | None) -> Moment:
    return Moment(second, phase, planned_users=5, ended=10, rate_per_s=4.0, errors=1)


def test_a_log_gets_a_line_every_ten_seconds_and_at_each_phase() -> None:
    out = io.StringIO()
    console = Console(out)
    for second in range(25):
        phase = "steady" if second < 13 else "burst"
        console.progress(moment(second, phase), users=5, total_s=30)
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0:00", "0:10", "0:13", "0:20"]
    assert "errors 1" in lines[0]


def test_a_terminal_gets_one_line_that_rewrites_itself() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    console = Console(out)
    for second in range(3):
        console.progress(moment(second, "steady"), users=5, total_s=30)
    console.say("done")
    assert out.getvalue().count("\r") == 3
    assert out.getvalue().endswith("\ndone\n")
