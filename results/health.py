"""Names of the figures in a process's health lines, and the limits that they are held to (D15).

Written by the processes of a run (`locustfiles.harness.health`), judged by `results.fitness`. Each
limit states its reason and where its number comes from. A busy processor is no reason by itself: a
generator at 100 % of its core that keeps up sends what was asked for. One that wants its whole core
and does not get it is none that keeps up. This module must not judge anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from results.timeline import Health

MASTER = "master"
"""Source of the lines of the process that owns the run, where it sends no load itself."""

# Measured in every process, since the line before; see docs/generator_health.md.

LAG_P99_MS = "lag_p99_ms"
"""How late a timer of 20 ms fires, 99th percentile by nearest rank: of the 50 readings of a second
that is the latest, of the more than 100 between two lines further apart not."""
LAG_MAX_MS = "lag_max_ms"
CPU_PERCENT = "cpu_percent"
"""CPU time of the process, all its threads, in percent of one core."""
CPU_WAIT_PERCENT = "cpu_wait_percent"
"""Share of the time in which the loop's thread was runnable and no processor ran it. Absent where
the kernel does not count it."""
WRITE_MAX_MS = "write_max_ms"
"""Longest write to the timeline, of the process that owns the run: its loop stands still for it."""
LATENESS_P99_MS = "lateness_p99_ms"
"""How late arrivals of the open model started, 99th percentile. Absent when none was due."""
LATENESS_MAX_MS = "lateness_max_ms"

# As they are at the moment of the line.

CLOCK_OFFSET_MS = "clock_offset_ms"
"""The master's clock minus this worker's own, by which its times are corrected."""
CLOCK_UNCERTAINTY_MS = "clock_uncertainty_ms"
"""The true offset is within this of it: half the shortest round trip of the latest beats."""

USERS = "users"
SESSIONS = "sessions"
"""Sessions of an open load that exist, and those that serve an arrival. Absent without one."""
SESSIONS_BUSY = "sessions_busy"
OPEN_SOCKETS = "open_sockets"
"""Sockets of the HTTP clients, those that are still connecting included."""
OPEN_FDS = "open_fds"
FDS_LIMIT = "fds_limit"
"""File descriptors of the process, and how many it may have; no limit: absent."""
MEMORY_BYTES = "memory_bytes"
"""Resident memory."""

# Counted since the run began.

RECONNECTS = "reconnects"
"""Connections that the target closed between two requests, and that were opened anew."""
WORKERS_LOST = "workers_lost"
"""Workers that the master has given up so far."""
RECORDER_FAILURES = "recorder_failures"
"""Exceptions in recording or shipping so far, of any kind."""
SHIPPING_FAILURES = "shipping_failures"
"""Messages that a worker could not send to its master so far. A report among them leaves a hole in
the sequence, which is judged."""
SAMPLES_DROPPED = "samples_dropped"
"""Samples that a recorder has thrown away so far."""
USER_ERRORS = "user_errors"
"""Exceptions that users of this process have raised so far: the label of the annotations, too."""
MISSED_REPORTS = "missed_reports"
"""Reports of this source that the master expected for a second, and that had not come in time."""
UNHEARD_S = "unheard_s"
"""For how long the master has heard nothing of this source; written by the master, in a line of
that source, only once reports are missing."""

LAG_LIMIT_MS = 250.0
"""Clean full runs had a lag p99 of 2-13 ms, with 15 % foreign CPU load 33-146 ms (design, D15);
neither may be voided."""
LAG_SPAN_S = 3.0
"""For this long at a stretch the lag must be over its limit: a step of thousands of users, or a
collection of garbage, is one line and not three."""

STARVED_USE_PERCENT = 95.0
"""CPU time and CPU wait together: from here on the process wanted its core all the time."""
STARVED_WAIT_PERCENT = 45.0
STARVED_LAG_MS = 40.0
STARVED_SPAN_S = 5.0
"""For this long a process that wanted its core was kept from it for more than this share, and its
loop was late by more than this. One busy loop of equal priority on the same core takes half: 50 %
of use and 50 % of wait, at a lag p99 of 64-123 ms second after second, below the lag's limit, while
the median of what it measured rose from 2 to 24 ms. P1 beside others that take 15 % of each core
may not be void (D15): its burst had waits of 51-61 % and their sum at 95-97 % too, since the target
runs on the same cores, but a lag of 12-35 ms, beyond 40 ms only in single seconds."""

LATENESS_LIMIT_MS = LAG_LIMIT_MS
LATENESS_SPAN_S = LAG_SPAN_S
"""An arrival is started by a timer of the same loop, so that a loop whose lag is tolerated makes
arrivals as late: a lower limit would void by the back door what the lag's limit spares. Arrivals
can be late beyond it without any lag, when starting them is all that the loop does. What is late
within the limit is not hidden: corrected latency counts from the intended start."""

DESCRIPTOR_SHARE = 0.95
"""More than this share of the limit, in any line: a peak between two lines is not seen, and the
requests that find no descriptor then wait or fail by the generator's fault. The suite asks for 200
descriptors beyond those of its users (`harness.limit`), so that a planned load stays below it from
4,000 descriptors on; what comes close has connections that nobody planned."""

WATCH_GAP_S = 5.0
"""A process says how it does every second. One that is silent for longer than this while it has
requests is not watched; a loop that stands still as long shows in the line after it."""

UNHEARD_LIMIT_S = WATCH_GAP_S
"""Nor is one whose lines the master does not get for longer than this while its beats go on (one
whose beats stop is away, a finding of its own). Its reports may all come later, but whoever acted
on the run meanwhile, a person or a shape that stops by a check, acted without them."""

CLOCK_OFFSET_LIMIT_MS = 5_000.0
"""Times are corrected, but not what users send: ids, tokens and signatures with a time of their own
are refused by many services when they are off by this order, and its log lies beside no other."""
CLOCK_UNCERTAINTY_LIMIT_MS = 100.0
CLOCK_UNCERTAINTY_SPAN_S = 3.0
"""Seconds are counted by the corrected clock: 100 ms of doubt put up to a tenth of a second's
requests into its neighbour. For this long at a stretch, as the lag: one slow answer is no doubt."""
CLOCK_MOVED_LIMIT_MS = 500.0
"""Within a run. By 15 ppm, the most that a working clock wanders (RFC 5905), a run of nine hours is
off by this; what moves faster was stepped, suspended or migrated, and cannot be corrected."""

USERS_SHARE = 0.9
USERS_SPAN_S = 10.0
"""Fewer than this share of the planned users for this long: the load was not there."""
USERS_SPAN_SHARE = 0.2
USERS_LEAST_SPAN_S = 3.0
"""Of a plan that is shorter than 50 s this share is enough, ten seconds may be a whole phase of it;
but a step takes a second and workers tell of their users twice a second, so that gaps of less than
this mean nothing."""


OF_ITSELF = frozenset((LAG_P99_MS, CPU_PERCENT))
"""What tells a line that a process wrote of itself from one that its master wrote of it."""


def readings_by_source(
    lines: Iterable[Health], name: str, *, absent: float | None = None
) -> dict[str, list[tuple[float, float]]]:
    """(t_s, value) of each source that measured the figure, as they came.

    With `absent`, a line that a process wrote of itself without the figure is a reading of that.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        value = line.values.get(name)
        if value is None and OF_ITSELF & line.values.keys():
            value = absent
        if value is not None:
            found.setdefault(line.source, []).append((line.t_s, value))
    return found
