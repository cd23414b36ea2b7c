"""A load joins the profiles of its classes: users, arrivals, phases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapes.load import Load, Part, by_weight, load_of
from shapes.profile import Phase, at, burst, overlay, per_s, steady

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50), min_size=1)


@given(st.integers(0, 3000), WEIGHTS)
def test_one_more_user_is_one_more_of_one_class(total: int, weights: dict[str, int]) -> None:
    now, then = by_weight(total, weights), by_weight(total + 1, weights)
    assert sum(now.values()) == (total if any(weights.values()) else 0)
    assert sum(then.values()) - sum(now.values()) == (1 if any(weights.values()) else 0)
    assert all(then[name] >= now[name] for name in weights)


@given(st.integers(0, 3000), WEIGHTS)
def test_no_class_strays_far_from_its_share(total: int, weights: dict[str, int]) -> None:
    whole = sum(weights.values())
    for name, count in by_weight(total, weights).items():
        share = total * weights[name] / whole if whole else 0
        assert abs(count - share) <= len(weights)


def test_users_of_weight_49_and_1_are_98_and_2_of_a_hundred() -> None:
    assert by_weight(100, {"Saas": 49, "Gateway": 1}) == {"Saas": 98, "Gateway": 2}
    assert by_weight(0, {"Saas": 49, "Gateway": 1}) == {"Saas": 0, "Gateway": 0}
    assert by_weight(5, {"Saas": 1, "Idle": 0}) == {"Saas": 5, "Idle": 0}


def test_an_open_profile_of_several_classes_is_split_by_their_weights() -> None:
    load = load_of(steady(per_s(10), 4), {"Read": 4, "Write": 1, "Never": 0}, {})
    rates = {name: profile.target(1) for name, profile in load.arrivals.items()}
    assert rates == {"Read": 8, "Write": 2}
    assert load.users(0, 1) == 0
    assert load.counts(0, 1) == {"Read": 0, "Write": 0, "Never": 0}


def test_the_phases_are_those_of_the_first_profile_and_then_of_the_next() -> None:
    first = overlay(steady(5, 10), at(3, burst(9, 2)))
    load = Load((Part(first, {"A": 1}), Part(steady(1, 14, phase="tail"), {"B": 1})))
    assert load.phases() == (
        Phase("steady", 0, 3),
        Phase("burst", 3, 5),
        Phase("steady", 5, 10),
        Phase("tail", 10, 14),
    )
    assert load.duration_s == 14


def test_scaling_scales_each_profile_and_no_fixed_user() -> None:
    load = load_of({"A": steady(10, 4), "B": steady(per_s(3), 8)}, {"A": 1, "B": 1}, {"C": 2})
    half = load.scaled(time=0.5, load=0.5)
    assert half.duration_s == 4
    assert half.counts(0, 1) == {"A": 5, "B": 0, "C": 2}
    assert half.arrivals["B"].target(1) == 1.5


@pytest.mark.parametrize(
    ("profiles", "weights", "says"),
    [
        ({"A": steady(1, 1)}, {"A": 1, "B": 1}, "B has no profile"),
        ({"A": steady(1, 1), "B": steady(1, 1)}, {"A": 1}, "B is for no user class"),
        (steady(per_s(1), 1), {"A": 0, "B": 0}, "need a weight above 0"),
        ({}, {}, "at least one profile"),
    ],
)
def test_classes_and_profiles_must_fit(
    profiles: object, weights: dict[str, int], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load_of(profiles, weights, {})  # type: ignore[arg-type]


def test_a_class_has_one_profile() -> None:
    with pytest.raises(ValueError, match="A has two profiles"):
        Load((Part(steady(1, 1), {"A": 1}), Part(steady(2, 1), {"A": 1})))
