"""Levels, the compiled lines of a profile, and questions that stay cheap however many there are."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import pytest

from shapes.level import LARGEST_LEVEL, Rate, Unit, per_s
from shapes.piecewise import Piecewise
from shapes.profile import (
    Line,
    at,
    burst,
    diurnal,
    overlay,
    ramp,
    repeat,
    sequence,
    steady,
    trace,
)
from tests.unit.shapes.test_profile import p1_profile


def test_lines_follow_each_other_and_sum_what_overlaps() -> None:
    assert overlay(ramp(0, 10, 10), at(5, steady(4, 10, phase="b"))).lines() == (
        Line(0, 5, 0, 5),
        Line(5, 10, 9, 14),
        Line(10, 15, 4, 4),
    )
    assert p1_profile().lines() == (
        Line(0, 30, 200, 200),
        Line(30, 90, 2200, 2200),
        Line(90, 270, 1200, 1200),
        Line(270, 300, 200, 200),
    )


def test_gaps_are_lines_of_level_0_also_before_the_first_profile() -> None:
    assert overlay(at(2, steady(1, 1, phase="a")), at(5, steady(3, 1, phase="b"))).lines() == (
        Line(0, 2, 0, 0),
        Line(2, 3, 1, 1),
        Line(3, 5, 0, 0),
        Line(5, 6, 3, 3),
    )


def test_the_order_of_an_overlays_parts_does_not_change_its_sum_by_a_bit() -> None:
    parts = [steady(per_s(x), 10, phase=f"p{n}") for n, x in enumerate((0.1, 0.2, 0.3, 1e9))]
    assert overlay(*parts).lines() == overlay(*reversed(parts)).lines()
    assert overlay(*parts[:3]).target(0) == 0.6


def test_a_ramp_ends_at_its_very_level() -> None:
    # 0.1 + (0.3 - 0.1) is 0.30000000000000004.
    assert ramp(per_s(0.1), per_s(0.3), 3).peak(0, 3) == 0.3


def test_the_peak_of_an_interval_that_touches_a_step_is_the_higher_level() -> None:
    profile = sequence(steady(1, 10, phase="a"), steady(5, 10, phase="b"), steady(2, 10, phase="c"))
    assert profile.peak(9, 10) == 5, "at second 10 the step has happened"
    assert profile.peak(19, 20) == 5, "until second 20 it has not"
    assert profile.peak(20, 21) == 2, "what was before the interval is not in it"
    assert profile.peak(3, 3) == 1
    assert profile.peak(0, 30) == 5
    assert [profile.peak(-5, -1), profile.peak(30, 40), profile.peak(-5, 0)] == [0, 0, 1]


def test_the_peak_of_many_lines_finds_each_of_them() -> None:
    for count in (1, 2, 3, 7, 8, 13):
        for top in range(count):
            profile = trace([(n, 9 if n == top else 1) for n in range(count)], end_s=count)
            assert profile.peak(0, count) == 9
            assert profile.peak(top + 0.5, top + 0.6) == 9
            assert profile.peak(-1, top - 0.5) == (1 if top else 0)
            assert profile.peak(top + 1, count + 5) == (1 if top < count - 1 else 0)


def test_integrals_over_many_lines_are_those_over_their_parts() -> None:
    profile = trace([(n, n) for n in range(10)])
    assert profile.integral(0, 10) == 45
    assert profile.integral(2.5, 6.25) == 0.5 * 2 + 3 + 4 + 5 + 0.25 * 6
    assert profile.integral(-3, 0) == profile.integral(10, 12) == profile.integral(4, 4) == 0


@pytest.mark.timeout(60)
def test_every_second_of_a_day_of_a_recorded_trace_can_be_asked_for() -> None:
    """A second's work; anything that walks through all rows per question takes hours."""
    rows = 100_000
    levels = [(n * 7919) % 1000 for n in range(rows)]
    profile = trace((n * 0.864, level) for n, level in enumerate(levels))
    total = 0.0
    for second in range(86_400):
        low, high = int(second / 0.864), int((second + 1) / 0.864)
        assert profile.target(second) == levels[low]
        assert profile.peak(second, second + 1) >= max(levels[low : high + 1][:-1])
        assert profile.peak(0, second + 1) >= profile.peak(second, second + 1)
        total += profile.integral(second, second + 1)
        profile.integral(0, second)
    assert total == pytest.approx(profile.integral(0, 86_400), rel=1e-12)
    assert total == pytest.approx(sum(levels) * 0.864, rel=1e-9)


@pytest.mark.timeout(60)
def test_thousands_of_phases_are_laid_over_each_other_in_no_time() -> None:
    days = repeat(diurnal(10, 28), 5000)
    profile = overlay(days, at(3, burst(5, 100_000)))
    assert len(days.phases()) == 20_000
    assert [p.name for p in profile.phases()][:2] == ["low", "burst"]
    assert profile.target(15) == 55


def test_a_profile_is_a_value_whether_it_was_asked_or_not() -> None:
    asked, fresh = p1_profile(), p1_profile()
    assert asked.target(40) == 2200
    assert asked == fresh
    assert hash(asked) == hash(fresh)
    assert pickle.loads(pickle.dumps(asked)) == fresh
    assert asked.scaled(load=2).target(40) == 4400, "a scaled profile has lines of its own"


def test_a_profile_is_short_in_messages() -> None:
    text = repr(trace((n, 1) for n in range(1000)))
    assert text == "<profile of users: 1000 s of trace>"


def test_rates_are_scaled_without_rounding_and_users_to_whole_ones() -> None:
    assert steady(per_s(12.5), 10).scaled(load=0.001).target(0) == 0.0125
    assert ramp(per_s(0), per_s(3), 10).scaled(time=0.5, load=0.5).integral(0, 5) == 3.75
    assert steady(per_s(1e-9), 10).scaled(load=1e-9).target(0) > 0
    assert steady(13, 10).scaled(load=0.001).target(0) == 1


@pytest.mark.parametrize("value", [0, 0.0, 5, 12.5, 1e-300, LARGEST_LEVEL])
def test_a_rate_is_any_number_of_arrivals_from_none_on(value: float) -> None:
    assert per_s(value) == Rate(value)
    assert steady(per_s(value), 10).target(0) == value


@pytest.mark.parametrize(
    "value",
    [-1e-9, math.nan, math.inf, -math.inf, True, "5", None, 1e10, 10**400, per_s(1), 1j],
    ids=lambda value: str(value)[:12],
)
def test_a_rate_is_nothing_else(value: float) -> None:
    for make in (per_s, Rate):
        with pytest.raises(ValueError, match="finite number from 0 to"):
            make(value)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda p: p.scaled(load=1e9), "scale less"),
        (lambda p: p.scaled(load=1e308), "scale less"),
        (lambda p: p.scaled(time=1e9), "must be at most"),
        (lambda p: p.scaled(time=1e308), "must be at most"),
        (lambda p: p.scaled(time=10**400), "above 0"),
        (lambda p: p.scaled(load="2"), "above 0"),
        (lambda p: p.scaled(load=True), "above 0"),
        (lambda p: p.peak(math.nan, 1), "finite"),
        (lambda p: p.peak(2, 1), "before it starts"),
        (lambda p: p.integral(0, math.inf), "finite"),
        (lambda p: p.target(math.inf), "finite"),
    ],
)
@pytest.mark.parametrize("unit", list(Unit))
def test_what_leads_nowhere_is_refused_in_both_units(
    unit: Unit, make: Callable[[Piecewise], object], remedy: str
) -> None:
    profile = steady(per_s(200) if unit is Unit.ARRIVALS else 200, 10)
    with pytest.raises(ValueError, match=remedy):
        make(profile)
