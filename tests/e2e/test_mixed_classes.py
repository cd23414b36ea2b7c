"""A shape with a profile per user class (Locust's #1583), on one process and on two."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack

import pytest

from tests.e2e.counting_target import CountingTarget, counting_target
from tests.e2e.scenario import HERE, Finished, Run

MODES = {"one process": (), "two processes": ("--processes", "2")}

PLANNED = {
    "Browser": {1: 3, 4: 9, 6: 3},
    "Editor": {1: 4, 4: 4, 6: 0},
    "Watcher": {1: 2, 4: 2, 6: 2},
}
"""Users of each class in seconds without a step."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Finished, CountingTarget]]:
    """The same locustfile in each mode, at the same time."""
    folder = tmp_path_factory.mktemp("mixed")
    with ExitStack() as stack:
        going = {}
        for mode, options in MODES.items():
            target = stack.enter_context(counting_target())
            run = Run(
                folder / mode.replace(" ", "-"),
                "--host",
                target.url,
                *options,
                locustfile=HERE / "mixed.py",
            )
            going[mode] = (stack.enter_context(run), target)
        return {mode: (run.finish(), target) for mode, (run, target) in going.items()}


def users_by_second(run: Finished, target: CountingTarget, kind: str) -> dict[int, int]:
    """How many users of a class asked in each second of the plan."""
    origin_s = run.timeline("header")[0]["origin_us"] / 1e6
    seen: dict[int, set[str]] = defaultdict(set)
    for at_s, path in target.asked:
        if path.startswith(f"/{kind}/"):
            seen[int((at_s - origin_s) // 1)].add(path)
    return {second: len(paths) for second, paths in seen.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", PLANNED)
def test_each_class_follows_its_own_profile(
    runs: dict[str, tuple[Finished, CountingTarget]], mode: str, kind: str
) -> None:
    run, target = runs[mode]
    assert run.exit_code == 0, run.stdout + run.stderr
    seen = users_by_second(run, target, kind)
    assert {second: seen.get(second, 0) for second in PLANNED[kind]} == PLANNED[kind]


@pytest.mark.parametrize("mode", MODES)
def test_arrivals_come_beside_the_users_and_are_all_sent(
    runs: dict[str, tuple[Finished, CountingTarget]], mode: str
) -> None:
    run, target = runs[mode]
    bought = sorted(int(path.rpartition("/")[2]) for _, path in target.asked if "Checkout" in path)
    assert bought == list(range(140)), "20 a second for 7 s, each once"
    arrivals = run.window("run")["arrivals"]["Checkout"]
    assert (arrivals["planned"], arrivals["started"], arrivals["unsent"]) == (140, 140, 0)


def test_phases_are_those_of_the_first_profile(
    runs: dict[str, tuple[Finished, CountingTarget]],
) -> None:
    run, _ = runs["one process"]
    names = [window["name"] for window in run.verdict["windows"]]
    assert names == ["run", "phase:steady#1", "phase:burst", "phase:steady#2", "phase:steady"]


def test_the_plan_is_the_same_in_both_modes(
    runs: dict[str, tuple[Finished, CountingTarget]],
) -> None:
    one, two = (run.timeline("plan")[0] for run, _ in runs.values())
    assert one == two
    assert one["users"] == [9, 9, 15, 15, 15, 5, 5]
