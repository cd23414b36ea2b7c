"""Profiles: targets, phases, integrals and what they refuse; P1's shape row by row."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from shapes.profile import (
    Phase,
    Piecewise,
    at,
    burst,
    overlay,
    ramp,
    sequence,
    steady,
)


def p1_profile() -> Piecewise:
    """Rows P1-2 to P1-4: three loads laid over each other."""
    return overlay(
        steady(200, 300),
        at(30, burst(2000, 60)),
        at(90, steady(1000, 180, phase="peak")),
    )


def test_p1_plans_the_sum_of_its_overlaid_loads() -> None:
    profile = p1_profile()
    moments = (0, 29.999, 30, 89.999, 90, 269.999, 270, 299.999, 300, 1000, -0.001)
    targets = [profile.target(t) for t in moments]
    assert targets == [200, 200, 2200, 2200, 1200, 1200, 200, 200, 0, 0, 0]
    assert profile.duration_s == 300


def test_p1_names_its_phases_and_steady_occurs_twice() -> None:
    assert p1_profile().phases() == (
        Phase("steady", 0, 30),
        Phase("burst", 30, 90),
        Phase("peak", 90, 270),
        Phase("steady", 270, 300),
    )


def test_p1_integral_gives_the_user_seconds_of_row_p1_14() -> None:
    profile = p1_profile()
    assert profile.integral(0, 300) == 200 * 300 + 2000 * 60 + 1000 * 180
    assert profile.integral(30, 90) == 2200 * 60
    # P1-14: about 804,600 requests at a mean cycle of 447.4 ms.
    assert profile.integral(0, 300) / 0.4474 == pytest.approx(804_600, rel=1e-3)


def test_p1_at_a_fifth_keeps_levels_and_divides_times() -> None:
    assert p1_profile().scaled(time=0.2).phases() == (
        Phase("steady", 0, 6),
        Phase("burst", 6, 18),
        Phase("peak", 18, 54),
        Phase("steady", 54, 60),
    )
    assert p1_profile().scaled(time=0.2).target(6) == 2200


def test_ramp_is_a_line_between_its_ends() -> None:
    profile = ramp(10, 30, 10)
    assert [profile.target(t) for t in (0, 5, 10)] == [10, 20, 0]
    assert profile.target(9.999) == pytest.approx(30, abs=0.01)
    assert profile.integral(0, 10) == 200
    assert profile.integral(-5, 50) == 200
    assert profile.integral(2, 2) == 0


def test_peak_sees_a_burst_between_the_ends_of_the_interval() -> None:
    profile = overlay(steady(5, 10), at(3.2, burst(20, 0.5)))
    assert profile.peak(3, 4) == 25
    assert profile.peak(3.7, 4.7) == 5
    assert ramp(0, 10, 10).peak(9.5, 12) == 10


def test_sequence_places_each_profile_after_the_other_and_joins_equal_names() -> None:
    profile = sequence(
        ramp(0, 10, 5, phase="climb"), steady(10, 5, phase="climb"), steady(3, 2, phase="rest")
    )
    assert profile.phases() == (Phase("climb", 0, 10), Phase("rest", 10, 12))
    assert [profile.target(t) for t in (0, 2.5, 5, 9.9, 10, 12)] == [0, 5, 10, 10, 3, 0]


def test_a_gap_in_an_overlay_has_no_phase_and_no_users() -> None:
    profile = overlay(steady(1, 2, phase="a"), at(5, steady(1, 2, phase="b")))
    assert profile.target(3) == 0
    assert profile.phases() == (Phase("a", 0, 2), Phase("b", 5, 7))


def test_load_scaling_never_takes_the_last_user() -> None:
    scaled = p1_profile().scaled(load=0.0001)
    assert [scaled.target(t) for t in (0, 30, 90, 270)] == [1, 2, 2, 1]
    assert steady(0, 10).scaled(load=5).target(1) == 0
    assert steady(5, 10).scaled(load=0.5).target(1) == 3, "half users round up"


def test_time_scaling_leaves_no_float_dust() -> None:
    assert p1_profile().scaled(time=0.7).phases()[1] == Phase("burst", 21, 63)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: steady(-1, 10), "whole number"),
        (lambda: steady(1.5, 10), "whole number"),  # type: ignore[arg-type]
        (lambda: steady(True, 10), "whole number"),
        (lambda: steady(1, 0), "above 0"),
        (lambda: steady(1, 1e-9), "above 0"),
        (lambda: steady(1, -3), "above 0"),
        (lambda: steady(1, math.nan), "above 0"),
        (lambda: ramp(1, 2, math.inf), "above 0"),
        (lambda: steady(1, 10, phase=""), "1 to 50 letters"),
        (lambda: steady(1, 10, phase="a#1"), "1 to 50 letters"),
        (lambda: steady(1, 10, phase="a\n"), "1 to 50 letters"),
        (lambda: steady(1, 10, phase="x" * 51), "1 to 50 letters"),
        (lambda: at(-1, steady(1, 1)), "0 or more"),
        (lambda: at(math.nan, steady(1, 1)), "0 or more"),
        (overlay, "at least one"),
        (sequence, "at least one"),
        (lambda: overlay(steady(1, 10), at(5, steady(1, 10))), "another phase="),
        (lambda: steady(1, 10).scaled(time=0), "above 0"),
        (lambda: steady(1, 10).scaled(load=math.nan), "above 0"),
        (lambda: steady(1, 10).scaled(load=-1), "above 0"),
        (lambda: steady(1, 10).scaled(time=1e-9), "larger time scale"),
        (lambda: steady(1, 10).integral(5, 4), "before it starts"),
        (lambda: steady(1, 10).target(math.nan), "finite"),
    ],
)
def test_bad_values_are_refused_with_the_remedy(make: Callable[[], object], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        make()
