"""What `judge()` takes, and what a run without a plan cannot have."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from locust import LoadTestShape, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from locustfiles.harness.arrivals.arrival_user import ArrivalUser
from locustfiles.harness.exit_code import keep_exit_code
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.judge import _id_of, judged
from locustfiles.harness.options import Options, add_options
from locustfiles.harness.unplanned import require_unplanned, unplanned_course, users_wanted
from results.auditor import Found
from results.check import Check, achieved, error_rate, errors, figure, latency, ratio, unsent
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

HERE = Path(__file__).parent
OPTIONS = Options((), None, 1.0, 1.0, 1, None, "results/runs")


class Planned(PhasedShape):
    profile = steady(1, 1)


class Stock(LoadTestShape):
    def tick(self) -> None:
        return None


STOCK = Stock()  # type: ignore[no-untyped-call]


def environment(shape: LoadTestShape | None = None, **options: object) -> Environment:
    given = Namespace(**({"run_time": None, "headless": True, "num_users": None} | options))
    made: Environment = Environment(shape_class=shape, parsed_options=given)
    return made


def test_a_check_may_be_text() -> None:
    scenario = judged(["p99 < 250ms", errors()], "a", HERE)
    assert scenario.checks == (latency(quantile=0.99, below_ms=250), errors())


@pytest.mark.parametrize(
    ("checks", "id", "says"),
    [
        ([], "a", "name at least one"),
        ((), "a", "name at least one"),
        (errors(), "a", "checks is a list"),
        ("errors", "a", "checks is a list"),
        (None, "a", "checks is a list"),
        (iter([errors()]), "a", "checks is a list"),
        ([0.01], "a", "0.01 is no check"),
        ([errors(), errors], "a", "is no check"),
        (["p89 < 5ms"], "a", "column 1: unknown measure 'p89': did you mean 'p90'?"),
        ([errors()], "a/b", "'a/b' is no id"),
        ([errors()], "", "'' is no id"),
        ([errors()], "-a", "'-a' is no id"),
        ([errors()], "a" * 51, "is no id"),
        ([errors()], 5, "5 is no id"),
    ],
)
def test_what_cannot_be_judged_by_is_refused_with_the_remedy(
    checks: Any, id: Any, says: str
) -> None:
    with pytest.raises(ValueError) as caught:
        judged(checks, id, HERE)
    assert says in str(caught.value)


class Orders:
    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        return ()


@pytest.mark.parametrize("auditor", ["orders", dict, object(), 5, Orders])
def test_an_auditor_that_is_none_is_refused(auditor: Any) -> None:
    with pytest.raises(ValueError, match="is no auditor"):
        judged([errors()], "a", HERE, auditor)


def test_an_auditor_is_the_scenarios() -> None:
    own = Orders()
    assert judged([errors()], "a", HERE, own).auditor is own


def test_a_judged_file_declares_neither_users_nor_shape_nor_nodes() -> None:
    scenario = judged([errors()], "a", HERE)
    assert scenario.is_existing
    assert (scenario.users, scenario.shape, scenario.cluster) == ((), None, None)
    assert (scenario.tier, scenario.checks) == ("own", (errors(),))


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("shop.py", "shop"),
        ("my shop (2).py", "my_shop_2"),
        ("läden.py", "l_den"),
        ("__.py", "judged"),
        ("x" * 80 + ".py", "x" * 50),
    ],
)
def test_the_files_name_names_its_runs(name: str, id: str) -> None:
    assert _id_of(Path("/a") / name) == id
    assert judged([errors()], _id_of(Path(name)), HERE).id == id


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (error_rate(below=0.1, window="phase:*"), "needs phases"),
        (latency(quantile=0.5, below_ms=1, window="phase:peak"), "needs phases"),
        (ratio("a", "mean", over="phase:peak", at_least=1), "needs phases"),
        (achieved(at_least=0.9), "needs a plan"),
        (achieved(at_least=0.9, mean_cycle_s=1.0), "needs a plan"),
        (unsent(at_most=0.01), "needs a plan"),
    ],
    ids=lambda value: value.id if isinstance(value, Check) else "",
)
def test_checks_that_need_a_plan_are_refused_without_one(check: Check, says: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        require_unplanned(judged([check], "a", HERE), OPTIONS, environment())
    assert says in str(caught.value)
    assert repr(check.id) in str(caught.value)


def test_checks_of_the_whole_run_apply_without_a_plan() -> None:
    checks = [errors(), latency(quantile=0.5, below_ms=1), figure("a", "sum", above=1)]
    require_unplanned(judged(checks, "a", HERE), OPTIONS, environment())
    require_unplanned(judged(checks, "a", HERE), OPTIONS, environment(STOCK))


def test_checks_of_the_same_name_are_refused() -> None:
    with pytest.raises(BadConfiguration, match="two checks have the id"):
        require_unplanned(judged([errors(), errors()], "a", HERE), OPTIONS, environment())


def test_a_shape_that_is_a_plan_is_run_as_one() -> None:
    with pytest.raises(BadConfiguration, match=r"strap_in\(Scenario\(shape=Planned"):
        require_unplanned(judged([errors()], "a", HERE), OPTIONS, environment(Planned()))


def test_users_that_arrive_need_a_profile() -> None:
    class Buyer(ArrivalUser):
        @task
        def buy(self) -> None: ...

    made = environment()
    made.user_classes = [Buyer]
    with pytest.raises(BadConfiguration, match="Buyer arrives as a profile says"):
        require_unplanned(judged([errors()], "a", HERE), OPTIONS, made)


@pytest.mark.parametrize(
    ("shape", "run_time", "by_hand"),
    [(None, None, True), (None, 60, False), (STOCK, None, False), (STOCK, 60, False)],
)
def test_a_run_without_any_end_ends_by_hand(
    shape: LoadTestShape | None, run_time: int | None, by_hand: bool
) -> None:
    course = unplanned_course(environment(shape, run_time=run_time))
    assert course.ends_by_hand is by_hand
    assert course.is_unplanned and not course.is_ad_hoc
    assert course.cut_short() is None
    assert course.profile is None and course.plan is None


@pytest.mark.parametrize(
    ("shape", "options", "users"),
    [
        (None, {}, 1),
        (None, {"num_users": 50}, 50),
        (None, {"headless": False, "num_users": 50}, 0),
        (STOCK, {"num_users": 50}, 0),
    ],
)
def test_the_users_are_known_as_far_as_the_command_line_tells(
    shape: LoadTestShape | None, options: dict[str, object], users: int
) -> None:
    assert users_wanted(environment(shape, **options)) == users


def parsed(*arguments: str, own: tuple[tuple[str, dict[str, Any]], ...] = ()) -> Environment:
    """As Locust parses them, after the locustfile's own options were added."""
    parser = LocustArgumentParser()
    parser.add_argument("--host")
    for flag, how in own:
        parser.add_argument(flag, **how)
    add_options(parser, is_existing=True)
    made: Environment = Environment(parsed_options=parser.parse_args(list(arguments)))
    return made


def test_an_option_of_the_files_own_keeps_its_name_and_ours_gets_another() -> None:
    own: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--seed", {"default": "theirs"}),
        ("--scale", {"dest": "time_scale", "type": int, "default": 5}),
    )
    found = parsed("--foundation-seed", "7", own=own)
    options = Options.of(found, loads_nodes=False)
    assert (options.seed, options.time_scale) == (7, 1.0)
    assert found.parsed_options is not None
    assert (found.parsed_options.seed, found.parsed_options.time_scale) == ("theirs", 5)


def test_the_seed_of_an_existing_file_is_another_one_each_time() -> None:
    seeds = {Options.of(parsed(), loads_nodes=False).seed for _ in range(5)}
    assert len(seeds) == 5
    assert Options.of(parsed("--seed", "7"), loads_nodes=False).seed == 7


def test_allowed_targets_come_from_each_time_that_they_are_given() -> None:
    found = parsed("--allow-target", "a.example,b.example", "--allow-target", "203.0.113.0/24")
    options = Options.of(found, loads_nodes=False)
    assert options.allow_target == ("a.example", "b.example", "203.0.113.0/24")
    assert options.allowance.holds("203.0.113.9")
    assert not options.allowance.holds("203.0.114.9")


def test_allowed_targets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_ALLOW_TARGET", "a.example, 203.0.113.5")
    options = Options.of(parsed(), loads_nodes=False)
    assert options.allow_target == ("a.example", "203.0.113.5/32")


@pytest.mark.parametrize("name", ["--nodes=http://127.0.0.1:1", "--cluster-size=2"])
def test_options_of_nodes_are_refused_where_there_are_none(name: str) -> None:
    with pytest.raises(BadConfiguration, match="--host http://host:port"):
        Options.of(parsed(name), loads_nodes=False)


@pytest.mark.parametrize("name", ["time_scale", "load_scale"])
def test_scales_are_refused_without_a_plan(name: str) -> None:
    options = Options.of(parsed(f"--{name.replace('_', '-')}=2"), loads_nodes=False)
    with pytest.raises(BadConfiguration, match="scales a plan"):
        require_unplanned(judged([errors()], "a", HERE), options, environment())


def test_the_verdicts_exit_code_is_put_back_after_every_other_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = environment()
    quitting: Any = made.events.quitting

    def decide(environment: Any, **_: Any) -> None:
        environment.process_exit_code = 77

    quitting.add_listener(decide)
    keep_exit_code(made, lambda: 3)
    quitting.add_listener(decide)
    quitting.fire(environment=made, reverse=True)
    assert made.process_exit_code == 3
    assert "77" in caplog.text
    caplog.clear()
    quitting.remove_listener(decide)
    quitting.remove_listener(decide)
    quitting.fire(environment=made, reverse=True)
    assert not caplog.text, "nothing to say where nothing was changed"
