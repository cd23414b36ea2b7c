"""Checks as text: every form reads, reads back, and every mistake is named with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from results.check import (
    Check,
    achieved,
    availability,
    error_rate,
    errors,
    figure,
    latency,
    mean_latency,
    of_faults,
    of_writes,
    rate,
    ratio,
    requests,
    unsent,
)
from results.errors import CheckError, ResultsError
from results.grammar import ABORT_AFTER_S, check
from results.measure import Bound, Measure
from results.text.source import MAX_TEXT

PAGE = Path(__file__).parents[3] / "docs/checks.md"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("errors < 0.1%", error_rate(below=0.001)),
        ("error_rate < 0.1%", error_rate(below=0.001)),
        ("errors <= 0", errors()),
        ("requests > 50000", requests(above=50_000)),
        ("rate > 1000/s", rate(above=1000)),
        ("availability > 99%", availability(above=0.99)),
        ("achieved >= 95%", achieved(at_least=0.95)),
        ("unsent <= 1%", unsent(at_most=0.01)),
        ("p99 < 250ms", latency(quantile=0.99, below_ms=250)),
        ("p99.9 < 2s", latency(quantile=0.999, below_ms=2000)),
        ("max < 1s", latency(quantile=1.0, below_ms=1000)),
        ("p50 < 1500us", latency(quantile=0.5, below_ms=1.5)),
        ("p90 < 1m", latency(quantile=0.9, below_ms=60_000)),
        (
            "p95(corrected) < 500ms",
            latency(quantile=0.95, below_ms=500, series="corrected"),
        ),
        ("max(raw) < 1s", latency(quantile=1.0, below_ms=1000)),
        ("mean(excess) < 10ms", mean_latency(below_ms=10, series="excess")),
        ("recovery < 15s", of_faults("recovery", below_s=15)),
        ("detection < 5s in fault:*", of_faults("detection", below_s=5, window="fault:*")),
        ("lost == 0", of_writes("lost")),
        ("redelivered <= 10 in run", of_writes("redelivered", at_most=10)),
        ("sum(jobs_failed) <= 0", figure("jobs_failed", "sum", at_most=0)),
        ("mean(reply length) > 5", figure("reply length", "mean", above=5)),
        ("max(queue) < 100", figure("queue", "most", below=100)),
        ("min(queue) >= -2.5", figure("queue", "least", at_least=-2.5)),
        ('mean("excess") < 5', figure("excess", "mean", below=5)),
        (
            "rate(events) / phase:single >= 0.9 in phase:multi",
            ratio("events", "rate", over="phase:single", at_least=0.9, window="phase:multi"),
        ),
        (
            "p99 < 250ms of GET /v1/{id} in phase:burst",
            latency(quantile=0.99, below_ms=250, endpoint="GET /v1/{id}", window="phase:burst"),
        ),
        (
            "p99 < 250ms in phase:burst of GET /v1/*",
            latency(quantile=0.99, below_ms=250, endpoint="GET /v1/*", window="phase:burst"),
        ),
        (
            'errors < 1% of "GET /in for, all" in "phase:load 2"',
            error_rate(below=0.01, endpoint="GET /in for, all", window="phase:load 2"),
        ),
        ("errors < 1% of 'say \"hi\"'", error_rate(below=0.01, endpoint='say "hi"')),
        ("errors < 1% in baseline", error_rate(below=0.01, window="baseline")),
        ("errors < 1% in 30s..90s", error_rate(below=0.01, window="30s..90s")),
    ],
)
def test_every_form_is_the_check_that_its_function_makes(text: str, made: Check) -> None:
    assert check(text) == made
    assert check(made.expression) == made


@pytest.mark.parametrize(
    ("lenient", "canonical"),
    [
        ("  P99<250MS  ", "p99 < 250ms"),
        ("p(95)<200ms", "p95 < 200ms"),
        ("requests > 50_000", "requests > 50,000"),
        ("requests > 50,000,abort", "requests > 50,000, abort after 5s"),
        ("errors<0.10 %", "errors < 0.1%"),
        ("rate > 1e3 / S", "rate > 1,000/s"),
        ("errors < 1% in 1m..90S", "errors < 1% in 60s..90s"),
        ("errors < 1% IN run FOR 10 s", "errors < 1% for 10s"),
        ("Lost == 0", "lost == 0"),
        ("p99 < 999.5ms over 2m", "p99 < 999.5ms over 120s"),
        ("p99 < 1500ms abort after 1m", "p99 < 1.5s, abort after 60s"),
    ],
)
def test_spaces_case_and_thousands_are_taken_as_they_come(lenient: str, canonical: str) -> None:
    made = check(lenient)
    assert made.expression == canonical
    assert check(canonical) == made


def test_clauses_are_on_the_check_and_only_some_are_in_its_id() -> None:
    made = check("availability > 99% in phase:* over 10s, abort")
    assert (made.over_s, made.for_s, made.abort_after_s) == (10.0, None, ABORT_AFTER_S)
    assert made.id == "availability_over_10s_abort@phase:*"
    assert check("p99 < 1s for 10s, abort after 0s").abort_after_s == 0.0
    assert check("p99 < 1s for 10s").id == "raw_p99_for_10s"
    assert check("rate < 5/s").id == "rate_below"
    assert check("errors < 20%, abort").id != check("errors < 0.1%").id, (
        "neither replaces the other"
    )
    assert check("errors == 0").id == check("errors <= 5").id == "errors"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("p89 < 5ms", 1, "unknown measure 'p89': did you mean 'p90'?"),
        ("p(97) < 5ms", 1, "unknown measure 'p97': did you mean 'p95'?"),
        ("erors < 5", 1, "unknown measure 'erors': did you mean 'errors'?"),
        ("avg < 5ms", 1, "did you mean 'mean'?"),
        ("throughput > 5/s", 1, "did you mean 'rate'?"),
        ("xyzzy < 5", 1, "use one of p50, p90"),
        ("p99(corected) < 5ms", 5, "unknown series 'corected': did you mean 'corrected'?"),
        ("mean(exces) < 5ms", 6, "did you mean 'excess'? (a figure of that name is put in quotes)"),
        ("count < 5", 1, "'count' is of a figure: name it, as in count(jobs_done)"),
        ("median(x) < 5", 1, "no statistic of a figure"),
        ("sum(a\x00b) < 5", 5, "printable text"),
        ("sum() < 5", 5, "a name is expected between the brackets"),
        ("sum(x < 5", 5, "a ')' is expected"),
        ('sum("x < 5', 5, "is not closed"),
        ("rate(x) / phase:* >= 1", 11, "one window is divided by"),
        ("errors < 5ms", 11, "a share, such as 0.1%, or a count, without a unit, not '5ms'"),
        ("errors < 0.5", 10, "a whole number, not 0.5: write a share with a %"),
        ("errors < 101%", 10, "at most 100%, not 101%"),
        ("errors < 0%", 8, "this could never hold: write '<='"),
        ("requests == 1.5", 10, "a count is a whole number, so this could never hold"),
        ("count(x) == 0.5", 10, "a count is a whole number, so this could never hold"),
        ("availability > 100%", 14, "this could never hold: write '>='"),
        ("availability >= 0%", 14, "this could never fail: write '>'"),
        ("rate >= 0/s", 6, "this could never fail: write '>'"),
        ("errors <= 100%", 8, "this could never fail: write '<'"),
        ("p99 < 10%", 9, "a time, such as 250ms or 2s, not '10%'"),
        ("p99 < 250", 10, "and 250 has no unit"),
        ("p99 < 250mz", 10, "did you mean 'ms'?"),
        ("p99 < -5ms", 7, "-5 is no limit for it"),
        ("p99 < 0ms", 5, "this could never hold"),
        ("lost == 1ms", 10, "the limit of lost is a count, without a unit, not '1ms'"),
        ("lost == 0.5", 9, "lost is a whole number, not 0.5"),
        ("rate > 1000", 12, "the limit of rate is per second, such as 1000/s"),
        ("rate > 60/m", 10, "not '60/m'"),
        ("achieved >= 0.95", 17, "a share, such as 99.9%, and 0.95 has no unit"),
        ("sum(x) > 5ms", 11, "a number without a unit"),
        ("requests > 1e400", 12, "out of range"),
        ("requests > 99999999999999999999", 12, "out of range"),
        ("p99", 4, "one of >, >=, <, <=, == is expected, and nothing follows"),
        ("p99 250ms", 5, "is expected, not '250ms'"),
        ("p99 <", 6, "a number is expected, and nothing follows"),
        ("p99 < fast", 7, "a number is expected, not 'fast'"),
        ("p99 = 5ms", 5, "unknown sign '=': did you mean '=='?"),
        ("p99 =< 5ms", 5, "did you mean '<='?"),
        ("p99 != 5ms", 5, "unknown sign '!=': use one of"),
        ("p99 > 1s", 5, "a check says what must hold: write 'p99 < 1s'"),
        ("errors >= 1%", 8, "write 'errors <= 1%'"),
        ("availability < 99%", 14, "write 'availability > 99%'"),
        ("p99 == 1s", 5, "only counts and figures can be equal to a limit: write 'p99 <= 1s'"),
        ("p99 < 1s in pase:burst", 13, "unknown window 'pase:burst': did you mean 'phase:burst'?"),
        ("p99 < 1s in runn", 13, "did you mean 'run'?"),
        ("p99 < 1s in phase:", 13, "did you mean 'phase:*'?"),
        ("p99 < 1s in", 12, "a window is expected, such as phase:burst"),
        ("p99 < 1s in 90s..30s", 13, "ends before it begins"),
        ("p99 < 1s in 30s..30s", 13, "or is empty"),
        ("p99 < 1s in 30..90s", 13, "a time needs a unit, such as 30s"),
        ("p99 < 1s in 30s..90", 18, "a time needs a unit, such as 90s"),
        ("p99 < 1s in 30s", 16, "an interval has two times"),
        ("p99 < 1s of", 12, "an endpoint is expected after 'of'"),
        ('p99 < 1s of "GET /a', 13, "is not closed"),
        ('p99 < 1s of "GET \\x"', 13, "wrong escape"),
        ("p99 < 1s of a of b", 15, "'of' is given twice"),
        ("lost == 0 of GET /a", 14, "lost is not counted by endpoint"),
        ("sum(x) > 1 of GET /a", 15, "figure is not counted by endpoint"),
        ("p99 < 1s over 10", 15, "a time needs a unit, such as 10s"),
        ("p99 < 1s over 1.5s", 15, "whole seconds from 1s to a day, not 1.5s"),
        ("p99 < 1s for 0s", 14, "whole seconds from 1s to a day, not 0s"),
        ("p99 < 1s over 25h", 15, "not 90,000s"),
        ("p99 < 1s over 10s for 10s", 23, "'over' and 'for' exclude each other"),
        ("lost == 0 over 10s", 16, "lost has no 'over'"),
        ("requests > 5 for 10s", 18, "requests has no 'for'"),
        ("achieved >= 95% over 10s", 22, "achieved has no 'over'"),
        ("recovery < 5s over 10s", 20, "recovery has no 'over'"),
        ("sum(x) > 5 over 10s", 17, "figure has no 'over'"),
        ("p99 < 1s, abrot", 11, "unexpected 'abrot': did you mean 'abort'?"),
        ("p99 < 1s,", 10, "nothing follows the comma"),
        ("p99 < 1s, in run", 11, "no comma is expected before 'in'"),
        ("p99 < 1s, abort after", 22, "a number is expected"),
        ("p99 < 1s, abort after 2 days", 25, "unknown unit 'days'"),
        ("p99 < 1s, abort after -2s", 23, "not below 0"),
        ("p99 < 1s in phase:load 2", 24, "a name with spaces or commas is put in quotes"),
        ("p99 < 1s <b>", 10, "unexpected '<b>'"),
        ("", 1, "a measure is expected, such as p99, and nothing follows"),
        ("   ", 4, "a measure is expected"),
        ("< 5", 1, "a measure is expected, such as p99, not '<'"),
        ("p99 < 1s of " + "a" * MAX_TEXT, 1, "at most 1,000 characters"),
    ],
)
def test_a_mistake_is_named_with_its_column_and_what_was_expected(
    text: str, column: int, says: str
) -> None:
    with pytest.raises(CheckError) as caught:
        check(text)
    said = str(caught.value)
    assert re.search(r"column (\d+): ", said), said
    assert f", column {column}: " in said, said
    assert says in said, said
    assert said.isprintable()


def test_an_error_is_an_operating_error_and_a_bad_value() -> None:
    assert issubclass(CheckError, ResultsError) and issubclass(CheckError, ValueError)
    with pytest.raises(CheckError, match="not int"):
        check(5)  # type: ignore[arg-type]


def test_a_bound_is_part_of_the_check_and_of_the_timeline() -> None:
    made = check("p99 <= 250ms")
    assert made.bound is Bound.AT_MOST
    assert Check.from_dict(made.as_dict()) == made
    for text in ("availability > 99% over 10s", "errors == 0 for 3s, abort", "lost == 0"):
        assert Check.from_dict(check(text).as_dict()) == check(text)


def test_the_page_shows_checks_that_read_as_they_stand() -> None:
    page = PAGE.read_text()
    table = page.split("## Measures")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", table, flags=re.M)
    assert {name for name, _ in rows} == {measure.value for measure in Measure}
    for name, text in rows:
        assert check(text).measure.value == name
    (block,) = re.findall(r"```checks\n(.*?)```", page, flags=re.S)
    for line in block.splitlines():
        text = line.split("   ")[0].strip()
        assert check(text).expression == text
