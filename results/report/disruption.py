"""Tables of what went wrong on purpose and what it cost: faults with their impact, and the audit.

This module must not compute either: it shows those of the verdict's document.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.audit.audit import MEANING, Fate
from results.document import Document
from results.report.record import Record
from results.report.table import (
    Cell,
    Column,
    Table,
    clock,
    count,
    decimal,
    numbers,
    seconds,
    share,
    text,
    words,
)

BAD = frozenset((Fate.LOST, Fate.ALTERED, Fate.DUPLICATED, Fate.PHANTOM))
DOUBTFUL = frozenset((Fate.UNVERIFIED, Fate.UNREAD))

MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class AuditSection:
    """`not_made` says why there was no audit; then there are no tables."""

    not_made: str
    tables: tuple[Table, ...]
    examples: tuple[tuple[str, tuple[str, ...]], ...]
    unread_nodes: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]


def fault_table(record: Record) -> Table | None:
    """None in a run without a fault."""
    faults = record.verdict.rows("faults")
    if not faults:
        return None
    columns = (
        *words("Fault", "Kind", "Node", "Began"),
        *numbers("Lasted"),
        Column("Detected after", "until the first second that broke a check", numeric=True),
        Column("Recovered after", "from healing until the checks held again", numeric=True),
        Column("Budget burnt", "share of the errors that the whole run may make", numeric=True),
        Column("Requests lost", "fewer ended than were to be expected", numeric=True),
    )
    rows = tuple(_fault_row(fault) for fault in faults)
    return Table("Faults, and what each did to the traffic", columns, rows)


def _fault_row(fault: Document) -> tuple[Cell, ...]:
    began, healed = fault.number("began_s"), fault.number("healed_s")
    lasted = None if began is None or healed is None else healed - began
    return (
        text(fault.text("id")),
        text(fault.text("kind")),
        text(fault.text("node")),
        Cell("-") if began is None else Cell(clock(began), began),
        Cell("never seen healed", None, "bad") if lasted is None else seconds(lasted),
        _bounded(fault.number("detect_s"), fault.number("detect_least_s")),
        _recovered(fault),
        share(fault.number("budget_burnt")),
        decimal(fault.number("requests_lost"), 0),
    )


def _recovered(fault: Document) -> Cell:
    most_s, least_s = fault.number("recover_s"), fault.number("recover_least_s")
    if most_s is not None:
        return _bounded(most_s, least_s)
    if least_s is not None:
        return Cell("not known: nobody looked", None, "warn")
    return Cell("not seen", None, "bad")


def _bounded(most_s: float | None, least_s: float | None) -> Cell:
    """Bundles from before there were two bounds tell one."""
    cell = seconds(most_s)
    if most_s is None or least_s is None or least_s == most_s:
        return cell
    return Cell(f"at most {cell.text}", most_s, "warn")


def audit_section(record: Record) -> AuditSection | None:
    """None where the scenario keeps no ledger."""
    audit = record.verdict.table("audit")
    if not audit:
        return None
    tables = (
        _by_fate(audit.table("totals")),
        _across(audit.table("by_window"), "Window", "Writes by the window in which they ended"),
        _across(audit.table("by_node"), "Node", "Writes by the node that was asked last"),
    )
    not_made = audit.text("not_made")
    doubts = audit.lines("doubts")
    if not_made:
        # The same once more, in the words of the verdict.
        doubts = [doubt for doubt in doubts if not doubt.endswith(not_made)]
    return AuditSection(
        not_made,
        tuple(table for table in tables if table is not None),
        _examples(audit.table("examples")),
        tuple(audit.table("unread_nodes").texts().items()),
        tuple(doubts),
    )


def _by_fate(totals: Document) -> Table | None:
    counts = totals.numbers()
    if not counts:
        return None
    known = [fate for fate in Fate if fate in counts]
    rows = tuple(
        (text(fate.value), _fate_cell(fate, counts[fate]), text(MEANING[fate])) for fate in known
    )
    columns = (*words("Fate"), *numbers("Writes"), *words("Meaning"))
    return Table("Writes by what became of them", columns, rows)


def _across(groups: Document, name: str, caption: str) -> Table | None:
    """A row for each group, a column for each fate that any of them has."""
    rows = [(key, found.numbers()) for key, found in groups.tables()]
    fates = [fate for fate in Fate if any(counts.get(fate) for _, counts in rows)]
    if not fates:
        return None
    cells = tuple(
        (text(key), *(_fate_cell(fate, counts.get(fate, 0)) for fate in fates))
        for key, counts in rows
    )
    return Table(caption, (*words(name), *numbers(*(fate.value for fate in fates))), cells)


def _fate_cell(fate: Fate, number: float) -> Cell:
    return count(number, "bad" if fate in BAD else "warn" if fate in DOUBTFUL else "")


def _examples(examples: Document) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for fate in Fate:
        ids = examples.lines(fate.value)
        if ids:
            found.append((fate.value, tuple(ids[:MOST_EXAMPLES])))
    return tuple(found)
