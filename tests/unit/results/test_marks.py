"""An unfit generator in what people and programs read: verdict.json and the summary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from results.check import requests
from results.page.summary import summary
from results.replay import judge_timeline
from results.timeline import Health
from results.verdict import ExitCode, Judgement, as_document
from tests.unit.results.builder import planned_requests, timeline

CHECKS = (requests(above=10),)


def judged(*lags: float) -> Judgement:
    health = tuple(Health(float(t), "w1", {"lag_p99_ms": lag}) for t, lag in enumerate(lags))
    return judge_timeline(timeline(planned_requests(), checks=CHECKS, health=health))


def windows_of(judgement: Judgement) -> dict[str, list[dict[str, Any]]]:
    windows = cast(list[dict[str, Any]], as_document(judgement)["windows"])
    return {window["name"]: window["unfit"] for window in windows}


def test_every_window_that_an_unfit_second_touches_carries_the_mark() -> None:
    # The phases are steady [0, 2), burst [2, 4) and steady [4, 6).
    unfit = judged(5, 5, 5, 900, 900, 900, 5)
    assert unfit.exit_code is ExitCode.INCONCLUSIVE
    mark = {"code": "generator_lag", "source": "w1", "from_s": 2.0, "to_s": 5.0}
    assert windows_of(unfit) == {
        "run": [mark],
        "phase:steady#1": [],
        "phase:burst": [mark],
        "phase:steady#2": [mark],
        "phase:steady": [mark],
    }


def test_a_fit_generator_leaves_no_marks_and_no_column() -> None:
    fit = judged(*[5] * 7)
    assert fit.exit_code is ExitCode.PASS
    assert set(map(len, windows_of(fit).values())) == {0}
    assert "unfit" not in summary(fit, folder="f")


def test_the_summary_shows_how_many_seconds_of_each_window_were_unfit() -> None:
    page = summary(judged(5, 5, 5, 900, 900, 900, 5), folder="f")
    header, *rows = page[page.index("\nwindow  ") + 1 :].splitlines()
    assert header.split()[-1] == "unfit"
    shown = {row.split()[0]: row.split()[-2:] for row in rows[:5]}
    assert shown["phase:burst"] == ["2", "s"]
    assert shown["phase:steady#2"] == ["1", "s"]
    assert shown["phase:steady#1"][-1] == "-"
    assert "unfit: seconds in which the generator was not fit" in page


def test_a_finding_without_a_time_voids_the_run_and_marks_nothing() -> None:
    fit = timeline(planned_requests(), checks=CHECKS)
    assert fit.end is not None
    lost = replace(fit, end=replace(fit.end, reports={**fit.end.reports, "w2": 3}))
    unfit = judge_timeline(lost)
    assert unfit.exit_code is ExitCode.INCONCLUSIVE
    assert set(map(len, windows_of(unfit).values())) == {0}
    assert "unfit:" not in summary(unfit, folder="f")
