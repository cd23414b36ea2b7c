"""Profiles made of profiles: repeated, scaled, jittered, and what is refused of each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shapes.profile import (
    Phase,
    at,
    burst,
    diurnal,
    jitter,
    overlay,
    per_s,
    ramp,
    repeat,
    scale,
    sequence,
    steady,
    trace,
)

ROOT = Path(__file__).resolve().parents[3]


def test_repeat_begins_again_where_the_profile_ends() -> None:
    profile = repeat(sequence(ramp(0, 10, 4), steady(2, 1, phase="rest")), 3)
    assert [profile.target(t) for t in (0, 2, 4, 5, 7, 9, 14, 15)] == [0, 5, 2, 0, 5, 2, 2, 0]
    assert profile.integral(0, 15) == 3 * (20 + 2)
    assert [(p.name, p.start_s) for p in profile.phases()] == [
        ("ramp", 0), ("rest", 4), ("ramp", 5), ("rest", 9), ("ramp", 10), ("rest", 14),
    ]  # fmt: skip


def test_a_profile_of_one_phase_repeated_is_one_phase() -> None:
    assert repeat(ramp(0, 10, 5), 4).phases() == (Phase("ramp", 0, 20),)
    assert repeat(steady(1, 5), 1) == steady(1, 5)


def test_days_of_a_week_repeat_without_drift() -> None:
    week = repeat(diurnal(10, 1), 7)
    assert week.duration_s == 7
    assert week.target(6.0) == 3


def test_scale_is_the_method_of_the_profile() -> None:
    profile = ramp(0, 100, 10)
    assert scale(profile, time=0.2, load=0.5) == profile.scaled(time=0.2, load=0.5)
    assert scale(profile) == profile


def test_jitter_moves_each_interval_by_its_own_draw() -> None:
    profile = jitter(steady(1000, 10), 0.2, 1, 7)
    levels = [profile.target(t) for t in range(10)]
    assert all(800 <= level <= 1200 for level in levels)
    assert len(set(levels)) > 5
    assert all(profile.target(t) == profile.target(t + 0.99) for t in range(10)), "steady within"
    assert profile.phases() == (Phase("steady", 0, 10),)


def test_jitter_of_a_ramp_keeps_its_slope_and_of_nothing_stays_nothing() -> None:
    profile = jitter(ramp(per_s(0), per_s(100), 10), 0.1, 5, 1)
    first, second = profile.lines()
    assert first.from_level == 0
    assert 45 <= first.to_level <= 55
    assert second.to_level == pytest.approx(2 * second.from_level), "one factor for both ends"
    gap = overlay(at(5, steady(10, 5)))
    assert jitter(gap, 1, 1, 1).peak(0, 4.9) == 0


def test_jitter_cuts_at_multiples_of_its_interval_also_between_the_profiles_own_edges() -> None:
    profile = jitter(sequence(steady(50, 1.5), burst(90, 1.5)), 0.5, 1, 3)
    assert [line.start_s for line in profile.lines()] == [0, 1, 1.5, 2]
    within = [profile.target(1.2) / 50, profile.target(1.7) / 90]
    assert within[0] == pytest.approx(within[1], abs=0.02), "one interval, one draw"


def test_jittered_users_are_whole_and_the_last_one_stays() -> None:
    profile = jitter(ramp(1, 7, 5), 1, 0.7, "seed")
    ends = [level for line in profile.lines() for level in (line.from_level, line.to_level)]
    assert all(level == int(level) >= 1 for level in ends)


def test_jitter_draws_from_its_whole_range_and_around_the_profile() -> None:
    profile = jitter(steady(per_s(1.0), 10_000), 0.5, 1, "range")
    levels = [line.from_level for line in profile.lines()]
    assert 0.5 <= min(levels) < 0.501
    assert 1.499 < max(levels) < 1.5
    # 10,000 draws of a uniform of half width 0.5: the mean's standard error is 0.0029.
    assert abs(profile.integral(0, 10_000) / 10_000 - 1) < 0.015


def test_jitter_depends_on_its_seed_alone() -> None:
    make = "jitter(steady(per_s(100.0), 5), 0.5, 1, {}).lines()"
    here = [jitter(steady(per_s(100.0), 5), 0.5, 1, seed).lines() for seed in (1, 2, "1x")]
    assert here[0] != here[1] != here[2]
    code = f"from shapes.profile import *; print(repr({make.format(1)}))"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert elsewhere.stdout.strip() == repr(here[0]), elsewhere.stderr


def test_the_draws_of_a_seed_never_change() -> None:
    """Runs are compared over versions: the same seed plans the same load next year.

    Worked out by `printf 0:42 | b2sum -l 64`, and so on: 1000 * (0.5 + the digest / 2**64).
    """
    profile = jitter(steady(1000, 4), 0.5, 1, 42)
    assert [profile.target(t) for t in range(4)] == [853, 1438, 922, 1212]


NO_PROFILES = [5, None, "steady", steady, at(1, steady(1, 1)), (steady(1, 1),)]


@pytest.mark.parametrize("part", NO_PROFILES, ids=[type(part).__name__ for part in NO_PROFILES])
def test_what_is_no_profile_is_refused_by_all_that_compose(part: object) -> None:
    makers: list[Callable[[], object]] = [
        lambda: at(1, part),  # type: ignore[arg-type]
        lambda: sequence(steady(1, 1), part),  # type: ignore[arg-type]
        lambda: repeat(part, 2),  # type: ignore[arg-type]
        lambda: scale(part, load=2),  # type: ignore[arg-type]
        lambda: jitter(part, 0.1, 1, 1),  # type: ignore[arg-type]
    ]
    if not isinstance(part, type(at(1, steady(1, 1)))):
        makers.append(lambda: overlay(steady(1, 1), part))  # type: ignore[arg-type]
    for make in makers:
        with pytest.raises(ValueError, match=r"takes profiles, such as steady\(200, 60\)"):
            make()


@pytest.mark.parametrize("compose", [overlay, sequence])
def test_users_and_arrivals_never_meet(compose: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=rf"{compose.__name__}\(\) mixes users and arrivals"):
        compose(steady(5, 10), steady(per_s(5), 10, phase="open"))


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: repeat(steady(1, 1), 0), "1 or more"),
        (lambda: repeat(steady(1, 1), -1), "1 or more"),
        (lambda: repeat(steady(1, 1), 2.0), "1 or more"),  # type: ignore[arg-type]
        (lambda: repeat(steady(1, 1), True), "1 or more"),
        (lambda: repeat(steady(1, 1), 10**12), "limit is 1,000,000"),
        (lambda: repeat(steady(1, 1e9), 2), "must be at most"),
        (lambda: sequence(steady(1, 1e9), steady(1, 1)), "must be at most"),
        (lambda: overlay(at(1e9, steady(1, 1))), "must be at most"),
        (lambda: at("1", steady(1, 1)), "0 or more"),  # type: ignore[arg-type]
        (lambda: at(True, steady(1, 1)), "0 or more"),
        (lambda: at(1e10, steady(1, 1)), "at most"),
        (lambda: at(10**400, steady(1, 1)), "at most"),
        (lambda: scale(steady(1, 1), time=0), "above 0"),
        (lambda: jitter(steady(1, 1), -0.1, 1, 1), "from 0 to 1"),
        (lambda: jitter(steady(1, 1), 1.1, 1, 1), "from 0 to 1"),
        (lambda: jitter(steady(1, 1), float("nan"), 1, 1), "from 0 to 1"),
        (lambda: jitter(steady(1, 1), "1", 1, 1), "from 0 to 1"),  # type: ignore[arg-type]
        (lambda: jitter(steady(1, 1), True, 1, 1), "from 0 to 1"),
        (lambda: jitter(steady(1, 1), 0.1, 0, 1), "above 0"),
        (lambda: jitter(steady(1, 1), 0.1, 1e-7, 1), "above 0"),
        (lambda: jitter(steady(1, 10), 0.1, 1e-6, 1), "limit is 1,000,000"),
        (lambda: jitter(steady(1, 1), 0.1, 1, None), "the seed must be"),  # type: ignore[arg-type]
        (lambda: jitter(steady(1, 1), 0.1, 1, 1.5), "the seed must be"),  # type: ignore[arg-type]
        (lambda: jitter(steady(1, 1), 0.1, 1, True), "the seed must be"),
        (lambda: jitter(steady(10**9, 1), 1, 0.1, 1), "scale less"),
    ],
)
def test_bad_values_are_refused_with_the_remedy(make: Callable[[], object], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        make()


def test_parts_that_are_too_many_together_are_refused() -> None:
    part = trace([(n, 1) for n in range(600_000)])
    with pytest.raises(ValueError, match="limit is 1,000,000"):
        overlay(part, at(1e6, part))
