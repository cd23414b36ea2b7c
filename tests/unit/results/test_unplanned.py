"""Runs that were declared without a plan: every check applies, and no plan is missed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from results.check import Check, error_rate, figure, latency, mean_latency, requests
from results.errors import TimelineError
from results.judging.untimed import UNTIMED, untimed_doubts
from results.replay import judge_timeline
from results.timeline import Annotation, Timeline
from results.timeline_reader import read_timeline
from results.verdict import ExitCode
from tests.unit.results.builder import HEADER, PLAN, request, timeline, write

UNPLANNED = replace(HEADER, unplanned=True)
ANSWERED = [request(second + 0.5) for second in range(6)]
RATE = error_rate(below=0.01)


def unplanned(*checks: Check, note: Annotation | None = None) -> Timeline:
    made = timeline(ANSWERED, checks=checks, plan=None, header=UNPLANNED)
    return replace(made, annotations=() if note is None else (note,))


def test_every_check_of_the_whole_run_applies() -> None:
    done = judge_timeline(unplanned(RATE, requests(above=5), figure("a", "sum", at_most=0)))
    assert [str(result.status) for result in done.results] == ["PASS", "PASS", "INCONCLUSIVE"]
    assert judge_timeline(unplanned(RATE, requests(above=5))).exit_code is ExitCode.PASS
    assert judge_timeline(unplanned(RATE, requests(above=6))).exit_code is ExitCode.FAIL


def test_a_run_that_should_have_a_plan_is_void_without_one() -> None:
    """The control."""
    done = judge_timeline(timeline(ANSWERED, checks=(RATE,), plan=None))
    assert done.exit_code is ExitCode.INCONCLUSIVE
    assert any("no plan" in reason for reason in done.reasons)


def test_it_is_read_back_as_it_was_written_and_other_runs_do_not_say_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", unplanned(RATE))
    assert read_timeline(path).header == UNPLANNED
    other = write(tmp_path / "b.jsonl", timeline(ANSWERED, checks=(RATE,)))
    assert "unplanned" not in json.loads(other.read_text().splitlines()[0])


def test_a_plan_in_it_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", replace(unplanned(RATE), plan=PLAN))
    with pytest.raises(TimelineError, match="unplanned run follows no plan"):
        read_timeline(path)


def test_requests_without_a_time_void_what_is_said_of_latency_alone() -> None:
    notes = [Annotation(3.0, UNTIMED, "ws later"), Annotation(1.0, UNTIMED, "ws receive")]
    p99, mean = latency(quantile=0.99, below_ms=100), mean_latency(below_ms=100)
    (doubt,) = untimed_doubts(notes, [RATE, p99, mean])
    assert "the first: ws receive;" in doubt and f"{p99.id}, {mean.id} would" in doubt
    assert untimed_doubts(notes, [RATE]) == []
    assert untimed_doubts([Annotation(1.0, "note", "x")], [p99]) == []
    assert judge_timeline(unplanned(RATE, p99)).exit_code is ExitCode.PASS
    assert judge_timeline(unplanned(RATE, note=notes[0])).exit_code is ExitCode.PASS
    done = judge_timeline(unplanned(RATE, p99, note=notes[0]))
    assert done.exit_code is ExitCode.INCONCLUSIVE
