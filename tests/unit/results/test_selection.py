"""Everybody who is asked of the requests of an endpoint counts the same ones."""

from __future__ import annotations

import pytest

from results.check import errors
from results.judging.live import LiveCheck
from results.judging.tally import Tally
from results.sample import Outcome
from results.selection import is_about
from results.statistic import cut
from results.windows import interval
from tests.unit.results.builder import request, timeline


@pytest.mark.parametrize(
    ("selection", "held"),
    [
        (None, ["GET /a*", "GET /ab", "GET /b", "get /ab"]),
        ("GET /ab", ["GET /ab"]),
        ("GET /a*", ["GET /a*", "GET /ab"]),
        ("GET /?", ["GET /b"]),
        ("GET /[ab]*", ["GET /a*", "GET /ab", "GET /b"]),
    ],
)
def test_a_selection_is_a_name_or_a_pattern(selection: str | None, held: list[str]) -> None:
    names = ["GET /a*", "GET /ab", "GET /b", "get /ab"]
    assert [name for name in names if is_about(selection, name)] == held


def test_statistics_tallies_and_live_checks_count_the_same_of_a_name_that_is_a_pattern() -> None:
    names = ["GET /a*", "GET /ab", "GET /ab", "GET /b"]
    made = timeline([request(1.0, name=name, outcome=Outcome.TIMEOUT) for name in names])
    window = interval("all", 0, 6)
    check = errors(at_most=0, endpoint="GET /a*")
    counted = cut(made, [window], ["GET /a*"])["all"].of("GET /a*").failed
    tally, live = Tally(), LiveCheck(check, window)
    for report in made.reports:
        tally.add(report.endpoints)
        live.add(report)
    assert counted == tally.part("GET /a*", None).failed == live.result().value == 3
