"""Laws of recording and merging: nothing is lost, order does not matter, quantiles are right."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.encoding import HIGHEST_US
from results.figure import FigureStats
from results.histogram import Histogram
from results.recorder import Recorder
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.statistic import cut
from results.timeline import Header, Plan, PlannedPhase, Timeline
from results.windows import Window, standard_windows

VALUES = st.lists(st.integers(min_value=0, max_value=HIGHEST_US), min_size=1, max_size=300)


@settings(max_examples=50, deadline=None)
@given(values=VALUES, quantile=st.floats(min_value=0.001, max_value=1))
def test_quantiles_are_within_a_thousandth_of_the_exact_ones(
    values: list[int], quantile: float
) -> None:
    histogram = Histogram()
    histogram.record(values)
    exact = sorted(values)[max(1, math.ceil(round(quantile * len(values), 6))) - 1]
    (found,) = histogram.quantiles_us([quantile])
    assert found is not None
    assert exact <= found <= exact * 1.001


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    end_us = draw(st.integers(min_value=0, max_value=20_000_000))
    took_us = draw(st.integers(min_value=0, max_value=9_000_000))
    return Sample(
        name=draw(st.sampled_from(["a", "b", "c"])),
        intended_us=draw(st.sampled_from([None, end_us - took_us])),
        start_us=end_us - took_us,
        end_us=end_us,
        outcome=draw(st.sampled_from(list(Outcome))),
        status=0,
        bytes_received=draw(st.integers(0, 1000)),
        emulated_us=draw(st.integers(0, 9_000_000)),
        write_id=None,
        node=draw(st.sampled_from(["n1", "n2"])),
    )


def reports_of(recorder: Recorder) -> list[SecondReport]:
    return [report for report in recorder.reports() if report is not None]


def assert_conserved(data: list[Sample], reports: list[SecondReport]) -> None:
    """Every sample is in the reports once, in its second, and every sum is the samples' sum."""
    ended: Counter[tuple[str, int]] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    started: Counter[tuple[str, int]] = Counter()
    raw_sum = received = cancelled = 0
    for report in reports:
        for name, endpoint in report.endpoints.items():
            assert endpoint.raw.count == endpoint.excess.count == endpoint.ended
            ended[name, report.second] += endpoint.ended
            raw_sum += endpoint.raw.sum_us
            received += endpoint.bytes_received
            cancelled += endpoint.cancelled
            for kind, count in endpoint.errors.items():
                errors[name, kind] += count
            for second, count in endpoint.started.items():
                started[name, second] += count
    done = [s for s in data if s.outcome is not Outcome.CANCELLED]
    assert +ended == Counter((s.name, s.end_us // 1_000_000) for s in done)
    assert errors == Counter((s.name, s.outcome.value) for s in done if s.outcome != Outcome.OK)
    assert started == Counter((s.name, s.start_us // 1_000_000) for s in data)
    assert raw_sum == sum(s.end_us - s.start_us for s in done)
    assert received == sum(s.bytes_received for s in done)
    assert cancelled == len(data) - len(done)


@settings(max_examples=60, deadline=None)
@given(data=st.lists(samples(), max_size=60), closes=st.sets(st.integers(0, 59)))
def test_every_sample_is_in_the_reports_whatever_its_order_and_lateness(
    data: list[Sample], closes: set[int]
) -> None:
    recorder = Recorder(source="w", origin_us=0, slice_samples=7)
    reports: list[SecondReport] = []
    for index, sample in enumerate(data):
        recorder.record(sample)
        if index in closes:
            recorder.close(sample.end_us)
            reports += reports_of(recorder)
    recorder.close()
    reports += reports_of(recorder)

    assert_conserved(data, reports)
    assert [r.sequence for r in reports] == list(range(len(reports)))
    assert recorder.dropped == recorder.pending_samples == 0


@pytest.mark.parametrize("spoil", ["lost", "twice"])
def test_the_conservation_check_notices_one_report_too_few_or_too_many(spoil: str) -> None:
    data = [
        Sample("a", None, n * 1_000_000, n * 1_000_000 + 9, Outcome.OK, 200, 1, 0, None, "n")
        for n in range(4)
    ]
    recorder = Recorder(source="w", origin_us=0)
    for sample in data:
        recorder.record(sample)
    recorder.close()
    reports = reports_of(recorder)
    assert_conserved(data, reports)
    with pytest.raises(AssertionError):
        assert_conserved(data, reports[1:] if spoil == "lost" else [*reports, reports[0]])


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(VALUES, min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_merging_histograms_is_order_independent(parts: list[list[int]], seed: int) -> None:
    encoded = []
    for values in parts:
        histogram = Histogram()
        histogram.record(values)
        encoded.append(histogram.encode())
    merged, shuffled = Histogram(), Histogram()
    for one in encoded:
        merged.merge(one)
    random.Random(seed).shuffle(encoded)
    for one in encoded:
        shuffled.merge(one)
    assert merged.encode() == shuffled.encode()


PLAN = Plan(
    20.0,
    (PlannedPhase("a", 0, 7.3), PlannedPhase("b", 7.3, 12), PlannedPhase("a", 12, 20)),
    (1,) * 20,
    (1.0,) * 20,
    1.0,
)


@settings(max_examples=25, deadline=None)
@given(data=st.lists(samples(), max_size=40), split=st.integers(0, 40), seed=st.integers(0, 99))
def test_windows_do_not_depend_on_who_reported_what_when(
    data: list[Sample], split: int, seed: int
) -> None:
    whole = Recorder(source="w", origin_us=0)
    left, right = Recorder(source="l", origin_us=0), Recorder(source="r", origin_us=0)
    for index, sample in enumerate(data):
        whole.record(sample)
        (left if index < split else right).record(sample)
    for recorder in (whole, left, right):
        recorder.close()
    together = reports_of(left) + reports_of(right)
    random.Random(seed).shuffle(together)
    one = Timeline(Header("r", "s", 0), PLAN, reports=tuple(reports_of(whole)))
    two = Timeline(Header("r", "s", 0), PLAN, reports=tuple(together))
    assert cut(one, standard_windows(one)) == cut(two, standard_windows(two))

    stats = cut(one, standard_windows(one))
    done = [s for s in data if s.outcome is not Outcome.CANCELLED]
    assert stats["run"].total.ended == len(done)
    assert stats["run"].total.started == len(data)
    phases = [stats[name] for name in ("phase:a#1", "phase:b", "phase:a#2")]
    inside = [s for s in done if s.end_us < 20_000_000]
    assert sum(phase.total.ended for phase in phases) == len(inside)


@st.composite
def any_windows(draw: st.DrawFn) -> list[Window]:
    """Overlapping, touching, with several intervals, and some so short that they hold no second."""
    found = []
    for n in range(draw(st.integers(0, 6))):
        edges = sorted(draw(st.sets(st.integers(-4, 44), min_size=2, max_size=6)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        found.append(Window(f"w{n}", tuple((start / 2, end / 2) for start, end in pairs)))
    return found


@settings(max_examples=40, deadline=None)
@given(data=st.lists(samples(), max_size=40), windows=any_windows())
def test_what_a_window_holds_does_not_depend_on_the_windows_beside_it(
    data: list[Sample], windows: list[Window]
) -> None:
    recorder = Recorder(source="w", origin_us=0)
    for sample in data:
        recorder.record(sample)
    recorder.close()
    made = Timeline(Header("r", "s", 0), PLAN, reports=tuple(reports_of(recorder)))
    together = cut(made, windows, ["[ab]"])
    assert list(together) == [window.name for window in windows]
    for window in windows:
        assert cut(made, [window], ["[ab]"])[window.name] == together[window.name]
        seconds = {second for span in window.seconds() for second in span}
        inside = [s for s in data if s.end_us // 1_000_000 in seconds]
        done = [s for s in inside if s.outcome is not Outcome.CANCELLED]
        total = together[window.name].total
        assert (total.ended, total.cancelled) == (len(done), len(inside) - len(done))
        assert total.raw.count == len(done)
        assert total.started == sum(s.start_us // 1_000_000 in seconds for s in data)


@st.composite
def observations(draw: st.DrawFn) -> tuple[str, float, int]:
    whole = st.integers(-(10**6), 10**6).map(float)
    value = whole | st.floats(-1e18, 1e18, allow_subnormal=False)
    at_us = draw(st.integers(0, 19_999_999))
    return draw(st.sampled_from(["a", "b"])), draw(value), at_us


@settings(max_examples=60, deadline=None)
@given(
    seen=st.lists(observations(), max_size=60),
    sources=st.lists(st.integers(0, 2), min_size=60, max_size=60),
    closes=st.sets(st.integers(0, 59)),
    seed=st.integers(0, 99),
)
def test_figures_do_not_depend_on_who_observed_and_reported_them_when(
    seen: list[tuple[str, float, int]], sources: list[int], closes: set[int], seed: int
) -> None:
    recorders = [Recorder(source=f"w{n}", origin_us=0) for n in range(3)]
    reports: list[SecondReport] = []
    for index, (name, value, at_us) in enumerate(seen):
        recorders[sources[index]].observe(name, value, at_us)
        if index in closes:
            recorders[sources[index]].close(at_us)
            reports += reports_of(recorders[sources[index]])
    for recorder in recorders:
        recorder.close()
        reports += reports_of(recorder)
    made = Timeline(Header("r", "s", 0), PLAN, reports=tuple(reports))
    stats = cut(made, standard_windows(made))
    for window, found in stats.items():
        assert_figures(seen, found.window, found.figures)
        assert found.total.started == 0, window

    random.Random(seed).shuffle(reports)
    shuffled = Timeline(Header("r", "s", 0), PLAN, reports=tuple(reports))
    assert cut(shuffled, standard_windows(shuffled)) == stats, "to the last digit"


def assert_figures(
    seen: list[tuple[str, float, int]], window: Window, figures: Mapping[str, FigureStats]
) -> None:
    """Each figure's statistics are those of the observations in the window's seconds."""
    seconds = {second for span in window.seconds() for second in span}
    inside: dict[str, list[float]] = {}
    for name, value, at_us in seen:
        if at_us // 1_000_000 in seconds:
            inside.setdefault(name, []).append(value)
    assert sorted(figures) == sorted(inside)
    for name, values in inside.items():
        found = figures[name]
        exact = math.fsum(values)
        assert (found.count, found.least, found.most) == (len(values), min(values), max(values))
        if all(value.is_integer() and abs(value) <= 10**6 for value in values):
            assert found.sum == exact
        # Rounding is relative to the largest number that was added, which may cancel out.
        slack = 1e-12 * max(abs(value) for value in values)
        assert found.sum == pytest.approx(exact, rel=1e-12, abs=slack)
        assert found.mean == found.sum / found.count
        assert found.rate == found.sum / len(seconds)


@pytest.mark.parametrize("spoil", ["lost", "twice"])
def test_the_check_of_figures_notices_one_report_too_few_or_too_many(spoil: str) -> None:
    seen = [("a", 1.0, second * 1_000_000) for second in range(4)]
    recorder = Recorder(source="w", origin_us=0)
    for name, value, at_us in seen:
        recorder.observe(name, value, at_us)
    recorder.close()
    reports = reports_of(recorder)
    spoilt = reports[1:] if spoil == "lost" else [*reports, reports[0]]
    for some, holds in ((reports, True), (spoilt, False)):
        made = Timeline(Header("r", "s", 0), PLAN, reports=tuple(some))
        run = cut(made, standard_windows(made))["run"]
        if holds:
            assert_figures(seen, run.window, run.figures)
        else:
            with pytest.raises(AssertionError):
                assert_figures(seen, run.window, run.figures)


NUMBERS = st.floats() | st.floats(-2e18, 2e18) | st.integers() | st.none()


@st.composite
def rows(draw: st.DrawFn) -> list[object]:
    """As a figure is written, and often near enough to one to be read."""
    count, least, most = draw(st.integers(0, 2**63)), draw(NUMBERS), draw(NUMBERS)
    total = draw(NUMBERS)
    if least is not None and most is not None and draw(st.integers(0, 3)):
        least, most = min(least, most), max(least, most)
        total = draw(st.sampled_from([least, most])) * float(count)
    return [count, total, least, most]


@settings(max_examples=200, deadline=None)
@given(figures=st.dictionaries(st.text(max_size=3), rows(), max_size=3))
def test_whatever_is_read_as_figures_adds_up_to_finite_numbers(figures: dict[str, object]) -> None:
    data = {**SecondReport("w", 0, 0, {}).as_dict(), "figures": figures}
    try:
        report = SecondReport.from_dict(data)
    except ValueError:
        return
    made = Timeline(Header("r", "s", 0), PLAN, reports=(report,) * 3)
    for found in cut(made, standard_windows(made))["run"].figures.values():
        numbers = (found.sum, found.mean, found.least, found.most, found.rate)
        assert all(math.isfinite(value) for value in numbers)
