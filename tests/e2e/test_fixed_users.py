"""Users beside the plan (D12): first to start, last to stop, untouched by steps and scales."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.scenario import HERE, Finished, run
from tests.e2e.soundness import assert_sound

BESIDE = HERE / "beside.py"


def observed(done: Finished, name: str) -> Counter[int]:
    """Observations of a figure by second of the profile, all sources together."""
    found: Counter[int] = Counter()
    for line in done.timeline("second"):
        if name in line.get("figures", {}):
            found[line["second"]] += line["figures"][name][0]
    return found


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["one", "two"])
def test_steps_of_the_plan_leave_the_fixed_users_alone(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    done = run(tmp_path / "runs", "--load-scale", "2", *processes, locustfile=BESIDE)
    assert_sound(done)
    (plan,) = done.timeline("plan")
    assert plan["users"] == [13, 13, 13, 5, 3], "twice 2, 5, 1 and 0, and three"
    assert plan["user_seconds"] == [4, 10, 10, 2, 0], "what achieved would count"
    handed_over = {line.get("planned") for line in done.timeline("progress")}
    assert 13 in handed_over and handed_over & {5, 3}, "a busy machine may miss a second"
    running = max(line["users"] for line in done.timeline("progress"))
    assert 3 < running <= 13, "those who begin are counted below"

    began, ended = observed(done, "beside began"), observed(done, "beside ended")
    assert began.total() == 3, f"nobody was replaced: {began}"
    assert max(began) <= max(observed(done, "planned began")), "they start with the first users"
    assert ended.total() == 3
    assert min(ended) >= 5, f"none was stopped before the profile's end: {ended}"
    # The control: the plan's own users come and go.
    assert observed(done, "planned began").total() == 10
    assert min(observed(done, "planned ended")) < 5

    phases = {"first": (0, 1), "burst": (1, 3), "low": (3, 4), "alone": (4, 5)}
    for name, (start, end) in phases.items():
        # Observed right after the phase was read, so a second late at most.
        seconds = observed(done, f"beside in {name}")
        assert seconds, f"three users ask ten times a second: nothing in {name}"
        assert start <= min(seconds) and max(seconds) <= end, (name, seconds)


@pytest.mark.parametrize(
    ("seeded", "says"),
    [("no_cycle", "mean_cycle_s"), ("only_fixed", "fixed_count")],
)
def test_a_plan_that_cannot_be_held_is_found_before_the_load(
    tmp_path: Path, seeded: str, says: str
) -> None:
    done = run(tmp_path / "runs", locustfile=BESIDE, environment={"BESIDE": seeded})
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert not done.folder.exists()
