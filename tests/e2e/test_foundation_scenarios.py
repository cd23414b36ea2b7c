"""F1, F2 and F3 by their real command line: they pass, and find what is wrong with a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.node_process import running
from tests.e2e.scenario import ROOT, run
from tests.e2e.soundness import F2_SPEED, F3_SPEED, assert_found, assert_sound

F1, F2, F3 = (ROOT / f"locustfiles/{name}.py" for name in ("f1_dev", "f2_config", "f3_events"))
SHORT = {F1: "0.02", F2: "0.04", F3: "0.05"}
"""Some 6, 6 and 12 seconds; F3's phases then begin at whole seconds, by which windows are cut."""
BRIEF = {F1: "0.01", F2: "0.02", F3: "0.05"}
"""Long enough for a seeded bug to show many times."""
SPEED = {F1: frozenset[str](), F2: F2_SPEED, F3: F3_SPEED}


@pytest.mark.parametrize("scenario", [F1, F2, F3], ids=lambda path: path.stem)
def test_a_sound_node_passes(scenario: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "runs", "--time-scale", SHORT[scenario], locustfile=scenario)
    assert_sound(done, may_miss=SPEED[scenario])
    assert done.window("run")["total"]["errors"] == {}


LONG = pytest.mark.long
"""Of the bugs that one check finds, one in the short run."""


@pytest.mark.parametrize(
    ("bug", "scenario", "check", "says"),
    [
        ("altered", F1, "unmet_sum_at_most", "an event comes back as sent"),
        pytest.param(
            "generous",
            F1,
            "unmet_sum_at_most",
            "the counter rose by the number of saves",
            marks=LONG,
        ),
        pytest.param("disabled", F2, "unmet_sum_at_most", "flags may be changed", marks=LONG),
        ("backward", F2, "unmet_sum_at_most", "a read is right, not went back"),
        pytest.param(
            "cached", F2, "unmet_sum_at_most", "a read is right, not went back", marks=LONG
        ),
        ("slow", F3, "events_rate_above@phase:single", ""),
    ],
)
def test_a_seeded_bug_is_found(
    bug: str, scenario: Path, check: str, says: str, tmp_path: Path
) -> None:
    mutant = ("-m", "tests.e2e.mutant_node", bug)
    with running(tmp_path / "data", command=mutant) as node:
        options = ("--nodes", node.url, "--time-scale", BRIEF[scenario])
        done = run(tmp_path / "runs", *options, locustfile=scenario)
        assert node.stop() == 0, node.log
    assert_found(done, check)
    assert says in done.stderr
