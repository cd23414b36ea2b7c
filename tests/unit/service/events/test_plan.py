"""Planning a group commit: order, versions, retries, and failures that leave no trace."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors import IdConflict, VersionConflict
from service.events.plan import Known, Log, Plan, plan_group, streams_of
from service.events.store import Stored, Write
from service.events.tables import ROW_COLUMNS
from tests.event import make_write

LOG = Log(last_seq=100, stored_at=5)


def plan(
    requests: Sequence[Sequence[Write]],
    versions: dict[str, int] | None = None,
    taken: dict[bytes, Known] | None = None,
) -> Plan:
    streams = {name: 0 for name in streams_of(requests)} | (versions or {})
    made = plan_group(requests, LOG, streams, taken if taken is not None else {})
    assert made is not None
    return made


def known(write: Write, seq: int = 9) -> dict[bytes, Known]:
    return {write.id: Known(seq, write.created_at, write.correlation_id, 4, write.content_hash)}


def test_rows_follow_on_in_order_of_arrival() -> None:
    requests = [[make_write()], [make_write(), make_write()], [make_write()]]
    made = plan(requests)
    assert [row[0] for row in made.rows] == [101, 102, 103, 104]
    assert [row[1] for row in made.rows] == [write.id for group in requests for write in group]
    assert made.last_seq == 104
    row = dict(zip(ROW_COLUMNS, made.rows[0], strict=True))
    assert row["stored_at"] == 5
    assert row["content_hash"] == requests[0][0].content_hash


def test_versions_rise_within_the_group() -> None:
    made = plan(
        [
            [make_write(stream="s", expected_version=3)],
            [make_write(stream="s", expected_version=4), make_write(stream="s")],
        ],
        {"s": 3},
    )
    assert [row[4] for row in made.rows] == [4, 5, 6]
    assert made.versions == {"s": 6}


def test_a_failed_batch_takes_back_its_rows_versions_and_ids() -> None:
    first, second = make_write(stream="s"), make_write()
    made = plan(
        [
            [first, second, make_write(stream="s", expected_version=9)],
            [second],
            [make_write(stream="s", expected_version=0)],
        ]
    )
    assert isinstance(made.outcomes[0], VersionConflict)
    assert made.rows[0][1] == second.id
    assert [row[0] for row in made.rows] == [101, 102]
    assert made.versions == {"s": 1}
    assert made.outcomes[1] == [(second.id, 101, second.created_at, "correlation", None, False)]


def test_a_taken_id_is_a_retry_or_a_conflict() -> None:
    write = make_write(data={"n": 1})
    other = make_write(id=write.id, data={"n": 2})
    made = plan([[write], [other], [make_write()]], taken=known(write))
    retry, conflict, fresh = made.outcomes
    assert retry == [Stored(write.id, 9, write.created_at, write.correlation_id, 4, True)]
    assert isinstance(conflict, IdConflict)
    assert isinstance(fresh, list)
    assert fresh[0].seq == 101


def test_a_stale_version_asks_for_the_taken_ids_first() -> None:
    """It may be the retry of an append that was stored."""
    write = make_write(stream="s", expected_version=0)
    assert plan_group([[write]], LOG, {"s": 1}, None) is None
    made = plan([[write]], {"s": 1}, known(write))
    assert made.rows == []
    assert made.last_seq == 100


def test_what_is_given_is_not_changed() -> None:
    versions = {"s": 3}
    plan_group([[make_write(stream="s")]], LOG, versions, None)
    assert versions == {"s": 3}
