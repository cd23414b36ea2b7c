"""Marks of an unfit generator, for any lines of health: within the run, apart, and never lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from results.finding import touching, unfit_s
from results.generator import assess
from results.judging.stretch import long_stretches, stretches
from results.timeline import Health
from results.windows import run_window, standard_windows
from tests.unit.results.builder import planned_requests, timeline

NAMES = (
    "lag_p99_ms",
    "lateness_p99_ms",
    "unheard_s",
    "user_errors",
    "workers_lost",
    "open_fds",
    "clock_offset_ms",
    "clock_uncertainty_ms",
    "cpu_percent",
    "cpu_wait_percent",
)
VALUES = st.sampled_from([0.0, 1.0, 4.9, 5.1, 249.0, 251.0, 951.0, 6_000.0]) | st.floats(0, 1e6)
LINES = st.lists(
    st.builds(
        Health,
        st.floats(-3, 12, allow_nan=False).map(lambda t: round(t, 3)),
        st.sampled_from(["w1", "w2", "master"]),
        st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6).map(
            lambda values: {**values, "fds_limit": 1000.0}
        ),
    ),
    max_size=25,
).map(tuple)


@settings(max_examples=200, deadline=None)
@given(health=LINES)
def test_marks_lie_within_the_run_and_apart(health: tuple[Health, ...]) -> None:
    made = timeline(planned_requests(), health=health)
    ((start_s, end_s),) = run_window(made).intervals
    findings = assess(made)
    for finding in findings:
        ends: dict[str, float] = {}
        for mark in finding.marks:
            assert start_s <= mark.from_s < mark.to_s <= end_s
            assert mark.from_s > ends.get(mark.source, float("-inf"))
            ends[mark.source] = mark.to_s
    # What the run carries, its phases carry together, and no other seconds.
    run, *phases = standard_windows(made)
    marked = set(touching(findings, run.intervals))
    assert marked == {(f.code, mark) for f in findings for mark in f.marks}
    intervals = [span for phase in phases for span in phase.intervals]
    assert set(touching(findings, intervals)) == marked
    spans = sorted(set(intervals))
    assert abs(sum(unfit_s(findings, [one]) for one in spans) - unfit_s(findings, spans)) < 1e-6


READINGS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=40)


@given(readings=READINGS, least_s=st.integers(0, 10))
def test_a_stretch_is_over_from_end_to_end_and_no_longer_one_is_left_out(
    readings: list[tuple[int, int]], least_s: int
) -> None:
    found = stretches(readings, over=2)
    assert long_stretches(readings, over=2, least_s=least_s) == [
        one for one in found if one.length_s >= least_s
    ]
    for one in found:
        inside = [value for t_s, value in readings if one.from_s < t_s < one.to_s]
        assert all(value > 2 for value in inside)
        assert one.worst > 2
    over = {t_s for t_s, value in readings if value > 2}
    assert all(any(one.from_s <= t_s <= one.to_s for one in found) for t_s in over)
