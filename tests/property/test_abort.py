"""A check that may end the run says each second what the verdict would say of those so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.check import Check, availability, error_rate, errors, latency, mean_latency, rate
from results.judging.abort import CHECK_ABORTED, aborts_of
from results.judging.check_result import Status
from results.judging.evaluation import evaluate
from results.judging.rolling import evaluate_rolling, is_rolling
from results.judging.sliding import Sliding
from results.judging.unanswered import evaluate_unanswered
from results.measure import Measure, Series
from results.replay import judge_timeline
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.statistic import QUANTILES, cut
from results.timeline import Annotation, Header, Plan, PlannedPhase, Timeline
from results.windows import interval
from tests.unit.results.builder import reports

END_S = 12


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    end_us = draw(st.integers(min_value=0, max_value=END_S * 1_000_000 - 1))
    took_us = draw(st.integers(min_value=0, max_value=900_000))
    return Sample(
        name=draw(st.sampled_from(["a", "b1", "b2"])),
        intended_us=None,
        start_us=end_us - took_us,
        end_us=end_us,
        outcome=draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.TIMEOUT])),
        status=0,
        bytes_received=0,
        emulated_us=0,
        write_id=None,
        node="n",
    )


@st.composite
def checks(draw: st.DrawFn) -> Check:
    where: dict[str, Any] = {
        "endpoint": draw(st.sampled_from([None, "a", "b*"])),
        "window": draw(st.sampled_from(["2s..9s", "0s..12s"])),
    }
    share = draw(st.floats(min_value=0.05, max_value=0.95))
    limit_ms = draw(st.floats(min_value=1, max_value=900))
    series = draw(st.sampled_from([Series.RAW, Series.EXCESS]))
    quantile = draw(st.sampled_from(QUANTILES))
    made = draw(
        st.sampled_from(
            [
                errors(at_most=draw(st.integers(0, 3)), **where),
                error_rate(below=share, **where),
                availability(above=share, **where),
                latency(quantile=quantile, below_ms=limit_ms, series=series, **where),
                mean_latency(below_ms=limit_ms, series=series, **where),
            ]
        )
    )
    span_s = draw(st.sampled_from([None, 1.0, 2.0, 4.0]))
    if span_s is not None and draw(st.booleans()):
        made = draw(
            st.sampled_from([rate(above=share, **where), availability(above=share, **where)])
        )
    made = replace(made, over_s=span_s) if draw(st.booleans()) else replace(made, for_s=span_s)
    return replace(made, abort_after_s=float(draw(st.integers(0, 6))))


@st.composite
def plans(draw: st.DrawFn) -> Plan | None:
    users = draw(st.sampled_from([None, 2.0, 12.0, 40.0]))
    if users is None:
        return None
    phases = (PlannedPhase("one", 0, END_S),)
    cycle_s = draw(st.sampled_from([None, 0.5, 2.0]))
    arrivals = {"Buyer": (8,) * END_S} if draw(st.booleans()) else {}
    per_second = (round(users),) * END_S
    return Plan(END_S, phases, per_second, (users,) * END_S, cycle_s, None, arrivals)


def first_broken(
    check: Check, told: dict[int, list[SecondReport]], plan: Plan | None = None
) -> tuple[int, float] | None:
    """As the run goes on, each second told of right after it."""
    aborts = aborts_of([check], plan, ad_hoc=False)
    for second in range(END_S):
        for report in told.get(second, []):
            aborts.take(report)
        # Both sources tell of every second, or nobody would wait for them but for the grace.
        for source in ("w1", "w2"):
            aborts.take(SecondReport(source, 100 + second, second, {}))
        if (broken := aborts.step(second + 1.0)) is not None:
            return broken.before_s, broken.value
    return None


def first_fail(
    check: Check, told: dict[int, list[SecondReport]], plan: Plan | None = None
) -> tuple[int, float] | None:
    """The verdict's own evaluation of every beginning of the window."""
    start_s, end_s = (2, 9) if check.window.startswith("2s") else (0, 12)
    assert check.abort_after_s is not None
    for before_s in range(1, END_S + 1):
        if before_s < start_s + check.abort_after_s or before_s <= start_s:
            continue
        so_far = tuple(one for second in range(before_s) for one in told.get(second, []))
        window = interval(check.window, start_s, min(end_s, before_s))
        made = Timeline(Header("r", "s", 0), plan, reports=so_far)
        if is_rolling(check):
            result = evaluate_rolling([check], {check.window: window}, made)[check.id]
        else:
            selected = [] if check.endpoint is None else [check.endpoint]
            stats = cut(made, [window], selected)
            unanswered = evaluate_unanswered([check], stats, made)
            result = unanswered.get(check.id) or evaluate(check, stats)
        if result.status is Status.FAIL:
            assert result.value is not None
            return before_s, result.value
        if before_s >= end_s:
            return None
    return None


def by_second(sent: list[Sample]) -> dict[int, list[SecondReport]]:
    told: dict[int, list[SecondReport]] = {}
    for report in (*reports(sent[::2], "w1"), *reports(sent[1::2], "w2")):
        told.setdefault(report.second, []).append(report)
    return told


@settings(max_examples=250, deadline=None)
@given(sent=st.lists(samples(), max_size=60), check=checks(), plan=plans())
def test_a_run_is_ended_when_the_verdict_would_be_red_and_not_before(
    sent: list[Sample], check: Check, plan: Plan | None
) -> None:
    if check.measure in (Measure.AVAILABILITY, Measure.RATE):
        # What is under way is told when it ends, which is too late for a second that was complete.
        sent = [
            one._replace(start_us=max(one.start_us, one.end_us // 10**6 * 10**6)) for one in sent
        ]
    told = by_second(sent)
    found, expected = first_broken(check, told, plan), first_fail(check, told, plan)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1])


@settings(max_examples=100, deadline=None)
@given(sent=st.lists(samples(), max_size=60), check=checks())
def test_a_check_that_ended_the_run_is_red_whatever_came_after(
    sent: list[Sample], check: Check
) -> None:
    found: list[Annotation] = []
    aborts = aborts_of([check], None, ad_hoc=False)
    for second, told in sorted(by_second(sent).items()):
        for report in told:
            aborts.take(report)
        if not found and (broken := aborts.step(second + 4.5)) is not None:
            found.append(Annotation(float(second), CHECK_ABORTED, broken.annotation_text))
    fine = [Sample("a", None, 0, 1 + n, Outcome.OK, 0, 0, 0, None, "n") for n in range(500)]
    made = Timeline(
        Header("r", "s", 0, unplanned=True),
        checks=(check.as_dict(),),
        reports=reports([*sent, *fine]),
        annotations=tuple(found),
    )
    (result,) = judge_timeline(made).results
    told_it = "since the check says abort" in result.reason
    assert told_it is bool(found)
    # A generator that was not watched softens every FAIL.
    assert not found or result.status in (Status.FAIL, Status.INCONCLUSIVE)


def test_the_comparison_finds_a_window_that_forgets_its_first_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control."""
    late = [Sample("a", None, 0, 5 * 10**5, Outcome.TIMEOUT, 0, 0, 0, None, "n")]
    told = by_second([*late, late[0]._replace(start_us=10**6, end_us=10**6 + 9)])
    check = replace(errors(at_most=1, window="0s..12s"), abort_after_s=0.0)
    assert first_broken(check, told) == first_fail(check, told) == (2, 2.0)
    monkeypatch.setattr(Sliding, "_count", lambda self, second, times: None)
    assert first_broken(check, told) is None


def test_the_comparison_finds_a_plan_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: nobody answers ten users a second."""
    plan = Plan(12.0, (PlannedPhase("one", 0, 12),), (10,) * 12, (10.0,) * 12, 1.0)
    whole = replace(availability(above=0.5, window="0s..12s"), abort_after_s=0.0)
    for check in (whole, replace(whole, over_s=2.0), replace(whole, for_s=2.0)):
        assert first_broken(check, {}, plan) == first_fail(check, {}, plan) == (4, 0.0)
    with monkeypatch.context() as spoilt:
        spoilt.setattr(Sliding, "is_certain", False)
        assert first_broken(check, {}, plan) is None
