"""Checks that could only be found wrong after the run are found before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from locustfiles.harness.declared_checks import (
    require_abortable_checks,
    require_free_ids,
    require_long_enough,
)
from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.scenario import Scenario
from results.grammar import check
from results.timeline import Plan, PlannedPhase

PLAN = Plan(12.0, (PlannedPhase("one", 0, 3), PlannedPhase("two", 3, 12)), (1,) * 12, (1.0,) * 12)


def declaring(text: str) -> Scenario:
    return Scenario("mine", "own", (), None, (check(text),), Path())


@pytest.mark.parametrize(
    "text",
    [
        "p99 < 1s over 12s",
        "errors < 1% in phase:two for 9s",
        "errors < 1% in phase:one",
        "errors < 1% in 2s..5s over 3s",
        "availability > 9% in fault:* over 60s",
    ],
)
def test_a_window_that_is_long_enough_is_fine(text: str) -> None:
    require_long_enough(declaring(text), PLAN)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("p99 < 1s over 13s", "run has no more than 12 s"),
        ("errors < 1% in phase:one for 4s", "phase:one has no more than 3 s"),
        ("rate > 9/s in phase:* over 5s", "phase:one has no more than 3 s"),
        ("errors < 1% in 2s..5s over 4s", "2s..5s has no more than 3 s"),
    ],
)
def test_more_seconds_than_a_window_has_are_refused(text: str, held: str) -> None:
    with pytest.raises(BadConfiguration, match=r"mine: the check .*use a shorter time") as error:
        require_long_enough(declaring(text), PLAN)
    assert held in str(error.value)


def test_a_check_that_could_never_end_a_run_is_refused() -> None:
    require_abortable_checks(declaring("errors < 1%, abort"))
    with pytest.raises(BadConfiguration, match=r"mine: requests > 5.* leave 'abort' out"):
        require_abortable_checks(declaring("requests > 5, abort"))


@pytest.mark.parametrize("text", ["errors < 1%", "lost == 0 in phase:two", "altered == 0"])
def test_an_id_that_the_audit_needs_is_refused(text: str) -> None:
    scenario = declaring(text)
    taken = replace(scenario.checks[0], id="lost")
    with pytest.raises(BadConfiguration, match=r"mine: the id 'lost' .* give it another id"):
        require_free_ids(replace(scenario, checks=(taken,)))


@pytest.mark.parametrize("text", ["lost <= 5", "lost == 0 in phase:two", "redelivered == 0"])
def test_a_check_of_writes_keeps_its_own_id(text: str) -> None:
    require_free_ids(declaring(text))
