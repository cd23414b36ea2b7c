"""Laws that hold for every builder and composition, closed and open, against their definitions."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapes.level import Unit
from shapes.piecewise import Piecewise
from shapes.profile import Line, at, jitter, overlay, per_s, ramp, repeat, sequence, trace
from shapes.trace import read_trace
from tests.property.any_profile import START_S, TENTHS_S, UNITS, built, levels, profiles

SOME = settings(max_examples=60, deadline=None)
ANY = UNITS.flatmap(profiles)
PAIRS = UNITS.flatmap(lambda unit: st.tuples(profiles(unit), profiles(unit)))
SHARE = st.floats(min_value=0, max_value=1)


def edges_of(profile: Piecewise) -> list[float]:
    return sorted({0.0} | {edge for s in profile.segments for edge in (s.start_s, s.end_s)})


def defined(profile: Piecewise, t_s: float) -> float:
    """The definition: the sum of the segments that are in force at t_s."""
    return sum(s.value(t_s) for s in profile.segments if s.start_s <= t_s < s.end_s)


def defined_before(profile: Piecewise, t_s: float) -> float:
    """Its limit from the left."""
    return sum(s.value(t_s) for s in profile.segments if s.start_s < t_s <= s.end_s)


def moments(profile: Piecewise) -> list[float]:
    """Every edge, the middle between neighbours, and moments before and behind it all."""
    edges = edges_of(profile)
    return [-1.0, *edges, *((a + b) / 2 for a, b in pairwise(edges)), edges[-1] + 1]


def interval(profile: Piecewise, start: float, length: float) -> tuple[float, float]:
    """From shares of the duration to seconds, a bit beyond both ends."""
    reach_s = profile.duration_s * 1.2
    start_s = start * reach_s - profile.duration_s * 0.1
    return start_s, start_s + length * reach_s


def close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


def assert_lines_say_the_target(profile: Piecewise, lines: tuple[Line, ...]) -> None:
    assert lines[0].start_s == 0
    assert lines[-1].end_s == profile.duration_s
    assert all(one.end_s == other.start_s for one, other in pairwise(lines))
    for line in lines:
        assert line.start_s < line.end_s
        assert min(line.from_level, line.to_level) >= 0
        middle_s = (line.start_s + line.end_s) / 2
        assert close(line.from_level, defined(profile, line.start_s))
        assert close(line.to_level, defined_before(profile, line.end_s))
        assert close((line.from_level + line.to_level) / 2, defined(profile, middle_s))


@SOME
@given(profile=ANY)
def test_lines_are_disjoint_and_in_order_and_say_the_target(profile: Piecewise) -> None:
    assert_lines_say_the_target(profile, profile.lines())
    for t_s in moments(profile):
        assert close(profile.target(t_s), defined(profile, t_s))
        assert math.isfinite(profile.target(t_s)) and profile.target(t_s) >= 0
    assert profile.target(profile.duration_s) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: lines[::-1],
        lambda lines: (*lines[:1], *lines[2:]),
        lambda lines: (Line(0, 5, 0, 7), *lines[1:]),
    ],
)
def test_the_check_of_lines_notices_a_wrong_one(
    wrong: Callable[[tuple[Line, ...]], tuple[Line, ...]],
) -> None:
    profile = overlay(ramp(0, 10, 10), at(5, ramp(4, 4, 10, phase="b")))
    assert_lines_say_the_target(profile, profile.lines())
    with pytest.raises(AssertionError):
        assert_lines_say_the_target(profile, wrong(profile.lines()))


@SOME
@given(profile=ANY, start=SHARE, length=SHARE)
def test_the_integral_is_the_numeric_sum(profile: Piecewise, start: float, length: float) -> None:
    start_s, end_s = interval(profile, start, length)
    inside = [edge for edge in edges_of(profile) if start_s < edge < end_s]
    # Between edges the target is a line, and the midpoint rule exact.
    numeric = math.fsum(
        (b - a) * defined(profile, (a + b) / 2) for a, b in pairwise([start_s, *inside, end_s])
    )
    assert close(profile.integral(start_s, end_s), numeric)


@SOME
@given(profile=ANY, start=SHARE, length=SHARE, at_shares=st.lists(SHARE, max_size=20))
def test_the_peak_is_above_every_target_of_the_interval_and_attained(
    profile: Piecewise, start: float, length: float, at_shares: list[float]
) -> None:
    start_s, end_s = interval(profile, start, length)
    peak = profile.peak(start_s, end_s)
    for share in at_shares:
        assert peak >= profile.target(start_s + share * (end_s - start_s)) - 1e-9
    inside = [edge for edge in edges_of(profile) if start_s < edge <= end_s]
    highest = max(
        *(defined(profile, t_s) for t_s in (start_s, *inside, end_s)),
        *(defined_before(profile, t_s) for t_s in inside),
        0.0,
    )
    assert close(peak, highest)


@SOME
@given(profile=ANY)
def test_phases_are_in_order_and_disjoint_and_cover_all_load(profile: Piecewise) -> None:
    phases = profile.phases()
    assert all(phase.start_s < phase.end_s for phase in phases)
    assert phases[0].start_s >= 0 and phases[-1].end_s <= profile.duration_s
    for before, after in pairwise(phases):
        assert before.end_s <= after.start_s
        assert before.name != after.name or before.end_s < after.start_s
    covered = math.fsum(profile.integral(p.start_s, p.end_s) for p in phases)
    assert close(covered, profile.integral(0, profile.duration_s))


@SOME
@given(profile=ANY, time=st.sampled_from([0.2, 0.5, 2.0, 3.0]), load=st.floats(0.001, 10))
def test_scaling_stretches_time_and_load(profile: Piecewise, time: float, load: float) -> None:
    scaled = profile.scaled(time=time, load=load)
    assert scaled.unit is profile.unit
    assert scaled.duration_s == pytest.approx(profile.duration_s * time, abs=1e-6)
    assert [p.name for p in scaled.phases()] == [p.name for p in profile.phases()]
    # An end of a segment of users is at most one user off: half by rounding, or the last one kept.
    off = 1e-3 if profile.unit is Unit.ARRIVALS else len(profile.segments)
    for a, b in pairwise(edges_of(profile)):
        if b - a > 1e-3:
            middle_s = (a + b) / 2
            # Times are rounded to the microsecond, hence the levels of steep lines by a bit.
            assert scaled.target(middle_s * time) == pytest.approx(
                profile.target(middle_s) * load, rel=1e-2, abs=off
            )
    if profile.unit is Unit.ARRIVALS:
        expected = profile.integral(0, profile.duration_s) * time * load
        assert scaled.integral(0, scaled.duration_s) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert {s.from_level for s in scaled.segments} == {
            s.from_level * load for s in profile.segments
        }, "rates are not rounded"


@SOME
@given(pair=PAIRS, share=SHARE)
def test_a_sequence_is_one_and_then_the_other(
    pair: tuple[Piecewise, Piecewise], share: float
) -> None:
    first = pair[0]
    second = Piecewise(pair[1].segments, (), pair[1].unit)
    both = sequence(first, second)
    assert both.duration_s == pytest.approx(first.duration_s + second.duration_s, abs=1e-6)
    for t_s in moments(first):
        if t_s < first.duration_s:
            assert close(both.target(t_s), first.target(t_s))
    for a, b in pairwise(edges_of(second)):
        t_s = (a + b) / 2
        assert both.target(first.duration_s + t_s) == pytest.approx(
            second.target(t_s), rel=1e-3, abs=0.1
        )
    whole = first.integral(0, first.duration_s) + second.integral(0, second.duration_s)
    assert both.integral(0, both.duration_s) == pytest.approx(whole, rel=1e-6, abs=1e-2)


@SOME
@given(pair=PAIRS, start_s=START_S, t_s=st.floats(0, 100))
def test_an_overlay_is_the_sum_of_its_parts_in_any_order(
    pair: tuple[Piecewise, Piecewise], start_s: float, t_s: float
) -> None:
    left = pair[0]
    right = Piecewise(pair[1].segments, (), pair[1].unit)
    both = overlay(left, at(start_s, right))
    placed = overlay(at(start_s, right))
    assert close(both.target(t_s), left.target(t_s) + placed.target(t_s))
    assert close(both.integral(0, t_s), left.integral(0, t_s) + placed.integral(0, t_s))
    assert overlay(at(start_s, right), left).lines() == both.lines()
    assert both.peak(0, 200) <= left.peak(0, 200) + placed.peak(0, 200) + 1e-6
    assert both.phases() == left.phases()


@SOME
@given(profile=ANY, times=st.integers(1, 4))
def test_repeating_is_a_sequence_of_the_same(profile: Piecewise, times: int) -> None:
    repeated = repeat(profile, times)
    assert repeated == sequence(*[profile] * times)
    assert repeated.integral(0, repeated.duration_s) == pytest.approx(
        times * profile.integral(0, profile.duration_s), rel=1e-6, abs=1e-2
    )


@SOME
@given(
    profile=ANY,
    share=SHARE,
    every_s=TENTHS_S,
    seed=st.one_of(st.integers(), st.text(max_size=5)),
    t=SHARE,
)
def test_jitter_is_bounded_and_a_function_of_its_seed(
    profile: Piecewise, share: float, every_s: float, seed: int | str, t: float
) -> None:
    jittered = jitter(profile, share, every_s, seed)
    assert jittered == jitter(profile, share, every_s, seed)
    assert jittered.phases() == profile.phases()
    assert jittered.duration_s == profile.duration_s
    # Ends of users are rounded by at most half a one, or to the last one.
    rounding = 1e-6 if profile.unit is Unit.ARRIVALS else 1.0
    for t_s in [*moments(profile), t * profile.duration_s]:
        level = profile.target(t_s)
        assert (1 - share) * level - rounding <= jittered.target(t_s)
        assert jittered.target(t_s) <= (1 + share) * level + rounding
    if profile.unit is Unit.USERS:
        ends = {x for line in jittered.segments for x in (line.from_level, line.to_level)}
        assert all(x == int(x) for x in ends)


@SOME
@given(profile=ANY, every_s=TENTHS_S)
def test_jitter_of_no_share_changes_no_rate(profile: Piecewise, every_s: float) -> None:
    still = jitter(profile, 0, every_s, 1)
    off = 1e-6 if profile.unit is Unit.ARRIVALS else 1.0
    for t_s in moments(profile):
        assert abs(still.target(t_s) - profile.target(t_s)) <= off


@SOME
@given(
    unit=UNITS,
    rows=st.data(),
    gaps=st.lists(st.integers(1, 5_000_000), min_size=1, max_size=30),
    linear=st.booleans(),
)
def test_a_trace_of_a_file_is_the_trace_of_its_rows(
    unit: Unit, rows: st.DataObject, gaps: list[int], linear: bool
) -> None:
    times = [0.0, *(sum(gaps[: n + 1]) / 1e6 for n in range(len(gaps)))]
    recorded = [(time_s, rows.draw(levels(unit))) for time_s in times]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.csv"
        with path.open("w", newline="") as text:
            table = csv.writer(text)
            table.writerow(["time_s", "users" if unit is Unit.USERS else "per_s"])
            table.writerows(
                [f"{t:.6f}", x if isinstance(x, int) else repr(x.per_s)] for t, x in recorded
            )
        read = read_trace(path, unit=unit, linear=linear)
    assert read == trace(recorded, linear=linear)
    assert all(
        read.target(t_s) == (x if isinstance(x, int) else x.per_s) for t_s, x in recorded[:-1]
    )


@SOME
@given(profile=UNITS.flatmap(lambda unit: built(unit, "name")))
def test_every_builder_begins_at_once_and_has_phases_from_end_to_end(profile: Piecewise) -> None:
    phases = profile.phases()
    assert phases[0].start_s == 0 and phases[-1].end_s == profile.duration_s
    assert all(one.end_s == other.start_s for one, other in pairwise(phases))
    assert all(phase.name.split()[0] == "name" for phase in phases)


def test_the_draws_reach_both_units_and_every_composition() -> None:
    """Positive control of the strategies: what they never make would never be tested."""
    seen: set[str] = set()

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(profile=ANY)
    def look(profile: Piecewise) -> None:
        seen.add(str(profile.unit))
        seen.add("many" if len(profile.segments) > 20 else "few")
        seen.add("several phases" if len(profile.phases()) > 2 else "few phases")
        if len(profile.lines()) != len(profile.segments):
            seen.add("overlaps or gaps")
        if any(x % 1 for s in profile.segments for x in (s.from_level, s.to_level)):
            seen.add("fractions")
        if any(s.from_level != s.to_level for s in profile.segments):
            seen.add("slopes")

    look()
    assert seen == {
        "users", "arrivals", "many", "few", "several phases", "few phases", "overlaps or gaps",
        "fractions", "slopes",
    }  # fmt: skip
    assert per_s(0.5).per_s % 1
