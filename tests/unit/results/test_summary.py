"""What a person reads at the end: a newcomer finds verdict, reasons, checks and files."""

from __future__ import annotations

from dataclasses import replace

from results.check import achieved, error_rate, latency, requests
from results.replay import judge_timeline
from results.sample import Outcome
from results.summary import progress_line, summary
from results.verdict import judge
from tests.unit.results.builder import planned_requests, request, timeline

CHECKS = (
    error_rate(below=0.001),
    requests(above=10, endpoint="GET /[a]*"),
    achieved(at_least=0.95, window="phase:*"),
    latency(quantile=0.99, below_ms=100, series="excess", window="phase:burst"),
)


def test_a_plain_summary_holds_verdict_checks_windows_and_folder() -> None:
    samples = [*planned_requests(), request(3, outcome=Outcome.HTTP_5XX)]
    text = summary(judge_timeline(timeline(samples, checks=CHECKS)), folder="results/runs/r 1")
    assert "\x1b" not in text
    assert text.isascii()
    assert "verdict: FAIL (exit code 1): the target did not meet its checks" in text
    assert "error_rate < 0.1 %" in text
    assert "GET /[a]*" in text, "brackets are no markup"
    assert "phase:steady#2" in text
    assert "1 (2.4 %)" in text, "the burst's error with its share"
    assert "files: results/runs/r 1" in text
    row = next(line for line in text.splitlines() if line.startswith("phase:burst"))
    assert row.split()[:5] == ["phase:burst", "10", "41", "20", "102.5"]


def test_a_styled_summary_is_coloured() -> None:
    judgement = judge_timeline(timeline(planned_requests(), checks=CHECKS[:1]))
    assert "\x1b[" in summary(judgement, folder="x", styled=True)


def test_a_run_without_data_still_has_a_summary() -> None:
    text = summary(judge_timeline(timeline([], checks=CHECKS)), folder="x")
    assert "verdict: INCONCLUSIVE (exit code 3): this run proves nothing either way" in text
    assert "no request was sent" in text
    nothing = summary(judge([], aborted="SIGTERM"), folder="x")
    assert "verdict: ABORTED (exit code 5)" in nothing


def test_a_flood_of_reasons_is_cut_and_says_so() -> None:
    judgement = replace(judge([]), reasons=tuple(f"reason {n}" for n in range(40)))
    text = summary(judgement, folder="x")
    assert "reason 11" in text and "reason 12" not in text
    assert "and 28 more in verdict.json" in text


def test_the_progress_line_says_where_the_run_is() -> None:
    line = progress_line(
        phase="burst",
        elapsed_s=75.4,
        total_s=300,
        users=2199,
        planned_users=2200,
        rate_per_s=4890.4,
        errors=3,
        requests=100_000,
    )
    assert line == ("burst      1:15 / 5:00  users 2,199 of 2,200  4,890 req/s  errors 3 (0.003 %)")
    start = progress_line(
        phase=None,
        elapsed_s=-1,
        total_s=300,
        users=0,
        planned_users=0,
        rate_per_s=0,
        errors=0,
        requests=0,
    )
    assert start == "drain      0:00 / 5:00  users 0 of 0  0 req/s  errors 0"
