"""The comparison of ledger and node: each kind of fault that it knows, seeded and found."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.fault.ledger import AuditedEvent, Findings, Ledger, StoredEvent, compare

SINGLE, LATER, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)
BATCH = (UUID(int=11), UUID(int=12), UUID(int=13))
ALL = (SINGLE, *BATCH, LATER)


class World:
    """A node that did everything right; a test breaks one thing."""

    def __init__(self) -> None:
        self.ledger = Ledger(content={id_: id_.bytes for id_ in (*ALL, UNKNOWN)}, batches=[BATCH])
        self.log = [StoredEvent(seq, id_, id_.bytes) for seq, id_ in enumerate(ALL, start=1)]
        self.hashes = {id_: id_.hex for id_ in self.ledger.content}
        self.audited = {e.id: AuditedEvent(e.seq, self.hashes[e.id]) for e in self.log}
        for event in self.log:
            writer = "batch" if event.id in BATCH else "single"
            self.ledger.acknowledge(writer, event.id, event.seq, duplicate=False)

    def findings(self) -> Findings:
        return compare(self.ledger, self.log, self.audited, self.hashes)

    def drop(self, id_: UUID) -> None:
        self.log = [event for event in self.log if event.id != id_]
        self.audited.pop(id_, None)


def test_a_sound_node_has_no_faults_and_an_unknown_write_is_none() -> None:
    findings = World().findings()
    assert findings.faults == {}
    assert (findings.acknowledged, findings.unknown, findings.unknown_stored) == (5, 1, 0)


def test_an_unknown_write_that_is_stored_is_no_fault() -> None:
    world = World()
    world.log.append(StoredEvent(6, UNKNOWN, UNKNOWN.bytes))
    world.audited[UNKNOWN] = AuditedEvent(6, UNKNOWN.hex)
    assert world.findings().faults == {}
    assert world.findings().unknown_stored == 1


def test_an_acknowledged_write_that_is_gone_is_lost() -> None:
    world = World()
    world.drop(LATER)
    assert world.findings().lost == (LATER,)


def test_an_acknowledged_write_that_only_the_audit_misses_is_lost() -> None:
    world = World()
    del world.audited[SINGLE]
    assert world.findings().lost == (SINGLE,)


def test_an_acknowledged_write_that_a_retry_had_to_store_anew_is_lost() -> None:
    world = World()
    world.ledger.acknowledge("single", LATER, 5, duplicate=False)
    assert world.findings().lost == (LATER,)


def test_a_batch_that_is_stored_in_part_is_torn() -> None:
    world = World()
    for id_ in BATCH:
        del world.ledger.acknowledged[id_]
    world.ledger.by_writer.pop("batch")
    world.drop(BATCH[1])
    assert world.findings().faults == {"torn": 1, "disordered": 1}


def test_a_batch_that_is_absent_and_was_never_acknowledged_is_no_fault() -> None:
    world = World()
    for id_ in BATCH:
        del world.ledger.acknowledged[id_]
        world.drop(id_)
    world.ledger.by_writer.pop("batch")
    assert world.findings().faults == {}


@pytest.mark.parametrize("change", [{"content": b"other"}, {"seq": 0}])
def test_other_content_or_another_seq_than_acknowledged_is_altered(
    change: dict[str, object],
) -> None:
    world = World()
    world.log[0] = replace(world.log[0], **change)  # type: ignore[arg-type]
    assert world.findings().altered == (SINGLE,)


def test_another_hash_is_altered() -> None:
    world = World()
    world.audited[SINGLE] = AuditedEvent(1, "00")
    assert world.findings().altered == (SINGLE,)


def test_an_id_that_is_stored_twice_is_repeated() -> None:
    world = World()
    world.log.append(replace(world.log[-1], seq=6))
    assert world.findings().repeated == (LATER,)


def test_an_event_that_nobody_sent_is_a_phantom() -> None:
    world = World()
    world.log.append(StoredEvent(6, UUID(int=99), b""))
    assert world.findings().faults == {"phantom": 1}


def test_a_log_whose_seq_does_not_rise_is_disordered() -> None:
    world = World()
    world.log.reverse()
    assert "disordered" in world.findings().faults


def test_a_client_that_is_acknowledged_out_of_order_is_seen() -> None:
    world = World()
    world.ledger.by_writer["single"].reverse()
    assert world.findings().disordered == ("single was acknowledged out of order",)


def test_a_retry_that_is_answered_with_another_seq_is_seen() -> None:
    world = World()
    world.ledger.acknowledge("single", LATER, 9, duplicate=True)
    assert world.findings().faults == {"contradicted": 1}
