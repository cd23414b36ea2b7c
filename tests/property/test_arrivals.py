"""The sequence of arrivals: the plan's, and the same over any number of workers (D14)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shapes.arrivals import Arrivals, choice, counts_by_second
from shapes.epoch import Epoch, Epochs

SPACINGS = ("even", "poisson")


class Line(NamedTuple):
    """As profiles compile to: microseconds are the finest that there is."""

    start_s: float
    end_s: float
    from_level: float
    to_level: float

    @property
    def mass(self) -> float:
        return (self.end_s - self.start_s) * (self.from_level + self.to_level) / 2


class Lines(NamedTuple):
    """A profile of given lines."""

    parts: tuple[Line, ...]

    def lines(self) -> tuple[Line, ...]:
        return self.parts

    @property
    def duration_s(self) -> float:
        return self.parts[-1].end_s

    def integral(self, until_s: float) -> float:
        total = 0.0
        for line in self.parts:
            if until_s >= line.end_s:
                total += line.mass
            elif until_s > line.start_s:
                x = until_s - line.start_s
                slope = (line.to_level - line.from_level) / (line.end_s - line.start_s)
                total += line.from_level * x + slope * x * x / 2
        return total


LEVELS = st.one_of(
    st.just(0.0), st.floats(1e-6, 0.5), st.floats(0.5, 60.0), st.sampled_from([0.3, 1.0, 12.5])
)
LENGTHS_US = st.one_of(st.integers(1, 5_000), st.integers(5_000, 8_000_000))


@st.composite
def profiles(draw: st.DrawFn) -> Lines:
    """Steps, ramps, plateaus, gaps and slopes of nearly nothing, down to a microsecond long."""
    start_us, parts = 0, []
    for length_us in draw(st.lists(LENGTHS_US, min_size=1, max_size=6)):
        start_us += draw(st.sampled_from([0, 0, 0, 700_000]))
        low = draw(LEVELS)
        high = draw(st.one_of(st.just(low), LEVELS, st.just(low * (1 + 1e-13)), st.just(0.0)))
        parts.append(Line(start_us / 1e6, (start_us + length_us) / 1e6, low, high))
        start_us += length_us
    return Lines(tuple(parts))


@st.composite
def histories(draw: st.DrawFn) -> Epochs:
    """Workers that come and go, from before second 0 on."""
    moments = sorted(draw(st.lists(st.integers(0, 30_000_000), max_size=6)))
    names = [f"w{n}" for n in range(6)]
    lists = st.lists(st.sampled_from(names), min_size=1, max_size=6, unique=True)
    return Epochs(
        [
            Epoch(number, from_us, tuple(draw(lists)))
            for number, from_us in enumerate([-1_000_000, *moments])
        ]
    )


@given(profiles(), st.text(max_size=8), st.sampled_from(SPACINGS), histories())
def test_the_merged_arrivals_of_all_workers_are_those_of_a_single_process(
    profile: Lines, seed: str, spacing: str, epochs: Epochs
) -> None:
    single = list(Arrivals(profile, seed, spacing))
    workers = {worker for epoch in epochs for worker in epoch.workers}
    parts = {
        # Each worker makes the whole sequence for itself and keeps what is its own.
        worker: [
            (index, t_us)
            for index, t_us in Arrivals(profile, seed, spacing)
            if epochs.owner(index, t_us) == worker
        ]
        for worker in workers
    }
    assert sorted(arrival for part in parts.values() for arrival in part) == single


@given(profiles(), st.text(max_size=8), st.sampled_from(SPACINGS), st.integers(1, 40))
def test_workers_of_one_epoch_share_the_arrivals_to_one_more_or_less(
    profile: Lines, seed: str, spacing: str, count: int
) -> None:
    epochs = Epochs([Epoch(0, 0, tuple(f"w{n}" for n in range(count)))])
    shares = dict.fromkeys(next(iter(epochs)).workers, 0)
    for index, t_us in Arrivals(profile, seed, spacing):
        owner = epochs.owner(index, t_us)
        assert owner is not None
        shares[owner] += 1
    assert max(shares.values()) - min(shares.values()) <= 1


@given(profiles(), st.sampled_from(SPACINGS))
def test_arrivals_are_numbered_in_order_within_the_profile_and_nowhere_else(
    profile: Lines, spacing: str
) -> None:
    found = list(Arrivals(profile, "s", spacing))
    assert [index for index, _ in found] == list(range(len(found)))
    assert all(isinstance(t_us, int) for _, t_us in found)
    assert all(before <= after for (_, before), (_, after) in pairwise(found))
    busy = [(round(p.start_s * 1e6), round(p.end_s * 1e6)) for p in profile.parts if p.mass > 0]
    for _, t_us in found:
        assert any(start <= t_us < end for start, end in busy), f"{t_us} us, in none of {busy}"


@given(profiles())
@example(Lines((Line(0, 5, 0.3, 0.3),)))
@example(Lines((Line(0, 0.25, 8, 8), Line(1, 1.000001, 60, 0))))
def test_even_arrivals_never_stray_from_the_integral_by_more_than_one(profile: Lines) -> None:
    times_us = [t_us for _, t_us in Arrivals(profile, "", "even")]
    assert abs(len(times_us) - profile.integral(profile.duration_s)) <= 0.5 + 1e-6
    for index, t_us in enumerate(times_us):
        before, after = profile.integral(t_us / 1e6), profile.integral((t_us + 1) / 1e6)
        # Its own microsecond holds the moment at which the integral is index + 1/2.
        assert before - 1e-6 <= index + 0.5 <= after + 1e-6


@given(profiles(), st.sampled_from(SPACINGS))
def test_counts_by_second_are_those_of_the_sequence(profile: Lines, spacing: str) -> None:
    arrivals = Arrivals(profile, "s", spacing)
    counts = counts_by_second(arrivals, profile.duration_s)
    assert len(counts) == math.ceil(profile.duration_s)
    for second, count in enumerate(counts):
        assert count == sum(1 for _, t_us in arrivals if t_us // 1_000_000 == second)


def test_fractional_rates_arrive_in_the_middle_of_their_share() -> None:
    third = Lines((Line(0, 10, 0.3, 0.3),))
    assert list(Arrivals(third, "")) == [(0, 1_666_666), (1, 5_000_000), (2, 8_333_333)]


def test_a_profile_below_a_second_has_its_arrivals_too() -> None:
    short = Lines((Line(0, 0.01, 1000, 1000),))
    assert [t_us for _, t_us in Arrivals(short, "")] == [500 + 1000 * n for n in range(10)]


def test_nothing_arrives_in_a_gap_or_after_the_end() -> None:
    gap = Lines((Line(0, 1, 2, 2), Line(1, 2, 0, 0), Line(3, 4, 2, 2)))
    assert [t_us for _, t_us in Arrivals(gap, "")] == [250_000, 750_000, 3_250_000, 3_750_000]


@pytest.mark.parametrize(
    ("end_us", "level"), [(10, 100_000.00000000001), (1_000, 1000.0000000000002)]
)
def test_rounding_does_not_put_an_arrival_at_the_end_of_its_line(end_us: int, level: float) -> None:
    """Half an arrival and a bit, so that the exact moment is nearer to the end than a float."""
    ramp = Lines((Line(0, end_us / 1e6, 0, level),))
    assert list(Arrivals(ramp, "")) == [(0, end_us - 1)]


def test_a_step_that_begins_at_half_an_arrival_begins_with_it() -> None:
    """The rounding's own corner: nothing is left of the step when the ramp from 0 begins."""
    lines = Lines((Line(0, 1, 0.5, 0.5), Line(1, 2, 0, 4)))
    assert next(iter(Arrivals(lines, ""))) == (0, 1_000_000)


def poisson_gaps(profile: Lines, seed: str) -> list[float]:
    """Gaps of the rescaled time L(t): unit exponentials, if the process is what it says."""
    masses = [profile.integral(t_us / 1e6) for _, t_us in Arrivals(profile, seed, "poisson")]
    return [after - before for before, after in pairwise([0.0, *masses])]


def kolmogorov_distance(gaps: list[float]) -> float:
    """sup |F_n - F| for F(x) = 1 - exp(-x)."""
    count, worst = len(gaps), 0.0
    for rank, gap in enumerate(sorted(gaps)):
        expected = 1 - math.exp(-max(0.0, gap))
        worst = max(worst, abs(expected - rank / count), abs((rank + 1) / count - expected))
    return worst


KS_LIMIT = 2.2
"""Of sqrt(n) * distance: exceeded by chance once in 8,000 (2 exp(-2 x^2)); the seeds are fixed."""

WAVY = Lines((Line(0, 20, 0, 300), Line(20, 30, 300, 300), Line(35, 60, 200, 10)))


@pytest.mark.parametrize("seed", ["1:Buyer", "2:Buyer", "1:Visitor", ""])
def test_poisson_gaps_are_unit_exponentials_of_the_rescaled_time(seed: str) -> None:
    gaps = poisson_gaps(WAVY, seed)
    assert len(gaps) > 5_000
    assert math.sqrt(len(gaps)) * kolmogorov_distance(gaps) < KS_LIMIT


def test_the_control_of_the_distance_even_gaps_are_no_exponentials() -> None:
    masses = [WAVY.integral(t_us / 1e6) for _, t_us in Arrivals(WAVY, "", "even")]
    gaps = [after - before for before, after in pairwise([0.0, *masses])]
    assert math.sqrt(len(gaps)) * kolmogorov_distance(gaps) > 10 * KS_LIMIT


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_poisson_counts_of_equal_slots_are_as_spread_as_their_mean(seed: str) -> None:
    """Index of dispersion: sum (n - mean)^2 / mean is chi-square with slots - 1 degrees."""
    slots, mean = 1_000, 10.0
    flat = Lines((Line(0, slots, mean, mean),))
    counts = counts_by_second(Arrivals(flat, seed, "poisson"), slots)
    dispersion = sum((count - mean) ** 2 for count in counts) / mean
    # Mean 1,000 and deviation 45: five of them.
    assert 775 < dispersion < 1_225
    total = sum(counts)
    assert abs(total - slots * mean) < 5 * math.sqrt(slots * mean)


def test_neighbouring_poisson_gaps_are_not_correlated() -> None:
    gaps = [gap - 1 for gap in poisson_gaps(WAVY, "1:Buyer")]
    for lag in (1, 7, 8):
        product = sum(a * b for a, b in zip(gaps, gaps[lag:], strict=False)) / len(gaps)
        assert abs(product) * math.sqrt(len(gaps)) < 5


def test_seeds_and_nothing_else_tell_poisson_sequences_apart() -> None:
    again = [list(Arrivals(WAVY, seed, "poisson")) for seed in ("1:A", "1:A", "1:B")]
    assert again[0] == again[1] != again[2]
    assert list(Arrivals(WAVY, "1:A", "even")) == list(Arrivals(WAVY, "1:B", "even"))


def test_one_sequence_can_be_gone_through_again() -> None:
    arrivals = Arrivals(WAVY, "1", "poisson")
    first = iter(arrivals)
    assert next(first) == next(iter(arrivals))


def test_a_day_at_a_thousand_a_second_costs_nothing_before_it_is_asked_for() -> None:
    day = Lines((Line(0, 86_400, 1000, 1000),))
    later = iter(Arrivals(day, "1", "poisson"))
    assert [index for index, _ in (next(later) for _ in range(3))] == [0, 1, 2]


def test_choices_are_a_function_of_seed_and_index_and_spread_evenly() -> None:
    assert choice("1:A", 7) == choice("1:A", 7)
    assert len({choice("1:A", 7), choice("1:A", 8), choice("1:B", 7)}) == 3
    counts = [0] * 10
    for index in range(10_000):
        counts[choice("1:A", index) % 10] += 1
    # Chi-square with 9 degrees: above 33.7 once in 10,000.
    assert sum((count - 1_000) ** 2 for count in counts) / 1_000 < 33.7


def test_an_unknown_spacing_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="even, poisson"):
        Arrivals(WAVY, "", "uniform")
