"""What a person reads at the end: a newcomer finds verdict, reasons, checks and files."""

from __future__ import annotations

import re
from dataclasses import replace

from results.check import achieved, error_rate, errors, figure, latency, requests
from results.page.summary import progress_line, summary
from results.replay import judge_timeline
from results.sample import Outcome
from results.timeline import TargetSample
from results.verdict import judge
from tests.unit.results.builder import PLAN, planned_requests, request, timeline

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
    assert "errors < 0.1%" in text
    assert "GET /[a]*" in text, "brackets are no markup"
    assert "phase:steady#2" in text
    assert "1 (2.4 %)" in text, "the burst's error with its share"
    assert "files: results/runs/r 1" in text
    row = next(line for line in text.splitlines() if line.startswith("phase:burst"))
    assert row.split()[:5] == ["phase:burst", "10", "41", "20", "102.5"]


def section(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column is headed so, columns apart by two spaces."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"{heading}  "))
    rows = lines[first : first + lines[first:].index("")]
    return [re.split(r" {2,}", row.rstrip()) for row in rows]


def test_figures_are_shown_for_each_window_that_has_them() -> None:
    checks = (figure("jobs done", "sum", above=1), errors())
    observed = [("jobs done", 1500, 2.5), ("jobs done", 2500, 3.5), ("[b]", 0.25, 5)]
    text = summary(
        judge_timeline(timeline(planned_requests(), checks=checks, observed=observed)), folder="x"
    )
    assert section(text, "figure") == [
        ["figure", "window", "count", "sum", "mean", "least", "most", "sum/s"],
        ["[b]", "run", "1", "0.25", "0.25", "0.25", "0.25", "0.041667"],
        ["[b]", "phase:steady#2", "1", "0.25", "0.25", "0.25", "0.25", "0.125"],
        ["[b]", "phase:steady", "1", "0.25", "0.25", "0.25", "0.25", "0.0625"],
        ["jobs done", "run", "2", "4,000", "2,000", "1,500", "2,500", "666.67"],
        ["jobs done", "phase:burst", "2", "4,000", "2,000", "1,500", "2,500", "2,000"],
    ]
    assert section(text, "status")[1:] == [
        ["PASS", "sum(jobs done) > 1", "run", "-", "4,000", "2"],
        ["PASS", "errors <= 0", "run", "all", "0", "56"],
    ]


def test_more_figures_are_shown_for_the_phases_and_not_for_their_occurrences() -> None:
    # Each in the run, in each of three occurrences, in the union of two, so 50 rows.
    observed = [(f"f{n}", 1, at_s) for n in range(10) for at_s in (0.5, 2.5, 4.5)]
    text = summary(judge_timeline(timeline(planned_requests(), observed=observed)), folder="x")
    rows = section(text, "figure")[1:]
    assert [row[:2] for row in rows[:3]] == [
        ["f0", "run"],
        ["f0", "phase:burst"],
        ["f0", "phase:steady"],
    ]
    assert len(rows) == 30
    assert "the figures of every window are in verdict.json" in text


def test_many_figures_are_shown_for_the_run_alone() -> None:
    observed = [(f"f{n}", 1, 0.5) for n in range(60)]
    text = summary(judge_timeline(timeline(planned_requests(), observed=observed)), folder="x")
    rows = section(text, "figure")[1:]
    assert len(rows) == 40 and {row[1] for row in rows} == {"run"}
    assert "the figures of every window are in verdict.json" in text


def test_the_target_is_shown_for_the_run_and_what_is_missing_with_it() -> None:
    values = {
        "up": 1.0,
        "cpu_percent": 40.0,
        "memory_bytes": 123.4e6,
        "queue_events": 2500.0,
        "commit_ms": 4.26,
        "wal_bytes": 4_200_000.0,
        "loop_lag_ms": 1.55,
    }
    samples = (
        TargetSample(1.0, "node-1", values),
        TargetSample(2.0, "node-1", {**values, "cpu_percent": 50.0, "queue_events": 0.0}),
        TargetSample(3.0, "node-1", {"up": 0.0}),
        TargetSample(1.0, "shop:9100", {"cpu_percent": 3.0}),
        TargetSample(99.0, "late", {"up": 1.0}),
    )
    text = summary(judge_timeline(timeline(planned_requests(), target=samples)), folder="x")
    assert section(text, "target")[1:] == [
        ["late", *["-"] * 7, "0"],
        ["node-1", "45", "50", "123.4", "2,500", "4.3", "4.2", "1.6", "2 of 3"],
        ["shop:9100", "3", "3", *["-"] * 5, "1"],
    ]


def test_without_figures_and_samples_there_are_no_such_tables() -> None:
    nowhere = (TargetSample(99.0, "late", {"up": 1.0}),)
    text = summary(judge_timeline(timeline(planned_requests(), target=nowhere)), folder="x")
    assert not re.search(r"^(figure|target) ", text, re.MULTILINE)


def test_the_page_of_a_large_run_fits_in_100_columns() -> None:
    observed = [("a figure of 22 letters", 1_234_567.5, n + 0.5) for n in range(6)]
    target = tuple(
        TargetSample(
            float(t),
            "a-node-of-30-characters.example",
            {"up": float(t % 2), "cpu_percent": 99.9, "memory_bytes": 12e9, "queue_events": 99_999},
        )
        for t in range(1, 1000)
    )
    made = timeline(planned_requests(), checks=CHECKS, observed=observed, target=target)
    made = replace(made, plan=replace(PLAN, duration_s=1000.0))
    text = summary(judge_timeline(made), folder="x")
    tables = [line for line in text.splitlines() if not line.startswith("  - ")]
    assert max(len(line.rstrip()) for line in tables) <= 100


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


def test_columns_that_would_say_nothing_are_left_out() -> None:
    plain = summary(judge_timeline(timeline(planned_requests())), folder="x")
    assert "excess" not in plain and "corrected" not in plain
    emulated = summary(judge_timeline(timeline([request(1, 50, emulated_ms=40)])), folder="x")
    assert "excess" in emulated
    assert "excess: response time less the wait" in emulated


def test_names_from_elsewhere_stay_in_their_cell_and_move_no_cursor() -> None:
    name = "GET /\x1b[2J\x1b[31m\nverdict: PASS \u202e"
    check = error_rate(below=0.5, endpoint=name)
    judgement = judge_timeline(timeline([request(1, name=name)], checks=(check,)))
    judgement = replace(judgement, reasons=(f"{name} was bad",))
    for styled in (False, True):
        text = summary(judgement, folder="x\x1b[2J", closing=(name,), styled=styled)
        assert "\x1b[2J" not in text and "\u202e" not in text
        assert r"\x1b[2J" in text
        assert not [line for line in text.splitlines() if line.startswith("verdict: PASS")]
    assert "\x1b" not in summary(judgement, folder="x")


def test_a_share_near_its_limit_shows_its_interval_and_others_none() -> None:
    samples = [*planned_requests(), request(3, outcome=Outcome.TIMEOUT)]
    near = (error_rate(below=0.02), requests(above=5))
    text = summary(judge_timeline(timeline(samples, checks=near)), folder="x")
    assert "95 % interval: where the true share lies" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "PASS errors < 2% run all 1.754 % 0.3104 % to 9.291 % 57" in rows
    assert "PASS requests > 5 run all 57 - 57" in rows
    clear = (error_rate(below=0.5), requests(above=5))
    assert "interval" not in summary(judge_timeline(timeline(samples, checks=clear)), folder="x")
