"""The process's time line: the monotonic clock, anchored to the wall clock once.

Samples need times that can be subtracted exactly and still be laid beside those of other
processes. So every time comes from `time.perf_counter`, shifted by one offset that is taken the
first time it is asked for and never again: a wall clock that is stepped during a run moves no
sample. This module must not read the wall clock a second time.
"""

from __future__ import annotations

import time
from functools import cache


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
    """A reading of `time.perf_counter` (seconds) as integer microseconds since the epoch."""
    return wall_offset_us() + int(perf_s * 1_000_000)
