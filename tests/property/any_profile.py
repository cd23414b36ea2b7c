"""Random profiles of either unit: every builder, and compositions of them, two levels deep.

Times lie on a grid of a tenth of a second where builders leave the choice, levels are small enough
that absolute tolerances of a millionth mean something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from hypothesis import strategies as st

from shapes.level import Level, Unit, per_s
from shapes.piecewise import Piecewise
from shapes.profile import (
    at,
    burst,
    diurnal,
    jitter,
    overlay,
    ramp,
    repeat,
    scale,
    sequence,
    soak,
    spike,
    stairs,
    steady,
    stress,
    trace,
    wave,
)

UNITS = st.sampled_from(list(Unit))
TENTHS_S = st.integers(min_value=1, max_value=100).map(lambda tenths: tenths / 10)
START_S = st.integers(min_value=0, max_value=100).map(lambda tenths: tenths / 10)


def levels(unit: Unit, least: int = 0) -> st.SearchStrategy[Level]:
    whole = st.integers(min_value=least, max_value=500)
    if unit is Unit.USERS:
        return whole
    return st.one_of(whole, st.floats(min_value=least, max_value=500)).map(per_s)


def amount(level: Level) -> float:
    return level if isinstance(level, int) else level.per_s


@st.composite
def ordered_levels(draw: st.DrawFn, unit: Unit, gap: int = 0) -> tuple[Level, Level]:
    """A lower and a higher one, at least `gap` apart."""
    one, other = sorted((draw(levels(unit)), draw(levels(unit))), key=amount)
    if amount(other) - amount(one) >= gap:
        return one, other
    return (0, 1 + gap) if unit is Unit.USERS else (per_s(0), per_s(1 + gap))


@st.composite
def built(draw: st.DrawFn, unit: Unit, phase: str) -> Piecewise:
    """What one builder makes, as one phase, but stress: its phases begin with the name."""
    low, high = draw(ordered_levels(unit))
    apart_low, apart_high = draw(ordered_levels(unit, gap=3))
    one, duration_s, other_s = draw(levels(unit)), draw(TENTHS_S), draw(TENTHS_S)
    step = draw(levels(unit, least=40))
    rows = draw(st.lists(st.tuples(TENTHS_S, levels(unit)), min_size=1, max_size=8))
    times = [0.0, *(sum(gap for gap, _ in rows[: n + 1]) for n in range(len(rows)))]
    recorded = list(zip(times, [one, *(level for _, level in rows)], strict=True))
    makers: list[Callable[[], Piecewise]] = [
        lambda: steady(one, duration_s, phase=phase),
        lambda: burst(one, duration_s, phase=phase),
        lambda: ramp(high, low, duration_s, phase=phase),
        lambda: ramp(low, high, duration_s, phase=phase),
        lambda: stairs(apart_low, apart_high, duration_s, steps=3, phase=phase),
        lambda: stairs(apart_high, apart_low, duration_s, height=step, phase=phase),
        lambda: stress(apart_low, step, duration_s, up_to=apart_high, phase=phase),
        lambda: spike(high, duration_s, other_s, base=low, phase=phase),
        lambda: wave(high, low, 1 + duration_s, other_s, phase=phase),
        lambda: diurnal(one, 2 * duration_s, phase=phase),
        lambda: soak(one, duration_s, ramp_s=other_s, phase=phase),
        lambda: trace(recorded, phase=phase),
        lambda: trace(recorded, linear=True, phase=phase),
    ]
    return draw(st.sampled_from(makers))()


@st.composite
def profiles(draw: st.DrawFn, unit: Unit) -> Piecewise:
    """One builder, or a composition of several, whose phases have different names."""
    names = (f"p{n}" for n in count())
    return draw(_composed(unit, names, depth=2))


@st.composite
def _composed(draw: st.DrawFn, unit: Unit, names: Iterator[str], depth: int) -> Piecewise:
    def part() -> Piecewise:
        if depth:
            return draw(_composed(unit, names, depth - 1))
        return draw(built(unit, next(names)))

    match draw(st.sampled_from(["built", "sequence", "overlay", "repeat", "scale", "jitter"])):
        case "sequence":
            return sequence(part(), part())
        case "overlay":
            return overlay(part(), at(draw(START_S), part()))
        case "repeat":
            return repeat(part(), draw(st.integers(1, 3)))
        case "scale":
            return scale(
                part(),
                time=draw(st.sampled_from([0.1, 0.5, 1.0, 2.0])),
                load=draw(st.sampled_from([0.01, 0.3, 1.0, 3.0])),
            )
        case "jitter":
            return jitter(
                part(), draw(st.floats(0, 1)), draw(TENTHS_S), draw(st.integers(0, 10**9))
            )
        case _:
            return draw(built(unit, next(names)))
