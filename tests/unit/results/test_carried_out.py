"""Runs that were cut short: their windows, rates and plots end where the load did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.carried_out import as_carried_out
from results.document import Document
from results.replay import judge_timeline
from results.report.panes import sketch
from results.sample import Outcome
from results.series import series
from results.timeline import End, EndReason, Progress, Timeline
from results.verdict import Judgement, Verdict
from tests.unit.results.builder import PLAN, planned_requests, request, timeline

KILLED: End | None = None
STOPPED = End(3.4, EndReason.ABORTED, "SIGTERM")


def cut_at(until_s: float, end: End | None) -> Timeline:
    """A run of six seconds of which the load ended then."""
    sent = [sample for sample in planned_requests() if sample.start_us < until_s * 1e6]
    users = tuple(Progress(s + 0.01, 10) for s in range(1, round(until_s) + 1))
    return replace(timeline(sent), end=end, progress=users)


def spans(judgement: Judgement) -> dict[str, tuple[tuple[float, float], ...]]:
    return {stats.window.name: stats.window.intervals for stats in judgement.windows}


@pytest.mark.parametrize("end", [KILLED, STOPPED])
def test_windows_and_rates_of_a_run_that_was_cut_short_end_with_its_load(end: End | None) -> None:
    judgement = judge_timeline(cut_at(3.0, end))
    assert judgement.verdict is Verdict.ABORTED
    assert spans(judgement) == {
        "run": ((0.0, 3.0),),
        "phase:steady": ((0.0, 2.0),),
        "phase:burst": ((2.0, 3.0),),
    }
    run = judgement.windows[0]
    assert run.rate == pytest.approx((4 + 4 + 20) / 3)
    assert run.achieved(None) == 1.0


@pytest.mark.parametrize("end", [KILLED, STOPPED])
def test_its_plot_has_no_seconds_in_which_nothing_could_be_sent(end: End | None) -> None:
    carried = as_carried_out(cut_at(3.0, end))
    by_second = series(carried)
    assert by_second.ended == (4, 4, 20)
    assert by_second.planned_starts == (4.0, 4.0, 20.0)
    drawn = sketch(carried, by_second, Document())
    assert drawn.end_s == 3.0
    assert [(band.name, band.end_s) for band in drawn.bands] == [("steady", 2.0), ("burst", 3.0)]


def test_a_target_that_let_nothing_begin_any_more_is_not_cut_off() -> None:
    users = tuple(Progress(s + 0.01, 10) for s in range(1, 6))
    hung = replace(timeline([request(0.5), request(1.5)], health=()), end=None, progress=users)
    plan = as_carried_out(hung).plan
    assert plan is not None and plan.duration_s == 5.0


def test_users_that_have_stopped_and_requests_that_end_late_are_no_load() -> None:
    late = [*planned_requests(0.5)[:4], request(1.5, 2500)]
    gone = (Progress(1.9, 10), Progress(2.9, 0), Progress(3.9, 0))
    stopped = replace(timeline(late), end=STOPPED, progress=gone)
    plan = as_carried_out(stopped).plan
    assert plan is not None and plan.duration_s == 2.0


@pytest.mark.parametrize(
    "end",
    [
        End(6.0, EndReason.COMPLETED),
        End(4.0, EndReason.COMPLETED),
        End(9.0, EndReason.ABORTED, "the audit was interrupted"),
    ],
)
def test_a_plan_that_was_carried_out_stays_as_it_is(end: End) -> None:
    whole = replace(timeline(planned_requests()), end=end)
    assert as_carried_out(whole).plan == PLAN


def test_a_plan_that_a_check_has_ended_ends_there() -> None:
    ended = End(3.6, EndReason.COMPLETED, plan_ends_s=3.0)
    plan = as_carried_out(replace(timeline(planned_requests()), end=ended)).plan
    assert plan is not None and plan.duration_s == 3.0


@pytest.mark.parametrize("end", [KILLED, STOPPED])
def test_a_run_that_was_killed_before_its_first_request_has_a_verdict(end: End | None) -> None:
    nothing = replace(timeline([], health=()), end=end)
    assert judge_timeline(nothing).verdict is Verdict.ABORTED
    assert series(as_carried_out(nothing)).ended == (0,)


def test_who_stops_a_run_is_not_told_that_its_last_requests_failed_unasked() -> None:
    sent = [*planned_requests()[:20], request(2.9, 1500, outcome=Outcome.RESET)]
    stopped = replace(timeline(sent), end=STOPPED)
    assert not any(
        "under way when the plan ended" in doubt for doubt in judge_timeline(stopped).doubts
    )
