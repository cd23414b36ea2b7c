"""Counts of many seconds: the same whichever way they are gone through."""

from __future__ import annotations

import pytest

from results.judging.watch import Watch
from results.sample import Outcome
from tests.unit.results.builder import request, timeline

SENT = [
    *(request(second + 0.5) for second in (0, 1, 1, 3)),
    request(1.2, name="GET /b", outcome=Outcome.TIMEOUT),
    request(3.2, outcome=Outcome.HTTP_5XX),
]


@pytest.mark.parametrize(
    ("seconds", "ended", "failed", "failed_of_b"),
    [
        (range(1), 1, 0, 0),
        (range(1, 3), 3, 1, 1),
        (range(-9, 4), 6, 2, 1),
        (range(1, 10**15), 5, 2, 1),
        (range(4, 4), 0, 0, 0),
    ],
)
def test_requests_are_counted_in_few_seconds_and_in_more_than_there_are(
    seconds: range, ended: int, failed: int, failed_of_b: int
) -> None:
    watch = Watch(timeline(SENT), [])
    assert watch.ended_in(seconds) == ended
    assert watch.failed_in(seconds, None) == failed
    assert watch.failed_in(seconds, "GET /b") == failed_of_b
