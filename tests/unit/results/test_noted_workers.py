"""Workers that joined, were left out or refused are told with the verdict, and change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.check import error_rate
from results.replay import MAX_TOLD, judge_timeline
from results.timeline import Annotation, Timeline
from results.verdict import Verdict
from tests.unit.results.builder import planned_requests, timeline


def noted(*notes: Annotation) -> Timeline:
    made = timeline(planned_requests(), checks=(error_rate(below=0.1),))
    return replace(made, annotations=notes)


@pytest.mark.parametrize("label", ["worker_joined", "worker_left_out", "worker_refused"])
def test_a_note_of_a_worker_follows_the_reasons(label: str) -> None:
    done = judge_timeline(noted(Annotation(1.0, label, "worker-1 was noted")))
    assert done.verdict is Verdict.PASS
    assert done.reasons[-1] == "worker-1 was noted"
    assert not done.findings


def test_other_annotations_are_not_told() -> None:
    done = judge_timeline(noted(Annotation(1.0, "epoch", "epoch 1 begins")))
    assert "epoch 1 begins" not in done.reasons


def test_a_worker_that_is_refused_again_and_again_fills_no_verdict() -> None:
    notes = [Annotation(1.0, "worker_refused", f"worker {n} was refused") for n in range(100)]
    reasons = judge_timeline(noted(*notes)).reasons
    told = [reason for reason in reasons if "was refused" in reason]
    assert len(told) == MAX_TOLD
    assert reasons[-1] == f"and {100 - MAX_TOLD} more such notes: see the timeline"
