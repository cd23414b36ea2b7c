"""What clients did and what the node holds afterwards, and the comparison of the two.

Pure: `writers.py` fills the ledger, `stored.py` reads the node, `compare` decides. A write without
an answer is *unknown*, never failed (G10): it may be stored or not, but whole and once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID


@dataclass(slots=True)
class Ledger:
    """Every event that was sent at least once, by id.

    `content` is what the client sent, as canonical JSON without the id. `acknowledged` maps to the
    seq of the first acknowledgement. `batches` are the ids of each batch in the order sent.
    `by_writer` are the first acknowledgements of one sequential client in the order received.
    `vanished` were acknowledged, and a later retry found them gone and stored them anew.
    `contradicted` are retries whose answer was not the original one (G3).
    """

    content: dict[UUID, bytes] = field(default_factory=dict)
    acknowledged: dict[UUID, int] = field(default_factory=dict)
    batches: list[tuple[UUID, ...]] = field(default_factory=list)
    by_writer: dict[str, list[UUID]] = field(default_factory=dict)
    vanished: set[UUID] = field(default_factory=set)
    contradicted: list[str] = field(default_factory=list)
    retries: int = 0
    duplicates: int = 0

    @property
    def unknown(self) -> int:
        return len(self.content) - len(self.acknowledged)

    def acknowledge(self, writer: str, id_: UUID, seq: int, *, duplicate: bool) -> None:
        """A 2xx for `id_`. A repeated one must be a duplicate that carries the seq of the first."""
        self.duplicates += duplicate
        if id_ in self.acknowledged and not duplicate:
            self.vanished.add(id_)
        first = self.acknowledged.setdefault(id_, seq)
        if first != seq:
            self.contradicted.append(f"{id_} was seq {first}, then {seq}")
        self.by_writer.setdefault(writer, []).append(id_)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as the node returned it in order of seq; content as in the ledger."""

    seq: int
    id: UUID
    content: bytes


@dataclass(frozen=True, slots=True)
class AuditedEvent:
    """One event as the node's audit listed it."""

    seq: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What the comparison found; all lists are empty when every guarantee held.

    lost: acknowledged, and missing from the audit, from the log, or from a retry's view (G1).
    altered: stored with another content, hash or seq than was sent or acknowledged (G9).
    torn: batches of which some events are stored and others not (G2).
    repeated: ids that are in the log more than once (G3).
    phantom: ids in the log that nobody sent (G9).
    disordered: seq that does not rise, for the log, for a batch or for one sequential client (G5).
    contradicted: a retry was answered with something else than the original (G3).
    """

    acknowledged: int
    unknown: int
    unknown_stored: int
    lost: tuple[UUID, ...]
    altered: tuple[UUID, ...]
    torn: tuple[str, ...]
    repeated: tuple[UUID, ...]
    phantom: tuple[UUID, ...]
    disordered: tuple[str, ...]
    contradicted: tuple[str, ...]

    @property
    def faults(self) -> dict[str, int]:
        """Counts of what must be empty, without those that are."""
        kinds = ("lost", "altered", "torn", "repeated", "phantom", "disordered", "contradicted")
        counts = {kind: len(getattr(self, kind)) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count}


def compare(
    ledger: Ledger,
    log: Sequence[StoredEvent],
    audited: Mapping[UUID, AuditedEvent],
    hashes: Mapping[UUID, str],
) -> Findings:
    """`log` is every stored event in the node's order, `audited` what the audit found of the
    ledger's ids, `hashes` the content hash that each id should have."""
    seqs = {event.id: event.seq for event in log}
    contents = {event.id: event.content for event in log}
    counts = Counter(event.id for event in log)
    altered = [
        id_
        for id_, seq in seqs.items()
        if id_ in ledger.content
        and (
            contents[id_] != ledger.content[id_]
            or ledger.acknowledged.get(id_, seq) != seq
            or (id_ in audited and audited[id_] != AuditedEvent(seq, hashes[id_]))
        )
    ]
    unknown = ledger.content.keys() - ledger.acknowledged.keys()
    return Findings(
        acknowledged=len(ledger.acknowledged),
        unknown=len(unknown),
        unknown_stored=sum(id_ in seqs for id_ in unknown),
        lost=tuple(
            id_
            for id_ in ledger.acknowledged
            if id_ not in audited or id_ not in seqs or id_ in ledger.vanished
        ),
        altered=tuple(altered),
        torn=tuple(_torn(ledger.batches, seqs)),
        repeated=tuple(id_ for id_, count in counts.items() if count > 1),
        phantom=tuple(id_ for id_ in seqs if id_ not in ledger.content),
        disordered=tuple(_disordered(ledger, [event.seq for event in log], seqs)),
        contradicted=tuple(ledger.contradicted),
    )


def _torn(batches: Sequence[Sequence[UUID]], seqs: Mapping[UUID, int]) -> list[str]:
    found = [(batch, sum(id_ in seqs for id_ in batch)) for batch in batches]
    return [
        f"{count} of {len(batch)} events from {batch[0]} on are stored"
        for batch, count in found
        if count not in (0, len(batch))
    ]


def _disordered(ledger: Ledger, log: Sequence[int], seqs: Mapping[UUID, int]) -> list[str]:
    found = [f"{left} before {right} in the log" for left, right in pairwise(log) if left >= right]
    for batch in ledger.batches:
        stored = [seqs[id_] for id_ in batch if id_ in seqs]
        if any(right != left + 1 for left, right in pairwise(stored)):
            found.append(f"the batch from {batch[0]} on is not one run of seq")
    for writer, ids in ledger.by_writer.items():
        acknowledged = [ledger.acknowledged[id_] for id_ in dict.fromkeys(ids)]
        if any(left >= right for left, right in pairwise(acknowledged)):
            found.append(f"{writer} was acknowledged out of order")
    return found
