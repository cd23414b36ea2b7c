"""Workers that were away: what is written of them is what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.absence import Absence, absences
from results.finding import Finding, Mark
from results.fitness.worker import workers_lost
from results.generator import assess
from results.timeline import Health
from tests.unit.results.builder import HEALTHY, request, timeline

LOST = Absence(
    "worker-1",
    heard_s=11.9,
    taken_s=14.9,
    share=0.5,
    others=1,
    unreported_s=3.9,
    last_second=10,
    rate_per_s=100.0,
)
BACK = replace(LOST, back_s=21.0)


def findings(*lines: Health) -> list[Finding]:
    made = timeline([request(s) for s in range(6)], health=(*HEALTHY, *lines))
    found = workers_lost(made)
    assert {one.code for one in found} <= {one.code for one in assess(made)}, "it is asked"
    return found


def test_a_lost_worker_is_named_with_what_is_missing_at_most() -> None:
    (found,) = findings(*LOST.lines())
    assert found.code == "workers_lost"
    assert found.text == (
        "worker-1 was lost: its last beat came at 11.9 s, its share (50% of the load) was missing "
        "until another worker took it over at 14.9 s; its last report told of second 10, so at "
        "most 3.9 s of its requests, about 390 by its last rate, are missing; see its log"
    )
    assert found.marks == (Mark("worker-1", 11.0, 14.9),)


def test_a_worker_that_came_back_is_a_finding_of_its_own() -> None:
    (found,) = findings(*BACK.lines())
    assert found.code == "worker_away"
    assert found.text.startswith(
        "worker-1 was away from 11.9 s to 21.0 s, its share (50% of the load) was missing until "
        "another worker took it over at 14.9 s"
    )
    assert "lost" not in found.text
    assert found.marks == (Mark("worker-1", 11.9, 14.9),)


def test_an_only_worker_leaves_its_share_missing_until_it_is_back() -> None:
    (found,) = findings(*replace(BACK, others=0).lines())
    assert "was missing until then, since no other worker was there" in found.text
    assert found.marks == (Mark("worker-1", 11.9, 21.0),)


def test_one_that_has_reported_nothing_or_everything_is_said_so() -> None:
    assert "it has reported nothing" in replace(LOST, last_second=None).text()
    whole = replace(LOST, unreported_s=0.0).text()
    assert "its last report told of second 10, nothing of it is missing" in whole


def test_a_worker_that_was_away_twice_is_two_findings() -> None:
    again = replace(BACK, heard_s=30.0, taken_s=33.0, back_s=None)
    assert [one.code for one in findings(*BACK.lines(), *again.lines())] == [
        "workers_lost",
        "worker_away",
    ]


@pytest.mark.parametrize(
    ("others", "end"),
    [
        (1, "another worker took its share (50% of the load) over then"),
        (2, "2 others took its share (50% of the load) over then"),
        (0, "its share (50% of the load) was missing until the end, since no other worker was"),
    ],
)
def test_a_worker_that_left_is_not_called_lost(others: int, end: str) -> None:
    left = replace(LOST, heard_s=14.9, unreported_s=0.0, others=others, has_left=True)
    (found,) = findings(*left.lines())
    said = "worker-1 left: it said at 14.9 s that it was done, and reported all; "
    assert found.text.startswith(said + end)
    assert absences(left.lines())[0].has_left and not absences(LOST.lines())[0].has_left


def test_a_worker_that_stayed_is_no_finding() -> None:
    assert findings() == []
    assert findings(Health(3.0, "worker-1", {"away": 0.0})) == []


def test_the_counter_of_timelines_without_such_lines_still_counts() -> None:
    (found,) = findings(Health(3.0, "owner", {"workers_lost": 2.0}))
    assert found.text.startswith("2 worker(s) were lost")
    both = findings(*LOST.lines(), Health(30.0, "owner", {"workers_lost": 1.0}))
    assert len(both) == 1, "the same one"


@given(
    heard_s=st.floats(0, 1e5),
    lasting_s=st.floats(0.1, 1e4),
    share=st.floats(0, 1),
    others=st.integers(0, 50),
    last_second=st.none() | st.integers(0, 10**5),
    is_back=st.booleans(),
)
def test_an_absence_survives_the_timeline(
    heard_s: float,
    lasting_s: float,
    share: float,
    others: int,
    last_second: int | None,
    is_back: bool,
) -> None:
    one = Absence("w", heard_s, heard_s + lasting_s, share, others, 1.0, last_second, 7.0)
    if is_back:
        one = replace(one, back_s=heard_s + lasting_s + 1.0)
    (again,) = absences(one.lines())
    assert again.source == one.source and again.others == one.others
    assert again.last_second == one.last_second
    assert again.taken_s == pytest.approx(one.taken_s, abs=1e-3)
    assert again.heard_s == pytest.approx(one.heard_s, abs=1e-3)
    assert (again.back_s is None) == (one.back_s is None)
