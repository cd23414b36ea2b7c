"""What two readings of a node's metrics say of the time between them (X-29).

Gauges are taken from the later reading. CPU, means and rates need both, and are left out when the
node was started anew in between or a counter went backwards: a missing value is better than a
wrong one. This module must not fetch pages or know when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from results.exposition import LARGEST_VALUE

UP = "up"
"""1 where a page was read, else 0 and no other value; whoever reads the pages adds it."""

CPU_PERCENT = "cpu_percent"
MEMORY_BYTES = "memory_bytes"
OPEN_FDS = "open_fds"
QUEUE_EVENTS = "queue_events"
QUEUE_BYTES = "queue_bytes"
WAL_BYTES = "wal_bytes"
COMMIT_MS = "commit_ms"
LOOP_LAG_MS = "loop_lag_ms"

SERIES_LEFT_OUT = "series_left_out"
"""How many values of a service of the user's own did not fit; absent when all did."""

MAX_VALUES = 100
"""Of a service of the user's own: 100 values a second are 1 MB a minute on the timeline."""

LONGEST_SERIES = 200
"""Characters of a series with its labels, as a name on the timeline."""

_CPU = "process_cpu_seconds_total"
_START = "process_start_time_seconds"
_PROCESS_GAUGES = {MEMORY_BYTES: "process_resident_memory_bytes", OPEN_FDS: "process_open_fds"}
_OF_THE_PROCESS = frozenset({_CPU, _START, *_PROCESS_GAUGES.values()})

GAUGES = _PROCESS_GAUGES | {
    QUEUE_EVENTS: "foundation_queue_events",
    QUEUE_BYTES: "foundation_queue_bytes",
    WAL_BYTES: "foundation_wal_bytes",
    "jobs_queued": "foundation_jobs_queued",
    "jobs_running": "foundation_jobs_running",
    "analytics_lag_events": "foundation_analytics_lag_events",
    "analytics_lag_s": "foundation_analytics_lag_seconds",
}
"""A node's values that one reading tells, and the series that they are."""

MEANS_MS = {COMMIT_MS: "foundation_commit_seconds", LOOP_LAG_MS: "foundation_loop_lag_seconds"}
"""A node's values that are means between two readings, and the histograms that they are of."""

Page = Mapping[str, float]
"""A page of metrics as `results.exposition.parse` gives it."""


def foundation_values(before: Page, after: Page, interval_s: float) -> dict[str, float]:
    """The values of a Foundation node, as far as its pages have them.

    `before` is the page of `interval_s` seconds ago, empty when there is none. `cpu_percent` is of
    one core; `commit_ms` and `loop_lag_ms` are means of what was measured in the interval (a group
    commit is insert and fsync), absent when nothing was.
    """
    values = {name: after[series] for name, series in GAUGES.items() if series in after}
    grown = _growth(before, after)
    values.update(_cpu(grown, interval_s))
    for name, family in MEANS_MS.items():
        count = grown(f"{family}_count")
        total_s = grown(f"{family}_sum")
        if count and total_s is not None:
            values[name] = total_s / count * 1000
    return _kept(values)


def general_values(before: Page, after: Page, interval_s: float) -> dict[str, float]:
    """The values of any service that speaks Prometheus, at most `MAX_VALUES` of its own.

    `cpu_percent`, `memory_bytes` and `open_fds` where the service states them. Under the series'
    own names: gauges as they are; counters (`_total`, and `_count` and `_sum` of histograms and
    summaries) as rates per second. Buckets and creation times are left out. What comes first in
    the order of names is kept, `SERIES_LEFT_OUT` says how many did not fit.
    """
    values = {name: after[series] for name, series in _PROCESS_GAUGES.items() if series in after}
    grown = _growth(before, after)
    values.update(_cpu(grown, interval_s))
    own = _kept(dict(_own_values(after, grown, interval_s)))
    chosen = [name for name in sorted(own) if len(name) <= LONGEST_SERIES][:MAX_VALUES]
    values = _kept(values) | {name: own[name] for name in chosen if name not in values}
    if len(chosen) < len(own):
        values[SERIES_LEFT_OUT] = len(own) - len(chosen)
    return values


def _own_values(
    after: Page, grown: Callable[[str], float | None], interval_s: float
) -> Iterator[tuple[str, float]]:
    """(series, value) of all that is not the process's own or part of a histogram's buckets."""
    for series, value in after.items():
        family = series.partition("{")[0]
        if series == UP or family in _OF_THE_PROCESS or family.endswith(("_bucket", "_created")):
            continue
        if family.endswith("_total") or _is_of_distribution(series, family, after):
            rise = grown(series)
            if rise is not None and interval_s > 0:
                yield series, rise / interval_s
        else:
            yield series, value


def _is_of_distribution(series: str, family: str, page: Page) -> bool:
    """Whether a series is the count or sum of a histogram or summary, which have both."""
    stem, _, part = family.rpartition("_")
    other = {"count": "sum", "sum": "count"}.get(part)
    return other is not None and f"{stem}_{other}{series[len(family) :]}" in page


def _growth(before: Page, after: Page) -> Callable[[str], float | None]:
    """How much a counter has grown; None when that is not known."""
    if before.get(_START) != after.get(_START):
        return lambda series: None

    def grown(series: str) -> float | None:
        if series not in before or series not in after:
            return None
        rise = after[series] - before[series]
        return rise if rise >= 0 else None

    return grown


def _cpu(grown: Callable[[str], float | None], interval_s: float) -> dict[str, float]:
    used_s = grown(_CPU)
    return {CPU_PERCENT: used_s / interval_s * 100} if used_s is not None and interval_s > 0 else {}


def _kept(values: dict[str, float]) -> dict[str, float]:
    """Those that a timeline can hold: a short interval may make any rate huge."""
    return {name: value for name, value in values.items() if -LARGEST_VALUE < value < LARGEST_VALUE}
