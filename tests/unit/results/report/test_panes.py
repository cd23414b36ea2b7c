"""Which panes a run has, from its timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.document import Document
from results.report.panes import sketch
from results.report.sketch import Band, BandKind, Pane, Sketch
from results.series import series
from results.timeline import Fault, TargetSample, Timeline
from tests.unit.results.builder import planned_requests, request, timeline
from tests.unit.results.report.stormy_run import stormy_timeline


def sketched(made: Timeline, verdict: object = None) -> Sketch:
    return sketch(made, series(made), Document(verdict))


def pane(made: Sketch, title: str) -> Pane:
    return next(pane for pane in made.panes if pane.title.startswith(title))


def names(of: Pane) -> list[str]:
    return [curve.name for curve in of.curves]


@pytest.fixture(scope="module")
def stormy() -> Sketch:
    return sketched(stormy_timeline())


def test_a_run_in_which_everything_happens_has_every_pane(stormy: Sketch) -> None:
    assert [pane.title for pane in stormy.panes] == [
        "Requests per second",
        "Users",
        "Response time in ms",
        "Errors per second",
        "Target: CPU in % of a core",
        "Target: events in the writer's queue",
        "Target: commit in ms",
    ]
    assert names(pane(stormy, "Requests")) == ["planned", "started", "ended"]
    assert set(names(pane(stormy, "Errors"))) == {"refused", "timeout", "http_5xx"}
    assert pane(stormy, "Errors").stacked


def test_curves_hold_what_happened_in_each_second(stormy: Sketch) -> None:
    ended = pane(stormy, "Requests").curves[2].values
    assert ended[30] == pytest.approx(25, abs=3)
    assert ended[70] == pytest.approx(100, abs=5)
    refused = next(c for c in pane(stormy, "Errors").curves if c.name == "refused")
    assert not any(refused.values[:80])
    assert all(refused.values[80:94])


def test_phases_faults_and_recoveries_are_shaded_where_they_were(stormy: Sketch) -> None:
    spans = [(b.kind, b.name, b.start_s, b.end_s) for b in stormy.bands]
    assert (BandKind.PHASE, "burst", 60, 130) in spans
    assert (BandKind.FAULT, "kill node-2", 80, 95) in spans
    assert (BandKind.RECOVERY, "after kill node-2", 95, 155) in spans
    assert [mark.t_s for mark in stormy.marks] == [140.0, 210.5]


def test_a_run_without_plan_errors_and_target_has_two_panes() -> None:
    made = sketched(timeline([request(0.5), request(1.5)], plan=None))
    assert [pane.title for pane in made.panes] == ["Requests per second", "Response time in ms"]
    assert names(made.panes[0]) == ["started", "ended"]


def test_excess_is_drawn_only_where_it_is_another_curve() -> None:
    same = sketched(timeline([request(0.5)], plan=None))
    other = sketched(timeline([request(0.5, 50, emulated_ms=40)], plan=None))
    assert "excess p99" not in names(pane(same, "Response"))
    assert "excess p99" in names(pane(other, "Response"))


def test_a_node_has_one_colour_in_all_panes_of_the_target() -> None:
    made = sketched(
        timeline(
            planned_requests(),
            target=(
                TargetSample(1.0, "node-1", {"cpu_percent": 5.0}),
                TargetSample(1.0, "node-2", {"cpu_percent": 6.0, "commit_ms": 2.0}),
            ),
        )
    )
    cpu, commit = pane(made, "Target: CPU"), pane(made, "Target: commit")
    assert names(commit) == ["node-2"]
    assert commit.curves[0].colour == cpu.curves[1].colour != cpu.curves[0].colour


def test_what_a_node_did_not_state_is_a_gap() -> None:
    made = sketched(
        timeline(
            planned_requests(),
            target=tuple(TargetSample(t, "n", {"cpu_percent": 5.0}) for t in (1.0, 3.0)),
        )
    )
    assert list(pane(made, "Target: CPU").curves[0].values)[:4] == [5.0, None, 5.0, None]


def test_what_lies_outside_of_the_plot_is_cut_off() -> None:
    faults = (Fault("a", "kill", "", -3.0, 2.0), Fault("b", "pause", "", 5.0, 900.0))
    made = sketched(timeline(planned_requests(), faults=faults))
    spans = [(b.start_s, b.end_s) for b in made.bands if b.kind is BandKind.FAULT]
    assert spans == [(0.0, 2.0), (5.0, made.end_s)]


def test_a_fault_that_never_healed_lasts_to_the_plans_end() -> None:
    made = sketched(timeline(planned_requests(), faults=(Fault("a", "kill", "n", 2.0),)))
    assert [b for b in made.bands if b.kind is not BandKind.PHASE] == [
        Band(BandKind.FAULT, "kill n", 2.0, 6.0, "kill")
    ]


def test_a_killed_run_is_drawn_as_far_as_it_went() -> None:
    made = sketched(replace(timeline(planned_requests()), end=None))
    assert pane(made, "Requests")


def test_times_in_which_the_generator_was_not_fit_are_shaded_once() -> None:
    marks = [{"from_s": 1, "to_s": 3}, {"from_s": 2, "to_s": 4}, {"from_s": "x"}, {}]
    other = {"name": "phase:burst", "unfit": [{"from_s": 5, "to_s": 6}]}
    verdict = {"windows": [other, {"name": "run", "unfit": marks}]}
    made = sketched(timeline(planned_requests()), verdict)
    assert [b for b in made.bands if b.kind is BandKind.UNFIT] == [
        Band(BandKind.UNFIT, "generator not fit", 1.0, 4.0, "unfit")
    ]
