"""What happened in each window, on the page at a run's end: requests, arrivals and figures.

This module must not compute statistics, or print.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.finding import Finding, unfit_s
from results.measure import number
from results.page.table import PageTable, count, ms, percent
from results.statistic import EndpointStats, WindowStats
from results.windows import RUN

ARRIVALS_MEANING = (
    "offered: their time came.  unsent: offered and not started, so without a latency.\n"
    "completed: their tasks ended."
)

_MOST_FIGURE_ROWS = 40


def window_table(windows: Sequence[WindowStats], findings: Sequence[Finding]) -> PageTable:
    """A row for each window; columns that would say nothing are left out."""
    counts = ("users\nplanned", "requests", "req/s", "started", "errors")
    latencies: tuple[str, ...] = ("raw\np50 ms", "p99 ms")
    if has_excess(windows):
        latencies += ("excess\np50 ms", "p99 ms")
    if has_corrected(windows):
        latencies += ("corrected\np50 ms", "p99 ms")
    unfit = ("unfit",) if has_unfit(windows, findings) else ()
    table = PageTable(left=("window",), right=(*counts, *latencies, *unfit))
    for stats in windows:
        cells = [*_counts(stats), *_quantiles(stats.total, windows)]
        if unfit:
            seconds = unfit_s(findings, stats.window.intervals)
            cells.append(f"{number(round(seconds, 1))} s" if seconds else "-")
        table.row(stats.window.name, *cells)
    return table


def _counts(stats: WindowStats) -> tuple[str, ...]:
    total = stats.total
    achieved = stats.achieved(None)
    return (
        count(stats.planned_users),
        f"{total.ended:,}",
        count(stats.rate),
        "-" if achieved is None else f"{achieved * 100:.1f} %",
        f"{total.failed:,}" + ("" if not total.failed else f" ({percent(total.error_rate)})"),
    )


def _quantiles(total: EndpointStats, windows: Sequence[WindowStats]) -> list[str]:
    shown = [total.raw]
    shown += [total.excess] if has_excess(windows) else []
    cells = [ms(latency, quantile) for latency in shown for quantile in (0.5, 0.99)]
    if has_corrected(windows):
        cells += [ms(total.corrected, 0.5), ms(total.corrected, 0.99)]
    return cells


def window_meaning(windows: Sequence[WindowStats], findings: Sequence[Finding]) -> str:
    """What the table's words mean, of the columns that it has."""
    lines = [
        "users planned: their mean.  started: requests begun, of those that were planned.",
        "p50: half of the requests took at most this long.  p99: 99 of 100 did.",
        "raw: response time.",
    ]
    if has_excess(windows):
        lines.append(
            "excess: response time less the wait that the node itself declared as emulated."
        )
    if has_corrected(windows):
        lines.append("corrected: from the intended start.")
    if has_unfit(windows, findings):
        lines.append("unfit: seconds in which the generator was not fit; verdict.json says why.")
    return "\n".join(lines)


def has_excess(windows: Sequence[WindowStats]) -> bool:
    """Whether any wait was emulated; else excess is raw."""
    return any(window.total.excess != window.total.raw for window in windows)


def has_corrected(windows: Sequence[WindowStats]) -> bool:
    return any(window.total.corrected for window in windows)


def has_unfit(windows: Sequence[WindowStats], findings: Sequence[Finding]) -> bool:
    return any(unfit_s(findings, window.window.intervals) for window in windows)


def arrival_table(windows: Sequence[WindowStats]) -> PageTable:
    """A row for each user class of an open load and each window."""
    counts = ("planned", "offered", "started", "unsent", "completed")
    table = PageTable(left=("arrivals", "window"), right=counts)
    for name in dict.fromkeys(name for window in windows for name in window.arrivals):
        for window in windows:
            if (seen := window.arrivals.get(name)) is None:
                continue
            numbers = (seen.planned, seen.offered, seen.started, seen.unsent_total, seen.completed)
            cells = (f"{value:,}" for value in numbers)
            table.row(name, window.window.name, *cells)
    return table


def figure_table(rows: Sequence[tuple[str, WindowStats]]) -> PageTable:
    counts = ("count", "sum", "mean", "least", "most", "sum/s")
    table = PageTable(left=("figure", "window"), right=counts)
    for name, stats in rows:
        seen = stats.figures[name]
        values = (seen.sum, seen.mean, seen.least, seen.most, seen.rate)
        cells = (f"{seen.count:,}", *(number(value) for value in values))
        table.row(name, stats.window.name, *cells)
    return table


def figure_rows(windows: Sequence[WindowStats]) -> list[tuple[str, WindowStats]]:
    """(figure, window), in order of the windows, as many as a page takes.

    Occurrences of a phase go first, then phases, so that what is left covers the whole run.
    """
    names = {w.window.name for w in windows}
    occurrences = {name for name in names if name.rpartition("#")[0] in names}
    rows: list[tuple[str, WindowStats]] = []
    for shown in (names, names - occurrences, {RUN}):
        rows = [(name, w) for w in windows if w.window.name in shown for name in w.figures]
        if len(rows) <= _MOST_FIGURE_ROWS:
            break
    return sorted(rows, key=lambda row: row[0])[:_MOST_FIGURE_ROWS]
