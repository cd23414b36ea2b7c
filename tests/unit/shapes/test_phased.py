"""The tick plan: upward steps a second early at most, downward steps never."""

from __future__ import annotations

from shapes.load import Load, Part
from shapes.phased import (
    Step,
    counts_at_tick,
    planned_user_seconds,
    planned_users,
    step_at,
    users_at_tick,
)
from shapes.profile import Profile, at, burst, overlay, per_s, ramp, steady
from tests.unit.shapes.test_profile import p1_profile as p1


def load(profile: Profile, fixed_users: int = 0) -> Load:
    return Load((Part(profile),), {"Beside": fixed_users} if fixed_users else {})


def p1_profile() -> Load:
    return load(p1())


def test_p1_hands_over_an_upward_step_one_second_early_and_a_downward_step_on_time() -> None:
    planned = planned_users(p1_profile())
    assert len(planned) == 300
    assert planned[28:31] == (200, 2200, 2200)
    assert planned[88:91] == (2200, 2200, 1200)
    assert planned[268:272] == (1200, 1200, 200, 200)


def test_a_late_tick_continues_where_the_plan_is_by_then() -> None:
    profile = p1_profile()
    assert users_at_tick(profile, 28.9) == 200
    # The tick at 29.9 never came; the next one asks for everything at once.
    assert step_at(profile, 31.4, 200) == Step(2200, 2000.0)


def test_each_tick_can_complete_within_itself() -> None:
    assert step_at(p1_profile(), 89.5, 2200) == Step(2200, 1.0)
    assert step_at(p1_profile(), 90.0, 2200) == Step(1200, 1000.0)
    assert step_at(load(ramp(0, 10, 5)), 1.0, 2) == Step(4, 2.0)


def test_a_ramp_from_nothing_starts_its_first_users_at_once() -> None:
    assert planned_users(load(ramp(0, 10, 5))) == (2, 4, 6, 8, 10)


def test_before_second_0_the_users_of_second_0_start_and_no_more() -> None:
    profile = load(ramp(3, 13, 5))
    assert [users_at_tick(profile, t) for t in (-1.0000001, -1.0, -0.5, 0.0)] == [3, 3, 4, 5]


def test_a_burst_shorter_than_a_tick_is_not_lost() -> None:
    profile = load(overlay(steady(5, 10), at(3.2, burst(20, 0.5))))
    assert planned_users(profile)[2:5] == (5, 25, 5)


def test_after_the_end_nobody_is_planned() -> None:
    profile = load(steady(7, 3))
    assert [users_at_tick(profile, t) for t in (-1, 2.99, 3, 100)] == [7, 7, 0, 0]


def test_fixed_users_run_beside_the_profile_from_its_first_second_to_its_last() -> None:
    profile = load(overlay(steady(1, 4), at(2, burst(5, 1))), 3)
    assert planned_users(profile) == (4, 9, 9, 4)
    assert [users_at_tick(profile, t) for t in (-1, 3.99, 4, 100)] == [4, 4, 0, 0]
    assert step_at(profile, 4.0, 4) == Step(0, 4.0)
    assert planned_users(load(steady(0, 2), 3)) == (3, 3), "also where nobody is planned"
    assert sum(planned_user_seconds(profile)) == 9, "what is planned is the profile's alone"


def test_a_load_scale_leaves_fixed_users_alone() -> None:
    assert planned_users(load(steady(10, 1), 5).scaled(load=0.1)) == (6,)


def test_user_seconds_add_up_to_the_integral() -> None:
    profile = load(ramp(0, 9, 4.5))
    parts = planned_user_seconds(profile)
    assert len(parts) == 5
    assert sum(parts) == profile.integral(0, 4.5)


def test_each_class_follows_its_own_profile_and_an_open_one_starts_no_users() -> None:
    plan = Load(
        (
            Part(ramp(0, 10, 5), {"Browser": 3}),
            Part(steady(4, 2), {"Editor": 1}),
            Part(steady(per_s(12.5), 10), {"Checkout": 1}),
        ),
        {"Watcher": 2},
    )
    assert counts_at_tick(plan, 1.0) == {"Browser": 4, "Editor": 4, "Checkout": 0, "Watcher": 2}
    assert counts_at_tick(plan, 2.0) == {"Browser": 6, "Editor": 0, "Checkout": 0, "Watcher": 2}
    assert users_at_tick(plan, 7.0) == 2, "fixed users stay as long as anything is planned"
    assert users_at_tick(plan, 10.0) == 0
    assert len(planned_users(plan)) == 10
    assert sum(planned_user_seconds(plan)) == 25 + 8
