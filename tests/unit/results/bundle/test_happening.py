"""What happened in a run: in order, and nothing that was only planned."""

from __future__ import annotations

from dataclasses import replace

from results.bundle.happening import moments, recorded_until_s
from results.timeline import Annotation, End, EndReason, Fault
from tests.unit.results.builder import planned_requests, request, timeline


def test_phases_notes_faults_and_the_end_are_told_in_order() -> None:
    made = replace(
        timeline(planned_requests()),
        annotations=(Annotation(3.5, "note", "here"),),
        faults=(Fault("k1", "kill", "n1", 2.5, 4.5), Fault("k2", "pause", "", 5.0)),
        end=End(7.0, EndReason.ABORTED, "interrupted"),
    )
    assert moments(made) == [
        (0, "phase steady begins, until 2 s"),
        (2, "phase burst begins, until 4 s"),
        (2.5, "fault k1 (kill) began on n1"),
        (3.5, "note: here"),
        (4, "phase steady begins, until 6 s"),
        (4.5, "fault k1 was healed"),
        (5.0, "fault k2 (pause) began"),
        (7.0, "the run's end, aborted: interrupted"),
    ]


def test_of_a_killed_run_nothing_is_told_that_lay_ahead() -> None:
    made = replace(timeline([request(0.5), request(1.2)], health=()), end=None)
    assert recorded_until_s(made) == 2.0
    assert moments(replace(made, plan=None)) == [(2.0, "the last that was recorded")]
    assert [one.text for one in moments(made)] == [
        "phase steady begins, until 2 s",
        "phase burst begins, until 4 s",
        "the last that was recorded",
    ]


def test_of_an_empty_timeline_the_beginning_is_told() -> None:
    made = replace(timeline([], health=()), end=None)
    assert [one.t_s for one in moments(made)] == [0, 0]
