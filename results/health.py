"""Names of the figures in a process's health lines, and the limits that they are held to (D15).

Written by the processes of a run (`locustfiles.harness.health`), judged by `results.fitness`. Each
limit states its reason and where its number comes from. This module must not judge anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from results.timeline import Health

LAG_P99_MS = "lag_p99_ms"
"""How late a timer of the loop fires, 99th percentile since the last health line."""
WORKERS_LOST = "workers_lost"
"""Workers that the master has given up so far."""
RECORDER_FAILURES = "recorder_failures"
"""Exceptions in recording or shipping so far, of any kind."""
SAMPLES_DROPPED = "samples_dropped"
"""Samples that a recorder has thrown away so far."""

USER_ERRORS = "user_errors"
"""Exceptions that users of this process have raised so far: the label of the annotations, too."""

LAG_LIMIT_MS = 250.0
"""Clean full runs had a lag p99 of 2-13 ms, with 15 % foreign CPU load 33-146 ms (design, D15);
neither may be voided."""
LAG_SPAN_S = 3.0
"""For this long at a stretch the lag must be over its limit."""

WATCH_GAP_S = 5.0
"""A process says how it does every second. One that is silent for longer than this while it has
requests is not watched; a loop that stands still as long shows in the line after it."""

USERS_SHARE = 0.9
USERS_SPAN_S = 10.0
"""Fewer than this share of the planned users for this long: the load was not there. Workers report
their users every 3 s, and a step takes a second, so that shorter gaps mean nothing."""


def readings_by_source(lines: Iterable[Health], name: str) -> dict[str, list[tuple[float, float]]]:
    """(t_s, value) of each source that measured the figure, as they came."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if name in line.values:
            found.setdefault(line.source, []).append((line.t_s, line.values[name]))
    return found
