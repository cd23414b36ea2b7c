"""Each builder against the equation in its docstring, at random moments of random profiles."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from shapes.level import Level, Unit
from shapes.profile import (
    DAY,
    DAY_HOURS,
    Piecewise,
    diurnal,
    ramp,
    soak,
    spike,
    stairs,
    steady,
    stress,
    trace,
    wave,
)
from tests.property.any_profile import TENTHS_S, UNITS, amount, levels, ordered_levels

SOME = settings(max_examples=60, deadline=None)
MOMENT = st.floats(min_value=0, max_value=0.999)
LEVEL = UNITS.flatmap(levels)
LOW_AND_HIGH = UNITS.flatmap(ordered_levels)
APART = UNITS.flatmap(lambda unit: ordered_levels(unit, gap=3))


def agrees(profile: Piecewise, t_s: float, equation: float, *, off: float = 0.0) -> None:
    """`off` is what the builder's docstring allows; users may be half a one off beside it."""
    rounding = 0.5 if profile.unit is Unit.USERS and off else 0.0
    assert abs(profile.target(t_s) - equation) <= off + rounding + 1e-6


def into(profile: Piecewise, moment: float) -> float:
    return moment * profile.duration_s


def whole(unit: Unit, value: float) -> float:
    """Users, half ones up; more than none are at least one."""
    if unit is Unit.ARRIVALS or value == 0:
        return value
    return max(1, math.floor(value + 0.5))


@SOME
@given(low_and_high=LOW_AND_HIGH, duration_s=TENTHS_S, moment=MOMENT)
def test_a_line_is_its_equation(
    low_and_high: tuple[Level, Level], duration_s: float, moment: float
) -> None:
    low, high = low_and_high
    t_s = moment * duration_s
    agrees(steady(high, duration_s), t_s, amount(high))
    down = amount(high) + (amount(low) - amount(high)) * t_s / duration_s
    agrees(ramp(high, low, duration_s), t_s, down)


@SOME
@given(ends=APART, every_s=TENTHS_S, steps=st.integers(2, 4), moment=MOMENT, down=st.booleans())
def test_stairs_by_number_are_their_equation(
    ends: tuple[Level, Level], every_s: float, steps: int, moment: float, down: bool
) -> None:
    first, last = reversed(ends) if down else ends
    profile = stairs(first, last, every_s, steps=steps)
    k = int(moment * steps)
    level = amount(first) + (amount(last) - amount(first)) * k / (steps - 1)
    # In the middle of a step: at its edge, rounding could put the moment on either side.
    agrees(profile, (k + 0.5) * every_s, whole(profile.unit, level))
    assert profile.duration_s == round(steps * every_s, 6)
    assert [phase.name for phase in profile.phases()] == [f"stairs {n + 1}" for n in range(steps)]


@SOME
@given(ends=APART, every_s=TENTHS_S, moment=MOMENT, data=st.data())
def test_stress_and_stairs_by_height_are_their_equation(
    ends: tuple[Level, Level], every_s: float, moment: float, data: st.DataObject
) -> None:
    low, high = ends
    unit = Unit.USERS if isinstance(low, int) else Unit.ARRIVALS
    height = data.draw(levels(unit, least=40))
    up, down = (
        stress(low, height, every_s, up_to=high),
        stairs(high, low, every_s, height=height),
    )
    steps = len(up.phases())
    assert steps == len(down.phases())
    assert (steps - 2) * amount(height) < amount(high) - amount(low) + 1e-6
    assert amount(high) - amount(low) <= (steps - 1) * amount(height) + 1e-6
    k = int(moment * steps)
    t_s = (k + 0.5) * every_s
    agrees(up, t_s, min(amount(low) + k * amount(height), amount(high)))
    agrees(down, t_s, max(amount(high) - k * amount(height), amount(low)))
    assert up.phases()[k].name == f"stress {k + 1}"


@SOME
@given(low_and_high=LOW_AND_HIGH, rise_s=TENTHS_S, fall_s=TENTHS_S, moment=MOMENT)
def test_a_spike_is_its_equation(
    low_and_high: tuple[Level, Level], rise_s: float, fall_s: float, moment: float
) -> None:
    base, top = low_and_high
    profile = spike(top, rise_s, fall_s, base=base)
    height, t_s = amount(top) - amount(base), into(profile, moment)
    rising = amount(base) + height * t_s / rise_s
    falling = amount(top) - height * (t_s - rise_s) / fall_s
    agrees(profile, t_s, rising if t_s < rise_s else falling)


@SOME
@given(low_and_high=LOW_AND_HIGH, period_s=TENTHS_S, duration_s=TENTHS_S, moment=MOMENT)
def test_a_wave_is_its_sine_within_the_stated_error(
    low_and_high: tuple[Level, Level], period_s: float, duration_s: float, moment: float
) -> None:
    amplitude, mean = low_and_high
    profile = wave(mean, amplitude, period_s, duration_s)
    t_s = into(profile, moment)
    sine = amount(mean) + amount(amplitude) * math.sin(2 * math.pi * t_s / period_s)
    agrees(profile, t_s, sine, off=0.00121 * amount(amplitude) + 1e-3)
    whole_periods_s = period_s * math.floor(duration_s / period_s + 1e-9)
    area = profile.integral(0, whole_periods_s)
    assert math.isclose(area, amount(mean) * whole_periods_s, rel_tol=1e-6, abs_tol=1e-3)


@SOME
@given(base=LEVEL, day_s=st.floats(1, 100_000), moment=MOMENT)
def test_a_day_is_its_table(base: Level, day_s: float, moment: float) -> None:
    profile = diurnal(base, day_s)
    assert abs(profile.duration_s - day_s) <= 1e-6
    hour = 0.0
    for phase, (name, hours, factor) in zip(profile.phases(), DAY, strict=True):
        assert phase.name == name
        assert abs(phase.start_s - day_s * hour / DAY_HOURS) <= 1e-6
        t_s = phase.start_s + moment * (phase.end_s - phase.start_s)
        agrees(profile, t_s, whole(profile.unit, amount(base) * factor))
        hour += hours


@SOME
@given(level=LEVEL, duration_s=TENTHS_S, ramp_s=TENTHS_S, moment=MOMENT)
def test_a_soak_is_its_equation(
    level: Level, duration_s: float, ramp_s: float, moment: float
) -> None:
    profile = soak(level, duration_s, ramp_s=ramp_s)
    t_s = into(profile, moment)
    since_s = t_s - ramp_s - duration_s
    if t_s < ramp_s:
        expected = amount(level) * t_s / ramp_s
    else:
        expected = amount(level) * (1 if since_s < 0 else 1 - since_s / ramp_s)
    agrees(profile, t_s, expected)


@SOME
@given(
    gaps=st.lists(TENTHS_S, min_size=1, max_size=20),
    unit=UNITS,
    data=st.data(),
    moment=MOMENT,
)
def test_a_trace_is_its_rows(
    gaps: list[float], unit: Unit, data: st.DataObject, moment: float
) -> None:
    times = [0.0, *(round(sum(gaps[: n + 1]), 6) for n in range(len(gaps)))]
    rows = [(time_s, data.draw(levels(unit))) for time_s in times]
    stepwise, linear = trace(rows), trace(rows, linear=True)
    assert abs(stepwise.duration_s - (times[-1] + times[-1] - times[-2])) <= 1e-6
    assert linear.duration_s == times[-1]
    n = int(moment * (len(rows) - 1))
    (from_s, a), (to_s, b) = rows[n], rows[n + 1]
    t_s = from_s + moment * (to_s - from_s)
    agrees(stepwise, t_s, amount(a))
    agrees(linear, t_s, amount(a) + (amount(b) - amount(a)) * (t_s - from_s) / (to_s - from_s))
    agrees(stepwise, times[-1], amount(rows[-1][1]))
