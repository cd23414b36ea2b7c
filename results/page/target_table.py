"""The target's own metrics on the page at a run's end: a row for each node.

This module must not compute statistics, or print.
"""

from __future__ import annotations

from collections.abc import Mapping

from results.measure import number
from results.page.table import PageTable
from results.scrape import (
    COMMIT_MS,
    CPU_PERCENT,
    LOOP_LAG_MS,
    MEMORY_BYTES,
    QUEUE_EVENTS,
    UP,
    WAL_BYTES,
)
from results.target import ByNode, TargetStats

MEANING = (
    "the target's own metrics, in the run.  cpu (of one core) and commit: their means.\n"
    "the others: the most in any second.  samples: seconds that were read."
)

_MEGABYTE = 1e6


def target_table(nodes: ByNode) -> PageTable:
    figures = (
        "cpu\n%",
        "max\n%",
        "memory\nMB",
        "queue",
        "commit\nms",
        "WAL\nMB",
        "lag\nms",
        "samples",
    )
    table = PageTable(left=("target",), right=figures)
    for node, values in nodes.items():
        table.row(node, *_target_cells(values))
    return table


def _target_cells(values: Mapping[str, TargetStats]) -> tuple[str, ...]:
    def mean(name: str) -> str:
        return number(round(values[name].mean, 1)) if name in values else "-"

    def most(name: str, unit: float = 1.0) -> str:
        return number(round(values[name].most / unit, 1)) if name in values else "-"

    # Every page states gauges; what is made of two pages has fewer samples.
    read = max((v.samples for name, v in values.items() if name != UP), default=0)
    asked = values[UP].samples if UP in values else read
    return (
        mean(CPU_PERCENT),
        most(CPU_PERCENT),
        most(MEMORY_BYTES, _MEGABYTE),
        most(QUEUE_EVENTS),
        mean(COMMIT_MS),
        most(WAL_BYTES, _MEGABYTE),
        most(LOOP_LAG_MS),
        f"{read:,}" if read == asked else f"{read:,} of {asked:,}",
    )
