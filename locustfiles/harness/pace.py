"""When the next iteration of a paced user is meant to start, for corrected latency (design D6).

Locust's `constant_pacing` and `constant_throughput` promise a time from the start of one iteration
to the start of the next. An iteration that takes longer makes the next one late, which its response
time does not show. Locust does not catch up: it starts the next one at once and counts its pace
from there, so iterations that a slow target cost are never sent, and have no latency.

Other wait times are think times: from the end of an iteration, so that there is no intended start,
and none is invented. This module must not change how long a user waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from locust import User, constant_pacing

from locustfiles.harness.http.clock import wall_us

_PACED: Any = constant_pacing(1.0)
"""Every function that Locust makes for a pace has the same code, and its pace in its closure."""


def pace_of(wait_time: object) -> float | None:
    """Seconds from start to start of Locust's own paced wait times; None of any other."""
    if getattr(wait_time, "__code__", None) is not _PACED.__code__:
        return None
    function: Any = wait_time
    (cell,) = function.__closure__
    pace_s = float(cell.cell_contents)
    return pace_s if pace_s > 0 else None


class PacedWait:
    """Stands for a paced user's `wait_time`: waits as long, and tells `intend` what was meant.

    `intend` gets the next iteration's intended start in microseconds since the epoch.
    """

    def __init__(self, user: User, pace_s: float, intend: Callable[[int], None]) -> None:
        self._user = user
        self._pace_s = pace_s
        self._intend = intend
        self._wait_time: Any = type(user).wait_time
        self._has_run = False

    def __call__(self) -> float:
        user = self._user
        # Where Locust keeps the start of the iteration that ends now.
        started_s = user._cp_last_run + user._cp_last_wait_time
        wait_s: float = self._wait_time(user)
        begins_s = user._cp_last_run + wait_s
        # The first iteration's start is not kept: before it Locust has the user's making.
        due_s = started_s + self._pace_s if self._has_run else begins_s
        self._has_run = True
        self._intend(wall_us(min(due_s, begins_s)))
        return wait_s
