"""How long a figure stays over its limit."""

from __future__ import annotations

import pytest

from results.judging.stretch import Stretch, long_stretches, longest, stretches


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([1, 1, 1], []),
        ([10, 10, 10], []),
        ([1, 11, 1], [Stretch(0, 1, 11)]),
        ([11], [Stretch(-1, 0, 11)]),
        ([11, 12, 1, 13], [Stretch(-1, 1, 12), Stretch(2, 3, 13)]),
        ([1, 11, 13, 12, 1], [Stretch(0, 3, 13)]),
    ],
)
def test_a_reading_speaks_for_the_time_since_the_one_before(
    values: list[float], expected: list[Stretch]
) -> None:
    readings = list(enumerate(map(float, values)))
    assert stretches(readings, over=10) == expected
    assert stretches(reversed(readings), over=10) == expected


def test_a_reading_after_a_gap_speaks_for_the_whole_gap() -> None:
    assert stretches([(1, 0), (9, 11), (9.5, 0)], over=10) == [Stretch(1, 9, 11)]


def test_only_stretches_that_are_long_enough_count() -> None:
    readings = [(0, 0), (1, 11), (1.9, 11), (3, 0), (4, 11), (5, 11), (6, 0)]
    assert long_stretches(readings, over=10, least_s=2) == [Stretch(3, 5, 11)]
    assert long_stretches(readings, over=10, least_s=2.1) == []
    assert longest(stretches(readings, over=10)).length_s == 2
