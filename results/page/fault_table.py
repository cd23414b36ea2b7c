"""Faults on the page at a run's end: a row for each, and what page they leave room for.

This module must not compute what a fault did, or print.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.impact import Impact
from results.measure import number
from results.printable import printable
from results.statistic import WindowStats

MOST_FAULTS = 12
"""Rows on the page; each has up to two windows in every other table as well."""

LEFT = ("fault", "node")
RIGHT = ("began", "lasted", "detected", "recovered", "errors", "budget\nburnt", "requests\nlost")

MEANING = (
    "detected: from a fault's beginning to the first second that broke a check of the run.\n"
    "recovered: from its healing until the checks held again, not known where none looked.\n"
    "errors: while it lasted.\n"
    "budget burnt: of the errors that the run may make.  requests lost: fewer than expected.\n"
    "The last two count until it was recovered from."
)


def fault_rows(impacts: Sequence[Impact], windows: Sequence[WindowStats]) -> list[tuple[str, ...]]:
    """Cells by `LEFT` and `RIGHT`, of as many faults as the page takes."""
    errors = {stats.window.name: stats.total.failed for stats in windows}
    return [
        _row(impact, errors.get(f"fault:{impact.fault.id}")) for impact in impacts[:MOST_FAULTS]
    ]


def _row(impact: Impact, errors: int | None) -> tuple[str, ...]:
    fault = impact.fault
    lasted = "not healed"
    if fault.healed_s is not None:
        lasted = _seconds(fault.healed_s - fault.began_s)
    return (
        fault.id if fault.id == fault.kind else f"{fault.id} ({fault.kind})",
        printable(fault.node.removeprefix("http://")) or "-",
        _seconds(fault.began_s),
        lasted,
        "-" if impact.detect_s is None else _bounds(impact.detect_s, impact.detect_least_s),
        _recovered(impact),
        "-" if errors is None else f"{errors:,}",
        "-" if impact.budget_burnt is None else f"{impact.budget_burnt * 100:,.0f} %",
        "-" if impact.requests_lost is None else f"{impact.requests_lost:,.0f}",
    )


def _recovered(impact: Impact) -> str:
    if impact.recover_s is not None:
        return _bounds(impact.recover_s, impact.recover_least_s)
    return "not seen" if impact.recover_least_s is None else "not known"


def _bounds(most_s: float, least_s: float | None) -> str:
    """Seconds that no check asks about may have been either."""
    return f"{'' if least_s == most_s else '<= '}{_seconds(most_s)}"


def _seconds(value_s: float) -> str:
    return f"{number(round(value_s, 1))} s"


def with_room(windows: Sequence[WindowStats]) -> list[WindowStats]:
    """All, but those of the faults that have no row either."""
    kept, seen = [], {"fault": 0, "recovery": 0}
    for stats in windows:
        kind = stats.window.name.partition(":")[0]
        if kind in seen:
            seen[kind] += 1
        if seen.get(kind, 0) <= MOST_FAULTS:
            kept.append(stats)
    return kept
