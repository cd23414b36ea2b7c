"""Laws of profiles and ticks, over random overlays, ramps and scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapes.load import Load, Part
from shapes.phased import LOOKAHEAD_S, planned_user_seconds, step_at, users_at_tick
from shapes.profile import Piecewise, at, overlay, ramp, sequence

USERS = st.integers(min_value=0, max_value=5000)
DURATION_S = st.integers(min_value=1, max_value=400).map(lambda tenths: tenths / 10)
START_S = st.integers(min_value=0, max_value=300).map(lambda tenths: tenths / 10)
TIME_S = st.integers(min_value=0, max_value=80_000).map(lambda ms: ms / 1000)


@st.composite
def profiles(draw: st.DrawFn) -> Piecewise:
    """Up to four lines of distinct phase names, laid over each other anywhere."""
    parts = [
        at(draw(START_S), ramp(draw(USERS), draw(USERS), draw(DURATION_S), phase=f"p{n}"))
        for n in range(draw(st.integers(min_value=1, max_value=4)))
    ]
    return overlay(*parts)


def numeric_integral(profile: Piecewise, start_s: float, end_s: float) -> float:
    """Midpoint rule over steps of 0.1 s, on which every edge of `profiles` lies: exact there."""
    steps = round((end_s - start_s) * 10)
    return sum(profile.target(start_s + (n + 0.5) / 10) for n in range(steps)) / 10


@settings(max_examples=50, deadline=None)
@given(profile=profiles(), start=START_S, length=DURATION_S)
def test_integral_equals_numeric_integration(
    profile: Piecewise, start: float, length: float
) -> None:
    exact = profile.integral(start, start + length)
    assert math.isclose(
        exact, numeric_integral(profile, start, start + length), rel_tol=1e-6, abs_tol=1e-3
    )


@settings(max_examples=100, deadline=None)
@given(profile=profiles(), cut=TIME_S)
def test_integral_is_additive(profile: Piecewise, cut: float) -> None:
    whole = profile.integral(0, 100)
    assert math.isclose(
        whole, profile.integral(0, cut) + profile.integral(cut, 100), rel_tol=1e-9, abs_tol=1e-6
    )
    assert math.isclose(
        whole, sum(planned_user_seconds(Load((Part(profile),)))), rel_tol=1e-9, abs_tol=1e-6
    )


@settings(max_examples=100, deadline=None)
@given(profile=profiles(), factor=st.sampled_from([0.1, 0.2, 0.5, 2.0, 3.0]), t=TIME_S)
def test_time_scaling_stretches_targets_and_integral(
    profile: Piecewise, factor: float, t: float
) -> None:
    scaled = profile.scaled(time=factor)
    assert math.isclose(
        scaled.integral(0, 1000), profile.integral(0, 1000) * factor, rel_tol=1e-6, abs_tol=1e-6
    )
    assert len(scaled.phases()) == len(profile.phases())
    edges = {edge for s in profile.segments for edge in (s.start_s, s.end_s)}
    # Rounding to the microsecond may move an edge past t; anywhere else the values agree.
    if all(abs(edge - t) > 1e-4 for edge in edges):
        assert math.isclose(scaled.target(t * factor), profile.target(t), rel_tol=1e-3, abs_tol=0.1)


@settings(max_examples=100, deadline=None)
@given(profile=profiles(), load=st.floats(min_value=1e-4, max_value=10), t=TIME_S)
def test_load_scaling_stays_within_one_user_a_part_and_keeps_the_last(
    profile: Piecewise, load: float, t: float
) -> None:
    scaled = profile.scaled(load=load)
    assert abs(scaled.target(t) - profile.target(t) * load) <= len(profile.segments) * 1.0 + 1e-6
    assert (scaled.target(t) > 0) == (profile.target(t) > 0)
    assert profile.scaled() == profile


@settings(max_examples=100, deadline=None)
@given(left=profiles(), right=profiles(), shift=START_S, t=TIME_S)
def test_an_overlay_is_the_sum_of_its_parts(
    left: Piecewise, right: Piecewise, shift: float, t: float
) -> None:
    both = overlay(left, at(shift + left.duration_s, right))
    parts = left.integral(0, t) + overlay(
        at(shift + left.duration_s, right),
    ).integral(0, t)
    assert math.isclose(both.integral(0, t), parts, rel_tol=1e-9, abs_tol=1e-6)
    total = both.integral(0, 1000)
    assert math.isclose(
        total, left.integral(0, 1000) + right.integral(0, 1000), rel_tol=1e-5, abs_tol=0.1
    )


@settings(max_examples=100, deadline=None)
@given(left=profiles(), right=profiles())
def test_phases_are_ordered_disjoint_and_cover_what_has_users(
    left: Piecewise, right: Piecewise
) -> None:
    profile = sequence(left, right)
    phases = profile.phases()
    for before, after in pairwise(phases):
        assert before.start_s < before.end_s <= after.start_s < after.end_s
    covered = sum(profile.integral(p.start_s, p.end_s) for p in phases)
    whole = profile.integral(0, profile.duration_s)
    assert math.isclose(covered, whole, rel_tol=1e-9, abs_tol=1e-6)


def assert_never_below_plan(
    profile: Piecewise, first: float, gaps: list[float], users_at: Callable[[Load, float], int]
) -> None:
    """At each tick, what is handed over covers the plan of that moment and of a second later."""
    load, t = Load((Part(profile),)), first
    for gap in gaps:
        if t < profile.duration_s:
            assert users_at(load, t) >= profile.target(t) - 1e-6
            assert users_at(load, t) >= profile.target(t + LOOKAHEAD_S) - 1e-6
        t += gap


def test_the_tick_check_notices_a_tick_that_does_not_look_ahead() -> None:
    profile = sequence(ramp(5, 5, 10, phase="low"), ramp(50, 50, 10, phase="high"))
    assert_never_below_plan(profile, 0.0, [1.0] * 25, users_at_tick)
    with pytest.raises(AssertionError):
        assert_never_below_plan(profile, 0.0, [1.0] * 25, lambda plan, t: math.ceil(plan.target(t)))


@settings(max_examples=100, deadline=None)
@given(profile=profiles(), first=st.floats(-1, 1), gaps=st.lists(st.floats(0.9, 3.5), max_size=60))
def test_ticks_never_hand_over_less_than_the_plan_whenever_they_come(
    profile: Piecewise, first: float, gaps: list[float]
) -> None:
    assert_never_below_plan(profile, first, gaps, users_at_tick)
    load, t, previous = Load((Part(profile),)), first, 0
    for gap in gaps:
        step = step_at(load, t, previous)
        if t < profile.duration_s:
            assert step.users <= profile.peak(t, t + LOOKAHEAD_S) + 1
        assert step.spawn_rate >= max(1, abs(step.users - previous))
        previous = step.users
        t += gap


@settings(max_examples=100, deadline=None)
@given(level=st.integers(1, 3000), lower=st.integers(0, 2999), drop=DURATION_S, t=TIME_S)
def test_a_downward_step_is_never_early(level: int, lower: int, drop: float, t: float) -> None:
    profile = overlay(
        ramp(min(level, lower), min(level, lower), drop + 100, phase="base"),
        ramp(level, level, drop, phase="top"),
    )
    if t < drop:
        assert users_at_tick(Load((Part(profile),)), t) >= level
