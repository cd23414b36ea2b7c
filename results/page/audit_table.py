"""The audit on the page at a run's end: one sentence where all is well, else a table.

This module must not compute fates, or print.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from results.audit.audit import FAULTS, MEANING, Audit, Fate
from results.page.table import PageTable
from results.printable import printable
from results.windows import RUN, Window

MOST_ROWS = 16


def audit_section(audit: Audit, windows: Iterable[Window]) -> Iterator[PageTable | Text]:
    """Tables and texts, in order."""
    if audit.not_made is not None:
        yield Text(f"writes: not audited: {printable(audit.not_made, None)}")
        return
    totals = audit.of()
    if set(totals) <= {Fate.PRESENT}:
        yield Text(f"writes: {_all_is_well(totals.get(Fate.PRESENT, 0), audit)}")
        return
    fates = [fate for fate in Fate if totals.get(fate)]
    table = PageTable(left=("writes",), right=tuple(fate.value for fate in fates))
    for name, counts in _rows(audit, totals, windows):
        table.row(name, *(f"{counts.get(fate, 0):,}" for fate in fates))
    yield table
    yield Text("\n".join(f"{fate.value}: {MEANING[fate]}." for fate in fates))
    for node, why in audit.unread_nodes.items():
        yield Text(f"not read: {printable(node)}: {printable(why, None)}")


def _all_is_well(count: int, audit: Audit) -> str:
    if count == 1:
        return "the only acknowledged one is stored"
    compared = audit.compared_in()
    how = ", as they were sent" if compared == count else ""
    return f"all {count:,} acknowledged ones are stored{how}"


def _rows(
    audit: Audit, totals: Mapping[Fate, int], windows: Iterable[Window]
) -> list[tuple[str, Mapping[Fate, int]]]:
    """The run, and the windows and nodes in which something is wrong."""
    nodes = dict.fromkeys(place.node for place in audit.counts)
    parts = [(window.name, audit.of(window)) for window in windows if window.name != RUN]
    parts += [(node, audit.of(node=node)) for node in nodes]
    wrong = [(name, counts) for name, counts in parts if not FAULTS.isdisjoint(counts)]
    return [(RUN, totals), *wrong][:MOST_ROWS]
