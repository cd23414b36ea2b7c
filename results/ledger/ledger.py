"""The ledger on the load side: what each declared write ended in, as fixed-size records (D13).

Every sample that names writes leaves one record for each of them; they are shipped with the reports
of the second, and `store.py` keeps them on disk. Life cycle of a `Ledger`: `record` for each
sample, `take` until it gives None about once a second and once more at the end. This module must
not do I/O, and must not know what became of a write on a node: that is the audit's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Self, assert_never

from results.field import Fields
from results.sample import Outcome, Sample

RECORD = Struct(">16s8siHBx")
"""Id, digest, second, node, outcome, one byte to spare: 32 bytes a write."""

ID_BYTES = 16
DIGEST_BYTES = 8
NO_DIGEST = bytes(DIGEST_BYTES)
"""Nobody knows what the write said; a real hash looks like this once in 2^64."""

NODE_OFFSET = 28
OUTCOME_OFFSET = 30
"""Places in a record, the number of the node with its higher byte first."""

MAX_NODES = 256
"""Whose writes one process tells apart: their number then fits the lower byte of a record's."""

LONGEST_NODE = 500
FURTHER_NODES = "(further nodes)"
"""Under which all others are kept; an audit looks for those on every node."""

MAX_PENDING_RECORDS = 1_000_000
"""Recorded but not shipped: 200 s at 5,000 writes/s, 32 MB. Beyond it records are dropped and
counted, since a run that lost some must say so rather than run out of memory."""

MAX_REPORT_RECORDS = 2**16
"""2 MB in one message, at most."""

_SECOND_US = 1_000_000


class WriteOutcome(IntEnum):
    """What the client knows of a write. UNKNOWN may have taken effect or not (G10)."""

    ACKNOWLEDGED = 1
    REFUSED = 2
    UNKNOWN = 3


OUTCOMES = frozenset(int(outcome) for outcome in WriteOutcome)


def write_outcome(sample: Sample) -> WriteOutcome:
    """What `sample` says of the writes that it names.

    Only an answer acknowledges: 2xx, whatever a check made of its content. Refused is what an
    answer denies (4xx, but not 408 and 425, which say nothing of the request's effect), and what
    nobody listened to; a redirect may follow what was stored (303). A denial of what was sent
    before, perhaps elsewhere, says nothing of the first sending.
    """
    outcome = _outcome_of_last(sample)
    if outcome is WriteOutcome.REFUSED and sample.repeated:
        return WriteOutcome.UNKNOWN
    return outcome


def _outcome_of_last(sample: Sample) -> WriteOutcome:
    match sample.outcome:
        case Outcome.OK | Outcome.CHECK:
            if 200 <= sample.status < 300:
                return WriteOutcome.ACKNOWLEDGED
            return _denied(sample.status)
        case Outcome.HTTP_4XX:
            return _denied(sample.status)
        case Outcome.REFUSED:
            return WriteOutcome.REFUSED
        case (
            Outcome.HTTP_5XX
            | Outcome.TIMEOUT
            | Outcome.RESET
            | Outcome.MALFORMED
            | Outcome.LOCAL
            | Outcome.OTHER
            | Outcome.CANCELLED
        ):
            return WriteOutcome.UNKNOWN
        case _:
            assert_never(sample.outcome)


def _denied(status: int) -> WriteOutcome:
    if 400 <= status < 500 and status not in (408, 425):
        return WriteOutcome.REFUSED
    return WriteOutcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class WritesReport:
    """Records of one process in the order in which their requests ended.

    A record's node is an index into `nodes`. `dropped` counts all that this process has thrown away
    so far; `sequence` counts its reports from 0, so that a missing one is seen.
    """

    source: str
    sequence: int
    nodes: tuple[str, ...]
    records: bytes
    dropped: int = 0

    @property
    def count(self) -> int:
        return len(self.records) // RECORD.size

    def as_dict(self) -> dict[str, object]:
        return {
            "source": self.source,
            "sequence": self.sequence,
            "dropped": self.dropped,
            "nodes": list(self.nodes),
            "records": self.records,
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Raises ValueError that names the field; unknown fields are refused."""
        fields = Fields(data, "writes")
        nodes = [Fields({"node": n}, "writes, nodes").text("node") for n in fields.items("nodes")]
        if len(nodes) > MAX_NODES:
            raise ValueError(f"writes: {len(nodes)} nodes, of which there may be {MAX_NODES}")
        records = fields.octets("records")
        wrong = first_wrong(records, len(nodes))
        if wrong is not None:
            raise ValueError(f"writes, records, byte {wrong[0]}: {wrong[1]}")
        report = cls(
            fields.text("source"),
            fields.whole("sequence", least=0),
            tuple(nodes),
            records,
            fields.whole("dropped", least=0),
        )
        fields.end()
        return report


def first_wrong(records: bytes, nodes: int) -> tuple[int, str] | None:
    """The first place and what is wrong with it, in records whose nodes are numbered below `nodes`.

    None for good ones.
    """
    size = RECORD.size
    if len(records) % size:
        return len(records) // size * size, f"a record has {size} bytes, this one is cut off"
    higher, lower = records[NODE_OFFSET::size], records[NODE_OFFSET + 1 :: size]
    # In passes over the bytes of all records, 30 times as fast as record by record.
    are_known = set(records[OUTCOME_OFFSET::size]) <= OUTCOMES
    if are_known and not any(higher) and max(lower, default=-1) < nodes:
        return None
    for number, (_, _, _, node, outcome) in enumerate(RECORD.iter_unpack(records)):
        if outcome not in OUTCOMES:
            return number * size + OUTCOME_OFFSET, f"{outcome} is no outcome of a write"
        if node >= nodes:
            return number * size + NODE_OFFSET, f"node {node} has no name"
    return None


class Ledger:
    """The writes of one process. `source` names it in its reports.

    `origin_us` is the run's second 0 in microseconds since the epoch. `dropped` counts writes that
    were thrown away: nobody shipped them in time, or their sample names them wrongly. `sequence` is
    how many reports were taken. One thread (or one gevent loop) owns a ledger.
    """

    def __init__(
        self, *, source: str, origin_us: int, max_pending: int = MAX_PENDING_RECORDS
    ) -> None:
        assert max_pending > 0
        self.source = source
        self.dropped = 0
        self.sequence = 0
        self._origin_us = origin_us
        self._max_pending_bytes = max_pending * RECORD.size
        self._pending = bytearray()
        self._nodes: dict[str, int] = {}
        self._dropped_told = 0

    def record(self, sample: Sample) -> None:
        """Note what the writes that `sample` names ended in; none for a sample without any."""
        _, _, _, end_us, outcome, status, _, _, ids, node, digest, _ = sample
        if not ids:
            return
        number = self._nodes.get(node)
        if number is None:
            number = self._new_node(node)
        if outcome is Outcome.OK and 200 <= status < 300:
            ended = WriteOutcome.ACKNOWLEDGED
        else:
            ended = write_outcome(sample)
        second = (end_us - self._origin_us) // _SECOND_US
        said = digest or NO_DIGEST
        is_one = len(ids) == ID_BYTES and len(said) == DIGEST_BYTES
        if is_one and len(self._pending) < self._max_pending_bytes:
            self._pending += RECORD.pack(ids, said, second, number, ended)
        else:
            self._record_each(ids, digest, second, number, ended)

    def _record_each(
        self, ids: bytes, digests: bytes | None, second: int, node: int, ended: WriteOutcome
    ) -> None:
        """Writes of a batch, those that do not fit, and those that are none."""
        count, rest = divmod(len(ids), ID_BYTES)
        room = (self._max_pending_bytes - len(self._pending)) // RECORD.size
        is_sound = not rest and len(digests or b"") in (0, count * DIGEST_BYTES)
        if not is_sound or count > room:
            self.dropped += max(count, 1)
            return
        digests = digests or bytes(count * DIGEST_BYTES)
        for place in range(count):
            digest = digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
            id = ids[place * ID_BYTES : (place + 1) * ID_BYTES]
            self._pending += RECORD.pack(id, digest, second, node, ended)

    def _new_node(self, node: str) -> int:
        if len(self._nodes) >= MAX_NODES - 1 or len(node) > LONGEST_NODE:
            return self._nodes.setdefault(FURTHER_NODES, len(self._nodes))
        return self._nodes.setdefault(node, len(self._nodes))

    def take(self) -> WritesReport | None:
        """What came since, `MAX_REPORT_RECORDS` at the most; None when there is nothing more."""
        if not self._pending and self.dropped == self._dropped_told:
            return None
        size = MAX_REPORT_RECORDS * RECORD.size
        if len(self._pending) <= size:
            records, self._pending = bytes(self._pending), bytearray()
        else:
            records = bytes(self._pending[:size])
            del self._pending[:size]
        self._dropped_told = self.dropped
        sequence, self.sequence = self.sequence, self.sequence + 1
        return WritesReport(self.source, sequence, tuple(self._nodes), records, self.dropped)
