"""Checks on errors, means, figures and ratios: each holds, fails on a seeded fault, needs data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from results.check import (
    Check,
    achieved,
    error_rate,
    errors,
    expanded,
    figure,
    mean_latency,
    ratio,
    requests,
    scaled_counts,
    unknown_windows,
)
from results.judging.evaluation import CheckResult, Status, evaluate
from results.measure import Scales, formatted, number
from results.replay import judge_timeline, replay
from results.sample import Outcome, Sample
from results.statistic import cut
from results.windows import standard_windows
from tests.unit.results.builder import (
    PLAN,
    Observation,
    planned_requests,
    request,
    timeline,
    write,
)

GOOD = planned_requests()
GOOD_OBSERVED: list[Observation] = [
    *(("events", 100, 0.5 + n) for n in range(2)),
    *(("events", 150, 2.5 + n) for n in range(2)),
    *(("jobs", 1, 0.1 * n) for n in range(60)),
    ("unmet", 0, 5.0),
]


def result_of(
    check: Check, samples: Sequence[Sample] = GOOD, observed: Sequence[Observation] = GOOD_OBSERVED
) -> CheckResult:
    made = timeline(samples, observed=observed)
    selections = [check.endpoint] if check.endpoint else []
    return evaluate(check, cut(made, standard_windows(made), selections))


def with_errors(count: int, outcome: Outcome = Outcome.TIMEOUT) -> list[Sample]:
    return [*GOOD, *(request(3, outcome=outcome) for _ in range(count))]


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (errors(), with_errors(1)),
        (errors(at_most=2), with_errors(3)),
        (errors(window="phase:burst"), with_errors(1)),
        (errors(endpoint="GET*"), with_errors(1)),
        (mean_latency(below_ms=11), [*GOOD, request(3, took_ms=100)]),
        (mean_latency(below_ms=11, series="excess"), [*GOOD, request(3, took_ms=100)]),
        (mean_latency(below_ms=11, endpoint="GET /a"), [*GOOD, request(3, took_ms=100)]),
    ],
)
def test_a_check_of_requests_holds_and_fails_on_a_seeded_fault(
    check: Check, fault: list[Sample]
) -> None:
    assert result_of(check).status is Status.PASS
    bad = result_of(check, fault)
    assert bad.status is Status.FAIL, bad.reason
    assert check.id in bad.reason and check.comparison in bad.reason


LOST = [one for one in GOOD_OBSERVED if one[0] != "jobs" or one[2] != 3.0]
MANY = [*GOOD_OBSERVED, ("unmet", 1.0, 3.0)]
SLOW_BURST = [("events", v / 2 if at > 2 else v, at) for name, v, at in GOOD_OBSERVED[:4]]


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (figure("jobs", "sum", above=59), LOST),
        (figure("jobs", "sum", at_least=60), LOST),
        (figure("jobs", "count", at_least=60), LOST),
        (figure("unmet", "sum", at_most=0), MANY),
        (figure("unmet", "sum", below=1), MANY),
        (figure("unmet", "most", at_most=0), MANY),
        (figure("unmet", "mean", below=0.1), MANY),
        (figure("events", "rate", above=140, window="phase:burst"), SLOW_BURST),
        (figure("events", "least", at_least=100), SLOW_BURST),
        (ratio("events", "rate", window="phase:burst", over="run", at_least=1.5), SLOW_BURST),
        (
            ratio("events", "mean", window="phase:burst", over="phase:steady#1", at_least=1.5),
            SLOW_BURST,
        ),
    ],
)
def test_a_check_of_a_figure_holds_and_fails_on_a_seeded_fault(
    check: Check, fault: list[Observation]
) -> None:
    good = result_of(check)
    assert good.status is Status.PASS, good.reason
    assert good.samples > 0
    bad = result_of(check, observed=fault)
    assert bad.status is Status.FAIL, bad.reason
    assert check.id in bad.reason and check.comparison in bad.reason


@pytest.mark.parametrize(
    ("check", "observed", "why"),
    [
        (errors(), GOOD_OBSERVED, "no request ended"),
        (mean_latency(below_ms=1e9), GOOD_OBSERVED, "raw latency"),
        (mean_latency(below_ms=1e9, series="corrected"), GOOD_OBSERVED, "corrected latency"),
        (figure("never", "sum", at_most=0), GOOD_OBSERVED, "nobody observed"),
        (figure("events", "sum", at_least=0, window="phase:no"), GOOD_OBSERVED, "no window"),
        (figure("events", "sum", at_least=0, window="phase:steady#2"), GOOD_OBSERVED, "nobody"),
        (ratio("events", "sum", over="phase:no", at_least=0), GOOD_OBSERVED, "no window"),
        (ratio("events", "sum", over="phase:steady#2", at_least=0), GOOD_OBSERVED, "nobody"),
        (
            ratio("events", "sum", window="phase:steady#2", over="run", at_least=0),
            GOOD_OBSERVED,
            "nobody",
        ),
        (
            ratio("events", "sum", window="phase:burst", over="phase:steady", at_least=0),
            [("events", 0, 0.5), ("events", 5, 3)],
            "nothing can be divided by",
        ),
        (
            ratio("events", "sum", window="phase:burst", over="phase:steady", at_least=0),
            [("events", 5e-324, 0.5), ("events", 5, 3)],
            "no number",
        ),
    ],
)
def test_without_data_or_a_divisor_nothing_passes(
    check: Check, observed: list[Observation], why: str
) -> None:
    result = result_of(check, [], observed)
    assert result.status is Status.INCONCLUSIVE
    assert why in result.reason
    assert (result.value, result.firm) == (None, False)


def test_a_limit_that_is_no_number_is_never_a_pass() -> None:
    checks = (
        errors(),
        mean_latency(below_ms=1),
        figure("events", "sum", below=1),
        ratio("events", "sum", over="run", at_least=0),
    )
    for check in checks:
        for bad in (math.nan, math.inf, -math.inf):
            assert result_of(replace(check, limit=bad)).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.CANCELLED])
def test_only_errors_that_the_node_made_are_firm(outcome: Outcome) -> None:
    made_by_node = outcome in {Outcome.HTTP_5XX, Outcome.CHECK}
    assert result_of(errors(at_most=2), with_errors(3, outcome)).firm is made_by_node
    mixed = [*with_errors(2, outcome), request(3, outcome=Outcome.TIMEOUT)]
    assert not result_of(errors(at_most=2), mixed).firm


def test_counts_scale_by_what_makes_them_smaller() -> None:
    checks = (
        requests(above=1000),
        figure("a", "sum", above=1000),
        figure("a", "count", at_least=1000, scales="time"),
        figure("a", "sum", at_least=1000, scales=Scales.LOAD),
        figure("a", "sum", at_least=1000, scales=None),
        figure("a", "mean", at_least=1000),
        figure("a", "rate", above=1000, scales=None),
        errors(at_most=1000),
        error_rate(below=0.1),
        mean_latency(below_ms=1000),
        ratio("a", "sum", over="run", at_least=1000),
    )
    scaled = scaled_counts(checks, time_scale=0.1, load_scale=0.5)
    limits = [check.limit for check in scaled]
    assert limits == [50, 50, 100, 500, 1000, 1000, 1000, 1000, 0.1, 1000, 1000]
    for scales in ((0, 1), (1, 0), (math.nan, 1), (1, math.inf), (-1, 1)):
        with pytest.raises(ValueError, match="_scale must be"):
            scaled_counts(checks, time_scale=scales[0], load_scale=scales[1])


def test_achieved_counts_only_what_the_plan_is_about() -> None:
    others = [request(second, name="GET /jobs") for second in range(6) for _ in range(50)]
    made = timeline([*planned_requests(0.5), *others], plan=replace(PLAN, endpoint="GET /a*"))
    stats = cut(made, standard_windows(made))
    result = evaluate(achieved(at_least=0.9), stats)
    assert (result.status, result.value, result.samples) == (Status.FAIL, 0.5, 28)
    assert stats["run"].achieved(None) == 0.5
    assert stats["run"].total.started == 328
    of_others = evaluate(achieved(at_least=0.9, endpoint="GET /jobs"), stats)
    assert of_others.samples == 300
    everything = replace(made, plan=PLAN)
    all_of_it = evaluate(achieved(at_least=0.9), cut(everything, standard_windows(everything)))
    assert (all_of_it.status, all_of_it.samples) == (Status.PASS, 328)


def test_a_plan_about_requests_that_nobody_sent_achieves_nothing() -> None:
    made = timeline(GOOD, plan=replace(PLAN, endpoint="POST /*"))
    result = evaluate(achieved(at_least=0.1), cut(made, standard_windows(made)))
    assert result.status is Status.INCONCLUSIVE


def test_a_ratio_names_both_of_its_windows_before_the_load() -> None:
    checks = [ratio("a", "sum", window="phase:many", over="phase:one", at_least=1)]
    assert unknown_windows(checks, ["run", "phase:one"]) == ("phase:many",)
    assert unknown_windows(checks, ["run"]) == ("phase:many", "phase:one")
    assert unknown_windows([ratio("a", "sum", over="run", at_least=1)], ["run"]) == ()


def test_each_phase_becomes_a_check_of_its_figure() -> None:
    names = ["run", "phase:steady#1", "phase:burst", "phase:steady#2", "phase:steady"]
    found = expanded([figure("a", "sum", above=1, window="phase:*")], names)
    assert [check.id for check in found] == [f"a_sum_above@{name}" for name in names[1:4]]


def test_both_sides_of_a_limit_may_be_checked() -> None:
    both = [figure("a", "sum", at_least=50, scales=None), figure("a", "sum", at_most=50)]
    assert len(expanded(both, ["run"])) == 2
    assert result_of(figure("jobs", "sum", at_least=60)).status is Status.PASS
    assert result_of(figure("jobs", "sum", at_most=60)).status is Status.PASS
    assert result_of(figure("jobs", "sum", above=60)).status is Status.FAIL
    assert result_of(figure("jobs", "sum", below=60)).status is Status.FAIL


CHECKS = (
    errors(at_most=3, endpoint="GET /a"),
    mean_latency(below_ms=11, series="excess", window="phase:burst"),
    figure("jobs", "sum", above=10, scales="time"),
    figure("events", "rate", at_least=1.5, window="phase:burst"),
    ratio("events", "rate", over="phase:steady#1", window="phase:burst", at_least=0.9),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_survives_its_dict_form_in_json(check: Check) -> None:
    assert Check.from_dict(json.loads(json.dumps(check.as_dict()))) == check


def test_the_verdict_of_a_file_is_the_verdict_of_its_timeline(tmp_path: Path) -> None:
    made = timeline(GOOD, checks=CHECKS, observed=GOOD_OBSERVED)
    assert replay(write(tmp_path / "t.jsonl", made)) == judge_timeline(made)
    assert int(judge_timeline(made).exit_code) == 0


def test_expressions_read_as_people_write_them() -> None:
    assert errors().expression == "errors <= 0"
    assert mean_latency(below_ms=10, series="excess").expression == "mean(excess) < 10ms"
    jobs = figure("jobs done", "sum", above=100, scales="time", window="phase:peak")
    assert jobs.expression == "sum(jobs done) > 100 in phase:peak"
    assert jobs.id == "jobs done_sum_above@phase:peak"
    multi = ratio("events", "rate", window="phase:multi", over="phase:single", at_least=1)
    assert multi.expression == "rate(events) / phase:single >= 1 in phase:multi"
    assert multi.id == "events_rate_over_phase:single@phase:multi"
    assert formatted(errors().measure, 1234) == "1,234"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-7, "1e-07"),
        (0.1234567, "0.12346"),
        (-99.5, "-99.5"),
        (1_234.5678, "1,234.6"),
        (12_345.678, "12,346"),
        (1_234_567.0, "1,234,567"),
        (123_456.7, "123,457"),
        (5e17, "5e+17"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


GOOD_DICT = figure("a", "sum", above=1).as_dict()
RATIO_DICT = ratio("a", "sum", over="run", at_least=1).as_dict()


def changed(document: dict[str, object], **criterion: object) -> dict[str, object]:
    inner = document["figure"]
    assert isinstance(inner, dict)
    return {**document, "figure": {**inner, **criterion}}


@pytest.mark.parametrize(
    "make",
    [
        lambda: errors(at_most=-1),
        lambda: errors(at_most=math.nan),
        lambda: errors(at_most=True),
        lambda: mean_latency(below_ms=0),
        lambda: mean_latency(below_ms=math.inf),
        lambda: mean_latency(below_ms=1, series="warm"),
        lambda: figure("a", "sum"),
        lambda: figure("a", "sum", above=1, below=2),
        lambda: figure("", "sum", above=1),
        lambda: figure("a\n", "sum", above=1),
        lambda: figure("a", "p99", above=1),
        lambda: figure("a", "sum", above=math.nan),
        lambda: figure("a", "sum", above=math.inf),
        lambda: figure("a", "sum", above=10**400),
        lambda: figure("a", "sum", above="5"),  # type: ignore[arg-type]
        lambda: figure("a", "sum", above=1, window=""),
        lambda: figure("a", "sum", above=1, scales="size"),
        lambda: figure("a", "mean", above=1, scales="time"),
        lambda: ratio("a", "sum", over="", at_least=1),
        lambda: ratio("a", "sum", over="phase:*", at_least=1),
        lambda: ratio("a", "sum", over="run", at_least=math.nan),
        lambda: ratio("a", "median", over="run", at_least=1),
        lambda: ratio("", "sum", over="run", at_least=1),
        lambda: Check.from_dict({**GOOD_DICT, "figure": None}),
        lambda: Check.from_dict({**GOOD_DICT, "figure": []}),
        lambda: Check.from_dict({k: v for k, v in GOOD_DICT.items() if k != "figure"}),
        lambda: Check.from_dict({**GOOD_DICT, "measure": "requests"}),
        lambda: Check.from_dict({**GOOD_DICT, "measure": "ratio"}),
        lambda: Check.from_dict({**RATIO_DICT, "measure": "figure"}),
        lambda: Check.from_dict({**mean_latency(below_ms=1).as_dict(), "series": None}),
        lambda: Check.from_dict(changed(GOOD_DICT, name="")),
        lambda: Check.from_dict(changed(GOOD_DICT, name=3)),
        lambda: Check.from_dict(changed(GOOD_DICT, statistic="median")),
        lambda: Check.from_dict(changed(GOOD_DICT, bound="near")),
        lambda: Check.from_dict(changed(GOOD_DICT, scales="size")),
        lambda: Check.from_dict(changed(GOOD_DICT, statistic="mean", scales="time")),
        lambda: Check.from_dict(changed(GOOD_DICT, over="run")),
        lambda: Check.from_dict(changed(GOOD_DICT, extra=1)),
        lambda: Check.from_dict(changed(RATIO_DICT, over=None)),
    ],
)
def test_bad_checks_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        make()
