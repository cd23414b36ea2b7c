"""A live check has the numbers that the whole timeline gives, whatever the order of reports."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from results.check import Check, error_rate, errors, latency, mean_latency
from results.judging.evaluation import evaluate
from results.judging.live import LiveCheck
from results.sample import Outcome, Sample
from results.statistic import QUANTILES, cut
from results.timeline import Header, Timeline
from results.windows import interval
from tests.unit.results.builder import reports

SERIES = st.sampled_from(["raw", "excess", "corrected"])
ENDPOINTS = st.sampled_from([None, "a", "b*", "nothing"])


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    end_us = draw(st.integers(min_value=0, max_value=12_000_000))
    took_us = draw(st.integers(min_value=0, max_value=3_000_000))
    return Sample(
        name=draw(st.sampled_from(["a", "b1", "b2"])),
        intended_us=draw(st.sampled_from([None, end_us - took_us - 5_000])),
        start_us=end_us - took_us,
        end_us=end_us,
        outcome=draw(st.sampled_from(list(Outcome))),
        status=0,
        bytes_received=0,
        emulated_us=draw(st.integers(0, 1_000_000)),
        write_id=None,
        node="n",
    )


@st.composite
def checks(draw: st.DrawFn) -> Check:
    endpoint = draw(ENDPOINTS)
    limit = draw(st.floats(min_value=0.5, max_value=4_000))
    return draw(
        st.sampled_from(
            [
                errors(at_most=draw(st.integers(0, 9)), endpoint=endpoint),
                error_rate(below=draw(st.floats(min_value=0.01, max_value=1)), endpoint=endpoint),
                latency(
                    quantile=draw(st.sampled_from(QUANTILES)),
                    below_ms=limit,
                    series=draw(SERIES),
                    endpoint=endpoint,
                ),
                mean_latency(below_ms=limit, series=draw(SERIES), endpoint=endpoint),
            ]
        )
    )


@settings(max_examples=150, deadline=None)
@given(
    by_worker=st.tuples(st.lists(samples(), max_size=25), st.lists(samples(), max_size=25)),
    check=checks(),
    start_s=st.integers(0, 6),
    length_s=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
)
def test_a_live_check_says_what_the_timeline_says_in_any_order_of_reports(
    by_worker: tuple[list[Sample], list[Sample]],
    check: Check,
    start_s: int,
    length_s: int,
    order: random.Random,
) -> None:
    window = interval("phase:one", start_s, start_s + length_s)
    made = [*reports(by_worker[0], "w1"), *reports(by_worker[1], "w2")]
    order.shuffle(made)
    live = LiveCheck(check, window)
    for report in made:
        live.add(report)

    timeline = Timeline(Header("run", "one", 0), reports=tuple(made))
    selections = () if check.endpoint is None else (check.endpoint,)
    whole = evaluate(replace(check, window=window.name), cut(timeline, [window], selections))
    assert live.result() == whole
    if live.is_lost(start_s + length_s):
        assert whole.status == "FAIL", "what is lost does not hold"
