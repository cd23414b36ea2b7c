"""A small ledger, what two nodes tell of it, and the folder of both, for the audit's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from results.audit.audit import Audit
from results.audit.offline import audit_of
from results.audit.reads import FILE as READS
from results.audit.reads import Origins, ReadsWriter, packed
from results.audit.record import FILE, AskedNode, AuditRecord
from results.auditor import Found
from results.ledger.ledger import RECORD, WriteOutcome, WritesReport
from results.ledger.store import LedgerWriter
from results.run_folder import RunFolder, create_run

A, B = "http://127.0.0.1:8001", "http://127.0.0.1:8002"
NODES = (A, B)

ACKNOWLEDGED = WriteOutcome.ACKNOWLEDGED
REFUSED = WriteOutcome.REFUSED
UNKNOWN = WriteOutcome.UNKNOWN

SAID = b"say this"
"""A digest, and another one."""
OTHER = b"say that"


def id_of(number: int) -> bytes:
    """The id of a write, in order of the numbers."""
    return number.to_bytes(16, "big")


def written(
    number: int,
    outcome: WriteOutcome = ACKNOWLEDGED,
    *,
    digest: bytes = SAID,
    second: int = 0,
    node: int = 0,
) -> bytes:
    """One record of the ledger."""
    return RECORD.pack(id_of(number), digest, second, node, outcome)


def copy(number: int, *, digest: bytes | None = SAID, place: str = "1", origin: str = "a") -> Found:
    """One that a node has."""
    return Found(id_of(number), digest, place, origin)


Answers = Mapping[int, tuple[Sequence[int], Sequence[Found]]]
"""By the number of the node: the writes that it was asked for, and the copies that it has."""


def folder_of(
    tmp_path: Path,
    records: Iterable[bytes],
    answers: Answers,
    *,
    nodes: tuple[str, ...] = NODES,
    unread: Mapping[int, str] | None = None,
) -> RunFolder:
    """The run of these writes, audited."""
    folder = create_run(tmp_path, "run")
    writer = LedgerWriter(folder)
    writer.take(WritesReport("local", 0, NODES, b"".join(records)))
    writer.close()
    reads, origins = ReadsWriter(folder.ledger / READS, "run"), Origins()
    for node, (asked, found) in answers.items():
        reads.write(packed(node, [id_of(number) for number in asked], found, origins))
    reads.finish()
    reads.close()
    why = unread or {}
    told = tuple(AskedNode(url, 1, why.get(number)) for number, url in enumerate(nodes))
    AuditRecord("run", told, origins.names, reads.records).write(folder.ledger / FILE)
    return folder


def audited(
    tmp_path: Path,
    records: Iterable[bytes],
    answers: Answers,
    *,
    nodes: tuple[str, ...] = NODES,
    unread: Mapping[int, str] | None = None,
) -> Audit:
    """What the audit of that run found."""
    audit = audit_of(folder_of(tmp_path, records, answers, nodes=nodes, unread=unread))
    assert audit is not None
    return audit
