"""The 45 test cases of F1-5: a small real test suite over the node's own pure functions.

F1-5 only sleeps and then claims 45 tests and no failures; here they are run. Each case is a
question about a function that the node stands on: canonical JSON, content hashes, derived ids,
cursors, query strings, prescribed times, sessions. What they are run on comes in as an argument, so
that a seeded bug shows that they can fail. 0.3 ms of CPU (measured); no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, get_args
from uuid import UUID

import orjson

from service import content
from service.errors import FoundationError, InvalidInput, MalformedJson, Unauthorized
from service.events import intake, query
from service.events.query import Position
from service.events.store import EventQuery, Write
from service.query_string import parse
from service.schema import MAX_INTEGER, MAX_JSON_DEPTH, OrderBy, SaasAction
from service.telemetry.meter import SPEEDS, speed_of
from service.workloads.saas_session import SessionSigner
from service.workloads.saas_timing import RANGES_MS, prescribed_ms

TESTS: Final = 45
"""F1-5's number; a test holds the suite to it."""

_BASE: Final = UUID("01890a5d-ac96-774b-bcce-b302099a8057").bytes
_OTHER: Final = UUID("01890a5d-ac96-774b-bcce-b302099a8058").bytes
_NOW_US: Final = 1_700_000_000_000_000
_Content = tuple[str, str | None, str | None, int | None, bytes, bytes]
_CONTENT: Final[_Content] = ("t", "s", "c", 1, b'{"a":1}', b"{}")
_PLACE: Final = Position(_NOW_US, 42)
_DOCUMENTS: Final[tuple[dict[str, object], ...]] = (
    {},
    {"text": 'ünï\u2028\U0001f600\\"/'},
    {"least": -MAX_INTEGER - 1, "most": MAX_INTEGER},
    {"float": 0.1, "small": 5e-324, "large": 1.7e308},
    {"list": [None, True, False, [], {}]},
    {"nested": {"b": {"d": 1, "c": [{"z": 0, "y": 1}]}, "a": 2}},
)


@dataclass(frozen=True, slots=True)
class Subject:
    """The functions under test."""

    content_hash: Callable[[str, str | None, str | None, int | None, bytes, bytes], bytes] = (
        content.content_hash
    )
    derived_id: Callable[[bytes, str], bytes] = intake.derived_id
    encode_cursor: Callable[[OrderBy, Position], str] = query.encode_cursor
    decode_cursor: Callable[[OrderBy, str], Position] = query.decode_cursor
    parse: Callable[[list[tuple[str, str]]], EventQuery] = parse
    prescribed_ms: Callable[[SaasAction, bytes], int] = prescribed_ms
    speed_of: Callable[[float], str] = speed_of


class Case(NamedTuple):
    """One test: it passes when `holds` returns True, and fails when that raises."""

    name: str
    holds: Callable[[], bool]


class Outcome(NamedTuple):
    tests: int
    failures: tuple[str, ...]


def run(subject: Subject) -> Outcome:
    """Run every case; `failures` names those that did not hold."""
    cases = list(suite(subject))
    return Outcome(len(cases), tuple(case.name for case in cases if not _passes(case)))


def suite(subject: Subject) -> Iterator[Case]:
    """Every case, by what it is about."""
    yield from _canonical_json()
    yield from _content_hashes(subject)
    yield from _derived_ids(subject)
    yield from _cursors(subject)
    yield from _query_strings(subject)
    yield from _times(subject)
    yield from _sessions()


def _passes(case: Case) -> bool:
    try:
        return case.holds()
    except Exception:
        # The edge of a test case: whatever it raises, it is that case that failed.
        return False


def _refuses(kind: type[FoundationError], call: Callable[[], object]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


def _write(data: dict[str, object]) -> Write:
    return intake.workload_write(
        id=_BASE, type="t", data=data, client=data, correlation_id="c", created_at=_NOW_US
    )


def _canonical_json() -> Iterator[Case]:
    """11 cases: what is stored reads back as it came, in one form, or is refused."""
    for number, document in enumerate(_DOCUMENTS):
        yield Case(
            f"document {number} reads back as it was",
            partial(_reads_back, document),
        )
    yield Case(
        "the order of keys does not matter",
        lambda: _write({"a": 1, "b": {"c": 2, "d": 3}}) == _write({"b": {"d": 3, "c": 2}, "a": 1}),
    )
    yield Case("an integer and a float differ", lambda: _write({"a": 1}) != _write({"a": 1.0}))
    yield Case(
        "an integer of 2^63 is refused",
        lambda: _refuses(MalformedJson, partial(_write, {"a": MAX_INTEGER + 1})),
    )
    yield Case(
        "NaN is refused", lambda: _refuses(MalformedJson, partial(_write, {"a": float("nan")}))
    )
    yield Case(
        "a document that is too deep is refused",
        lambda: _refuses(MalformedJson, partial(_write, _nested(MAX_JSON_DEPTH))),
    )


def _content_hashes(subject: Subject) -> Iterator[Case]:
    """8 cases: the hash depends on each part of the content, and on nothing else."""
    digest = subject.content_hash
    yield Case("a hash has 16 bytes", lambda: len(digest(*_CONTENT)) == content.HASH_BYTES)
    yield Case("the same content has the same hash", lambda: digest(*_CONTENT) == digest(*_CONTENT))
    changed: dict[str, _Content] = {
        "type": ("u", "s", "c", 1, b'{"a":1}', b"{}"),
        "stream": ("t", None, "c", 1, b'{"a":1}', b"{}"),
        "correlation id": ("t", "s", None, 1, b'{"a":1}', b"{}"),
        "time": ("t", "s", "c", 2, b'{"a":1}', b"{}"),
        "data": ("t", "s", "c", 1, b'{"a":2}', b"{}"),
        "metadata": ("t", "s", "c", 1, b'{"a":1}', b'{"m":1}'),
    }
    for part, other in changed.items():
        yield Case(f"the hash covers the {part}", partial(_hashes_differ, subject, other))


def _derived_ids(subject: Subject) -> Iterator[Case]:
    """5 cases: one id for one effect of one event."""
    derive = subject.derived_id
    yield Case("an id is derived the same again", lambda: derive(_BASE, "a") == derive(_BASE, "a"))
    yield Case("another effect has another id", lambda: derive(_BASE, "a") != derive(_BASE, "b"))
    yield Case("another event has another id", lambda: derive(_BASE, "a") != derive(_OTHER, "a"))
    yield Case("a derived id keeps the time", lambda: derive(_BASE, "a")[:6] == _BASE[:6])
    yield Case("a derived id is a UUIDv8", lambda: UUID(bytes=derive(_BASE, "a")).version == 8)


def _cursors(subject: Subject) -> Iterator[Case]:
    """7 cases: a cursor comes back as it went out, for its own order only."""
    for order in get_args(OrderBy):
        yield Case(f"a cursor of {order} comes back", partial(_comes_back, subject, order))
    foreign = partial(_decodes, subject, "")
    yield Case("a cursor of another order is refused", lambda: _refuses(InvalidInput, foreign))
    for name, text in (("no base64", "%%%"), ("no place", "W10=")):
        broken = partial(_decodes, subject, text)
        yield Case(f"a cursor that is {name} is refused", partial(_refuses, InvalidInput, broken))


def _query_strings(subject: Subject) -> Iterator[Case]:
    """6 cases: every filter counts, and a mistake is never a filter that does nothing."""
    read = subject.parse
    yield Case("a type is a filter", lambda: read([("type", "t")]).type == "t")
    yield Case("a limit is a number", lambda: read([("limit", "7")]).limit == 7)
    yield Case(
        "metadata is a filter", lambda: read([("metadata.k", "v")]).metadata == (("k", "v"),)
    )
    for name, pairs in (
        ("an unknown parameter", [("tpye", "t")]),
        ("a repeated one", [("type", "t"), ("type", "u")]),
        ("a limit of 0", [("limit", "0")]),
    ):
        yield Case(f"{name} is refused", partial(_refuses, InvalidInput, partial(read, pairs)))


def _times(subject: Subject) -> Iterator[Case]:
    """5 cases: P1-6's ranges and P1-8's edges."""
    for action in ("login", "report_generation", "logout"):
        yield Case(f"the time of {action} is within its range", partial(_within, subject, action))
    yield Case(
        "every speed has its edge",
        lambda: tuple(subject.speed_of(ms) for ms in (99.9, 100, 500, 1_000)) == SPEEDS,
    )
    yield Case(
        "an id has one time",
        lambda: subject.prescribed_ms("login", _BASE) == subject.prescribed_ms("login", _BASE),
    )


def _sessions() -> Iterator[Case]:
    """3 cases: a session is valid until it expires, and only as it was signed."""
    signer = SessionSigner(b"s" * 32, ttl_s=60)
    token = signer.issue(_BASE, "user_1", _NOW_US)
    end = _NOW_US + signer.ttl_us
    yield Case("a session is valid", lambda: signer.verify(token, end - 1).user_id == "user_1")
    yield Case(
        "a session expires", lambda: _refuses(Unauthorized, lambda: signer.verify(token, end))
    )
    yield Case(
        "another secret signs nothing",
        lambda: _refuses(
            Unauthorized, lambda: SessionSigner(b"t" * 32, ttl_s=60).verify(token, _NOW_US)
        ),
    )


def _reads_back(document: dict[str, object]) -> bool:
    return bool(orjson.loads(_write(document).data) == document)


def _hashes_differ(subject: Subject, other: _Content) -> bool:
    return subject.content_hash(*other) != subject.content_hash(*_CONTENT)


def _comes_back(subject: Subject, order: OrderBy) -> bool:
    return subject.decode_cursor(order, subject.encode_cursor(order, _PLACE)) == _PLACE


def _decodes(subject: Subject, cursor: str) -> Position:
    """Read `cursor` as one of `seq`; an empty one stands for a good one of another order."""
    return subject.decode_cursor("seq", cursor or subject.encode_cursor("-seq", _PLACE))


def _within(subject: Subject, action: SaasAction) -> bool:
    low, high = RANGES_MS[action]
    ids = (number.to_bytes(16, "big") for number in range(20))
    return all(low <= subject.prescribed_ms(action, id) <= high for id in ids)


def _nested(levels: int) -> dict[str, object]:
    document: dict[str, object] = {}
    for _ in range(levels):
        document = {"a": document}
    return document
