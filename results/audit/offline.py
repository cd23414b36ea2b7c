"""The audit, computed from a run's folder alone: ledger, reads and the record of who was asked.

At the end of a run the same workspace counts the same records while they come in; `verify` calls
this years later. This module must not ask nodes or write anything.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TypeVar

from results.audit.audit import Audit, Fate
from results.audit.reads import FILE as READS
from results.audit.reads import read_reads
from results.audit.record import FILE, AuditRecord, read_record
from results.audit.workspace import AuditWorkspace, Counted
from results.errors import AuditError
from results.ledger.store import LedgerFile
from results.run_folder import RunFolder

T = TypeVar("T")


def audit_of(folder: RunFolder) -> Audit | None:
    """None for a run that wrote nothing. Raises LedgerError or AuditError for damaged files.

    A ledger without a record of its audit was not audited: the process that owned the run was
    killed before.
    """
    ledger = LedgerFile.open(folder)
    if ledger is None:
        return None
    path = folder.ledger / FILE
    if not os.path.lexists(path):
        return not_made(f"{path.name} is missing: the run was ended before its writes were audited")
    record = read_record(path, run_id=ledger.run_id)
    if record.not_made is not None:
        return unmade(record)
    nodes = tuple(each.node for each in record.nodes)
    if nodes[: len(ledger.nodes)] != ledger.nodes:
        raise AuditError(f"{path}: its nodes are not those of the ledger beside it")
    with AuditWorkspace(nodes) as workspace:
        for records in ledger.records():
            workspace.add_writes(records)
        reads = folder.ledger / READS
        for records in read_reads(
            reads, run_id=ledger.run_id, records=record.reads, nodes=len(nodes)
        ):
            workspace.add_reads(records)
        if strangers := workspace.unwritten():
            raise AuditError(f"{reads}: {strangers:,} writes are not in the ledger beside it")
        return made(record, drained(workspace.fates()))


def not_made(why: str) -> Audit:
    """An audit that there should have been."""
    return Audit({}, not_made=why, doubts=(f"the writes were not audited: {why}",))


def unmade(record: AuditRecord) -> Audit:
    """By a record that says so."""
    assert record.not_made is not None
    if record.is_asked_for:
        return not_made(record.not_made)
    return Audit({}, not_made=record.not_made, is_asked_for=False)


def made(record: AuditRecord, counted: Counted) -> Audit:
    """By a record and what was counted."""
    unread = record.unread_nodes
    return Audit(
        counted.counts,
        counted.examples,
        unread,
        doubts=(*record.doubts, *_unverified(counted, unread)),
        compared=counted.compared,
        unseen=counted.unseen,
    )


def _unverified(counted: Counted, unread: dict[str, str]) -> Sequence[str]:
    count = sum(by_fate.get(Fate.UNVERIFIED, 0) for by_fate in counted.counts.values())
    if not count:
        return []
    why = "; ".join(f"{node}: {reason}" for node, reason in unread.items()) or "no reason is known"
    verb = "write is" if count == 1 else "writes are"
    return [f"{count:,} acknowledged {verb} unverified, since no read was successful ({why})"]


def drained(steps: Generator[None, None, T]) -> T:
    """The result of all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
