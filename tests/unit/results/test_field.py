"""Counts that are read from a file or a message: whole numbers, and nothing that looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from results.field import LARGEST, Fields, whole_number

NO_NUMBERS: list[tuple[object, str]] = [
    (True, "not bool"),
    (1.0, "not float"),
    ("1", "not str"),
    (None, "not null"),
    ([1], "not list"),
    (2**63, "beyond 2\\^63"),
    (-(2**63), "beyond 2\\^63"),
    (10**400, "beyond 2\\^63"),
]

Reading = Callable[[object], object]

READINGS: dict[str, Reading] = {
    "whole": lambda value: Fields({"n": value}, "line").whole("n"),
    "counts": lambda value: Fields({"n": {"a": value}}, "line").counts("n"),
    "wholes": lambda value: Fields({"n": [0, value]}, "line").wholes("n"),
    "key of a pair": lambda value: Fields({"n": [[value, 1]]}, "line").pairs("n"),
    "count of a pair": lambda value: Fields({"n": [[1, value]]}, "line").pairs("n"),
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS.keys())
@pytest.mark.parametrize(("value", "said"), NO_NUMBERS)
def test_what_is_no_whole_number_is_refused_with_its_place(
    reading: Reading, value: object, said: str
) -> None:
    with pytest.raises(ValueError, match=f"line.*{said}"):
        reading(value)


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS.keys())
def test_what_is_one_is_read(reading: Reading) -> None:
    for value in (0, 1, LARGEST):
        assert str(value) in str(reading(value))


@pytest.mark.parametrize("name", ["counts", "wholes", "count of a pair"])
def test_a_count_is_never_negative(name: str) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        READINGS[name](-1)


@pytest.mark.parametrize("pair", [[1], [1, 2, 3], {"1": 2}, "12", 12, None])
def test_what_is_no_pair_is_refused(pair: object) -> None:
    with pytest.raises(ValueError, match="line, n: a pair of numbers"):
        Fields({"n": [pair]}, "line").pairs("n")


def test_a_key_that_occurs_twice_adds_up() -> None:
    assert Fields({"n": [[-1, 2], [3, 4], [-1, 5]]}, "line").pairs("n") == {-1: 7, 3: 4}


def test_a_number_below_its_least_is_refused() -> None:
    with pytest.raises(ValueError, match="place: 'n' must be at least 5, not 4"):
        whole_number(4, "n", "place", 5)
