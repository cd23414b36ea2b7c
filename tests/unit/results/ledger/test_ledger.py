"""The ledger of a load side: what samples say of their writes, and that none is lost in silence."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from results.ledger.ledger import (
    FURTHER_NODES,
    LONGEST_NODE,
    MAX_NODES,
    MAX_REPORT_RECORDS,
    NO_DIGEST,
    RECORD,
    Ledger,
    WriteOutcome,
    WritesReport,
    first_wrong,
    write_outcome,
)
from results.sample import Outcome, Sample

ORIGIN_US = 1_700_000_000_000_000
NODE = "http://127.0.0.1:8001"


def write(
    number: int = 0,
    *,
    ids: bytes | None = None,
    digest: bytes | None = b"digestof",
    outcome: Outcome = Outcome.OK,
    status: int = 201,
    end_s: float = 0.0,
    node: str = NODE,
) -> Sample:
    end_us = ORIGIN_US + round(end_s * 1_000_000)
    named = number.to_bytes(16, "big") if ids is None else ids
    return Sample(
        "POST /a", None, end_us - 5_000, end_us, outcome, status, 9, 0, named, node, digest
    )


def ledger(**options: int) -> Ledger:
    return Ledger(source="w1", origin_us=ORIGIN_US, **options)


def recorded(*samples: Sample) -> WritesReport:
    book = ledger()
    for one in samples:
        book.record(one)
    report = book.take()
    assert report is not None and book.take() is None
    return report


def rows(report: WritesReport) -> list[tuple[Any, ...]]:
    return list(RECORD.iter_unpack(report.records))


# What a sample says

ACKNOWLEDGED, REFUSED, UNKNOWN = WriteOutcome

DENIALS = {300: UNKNOWN, 303: UNKNOWN, 304: UNKNOWN, 400: REFUSED, 404: REFUSED, 409: REFUSED,
           408: UNKNOWN, 425: UNKNOWN, 429: REFUSED, 499: REFUSED}  # fmt: skip
NOTHING_SAID = {0: UNKNOWN, 100: UNKNOWN, 500: UNKNOWN, 503: UNKNOWN, 504: UNKNOWN, 999: UNKNOWN}
GOOD = (200, 201, 202, 204, 299)
EXPECTED = {
    Outcome.OK: dict.fromkeys(GOOD, ACKNOWLEDGED) | DENIALS | NOTHING_SAID,
    # The content was not as expected; the node has acknowledged all the same.
    Outcome.CHECK: dict.fromkeys(GOOD, ACKNOWLEDGED) | DENIALS | NOTHING_SAID,
    Outcome.HTTP_4XX: dict.fromkeys(GOOD, UNKNOWN) | DENIALS | NOTHING_SAID,
    Outcome.REFUSED: dict.fromkeys([*GOOD, *DENIALS, *NOTHING_SAID], REFUSED),
}
STATUSES = [*GOOD, *DENIALS, *NOTHING_SAID]


@pytest.mark.parametrize(("outcome", "status"), [*product(Outcome, STATUSES)])
def test_outcome_and_status_say_what_is_known_of_a_write(outcome: Outcome, status: int) -> None:
    expected = EXPECTED.get(outcome, {}).get(status, UNKNOWN)
    sample = write(outcome=outcome, status=status)
    assert write_outcome(sample) is expected
    assert rows(recorded(sample))[0][4] == expected, "the short way through `record` is no other"


@pytest.mark.parametrize(("outcome", "status"), [*product(Outcome, STATUSES)])
def test_what_was_sent_before_is_acknowledged_or_unknown(outcome: Outcome, status: int) -> None:
    sample = write(outcome=outcome, status=status)
    expected = write_outcome(sample)
    if expected is REFUSED:
        expected = UNKNOWN
    sample = sample._replace(repeated=True)
    assert write_outcome(sample) is expected
    assert rows(recorded(sample))[0][4] == expected


def test_only_a_2xx_acknowledges() -> None:
    said = {
        (outcome, status)
        for outcome, status in product(Outcome, range(1000))
        if write_outcome(write(outcome=outcome, status=status)) is ACKNOWLEDGED
    }
    assert said == set(product((Outcome.OK, Outcome.CHECK), range(200, 300)))


# Recording


def test_a_write_leaves_one_record_of_32_bytes() -> None:
    report = recorded(write(7, end_s=12.3, digest=b"12345678"))
    assert (RECORD.size, report.count, report.nodes) == (32, 1, (NODE,))
    assert rows(report) == [((7).to_bytes(16, "big"), b"12345678", 12, 0, ACKNOWLEDGED)]
    assert report.records[-1] == 0, "a byte to spare"


@pytest.mark.parametrize("ids", [None, b""])
def test_a_request_that_is_no_write_leaves_none(ids: bytes | None) -> None:
    book = ledger()
    book.record(write()._replace(write_id=ids))
    assert book.take() is None and book.sequence == 0


def test_the_second_is_that_of_the_end_also_before_the_origin() -> None:
    report = recorded(write(end_s=0.0), write(end_s=59.999), write(end_s=-0.5))
    assert [row[2] for row in rows(report)] == [0, 59, -1]


def test_a_batch_leaves_a_record_for_each_of_its_writes() -> None:
    ids = b"".join(n.to_bytes(16, "big") for n in range(3))
    report = recorded(
        write(ids=ids, digest=b"aaaaaaaabbbbbbbbcccccccc"), write(ids=ids, digest=None)
    )
    named = [(row[0][-1], row[1]) for row in rows(report)]
    assert named[:3] == [(0, b"aaaaaaaa"), (1, b"bbbbbbbb"), (2, b"cccccccc")]
    assert named[3:] == [(n, NO_DIGEST) for n in range(3)]


def test_without_a_digest_it_is_zeros() -> None:
    assert rows(recorded(write(digest=None)))[0][1] == NO_DIGEST == bytes(8)


def test_nodes_are_numbered_in_the_order_in_which_they_appear() -> None:
    report = recorded(*(write(node=node) for node in ("a", "b", "a", "", "b")))
    assert report.nodes == ("a", "b", "")
    assert [row[3] for row in rows(report)] == [0, 1, 0, 2, 1]


def test_nodes_beyond_a_bound_are_kept_as_one() -> None:
    long = "x" * (LONGEST_NODE + 1)
    names = [long, *(f"n{n}" for n in range(MAX_NODES + 5)), "n0", long]
    report = recorded(*(write(node=name) for name in names))
    kept = [report.nodes[row[3]] for row in rows(report)]
    assert len(report.nodes) == MAX_NODES - 1, "a place is kept for the further ones"
    assert kept[0] == kept[-1] == kept[MAX_NODES + 3] == FURTHER_NODES
    assert kept[1] == kept[-2] == "n0"


@pytest.mark.parametrize(
    ("ids", "digest", "dropped"),
    [
        (b"short", None, 1),
        (bytes(17), None, 1),
        (bytes(40), None, 2),
        (bytes(16), b"123", 1),
        (bytes(16), bytes(16), 1),
        (bytes(32), bytes(8), 2),
    ],
)
def test_a_write_that_is_named_wrongly_is_counted_not_guessed(
    ids: bytes, digest: bytes | None, dropped: int
) -> None:
    report = recorded(write(ids=ids, digest=digest), write(1))
    assert (report.count, report.dropped) == (1, dropped)


# Reports


def test_reports_are_numbered_and_hold_what_came_since() -> None:
    book, seen = ledger(), []
    for number in range(3):
        book.record(write(number))
        report = book.take()
        assert report is not None and book.take() is None
        seen.append((report.source, report.sequence, rows(report)[0][0][-1]))
    assert seen == [("w1", 0, 0), ("w1", 1, 1), ("w1", 2, 2)]
    assert book.sequence == 3


def test_more_than_a_report_holds_comes_in_several() -> None:
    book = ledger()
    for number in range(MAX_REPORT_RECORDS + 3):
        book.record(write(number))
    first, second = book.take(), book.take()
    assert first is not None and second is not None and book.take() is None
    assert (first.count, second.count) == (MAX_REPORT_RECORDS, 3)
    numbers = [int.from_bytes(row[0], "big") for row in rows(first) + rows(second)]
    assert numbers == list(range(MAX_REPORT_RECORDS + 3))


def test_what_nobody_ships_is_dropped_at_a_bound_and_counted() -> None:
    book = ledger(max_pending=4)
    for number in range(6):
        book.record(write(number))
    book.record(write(ids=bytes(32)))
    report = book.take()
    assert report is not None
    assert (report.count, report.dropped) == (4, 4)
    book.record(write(9))
    assert book.take() == WritesReport(
        "w1", 1, (NODE,), RECORD.pack((9).to_bytes(16, "big"), b"digestof", 0, 0, 1), 4
    )


def test_a_batch_that_does_not_fit_is_dropped_whole() -> None:
    book = ledger(max_pending=4)
    book.record(write(0))
    book.record(write(ids=bytes(64), digest=None))
    report = book.take()
    assert report is not None and (report.count, report.dropped) == (1, 4)


def test_a_drop_is_told_though_no_record_came() -> None:
    book = ledger()
    book.record(write(ids=b"short"))
    report = book.take()
    assert report == WritesReport("w1", 0, (NODE,), b"", 1)
    assert book.take() is None


def test_a_report_survives_its_dict_form() -> None:
    report = recorded(write(1), write(2, node="b"), write(ids=b"short"))
    assert WritesReport.from_dict(report.as_dict()) == report


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"records": "text"}, "'records' must be bytes, not str"),
        ({"records": bytes(31)}, "byte 0: a record has 32 bytes, this one is cut off"),
        ({"records": bytes(32)}, "byte 30: 0 is no outcome of a write"),
        ({"nodes": []}, "byte 28: node 0 has no name"),
        ({"nodes": [1]}, "'node' must be text"),
        ({"nodes": ["a"] * (MAX_NODES + 1)}, "257 nodes"),
        ({"nodes": "abc"}, "'nodes' must be a list"),
        ({"source": None}, "'source' must be text"),
        ({"sequence": -1}, "'sequence' must be at least 0"),
        ({"sequence": True}, "'sequence' must be a whole number"),
        ({"dropped": -1}, "'dropped' must be at least 0"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_a_report_that_is_none_is_refused_with_its_place(
    change: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        WritesReport.from_dict(recorded(write()).as_dict() | change)


@pytest.mark.parametrize("data", [None, [], "x", {}, b""])
def test_what_is_no_object_is_no_report(data: object) -> None:
    with pytest.raises(ValueError, match="writes: "):
        WritesReport.from_dict(data)


def test_the_first_wrong_record_is_named() -> None:
    good, sentinel = RECORD.pack(bytes(16), bytes(8), 0, 300, 2), b""
    assert first_wrong(good * 3, 301) is None
    assert first_wrong(sentinel, 0) is None
    assert first_wrong(good * 3, 300) == (28, "node 300 has no name")
    bad = RECORD.pack(bytes(16), bytes(8), 0, 0, 4)
    assert first_wrong(good * 2 + bad, 301) == (94, "4 is no outcome of a write")
