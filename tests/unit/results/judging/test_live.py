"""A check over a window that grows: what it says so far, and when it can hold no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from results.check import Check, achieved, error_rate, errors, figure, latency, mean_latency
from results.check import requests as count_of_requests
from results.judging.evaluation import Status
from results.judging.live import GRACE_S, Frontier, LiveCheck, Pulse, require_live
from results.sample import Outcome, Sample
from results.windows import Window, interval
from tests.unit.results.builder import reports, request

STAIR = interval("phase:stress 1", 10, 20)
P99 = latency(quantile=0.99, below_ms=100)


def live(check: Check, samples: list[Sample], window: Window = STAIR) -> LiveCheck:
    made = LiveCheck(check, window)
    for report in reports(samples):
        made.add(report)
    return made


def each_second(first: int, last: int, count: int, took_ms: float = 10.0) -> list[Sample]:
    """`count` requests that end in each of the seconds first to last."""
    return [
        request(second + (n + 0.5) / count - took_ms / 1000, took_ms)
        for second in range(first, last + 1)
        for n in range(count)
    ]


def test_seconds_outside_of_the_window_do_not_count() -> None:
    slow_around = each_second(9, 9, 10, 500.0) + each_second(20, 20, 10, 500.0)
    made = live(P99, [*slow_around, *each_second(10, 19, 10)])
    result = made.result()
    assert (result.status, result.samples) == (Status.PASS, 100)
    assert result.check.window == "phase:stress 1"
    assert (made.first_s, made.end_s) == (10, 20)


def test_a_check_of_one_endpoint_leaves_others_out() -> None:
    samples = [request(11, 500, name="GET /slow"), request(11, 10, name="GET /quick")]
    assert (
        live(latency(quantile=0.99, below_ms=100, endpoint="GET /quick"), samples).result().status
        is Status.PASS
    )
    assert (
        live(latency(quantile=0.99, below_ms=100, endpoint="GET /s*"), samples).result().status
        is Status.FAIL
    )


def test_without_a_request_nothing_holds() -> None:
    for check in (P99, error_rate(below=0.1), errors(), mean_latency(below_ms=1)):
        made = live(check, [])
        assert made.result().status is Status.INCONCLUSIVE
        assert not made.is_lost(15)


def test_a_latency_is_lost_when_the_best_that_may_follow_cannot_mend_it() -> None:
    # 100 a second, all slow for three seconds: of 1,000 requests 300 are over the limit.
    made = live(P99, each_second(10, 12, 100, 500.0))
    assert made.is_lost(13)
    # p50 may still hold: 700 quick ones may follow.
    assert not live(latency(quantile=0.5, below_ms=100), each_second(10, 12, 100, 500.0)).is_lost(
        13
    )


def test_a_latency_is_not_lost_by_a_few_slow_requests_at_the_start() -> None:
    slow = [request(10.1, 500) for _ in range(9)]
    made = live(P99, [*slow, *each_second(11, 12, 100)])
    assert made.result().status is Status.FAIL, "the control: so far it does not hold"
    # Seven seconds of 100 requests make it 9 of 909, below one in a hundred.
    assert not made.is_lost(13)
    # Two more slow ones, and it is 11 of 911.
    made = live(P99, [*slow, *slow[:2], *each_second(11, 12, 100)])
    assert made.is_lost(13)


def test_what_holds_is_never_lost() -> None:
    assert not live(P99, each_second(10, 19, 10)).is_lost(20)


def test_errors_are_lost_as_soon_as_there_is_one_too_many() -> None:
    failed = [request(11, outcome=Outcome.HTTP_5XX)]
    assert live(errors(), failed).is_lost(12)
    assert not live(errors(at_most=1), failed).is_lost(12)


def test_an_error_rate_is_lost_when_further_successes_cannot_mend_it() -> None:
    good = each_second(10, 12, 100)
    check = error_rate(below=0.01)
    # Of 1,000 requests at best, 9 may fail.
    nine = [request(11, outcome=Outcome.TIMEOUT) for _ in range(9)]
    made = live(check, [*good, *nine])
    assert made.result().status is Status.FAIL, "the control"
    assert not made.is_lost(13)
    assert live(check, [*good, *nine, *nine]).is_lost(13)


def test_a_mean_is_lost_when_instant_answers_cannot_mend_it() -> None:
    slow = each_second(10, 12, 100, 500.0)
    assert live(mean_latency(below_ms=100), slow).is_lost(13)
    assert not live(mean_latency(below_ms=200), slow).is_lost(13), "150 ms at best"


def test_a_maximum_is_lost_by_one_request() -> None:
    made = live(latency(quantile=1.0, below_ms=100), [*each_second(10, 12, 100), request(11, 200)])
    assert made.is_lost(13)


def test_nothing_is_lost_at_the_end_but_what_does_not_hold() -> None:
    made = live(P99, each_second(10, 19, 10, 500.0))
    assert made.is_lost(20)


def test_error_shares_are_those_of_each_second() -> None:
    failed = [request(11.2, outcome=Outcome.REFUSED) for _ in range(3)]
    made = live(P99, [*each_second(11, 11, 1), *failed, *each_second(12, 12, 2)])
    assert made.error_shares(range(10, 13)) == [0.0, 0.75, 0.0]


@pytest.mark.parametrize(
    "check",
    [
        count_of_requests(above=5),
        achieved(at_least=0.9),
        figure("jobs", "sum", above=1),
        latency(quantile=0.99, below_ms=5, window="phase:burst"),
        latency(quantile=0.99, below_ms=5, window="phase:*"),
    ],
)
def test_checks_that_only_a_whole_run_can_be_held_to_are_refused(check: Check) -> None:
    with pytest.raises(ValueError, match=r"window= out|use one of error_rate, errors, latency"):
        require_live(check)
    with pytest.raises(ValueError):
        LiveCheck(check, STAIR)


@pytest.mark.parametrize("check", [replace(P99, over_s=5.0), replace(P99, for_s=5.0)])
def test_a_check_of_some_seconds_is_refused(check: Check) -> None:
    require_live(P99)
    with pytest.raises(ValueError, match="leave 'over' and 'for' out"):
        require_live(check)


def test_a_second_is_complete_when_every_source_told_of_it_or_of_a_later_one() -> None:
    frontier = Frontier()
    first = reports([request(4), request(7)], "w1")
    for report in first:
        frontier.note(report)
    assert frontier.complete_s(8.2) == 8
    frontier.note(reports([request(5.5)], "w2")[0])
    assert frontier.complete_s(8.2) == 6, "w2 may still tell of second 6"
    assert frontier.complete_s(5.5 + GRACE_S + 1) == 6
    assert frontier.complete_s(8.2 + GRACE_S) == 8, "nobody waits longer than that"


def test_without_any_report_seconds_are_complete_after_the_grace_alone() -> None:
    assert Frontier().complete_s(10.5) == 7


def test_no_second_is_complete_before_it_is_over() -> None:
    frontier = Frontier()
    frontier.note(reports([request(9.5)])[0])
    assert frontier.complete_s(9.6) == 9


def pulse(ended: dict[int, int]) -> Pulse:
    made = Pulse()
    for second, count in ended.items():
        made.add(second, count)
    return made


@pytest.mark.parametrize(
    ("ended", "is_lost"),
    [
        ({7: 4, 8: 4, 9: 4}, True),
        ({7: 4, 8: 4, 9: 4, 11: 1}, False),
        ({7: 1, 8: 1, 9: 1}, False),
        ({9: 100}, False),
        ({2: 9, 7: 4, 8: 4, 9: 4}, False),
        ({}, False),
    ],
)
def test_a_silence_says_something_after_a_flow_and_beyond_pauses_of_before(
    ended: dict[int, int], is_lost: bool
) -> None:
    assert pulse(ended).is_lost(13, from_s=10, flow_from_s=0, least_s=3) is is_lost


def test_a_silence_counts_from_the_stairs_begin_and_a_flow_from_where_it_is_sought() -> None:
    made = pulse({5: 9, 6: 9, 7: 9})
    assert not made.is_lost(12, from_s=10, flow_from_s=0, least_s=3)
    assert made.is_lost(13, from_s=10, flow_from_s=0, least_s=3)
    assert not made.is_lost(13, from_s=10, flow_from_s=6, least_s=3)


def test_failures_beside_quick_answers_are_of_the_window_only_where_they_must_be() -> None:
    """Five that began in the window and five after it ended in second 20, some of them refused."""

    def whole(refused: int) -> int:
        samples = [request(19.99, 20, outcome=Outcome.REFUSED) for _ in range(refused)]
        samples += [request(19.99, 20) for _ in range(5 - refused)]
        samples += [request(20.5, 10, outcome=Outcome.REFUSED) for _ in range(5)]
        made = live(errors(at_most=100), [*each_second(10, 18, 1), *samples])
        return int(made.whole_result().value or 0)

    assert [whole(0), whole(2), whole(5)] == [0, 2, 5]


def test_long_answers_that_a_node_declared_as_emulated_are_no_excess() -> None:
    held = [request(18.5, 4_000, emulated_ms=4_000) for _ in range(50)]
    for series, status in (("excess", Status.PASS), ("raw", Status.FAIL)):
        check = latency(quantile=0.5, below_ms=100, series=series)
        made = live(check, [*each_second(10, 18, 2), *held])
        assert made.whole_result().status is status
