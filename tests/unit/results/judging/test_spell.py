"""The worst of many values, and how long a limit was broken on end."""

from __future__ import annotations

import pytest

from results.judging.spell import Breach, Limit, Spell, Worst
from results.measure import Bound

BELOW_10 = Limit(Bound.BELOW, 10.0)
ABOVE_10 = Limit(Bound.ABOVE, 10.0)


def breach(values: dict[int, float], length: int = 3, limit: Limit = BELOW_10) -> Breach:
    made = Breach(limit, length)
    for second, value in values.items():
        made.take(Spell(second, second + 1, value))
    return made


def worst(*values: float, limit: Limit = BELOW_10) -> Worst:
    made = Worst(limit)
    for second, value in enumerate(values):
        made.take(Spell(second, second + 5, value))
    return made


def test_the_first_of_the_worst_values_is_told() -> None:
    found = worst(1, 9, 3, 9)
    assert found.found == Spell(1, 6, 9)
    assert not found.fails
    assert worst(1, 10).fails, "a limit below is no pass at it"


def test_of_a_lower_limit_the_smallest_value_is_the_worst() -> None:
    found = worst(12, 11, 30, limit=ABOVE_10)
    assert found.found == Spell(1, 6, 11)
    assert not found.fails
    assert worst(12, 10, limit=ABOVE_10).fails


def test_of_an_equal_limit_the_farthest_value_is_the_worst() -> None:
    assert worst(11, 8, 12, limit=Limit(Bound.EQUAL, 10)).found == Spell(1, 6, 8)
    assert not worst(10, 10, limit=Limit(Bound.EQUAL, 10)).fails


def test_without_a_value_nothing_is_found_and_nothing_fails() -> None:
    assert (worst().found, worst().fails) == (None, False)
    assert (breach({}).found, breach({}).fails) == (None, False)


def test_a_breach_fails_when_it_is_long_enough_by_its_mildest_second() -> None:
    found = breach({0: 1, 1: 30, 2: 20, 3: 40, 4: 1})
    assert found.fails
    assert found.found == Spell(1, 4, 20)


@pytest.mark.parametrize("values", [{0: 20, 1: 20, 2: 1, 3: 20, 4: 20}, {0: 20, 1: 20}])
def test_a_shorter_breach_does_not_fail(values: dict[int, float]) -> None:
    assert not breach(values).fails


def test_the_longest_breach_is_told_though_another_was_worse() -> None:
    short, long = {0: 99, 1: 99, 2: 99, 3: 1}, {4: 11, 5: 12, 6: 13, 7: 14}
    assert breach({**short, **long}).found == Spell(4, 8, 11)


def test_seconds_without_a_value_neither_end_a_breach_nor_begin_one() -> None:
    assert breach({0: 20, 2: 20}).fails
    assert breach({0: 20, 9: 30}).found == Spell(0, 10, 20)
    assert not breach({5: 20}).fails


def test_a_breach_does_not_go_on_after_an_interruption() -> None:
    made = breach({0: 20, 1: 20})
    made.interrupt()
    made.take(Spell(2, 3, 20))
    assert not made.fails
    assert made.found is None, "no three seconds on end had values"


def test_what_holds_is_told_by_the_mildest_second_of_the_worst_time_of_that_length() -> None:
    found = breach({0: 1, 1: 30, 2: 20, 3: 5, 4: 7, 5: 2})
    assert not found.fails
    assert found.found == Spell(1, 4, 5)


def test_a_breach_of_one_second_is_a_second_that_breaks() -> None:
    assert breach({4: 20}, length=1).found == Spell(4, 5, 20)
    assert breach({4: 2, 5: 3}, length=1).found == Spell(5, 6, 3)


def test_a_breach_of_a_lower_limit_has_its_largest_value_as_the_mildest() -> None:
    found = breach({0: 3, 1: 8, 2: 5}, limit=ABOVE_10)
    assert found.found == Spell(0, 3, 8)
