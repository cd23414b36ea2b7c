"""The process's time line, and the texts of transport errors."""

from __future__ import annotations

import time

from locustfiles.harness.http.clock import own_wall_us, shift, shift_us, wall_offset_us, wall_us
from locustfiles.harness.http.transport_error import (
    ConnectionRefused,
    DeadlineExceeded,
    GeneratorExhausted,
    MalformedResponse,
    NeverSent,
    ResponseTooLarge,
)
from results.sample import Outcome


def test_the_offset_is_taken_once() -> None:
    assert wall_offset_us() == wall_offset_us()


def test_differences_are_those_of_the_monotonic_clock() -> None:
    assert wall_us(12.5) - wall_us(10.0) == 2_500_000


def test_a_time_lies_between_two_readings_of_the_wall_clock() -> None:
    before = time.time_ns() // 1000
    now = wall_us(time.perf_counter())
    after = time.time_ns() // 1000
    slack_us = 60_000_000  # a wall clock that was stepped since the offset was taken
    assert before - slack_us <= now <= after + slack_us


def test_a_shift_moves_the_times_and_no_difference() -> None:
    before = wall_us(10.0)
    try:
        shift(3_000_000)
        assert wall_us(10.0) - before == 3_000_000
        assert wall_us(12.5) - wall_us(10.0) == 2_500_000
        assert own_wall_us(10.0) == before, "what the offset is measured with stays as it was"
        shift(-2_000_000)
        assert (wall_us(10.0) - before, shift_us()) == (-2_000_000, -2_000_000), "not added up"
    finally:
        shift(0)


def test_now_on_the_own_clock_lies_between_two_readings() -> None:
    before = own_wall_us(time.perf_counter())
    now = own_wall_us()
    assert before <= now <= own_wall_us(time.perf_counter())


def test_errors_name_the_target_and_how_they_count() -> None:
    error = ConnectionRefused("127.0.0.1:8001", "refused the connection")
    assert repr(error) == "ConnectionRefused: 127.0.0.1:8001 refused the connection"
    assert str(error) == "127.0.0.1:8001 refused the connection"
    assert (error.outcome, isinstance(error, NeverSent)) == (Outcome.REFUSED, True)
    assert GeneratorExhausted("a", "b").outcome is Outcome.LOCAL
    assert DeadlineExceeded("a", "b").outcome is Outcome.TIMEOUT
    assert ResponseTooLarge("a", "b").outcome is MalformedResponse.outcome is Outcome.MALFORMED
