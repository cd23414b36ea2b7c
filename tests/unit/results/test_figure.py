"""Figures: counted in their second, bounded, read strictly, added up in any order."""

from __future__ import annotations

import json
import math

import pytest

from results.figure import (
    FURTHER_FIGURES,
    LARGEST_VALUE,
    LONGEST_NAME,
    MAX_FIGURES,
    Figure,
    FigureStats,
)
from results.generator import assess
from results.recorder import Recorder
from results.second import SecondReport
from results.statistic import cut
from results.windows import standard_windows
from tests.unit.results.builder import request, timeline

SECOND_US = 1_000_000


def drained(recorder: Recorder) -> list[SecondReport]:
    recorder.close()
    return [report for report in recorder.reports() if report is not None]


def observed(*values: tuple[str, float, float]) -> list[SecondReport]:
    recorder = Recorder(source="w", origin_us=0)
    for name, value, at_s in values:
        recorder.observe(name, value, round(at_s * SECOND_US))
    return drained(recorder)


def test_a_second_may_hold_nothing_but_figures() -> None:
    first, second = observed(("a", 2, 0.0), ("a", -1.5, 0.9), ("b", 7, 0.5), ("a", 4, 1.0))
    assert dict(first.figures) == {"a": Figure(2, 0.5, -1.5, 2.0), "b": Figure(1, 7.0, 7.0, 7.0)}
    assert dict(second.figures) == {"a": Figure(1, 4.0, 4.0, 4.0)}
    assert first.endpoints == {} and (first.sequence, second.sequence) == (0, 1)


def test_figures_come_with_the_requests_of_their_second_and_late_ones_on_their_own() -> None:
    recorder = Recorder(source="w", origin_us=0)
    recorder.record(request(0.1))
    recorder.observe("a", 1, 200_000)
    recorder.record(request(3.1))
    early = [report for report in recorder.reports() if report is not None]
    recorder.observe("a", 5, 300_000)
    late = drained(recorder)
    assert [(r.second, sorted(r.endpoints), r.figures) for r in early] == [
        (0, ["GET /a"], {"a": Figure(1, 1.0, 1.0, 1.0)})
    ]
    assert [(r.second, sorted(r.endpoints), sorted(r.figures)) for r in late] == [
        (0, [], ["a"]),
        (3, ["GET /a"], []),
    ]


def test_names_made_of_ids_end_up_under_one_name() -> None:
    values = [(f"job {n}", 1.0, 0.5) for n in range(MAX_FIGURES + 20)]
    first, second = observed(*values, ("job 3", 1, 1.5), ("job 9999", 2, 1.5))
    assert len(first.figures) == MAX_FIGURES + 1
    assert first.figures[FURTHER_FIGURES] == Figure(20, 20.0, 1.0, 1.0)
    assert set(second.figures) == {"job 3", FURTHER_FIGURES}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e19, 10**400, "3", None, True])
def test_a_value_that_is_no_finite_number_is_refused_and_leaves_nothing(bad: float) -> None:
    recorder = Recorder(source="w", origin_us=0)
    with pytest.raises(ValueError, match="figure 'a'"):
        recorder.observe("a", bad, 0)
    assert drained(recorder) == []


@pytest.mark.parametrize("bad", ["", "x" * (LONGEST_NAME + 1), "a\nb", "\x1b[31m", 7, None])
def test_a_name_that_is_no_short_printable_text_is_refused(bad: str) -> None:
    recorder = Recorder(source="w", origin_us=0)
    with pytest.raises(ValueError, match="printable text"):
        recorder.observe(bad, 1.0, 0)
    assert drained(recorder) == []


def test_observations_that_nobody_ships_are_dropped_and_counted() -> None:
    recorder = Recorder(source="w", origin_us=0, max_pending_samples=3)
    for second in range(5):
        for n in range(2):
            recorder.observe("a", n, second * SECOND_US)
    reports = drained(recorder)
    assert [report.figures["a"].count for report in reports] == [2]
    assert recorder.dropped == reports[-1].dropped == 8


def test_figures_survive_json() -> None:
    for report in observed(("a", 0.1, 0), ("☃ 1", -3, 0), ("a", LARGEST_VALUE, 1)):
        assert SecondReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ([], "'figures' must be an object"),
        (None, "'figures' must be an object"),
        ({"a": {}}, "must be a list"),
        ({"a": [1, 2.0, 2.0]}, "4 entries"),
        ({"a": [0, 0.0, 0.0, 0.0]}, "at least 1"),
        ({"a": [1.0, 2.0, 2.0, 2.0]}, "whole number"),
        ({"a": [True, 2.0, 2.0, 2.0]}, "whole number"),
        ({"a": [1, "2", 2.0, 2.0]}, "'total' must be a number"),
        ({"a": [1, math.nan, 2.0, 2.0]}, "finite"),
        ({"a": [1, 2.0, -math.inf, 2.0]}, "finite"),
        ({"a": [1, 2.0, 2.0, 10**400]}, "finite"),
        ({"a": [1, 2e18, 2e18, 2e18]}, "at most 1e18"),
        ({"a": [2, 2.0, 1.5, 1.0]}, "'least' is above 'most'"),
        ({"a": [2, 5.0, 1.0, 2.0]}, "'total' does not lie"),
        ({"a": [2**63 - 1, 1.7e308, 1.0, 2.0]}, "'total' does not lie"),
        ({"": [1, 2.0, 2.0, 2.0]}, "printable text"),
        ({"a\nb": [1, 2.0, 2.0, 2.0]}, "printable text"),
    ],
)
def test_a_wrong_figure_names_its_fault(figures: object, message: str) -> None:
    (report,) = observed(("a", 2, 0))
    with pytest.raises(ValueError, match=message):
        SecondReport.from_dict({**report.as_dict(), "figures": figures})


def test_windows_hold_the_figures_of_their_seconds() -> None:
    values = [("a", 3, 1.0), ("a", 5, 1.9), ("a", 10, 2.0), ("a", 100, 5.5), ("b", -2, 3.5)]
    made = timeline([], observed=values)
    stats = cut(made, standard_windows(made))
    assert stats["run"].figures == {
        "a": FigureStats(4, 118.0, 29.5, 3.0, 100.0, 118 / 6),
        "b": FigureStats(1, -2.0, -2.0, -2.0, -2.0, -2 / 6),
    }
    assert stats["phase:steady#1"].figures == {"a": FigureStats(2, 8.0, 4.0, 3.0, 5.0, 4.0)}
    assert stats["phase:burst"].figures["a"].sum == 10.0
    assert stats["phase:steady"].figures["a"].sum == 108.0
    assert list(stats["phase:steady#2"].figures) == ["a"]


def test_users_that_only_observe_have_sent_nothing() -> None:
    found = assess(timeline([], observed=[("a", 1, second) for second in range(6)]))
    assert [finding.code for finding in found] == ["nothing_sent"]
