"""The estimate of the master's clock: right within its bound, whatever the network does."""

from __future__ import annotations

import itertools
import random

from locustfiles.harness.distribution.clock_offset import WINDOW, ClockOffset

MASTER_AHEAD_US = 3_000_000


def exchange(
    at_us: int, there_us: int, back_us: int, *, ahead_us: int = MASTER_AHEAD_US, work_us: int = 50
) -> tuple[int, int, int, int]:
    """The four timestamps of a beat with these ways, for a master that is so far ahead."""
    t1_us = at_us + there_us + ahead_us
    return at_us, t1_us, t1_us + work_us, at_us + there_us + work_us + back_us


def test_nothing_is_known_before_the_first_exchange() -> None:
    clock = ClockOffset()
    assert (clock.is_known, clock.offset_us, clock.uncertainty_us) == (False, 0, None)


def test_equal_ways_give_the_exact_offset() -> None:
    clock = ClockOffset()
    assert clock.add(*exchange(1_000, 200, 200))
    assert clock.offset_us == MASTER_AHEAD_US
    assert clock.uncertainty_us == 201


def test_the_exchange_with_the_shortest_round_trip_decides() -> None:
    clock = ClockOffset()
    clock.add(*exchange(0, 100, 120))
    clock.add(*exchange(500_000, 90_000, 100))
    assert abs(clock.offset_us - MASTER_AHEAD_US) <= 10
    assert clock.uncertainty_us is not None and clock.uncertainty_us < 130


def test_a_good_exchange_is_forgotten_with_the_window_and_grows_older_until_then() -> None:
    clock = ClockOffset()
    clock.add(*exchange(0, 100, 100))
    for beat in range(1, WINDOW):
        clock.add(*exchange(beat * 500_000, 20_000, 20_000))
    before = clock.uncertainty_us
    assert before is not None and 101 < before < 250, "100 us, and 15 ppm of 7.5 s"
    clock.add(*exchange(WINDOW * 500_000, 20_000, 20_000))
    after = clock.uncertainty_us
    assert after is not None and after >= 20_000


def test_the_truth_is_always_within_the_bound() -> None:
    for seed in range(300):
        choice = random.Random(seed)
        clock, ahead_us = ClockOffset(), choice.randint(-(10**7), 10**7)
        gain_us = choice.randint(-7, 7)  # a beat: up to 14 ppm
        for beat in range(choice.randint(1, 40)):
            slow = choice.choice((1, 1, 1, 1_000))
            ways = choice.randint(0, 2_000) * slow, choice.randint(0, 2_000)
            drift_us = beat * gain_us
            clock.add(*exchange(beat * 500_000, *ways, ahead_us=ahead_us + drift_us))
            uncertainty_us = clock.uncertainty_us
            assert uncertainty_us is not None
            error_us = abs(clock.offset_us - (ahead_us + drift_us))
            assert error_us <= uncertainty_us + 2, f"seed {seed}, beat {beat}"


def test_a_clock_that_was_stepped_is_followed_at_once() -> None:
    clock = ClockOffset()
    for beat in range(WINDOW):
        clock.add(*exchange(beat * 500_000, 50, 50))
    clock.add(*exchange(WINDOW * 500_000, 3_000, 3_000, ahead_us=MASTER_AHEAD_US + 700_000))
    assert clock.offset_us == MASTER_AHEAD_US + 700_000
    assert clock.uncertainty_us == 3_001


def test_an_answer_that_lay_in_a_stopped_process_shifts_nothing() -> None:
    clock = ClockOffset()
    clock.add(*exchange(0, 100, 100))
    assert clock.add(*exchange(500_000, 100, 10_000_000))
    assert abs(clock.offset_us - MASTER_AHEAD_US) <= 1


def test_timestamps_that_cannot_be_are_dropped() -> None:
    clock = ClockOffset()
    right = exchange(1_000, 200, 200)
    for shuffled in itertools.permutations(right):
        t0, t1, t2, t3 = shuffled
        if t3 < t0 or t2 < t1 or (t3 - t0) - (t2 - t1) < -1:
            assert not clock.add(*shuffled), shuffled
    assert not clock.is_known
    assert clock.add(*right), "the control"
