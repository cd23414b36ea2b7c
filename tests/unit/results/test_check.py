"""Each check: passes on good data, fails on a seeded fault, and is never a pass without data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from results.check import (
    Check,
    achieved,
    availability,
    error_rate,
    expanded,
    figure,
    latency,
    mean_latency,
    of_faults,
    of_writes,
    rate,
    ratio,
    requests,
    scaled_counts,
    unknown_windows,
)
from results.grammar import check as from_text
from results.judging.evaluation import CheckResult, Status, evaluate
from results.measure import Measure
from results.sample import Outcome, Sample
from results.statistic import cut
from results.windows import standard_windows
from tests.unit.results.builder import PLAN, planned_requests, request, timeline


def result_of(check: Check, samples: Sequence[Sample]) -> CheckResult:
    made = timeline(samples)
    selections = [check.endpoint] if check.endpoint else []
    return evaluate(check, cut(made, standard_windows(made), selections))


GOOD = planned_requests()
SLOW = [*GOOD[:-3], *(request(3.0, took_ms=900) for _ in range(3))]
WITH_ERRORS = [*GOOD, request(3, outcome=Outcome.TIMEOUT)]


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (error_rate(below=0.01), WITH_ERRORS),
        (error_rate(below=0.01, endpoint="GET /a"), WITH_ERRORS),
        (error_rate(below=0.01, endpoint="GET*"), WITH_ERRORS),
        (error_rate(below=0.01, window="phase:burst"), WITH_ERRORS),
        (requests(above=55), GOOD[:55]),
        (requests(above=39, window="phase:burst"), planned_requests(0.9)),
        (achieved(at_least=0.95), planned_requests(0.75)),
        (achieved(at_least=0.95, window="phase:burst"), planned_requests(0.75)),
        (achieved(at_least=0.95, mean_cycle_s=0.5), planned_requests(0.75)),
        (latency(quantile=0.99, below_ms=100), SLOW),
        (latency(quantile=1.0, below_ms=100, endpoint="GET /a"), SLOW),
        (latency(quantile=0.95, below_ms=100, series="excess", window="phase:burst"), SLOW),
    ],
)
def test_a_check_holds_on_good_data_and_fails_on_a_seeded_fault(
    check: Check, fault: list[Sample]
) -> None:
    good = result_of(check, GOOD)
    assert good.status is Status.PASS, good.reason
    assert good.samples > 0
    bad = result_of(check, fault)
    assert bad.status is Status.FAIL, bad.reason
    assert check.id in bad.reason and check.comparison in bad.reason


@pytest.mark.parametrize(
    "check",
    [
        error_rate(below=0.5),
        requests(above=0),
        achieved(at_least=0.01),
        latency(quantile=0.5, below_ms=1e9),
        latency(quantile=0.5, below_ms=1e9, series="corrected"),
        error_rate(below=0.5, endpoint="GET /never"),
        error_rate(below=0.5, window="phase:nowhere"),
    ],
)
def test_no_samples_are_never_a_pass(check: Check) -> None:
    result = result_of(check, [])
    assert result.status is Status.INCONCLUSIVE
    assert (result.value, result.samples, result.firm) == (None, 0, False)


def test_a_limit_is_strict_where_it_says_so() -> None:
    ten = [request(1, took_ms=1.0) for _ in range(9)] + [request(1, 1.0, outcome=Outcome.OTHER)]
    assert result_of(error_rate(below=0.1), ten).status is Status.FAIL
    assert result_of(error_rate(below=0.1001), ten).status is Status.PASS
    assert result_of(requests(above=10), ten).status is Status.FAIL
    assert result_of(requests(above=9), ten).status is Status.PASS
    assert result_of(achieved(at_least=1.0), GOOD).status is Status.PASS
    assert result_of(latency(quantile=1.0, below_ms=1.0), ten).status is Status.FAIL


def test_corrected_latency_of_a_closed_model_is_inconclusive() -> None:
    result = result_of(latency(quantile=0.5, below_ms=1e9, series="corrected"), GOOD)
    assert result.status is Status.INCONCLUSIVE
    assert "corrected" in result.reason


def test_achieved_without_a_mean_cycle_or_a_plan_is_inconclusive() -> None:
    for plan in (None, replace(PLAN, mean_cycle_s=None), replace(PLAN, user_seconds=())):
        made = timeline(GOOD, plan=plan)
        result = evaluate(achieved(at_least=0.1), cut(made, standard_windows(made)))
        assert result.status is Status.INCONCLUSIVE


def test_a_value_or_limit_that_is_no_number_is_never_a_pass() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        for check in (error_rate(below=0.5), achieved(at_least=0.5), requests(above=1)):
            assert result_of(replace(check, limit=bad), GOOD).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_what_the_node_answered_wrongly_is_firm(outcome: Outcome) -> None:
    samples = [*GOOD, *(request(3, outcome=outcome) for _ in range(20))]
    result = result_of(error_rate(below=0.01), samples)
    assert result.firm is (outcome in {Outcome.HTTP_5XX, Outcome.CHECK})
    assert (result.status is Status.FAIL) is (outcome not in {Outcome.OK, Outcome.CANCELLED})


def test_count_criteria_scale_and_others_do_not() -> None:
    checks = (requests(above=50_000), error_rate(below=0.001), achieved(at_least=0.95))
    scaled = scaled_counts(checks, time_scale=0.4, load_scale=0.5)
    assert scaled[0].limit == 10_000
    assert scaled[1:] == checks[1:]
    with pytest.raises(ValueError, match="load_scale"):
        scaled_counts(checks, time_scale=1, load_scale=0)
    assert scaled[0].expression == "requests > 10,000"
    (odd,) = scaled_counts([requests(above=100)], time_scale=0.0333, load_scale=1)
    assert odd.expression == "requests > 3.33"


@pytest.mark.parametrize(
    "text", ["requests == 56", "count(x) == 3", "sum(x) == 1.5", "errors == 2"]
)
def test_what_must_be_equal_to_a_limit_is_meant_as_it_is(text: str) -> None:
    asked = from_text(text)
    assert scaled_counts([asked], time_scale=0.3, load_scale=0.3) == (asked,)
    other = from_text(text.replace("==", "<="))
    scaled = scaled_counts([other], time_scale=0.3, load_scale=0.3) != (other,)
    assert scaled is not text.startswith("errors"), "the control"


def test_each_phase_becomes_one_check_per_occurrence() -> None:
    names = ["run", "phase:steady#1", "phase:burst", "phase:steady#2", "phase:steady"]
    found = expanded([achieved(at_least=0.95, window="phase:*")], names)
    assert [check.window for check in found] == names[1:4]
    assert [check.id for check in found] == [f"achieved@{name}" for name in names[1:4]]
    short = expanded([achieved(at_least=0.95, window="phase:*")], names, short=names[1:3])
    assert [check.window for check in short] == names[3:4]
    alone = achieved(at_least=0.95, window="phase:*")
    assert expanded([alone], names, short=names) == (alone,), "that nothing is asked must be said"
    of_run, of_one = achieved(at_least=0.9), achieved(at_least=0.9, endpoint="GET /a")
    assert expanded([alone, of_run], names, short=names) == (of_run,), "which covers them"
    assert expanded([alone, of_one], names, short=names) == (alone, of_one)
    with pytest.raises(ValueError, match="two checks"):
        expanded([error_rate(below=0.1), error_rate(below=0.2)], names)


def test_windows_that_no_plan_has_are_named_before_the_load() -> None:
    checks = [error_rate(below=0.1, window="phase:bust"), achieved(at_least=1, window="phase:*")]
    assert unknown_windows(checks, ["run", "phase:burst"]) == ("phase:bust",)


@pytest.mark.parametrize(
    "check",
    [
        error_rate(below=0.001, endpoint="GET /a"),
        requests(above=5),
        achieved(at_least=0.95, mean_cycle_s=0.4474, window="phase:burst"),
        latency(quantile=0.999, below_ms=20, series="excess"),
    ],
)
def test_a_check_survives_its_dict_form(check: Check) -> None:
    assert Check.from_dict(check.as_dict()) == check


OLD: dict[str, object] = {
    "id": "error_rate",
    "measure": "error_rate",
    "limit": 0.001,
    "window": "run",
    "endpoint": None,
    "series": None,
    "quantile": None,
    "mean_cycle_s": None,
}
"""As timelines had it before checks had a bound of their own."""


def test_a_check_without_a_bound_has_the_one_of_its_measure() -> None:
    assert Check.from_dict(OLD) == error_rate(below=0.001)
    assert Check.from_dict({**OLD, "id": "requests", "measure": "requests", "limit": 5}) == (
        requests(above=5)
    )
    old_figure = {"name": "a", "statistic": "sum", "bound": "at_most", "scales": None, "over": None}
    old = {**OLD, "id": "a_sum_at_most", "measure": "figure", "limit": 0, "figure": old_figure}
    assert Check.from_dict(old) == figure("a", "sum", at_most=0, scales=None)


def test_the_id_says_what_is_asked_and_not_how_much() -> None:
    made = {
        error_rate(below=0.1): "error_rate",
        error_rate(below=0.2, window="phase:burst"): "error_rate@phase:burst",
        requests(above=5, endpoint="GET /a"): "requests[GET /a]",
        latency(quantile=0.999, below_ms=5): "raw_p99.9",
        latency(quantile=1.0, below_ms=5, series="excess"): "excess_max",
        mean_latency(below_ms=5): "raw_mean",
        figure("a", "sum", above=1): "a_sum_above",
        ratio("a", "mean", over="run", at_least=1): "a_mean_over_run",
        rate(above=5): "rate",
        availability(above=0.5, window="phase:*"): "availability@phase:*",
        of_writes("lost"): "lost",
        of_writes("lost", at_most=5): "lost",
        of_faults("recovery", below_s=5): "recovery",
    }
    assert [check.id for check in made] == list(made.values())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bound": "near"}, "near"),
        ({"bound": "above"}, "cannot be > a limit, use one of <, <="),
        ({"bound": "equal"}, "cannot be == a limit"),
        ({"bound": 5}, "'bound' must be text"),
        ({"over_s": 0.0}, "whole seconds from 1s to a day"),
        ({"over_s": 1.5}, "whole seconds"),
        ({"over_s": 1e9}, "whole seconds"),
        ({"over_s": None}, "'over_s' must be a number"),
        ({"over_s": math.nan}, "'over_s' must be finite"),
        ({"over_s": 5.0, "for_s": 5.0}, "exclude each other"),
        ({"measure": "lost", "over_s": 5.0}, "lost has no 'over'"),
        ({"measure": "requests", "for_s": 5.0}, "requests has no 'for'"),
        ({"abort_after_s": -1.0}, "takes 0s to a day"),
    ],
)
def test_a_check_of_a_timeline_that_makes_no_sense_is_refused(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError) as caught:
        Check.from_dict({**OLD, **changes})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rate(above=-1),
        lambda: availability(above=1),
        lambda: availability(above=math.nan),
        lambda: of_writes("eaten"),
        lambda: of_writes("errors"),
        lambda: of_writes("lost", at_most=-1),
        lambda: of_faults("recovery", below_s=0),
        lambda: of_faults("lost", below_s=1),
    ],
)
def test_bad_checks_of_rates_writes_and_faults_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        make()


def test_the_rate_scales_with_the_load_alone() -> None:
    (scaled,) = scaled_counts([rate(above=1000)], time_scale=0.1, load_scale=0.5)
    assert scaled.expression == "rate > 500/s"
    writes = of_writes("lost", at_most=5)
    assert scaled_counts([writes], time_scale=0.1, load_scale=0.5) == (writes,)


def test_expressions_read_as_people_write_them() -> None:
    assert error_rate(below=0.001).expression == "errors < 0.1%"
    assert achieved(at_least=0.95).expression == "achieved >= 95%"
    excess = latency(quantile=0.99, below_ms=100, series="excess", window="phase:burst")
    assert excess.expression == "p99(excess) < 100ms in phase:burst"
    assert excess.id == "excess_p99@phase:burst"
    assert latency(quantile=1.0, below_ms=2500).expression == "max < 2.5s"


@pytest.mark.parametrize(
    "make",
    [
        lambda: error_rate(below=0),
        lambda: error_rate(below=1.5),
        lambda: error_rate(below=math.nan),
        lambda: error_rate(below=0.1, window=""),
        lambda: requests(above=-1),
        lambda: requests(above=math.inf),
        lambda: achieved(at_least=0),
        lambda: achieved(at_least=0.9, mean_cycle_s=0),
        lambda: latency(quantile=0.98, below_ms=1),
        lambda: latency(quantile=0.99, below_ms=-1),
        lambda: latency(quantile=0.99, below_ms=1, series="warm"),
        lambda: Check.from_dict({**requests(above=1).as_dict(), "measure": "guess"}),
        lambda: Check.from_dict({**requests(above=1).as_dict(), "limit": math.nan}),
        lambda: Check.from_dict({**requests(above=1).as_dict(), "measure": Measure.LATENCY.value}),
        lambda: Check.from_dict({**requests(above=1).as_dict(), "extra": 1}),
        lambda: Check.from_dict([]),
    ],
)
def test_bad_checks_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        make()
