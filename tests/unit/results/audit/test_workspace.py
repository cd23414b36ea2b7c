"""What became of each write: every fate has its case here, and each that is a fault its control."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from results.audit import workspace as audit_workspace
from results.audit.audit import Audit, Fate, Place
from results.audit.offline import drained
from results.audit.reads import Origins, packed
from results.audit.workspace import AuditWorkspace
from results.errors import AuditError
from results.ledger.ledger import NO_DIGEST, WriteOutcome
from tests.unit.results.audited import (
    ACKNOWLEDGED,
    NODES,
    OTHER,
    REFUSED,
    SAID,
    UNKNOWN,
    A,
    Answers,
    B,
    audited,
    copy,
    id_of,
    written,
)

FOUND: Answers = {0: ([1], [copy(1)])}
NOT_FOUND: Answers = {0: ([1], []), 1: ([1], [])}
NOT_READ_ON_B: Answers = {0: ([1], [])}


def fate_of(tmp_path: Path, outcome: WriteOutcome, answers: Answers) -> Fate:
    counts = audited(tmp_path, [written(1, outcome)], answers).of()
    ((fate, count),) = counts.items()
    assert count == 1
    return fate


@pytest.mark.parametrize(
    ("outcome", "answers", "fate"),
    [
        (ACKNOWLEDGED, FOUND, Fate.PRESENT),
        (ACKNOWLEDGED, NOT_FOUND, Fate.LOST),
        (ACKNOWLEDGED, NOT_READ_ON_B, Fate.UNVERIFIED),
        (ACKNOWLEDGED, {}, Fate.UNVERIFIED),
        (UNKNOWN, FOUND, Fate.STORED),
        (UNKNOWN, NOT_FOUND, Fate.ABSENT),
        (UNKNOWN, NOT_READ_ON_B, Fate.UNREAD),
        (REFUSED, FOUND, Fate.PHANTOM),
        (REFUSED, NOT_FOUND, Fate.REFUSED),
        (REFUSED, NOT_READ_ON_B, Fate.UNREAD),
    ],
)
def test_a_write_has_the_fate_that_outcome_and_reads_give_it(
    outcome: WriteOutcome, answers: Answers, fate: Fate, tmp_path: Path
) -> None:
    assert fate_of(tmp_path, outcome, answers) is fate


@pytest.mark.parametrize("outcome", [ACKNOWLEDGED, UNKNOWN])
@pytest.mark.parametrize(
    ("answers", "fate"),
    [
        ({0: ([1], [copy(1, digest=OTHER)])}, Fate.ALTERED),
        ({0: ([1], [copy(1), copy(1, place="2")])}, Fate.DUPLICATED),
        ({0: ([1], [copy(1)]), 1: ([1], [copy(1, origin="b")])}, Fate.REDELIVERED),
    ],
)
def test_what_is_found_is_judged_whether_or_not_it_was_acknowledged(
    outcome: WriteOutcome, answers: Answers, fate: Fate, tmp_path: Path
) -> None:
    assert fate_of(tmp_path, outcome, answers) is fate


def test_a_refused_write_that_is_stored_is_a_phantom_whatever_it_says(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], [copy(1, digest=OTHER), copy(1, place="2")])}
    assert fate_of(tmp_path, REFUSED, answers) is Fate.PHANTOM


def test_one_altered_copy_of_two_is_enough(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], [copy(1)]), 1: ([1], [copy(1, digest=OTHER)])}
    assert fate_of(tmp_path, ACKNOWLEDGED, answers) is Fate.ALTERED


def test_a_replica_is_neither_a_duplicate_nor_redelivered(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], [copy(1, place="7")]), 1: ([1], [copy(1, place="9")])}
    assert fate_of(tmp_path, ACKNOWLEDGED, answers) is Fate.PRESENT


def test_the_same_copy_told_twice_is_one(tmp_path: Path) -> None:
    answers: Answers = {0: ([1], [copy(1), copy(1)])}
    assert fate_of(tmp_path, ACKNOWLEDGED, answers) is Fate.PRESENT


def test_a_write_that_another_node_has_is_present_though_its_own_cannot_be_read(
    tmp_path: Path,
) -> None:
    assert fate_of(tmp_path, ACKNOWLEDGED, {1: ([1], [copy(1)])}) is Fate.PRESENT


NOWHERE: dict[Fate, int] = {}
EITHER = {Fate.ALTERED: 1, Fate.DUPLICATED: 1}
ON_ALL_BUT_HOME: Answers = {1: ([1], [copy(1)])}


@pytest.mark.parametrize(
    ("records", "answers", "unseen"),
    [
        ([written(1)], FOUND, NOWHERE),
        ([written(1)], {0: ([1], []), 1: ([1], [copy(1)])}, NOWHERE),
        ([written(1)], ON_ALL_BUT_HOME, EITHER),
        ([written(1, UNKNOWN)], ON_ALL_BUT_HOME, EITHER),
        ([written(1, digest=NO_DIGEST)], ON_ALL_BUT_HOME, {Fate.DUPLICATED: 1}),
        ([written(1, REFUSED)], ON_ALL_BUT_HOME, NOWHERE),
        ([written(1, REFUSED)], NOT_READ_ON_B, {Fate.PHANTOM: 1}),
        ([written(1, REFUSED)], NOT_FOUND, NOWHERE),
        ([written(1, UNKNOWN)], NOT_READ_ON_B, EITHER),
        ([written(1, UNKNOWN)], NOT_FOUND, NOWHERE),
        ([written(1, UNKNOWN, node=1), written(1)], FOUND, EITHER),
        ([written(1, UNKNOWN, node=1), written(1)], {**FOUND, 1: ([1], [])}, NOWHERE),
        ([written(1)], NOT_READ_ON_B, NOWHERE),
    ],
)
def test_what_a_node_that_was_written_to_may_hide_is_counted_when_it_was_not_read(
    records: list[bytes], answers: Answers, unseen: dict[Fate, int], tmp_path: Path
) -> None:
    found = audited(tmp_path, records, answers)
    assert found.unseen_in() == unseen
    assert set(found.unseen) <= {Place(A, 0)}


@pytest.mark.parametrize(
    ("sent", "stored"), [(NO_DIGEST, SAID), (SAID, None), (SAID, NO_DIGEST), (NO_DIGEST, None)]
)
def test_a_content_that_nobody_knows_is_not_compared(
    sent: bytes, stored: bytes | None, tmp_path: Path
) -> None:
    audit = audited(tmp_path, [written(1, digest=sent)], {0: ([1], [copy(1, digest=stored)])})
    assert audit.of() == {Fate.PRESENT: 1}
    assert audit.compared_in() == 0


def test_what_was_compared_is_counted_by_place(tmp_path: Path) -> None:
    answers: Answers = {0: ([1, 2], [copy(1), copy(2, digest=OTHER)])}
    audit = audited(tmp_path, [written(1, second=3), written(2, second=4)], answers)
    assert audit.compared == {Place(A, 3): 1, Place(A, 4): 1}


# Several records of one write


@pytest.mark.parametrize("outcomes", [(UNKNOWN, ACKNOWLEDGED), (ACKNOWLEDGED, UNKNOWN)])
def test_an_acknowledgement_outweighs_an_unknown_outcome(
    outcomes: tuple[WriteOutcome, ...], tmp_path: Path
) -> None:
    records = [written(1, outcome, second=n) for n, outcome in enumerate(outcomes)]
    audit = audited(tmp_path, records, NOT_FOUND)
    assert audit.of() == {Fate.LOST: 1}
    assert list(audit.counts) == [Place(A, outcomes.index(ACKNOWLEDGED))]


@pytest.mark.parametrize("outcomes", [(REFUSED, UNKNOWN), (UNKNOWN, REFUSED)])
def test_an_unknown_outcome_outweighs_a_refusal(
    outcomes: tuple[WriteOutcome, ...], tmp_path: Path
) -> None:
    audit = audited(tmp_path, [written(1, outcome) for outcome in outcomes], FOUND)
    assert audit.of() == {Fate.STORED: 1}


def test_of_equal_outcomes_the_last_says_where_the_write_ended(tmp_path: Path) -> None:
    records = [written(1, second=3, node=0), written(1, second=5, node=1)]
    audit = audited(tmp_path, records, FOUND)
    assert list(audit.counts) == [Place(B, 5)]


@pytest.mark.parametrize("order", [(NO_DIGEST, SAID), (SAID, NO_DIGEST)])
def test_a_content_that_is_known_once_is_known(order: tuple[bytes, bytes], tmp_path: Path) -> None:
    records = [written(1, digest=digest) for digest in order]
    audit = audited(tmp_path, records, {0: ([1], [copy(1, digest=OTHER)])})
    assert audit.of() == {Fate.ALTERED: 1}


def test_what_was_acknowledged_must_be_stored_not_what_was_refused(tmp_path: Path) -> None:
    records = [written(1, digest=SAID), written(1, REFUSED, digest=OTHER)]
    audit = audited(tmp_path, records, {0: ([1], [copy(1, digest=OTHER)])})
    assert audit.of() == {Fate.ALTERED: 1}


def test_of_two_contents_of_unknown_outcome_either_may_be_stored(tmp_path: Path) -> None:
    records = [written(1, UNKNOWN, digest=SAID), written(1, UNKNOWN, digest=OTHER)]
    audit = audited(tmp_path, records, {0: ([1], [copy(1, digest=OTHER)])})
    assert audit.of() == {Fate.STORED: 1}


# Many writes


def test_every_write_is_counted_at_its_node_and_second(tmp_path: Path) -> None:
    records = [written(n, second=n % 3, node=n % 2) for n in range(12)]
    answers: Answers = {
        0: (range(12), [copy(n) for n in range(0, 12, 2)]),
        1: (range(12), [copy(n) for n in range(1, 6, 2)]),
    }
    audit = audited(tmp_path, records, answers)
    assert audit.of(node=A) == {Fate.PRESENT: 6}
    assert audit.of(node=B) == {Fate.PRESENT: 3, Fate.LOST: 3}
    assert audit.counts[Place(B, 1)] == {Fate.PRESENT: 1, Fate.LOST: 1}
    assert sorted(audit.examples[Fate.LOST]) == [id_of(n).hex() for n in (7, 9, 11)]


def test_examples_are_few(tmp_path: Path) -> None:
    answers: Answers = {0: (range(100), []), 1: (range(100), [])}
    audit = audited(tmp_path, [written(n) for n in range(100)], answers)
    assert audit.of() == {Fate.LOST: 100}
    assert len(audit.examples[Fate.LOST]) == audit_workspace.MAX_EXAMPLES


def test_any_order_and_any_chunks_give_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random run against a plain dict."""
    monkeypatch.setattr(audit_workspace, "STEP_IDS", 7)
    for seed in range(20):
        print(f"seed {seed}")
        chance = random.Random(seed)
        outcomes = {n: chance.choice(list(WriteOutcome)) for n in range(60)}
        has = {n: chance.random() < 0.5 for n in outcomes}
        records = [written(n, outcome) for n, outcome in outcomes.items()]
        chance.shuffle(records)
        with AuditWorkspace(NODES) as workspace:
            for record in records:
                workspace.add_writes(record)
            assert workspace.writes() == 60
            for node in range(2):
                found = [copy(n) for n in outcomes if has[n] and node == 0]
                workspace.add_reads(packed(node, [id_of(n) for n in outcomes], found, Origins()))
            counts = Audit(drained(workspace.fates()).counts).of()
        expected: dict[Fate, int] = {}
        for n, outcome in outcomes.items():
            fates = {
                ACKNOWLEDGED: (Fate.LOST, Fate.PRESENT),
                UNKNOWN: (Fate.ABSENT, Fate.STORED),
                REFUSED: (Fate.REFUSED, Fate.PHANTOM),
            }
            fate = fates[outcome][has[n]]
            expected[fate] = expected.get(fate, 0) + 1
        assert counts == expected


# Whom to ask


def test_each_node_is_asked_for_its_own_writes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_workspace, "CHUNK_IDS", 2)
    with AuditWorkspace(NODES) as workspace:
        workspace.add_writes(b"".join(written(n, node=n % 2) for n in range(10)))
        assert workspace.of_home(0, b"") == [id_of(0), id_of(2)]
        assert workspace.of_home(0, id_of(2)) == [id_of(4), id_of(6)]
        assert workspace.of_home(1, id_of(9)) == []


def test_what_a_node_does_not_have_is_asked_of_all_others() -> None:
    with AuditWorkspace((*NODES, "http://127.0.0.1:8003")) as workspace:
        workspace.add_writes(written(1) + written(2))
        assert workspace.elsewhere(1, b"") == []
        missed = workspace.add_reads(packed(0, [id_of(1), id_of(2)], [copy(1)], Origins()))
        assert missed == [id_of(2)]
        workspace.add_pending(0, missed)
        assert workspace.elsewhere(0, b"") == []
        assert workspace.elsewhere(1, b"") == workspace.elsewhere(2, b"") == [id_of(2)]


def test_a_write_that_was_sent_to_several_nodes_is_asked_of_all() -> None:
    with AuditWorkspace(NODES) as workspace:
        workspace.add_writes(written(1, UNKNOWN, node=0) + written(1, node=1) + written(2, node=1))
        assert workspace.of_home(1, b"") == [id_of(1), id_of(2)]
        assert workspace.elsewhere(0, b"") == [id_of(1)]


def test_a_temporary_database_that_cannot_grow_says_so() -> None:
    workspace = AuditWorkspace(NODES)
    workspace._database.execute("PRAGMA max_page_count = 10")
    with workspace, pytest.raises(AuditError, match="free space where temporary files go"):
        for n in range(10_000):
            workspace.add_writes(written(n))
