"""Each builder of profiles, closed and open, against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from shapes.piecewise import MOST_PIECES, check_pieces
from shapes.profile import (
    Level,
    Phase,
    Piecewise,
    Unit,
    burst,
    diurnal,
    per_s,
    ramp,
    soak,
    spike,
    stairs,
    steady,
    stress,
    trace,
    wave,
)


def targets(profile: Piecewise, *moments: float) -> list[float]:
    return [profile.target(t) for t in moments]


def names(profile: Piecewise) -> list[tuple[str, float, float]]:
    return [(phase.name, phase.start_s, phase.end_s) for phase in profile.phases()]


def test_rates_are_fractional_arrivals_per_second() -> None:
    profile = ramp(per_s(0.5), per_s(2.5), 4)
    assert profile.unit is Unit.ARRIVALS
    assert targets(profile, 0, 1, 2, 3, 4) == [0.5, 1.0, 1.5, 2.0, 0]
    assert profile.integral(0, 4) == 6.0, "six arrivals"
    assert steady(per_s(12.5), 0.25).integral(0, 1) == 3.125, "also within a second"
    assert steady(5, 10).unit is Unit.USERS


def test_stairs_by_number_include_the_first_level_and_the_last() -> None:
    profile = stairs(10, 50, 20, steps=5)
    assert targets(profile, 0, 19.9, 20, 40, 60, 80, 99.9, 100) == [10, 10, 20, 30, 40, 50, 50, 0]
    assert profile.integral(0, 100) == 20 * 150
    assert names(profile) == [(f"stairs {n}", 20 * (n - 1), 20 * n) for n in range(1, 6)]


def test_stairs_of_users_are_whole_and_half_a_user_rounds_up() -> None:
    # 0, 3.33, 6.67, 10 and 1, 3.5, 6
    assert targets(stairs(0, 10, 1, steps=4), 0, 1, 2, 3) == [0, 3, 7, 10]
    assert targets(stairs(1, 6, 1, steps=3), 0, 1, 2) == [1, 4, 6]
    open_stairs = stairs(per_s(0), per_s(10), 1, steps=4)
    assert targets(open_stairs, 1, 2) == pytest.approx([10 / 3, 20 / 3])


def test_stairs_by_height_end_with_what_is_left() -> None:
    assert targets(stairs(100, 450, 1, height=100), 0, 1, 2, 3, 4, 5) == [
        100, 200, 300, 400, 450, 0,
    ]  # fmt: skip
    assert stairs(1, 5, 1, height=100).duration_s == 2, "one step, as high as is left"


def test_stairs_lead_down_too() -> None:
    assert targets(stairs(9, 0, 1, height=4), 0, 1, 2, 3) == [9, 5, 1, 0]
    assert targets(stairs(9, 0, 1, steps=4), 0, 1, 2, 3) == [9, 6, 3, 0]


def test_stairs_of_tenths_have_no_step_of_float_dust() -> None:
    # 0.3 / 0.1 is 2.9999999999999996 and (0.8 - 0.1) / 0.1 is 7.000000000000001.
    assert len(stairs(per_s(0), per_s(0.3), 1, height=per_s(0.1)).lines()) == 4
    assert len(stairs(per_s(0.1), per_s(0.8), 1, height=per_s(0.1)).lines()) == 8


def test_a_phase_name_makes_one_phase_of_builders_that_have_several() -> None:
    assert names(stairs(1, 3, 10, steps=3, phase="climb")) == [("climb", 0, 30)]
    assert names(diurnal(10, 28, phase="day")) == [("day", 0, 28)]
    assert names(soak(5, 10, ramp_s=1, phase="all")) == [("all", 0, 12)]


def test_stress_climbs_up_to_its_limit_and_numbers_every_stair() -> None:
    profile = stress(per_s(50), per_s(25), 30, up_to=per_s(110))
    assert targets(profile, 0, 30, 60, 90, 119.9, 120) == [50, 75, 100, 110, 110, 0]
    assert names(profile)[0] == ("stress 1", 0, 30)
    assert names(profile)[-1] == ("stress 4", 90, 120)
    assert [name for name, _, _ in names(stress(1, 1, 5, up_to=3, phase="load"))] == [
        "load 1", "load 2", "load 3",
    ]  # fmt: skip


def test_a_spike_rises_from_its_base_and_falls_back() -> None:
    profile = spike(100, 10, 20, base=20)
    assert targets(profile, 0, 5, 10, 20, 30) == [20, 60, 100, 60, 0]
    assert profile.integral(0, 30) == 30 * 60
    assert profile.peak(0, 30) == 100
    assert names(profile) == [("spike", 0, 30)]
    assert targets(spike(100, 10, 20), 0, 5, 25) == [0, 50, 25]
    assert spike(per_s(2.5), 1, 1).integral(0, 2) == 2.5


def test_a_wave_swings_around_its_mean() -> None:
    profile = wave(100, 40, 60, 120)
    # Crests at a quarter of a period, troughs at three.
    assert targets(profile, 0, 15, 30, 45, 60, 75, 120) == [100, 140, 100, 60, 100, 140, 0]
    assert profile.target(5) == pytest.approx(120, abs=1), "sin 30 degrees is a half"
    assert profile.integral(0, 60) == pytest.approx(100 * 60, rel=1e-12)
    assert profile.integral(0, 30) == pytest.approx(100 * 30 + 40 * 60 / math.pi, rel=1e-3)
    assert names(profile) == [("wave", 0, 120)]


def test_the_chords_of_a_wave_stay_within_their_stated_distance_of_the_sine() -> None:
    profile = wave(per_s(10), per_s(10), 64, 100)
    off = [
        abs(profile.target(t) - (10 + 10 * math.sin(2 * math.pi * t / 64)))
        for t in (n / 10 for n in range(1000))
    ]
    assert 0.0010 < max(off) / 10 < 0.00121


def test_a_wave_may_end_within_a_period_or_before_its_first_crest() -> None:
    profile = wave(per_s(8), per_s(8), 10, 12.5)
    assert profile.duration_s == 12.5
    assert profile.peak(12.4, 12.5) == 16
    assert wave(per_s(8), per_s(8), 10, 0.01).target(0) == 8


def test_a_day_has_the_levels_and_the_hours_of_row_b_29() -> None:
    profile = diurnal(10)
    hour_s = 3600
    assert names(profile) == [
        ("low", 0, 4 * hour_s),
        ("normal", 4 * hour_s, 15 * hour_s),
        ("peak", 15 * hour_s, 17 * hour_s),
        ("normal", 17 * hour_s, 28 * hour_s),
    ]
    assert targets(profile, 0, 4 * hour_s, 15 * hour_s, 17 * hour_s) == [3, 10, 50, 10]
    assert profile.integral(0, 28 * hour_s) == 10 * (5.0 * 2 + 1.0 * 22 + 0.3 * 4) * hour_s


def test_a_compressed_day_keeps_its_shares() -> None:
    profile = diurnal(per_s(2.5), 84)
    assert names(profile)[2] == ("peak", 45, 51)
    assert targets(profile, 0, 45) == [0.75, 12.5]
    assert diurnal(10, 86_400).duration_s == 86_400
    assert diurnal(10, 1).duration_s == 1


def test_a_soak_ramps_in_and_out_beside_its_window() -> None:
    profile = soak(100, 3600, ramp_s=60)
    assert targets(profile, 0, 30, 60, 3659.9, 3690, 3720) == [0, 50, 100, 100, 50, 0]
    assert names(profile) == [
        ("ramp-up", 0, 60),
        ("soak", 60, 3660),
        ("ramp-down", 3660, 3720),
    ]
    assert soak(per_s(0.5), 10, ramp_s=2).integral(0, 14) == 0.5 * 12


def test_a_trace_holds_each_level_until_the_next_row_and_the_last_as_long_as_the_one_before() -> (
    None
):
    profile = trace([(0, 5), (10, 8), (12, 0), (15, 2)])
    assert targets(profile, 0, 9.99, 10, 12, 15, 17.9, 18) == [5, 5, 8, 0, 2, 2, 0]
    assert profile.integral(0, 18) == 5 * 10 + 8 * 2 + 2 * 3
    assert profile.phases() == (Phase("trace", 0, 18),)
    assert trace([(0, 5), (10, 8)], end_s=11).integral(0, 20) == 58
    assert trace([(0, 5)], end_s=3).integral(0, 20) == 15
    assert trace([(0, 5)], end_s=1.234_567_89).duration_s == 1.234_568, "to the microsecond"


def test_a_linear_trace_connects_its_rows() -> None:
    profile = trace([(0, per_s(0)), (2, per_s(5)), (6, per_s(1))], linear=True, phase="monday")
    assert targets(profile, 0, 1, 2, 4, 6) == [0, 2.5, 5, 3, 0]
    assert profile.integral(0, 6) == 5 + 12
    assert names(profile) == [("monday", 0, 6)]


def test_a_trace_takes_any_iterable_but_no_endless_one() -> None:
    assert trace((second, 1) for second in range(3)).duration_s == 3

    def endless() -> object:
        second = 0
        while True:
            yield second, 1
            second += 1

    with pytest.raises(ValueError, match=f"limit is {MOST_PIECES:,}"):
        trace(endless())  # type: ignore[arg-type]


def test_the_limits_themselves_are_taken() -> None:
    assert steady(1, 1e9).duration_s == 1e9
    assert len(stairs(per_s(0), per_s(1), 1, steps=1000, phase="all").segments) == 1000
    check_pieces("a profile", MOST_PIECES)
    with pytest.raises(ValueError, match="limit is 1,000,000"):
        check_pieces("a profile", MOST_PIECES + 1)


LEVEL_BUILDERS: dict[str, Callable[[Level], object]] = {
    "steady": lambda x: steady(x, 10),
    "burst": lambda x: burst(x, 10),
    "ramp": lambda x: ramp(x, x, 10),
    "stairs": lambda x: stairs(x, x, 10, steps=2),
    "stairs by height": lambda x: stairs(1, 5, 10, height=x),
    "stress": lambda x: stress(x, x, 10, up_to=x),
    "spike": lambda x: spike(x, 1, 1),
    "spike's base": lambda x: spike(per_s(5), 1, 1, base=x),
    "wave": lambda x: wave(x, x, 10, 10),
    "diurnal": lambda x: diurnal(x, 10),
    "soak": lambda x: soak(x, 10, ramp_s=1),
    "trace": lambda x: trace([(0, x), (1, x)]),
}
"""`spike`'s base and `stairs`' height have neighbours of one unit: a level of another is mixed."""

NO_LEVELS: list[object] = [-1, 2.5, True, "5", None, [5], math.nan, 10**400, 1_000_000_001]


@pytest.mark.parametrize(
    ("builder", "level"),
    [
        pytest.param(builder, level, id=f"{builder} {str(level)[:10]}")
        for builder in LEVEL_BUILDERS
        for level in NO_LEVELS
        # None is to leave these out.
        if level is not None or builder not in ("spike's base", "stairs by height")
    ],
)
def test_every_builder_refuses_what_is_no_level(builder: str, level: object) -> None:
    with pytest.raises(ValueError, match=r"write|written per_s"):
        LEVEL_BUILDERS[builder](level)  # type: ignore[arg-type]


DURATION_BUILDERS: dict[str, Callable[[float], object]] = {
    "steady": lambda s: steady(1, s),
    "burst": lambda s: burst(1, s),
    "ramp": lambda s: ramp(1, 2, s),
    "stairs": lambda s: stairs(1, 2, s, steps=2),
    "stress": lambda s: stress(1, 1, s, up_to=2),
    "spike's rise": lambda s: spike(1, s, 1),
    "spike's fall": lambda s: spike(1, 1, s),
    "wave": lambda s: wave(1, 1, 10, s),
    "wave's period": lambda s: wave(1, 1, s, 10),
    "diurnal": lambda s: diurnal(1, s),
    "soak": lambda s: soak(1, s, ramp_s=1),
    "soak's ramp": lambda s: soak(1, 1, ramp_s=s),
    "trace": lambda s: trace([(0, 1)], end_s=s),
}
NO_DURATIONS: list[object] = [0, -1, 1e-9, True, "5", math.nan, math.inf, 1e10, 10**400]


@pytest.mark.parametrize("value", NO_DURATIONS, ids=[str(value)[:10] for value in NO_DURATIONS])
@pytest.mark.parametrize("builder", DURATION_BUILDERS)
def test_every_builder_refuses_what_is_no_duration(builder: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must be a finite number above 0|must be at most"):
        DURATION_BUILDERS[builder](value)  # type: ignore[arg-type]


PHASE_BUILDERS: dict[str, Callable[[str], object]] = {
    "steady": lambda name: steady(1, 1, phase=name),
    "burst": lambda name: burst(1, 1, phase=name),
    "ramp": lambda name: ramp(1, 1, 1, phase=name),
    "stairs": lambda name: stairs(1, 2, 1, steps=2, phase=name),
    "stress": lambda name: stress(1, 1, 1, up_to=2, phase=name),
    "spike": lambda name: spike(1, 1, 1, phase=name),
    "wave": lambda name: wave(1, 1, 1, 1, phase=name),
    "diurnal": lambda name: diurnal(1, 28, phase=name),
    "soak": lambda name: soak(1, 1, ramp_s=1, phase=name),
    "trace": lambda name: trace([(0, 1)], end_s=1, phase=name),
}


@pytest.mark.parametrize("name", ["a#1", "a\n", "x" * 51, "a:b", "…", ["a"]], ids=repr)
@pytest.mark.parametrize("builder", PHASE_BUILDERS)
def test_every_builder_refuses_what_is_no_phase_name(builder: str, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 50 letters"):
        PHASE_BUILDERS[builder](name)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: stairs(1, 5, 10), "either steps=, how many, or height="),
        (lambda: stairs(1, 5, 10, steps=2, height=2), "either steps=, how many, or height="),
        (lambda: stairs(5, 5, 10, steps=2), r"write steady\("),
        (lambda: stairs(1, 5, 10, steps=1), "2 or more"),
        (lambda: stairs(1, 5, 10, steps=2.0), "2 or more"),  # type: ignore[arg-type]
        (lambda: stairs(1, 5, 10, steps=True), "2 or more"),
        (lambda: stairs(1, 5, 10, steps=6), "take 5 or less"),
        (lambda: stairs(1, 5, 10, height=0), "above 0"),
        (lambda: stairs(per_s(0), per_s(1), 1, steps=10**7), "limit is 1,000,000"),
        (lambda: stairs(per_s(0), per_s(1), 1, height=per_s(5e-324)), "limit is 1,000,000"),
        (lambda: stairs(1, 2, 1e9, steps=2), "must be at most"),
        (lambda: stairs(1, 2, 0, steps=2), "every_s must be"),
        (lambda: stress(1, 1, 1, up_to=20, phase="x" * 48), "1 to 50 letters"),
        (lambda: stress(5, 1, 10, up_to=5), "must be above 5"),
        (lambda: stress(5, 0, 10, up_to=6), "above 0"),
        (lambda: spike(5, 1, 1, base=6), "must not be above"),
        (lambda: wave(5, 6, 10, 10), "at most the mean"),
        (lambda: wave(5, 5, 0.0009, 10), "at least a millisecond"),
        (lambda: wave(5, 5, 0.001, 1000), "limit is 1,000,000"),
        (lambda: diurnal(1, 0.000_003), "above 0"),
        (lambda: trace([]), r"needs rows of \(time_s, level\)"),
        (lambda: trace(5), r"takes rows of \(time_s, level\)"),  # type: ignore[arg-type]
        (lambda: trace([5]), "row 1: 5 is no"),  # type: ignore[list-item]
        (lambda: trace([(0, 1), (1,)]), "row 2"),  # type: ignore[list-item]
        (lambda: trace([(0, 1, 2)]), "row 1"),  # type: ignore[list-item]
        (lambda: trace([("0", 1)]), "row 1"),  # type: ignore[list-item]
        (lambda: trace([(math.nan, 1)]), "row 1"),
        (lambda: trace([(False, 1)]), "row 1"),
        (lambda: trace([(0, 1), (-1, 1)]), "row 2"),
        (lambda: trace([(3, 1), (4, 1)]), "subtract it from all times"),
        (lambda: trace([(0, 1), (5, 1), (5, 2)]), "row 3: 5 s is not a microsecond"),
        (lambda: trace([(0, 1), (5, 1), (4, 2)]), "sort the rows"),
        (lambda: trace([(0, 1), (1, 1), (1.000_000_4, 2)]), "join those of one moment"),
        (lambda: trace([(0, 1)]), "needs end_s="),
        (lambda: trace([(0, 1), (5, 1)], end_s=5), "after the last row"),
        (lambda: trace([(0, 1), (9e8, 1)]), "must be at most"),
        (lambda: trace([(0, 1)], linear=True), "two or more"),
        (lambda: trace([(0, 1), (5, 1)], linear=True, end_s=6), "no end_s"),
    ],
)
def test_bad_values_are_refused_with_the_remedy(make: Callable[[], object], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ramp(5, per_s(10), 10),
        lambda: stairs(per_s(5), 10, 10, steps=2),
        lambda: stairs(5, 10, 10, height=per_s(1)),
        lambda: stress(5, per_s(1), 10, up_to=10),
        lambda: stress(5, 1, 10, up_to=per_s(10)),
        lambda: spike(per_s(5), 1, 1, base=1),
        lambda: wave(5, per_s(1), 10, 10),
        lambda: trace([(0, 1), (1, per_s(1))]),
    ],
)
def test_users_and_arrivals_are_never_mixed_in_one_builder(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"mixes users and arrivals.*steady\(per_s\(200\), 60\)"):
        make()
