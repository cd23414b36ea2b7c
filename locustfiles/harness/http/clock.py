"""The process's time line: the monotonic clock, anchored to the wall clock once.

Samples need times that can be subtracted exactly and still be laid beside those of other
processes. So every time comes from `time.perf_counter`, moved by an anchor that is taken the first
time it is asked for and never again: a wall clock that is stepped during a run moves no sample. In
a worker a shift is added, which brings its times onto the master's clock; in the master and in the
only process it stays 0. Times of one sample are converted together, so that its durations are
exact. This module must not read the wall clock a second time, nor decide on the shift.
"""

from __future__ import annotations

import time
from functools import cache

_shift_us = 0


@cache
def wall_offset_us() -> int:
    """Microseconds to add to `perf_counter` (as microseconds) to get microseconds since 1970.

    Taken between two readings of the monotonic clock, the closest pair of five, so that a
    descheduled process does not shift its whole run.
    """
    best_gap_ns, best_offset_us = None, 0
    for _ in range(5):
        before = time.perf_counter_ns()
        wall = time.time_ns()
        gap = time.perf_counter_ns() - before
        if best_gap_ns is None or gap < best_gap_ns:
            best_gap_ns, best_offset_us = gap, (wall - before - gap // 2) // 1000
    return best_offset_us


def wall_us(perf_s: float) -> int:
    """A reading of `time.perf_counter` (seconds) as microseconds since the epoch, on the clock of
    the run: the master's."""
    return wall_offset_us() + _shift_us + int(perf_s * 1_000_000)


def own_wall_us(perf_s: float | None = None) -> int:
    """That reading, or now, on this process's own clock, without the shift."""
    moment_s = time.perf_counter() if perf_s is None else perf_s
    return wall_offset_us() + int(moment_s * 1_000_000)


def shift(offset_us: int) -> None:
    """From now on `wall_us` adds `offset_us`: how far the master's clock is ahead of this one."""
    global _shift_us
    _shift_us = offset_us


def shift_us() -> int:
    """What `wall_us` adds at present."""
    return _shift_us
