"""F1-5's test suite: 45 real cases, which fail when what they test is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.content import content_hash
from service.events import intake, query
from service.events.query import Position
from service.query_string import parse
from service.workloads.dev_suite import TESTS, Subject, run, suite
from service.workloads.saas_timing import prescribed_ms


def test_the_suite_has_45_cases_with_names_of_their_own_and_all_hold() -> None:
    outcome = run(Subject())
    assert (outcome.tests, outcome.failures) == (TESTS, ())
    assert TESTS == 45
    assert len({case.name for case in suite(Subject())}) == TESTS


def forgetful_hash(
    type_: str, stream: str | None, cid: str | None, at: int | None, data: bytes, metadata: bytes
) -> bytes:
    return content_hash(type_, stream, cid, at, data, b"{}")


def timeless_id(base: bytes, name: str) -> bytes:
    return bytes(6) + intake.derived_id(base, name)[6:]


def lenient_cursor(order_by: Any, cursor: str) -> Position:
    try:
        return query.decode_cursor(order_by, cursor)
    except Exception:
        return Position(0, 0)


def raising(*arguments: Any) -> Any:
    raise RuntimeError("a seeded bug")


def parse_without_limit(pairs: list[tuple[str, str]]) -> Any:
    return parse([pair for pair in pairs if pair[0] != "limit"])


@pytest.mark.parametrize(
    ("broken", "with_what", "fails"),
    [
        ("content_hash", forgetful_hash, {"the hash covers the metadata"}),
        ("derived_id", timeless_id, {"a derived id keeps the time"}),
        (
            "decode_cursor",
            lenient_cursor,
            {
                "a cursor of another order is refused",
                "a cursor that is no base64 is refused",
                "a cursor that is no place is refused",
            },
        ),
        ("parse", parse_without_limit, {"a limit is a number", "a limit of 0 is refused"}),
        (
            "prescribed_ms",
            lambda action, id: prescribed_ms(action, id) + 5_000,
            {f"the time of {name} is within its range" for name in ("login", "logout")}
            | {"the time of report_generation is within its range"},
        ),
        ("speed_of", lambda ms: "fast", {"every speed has its edge"}),
    ],
)
def test_a_seeded_bug_is_counted_as_the_failures_that_it_is(
    broken: str, with_what: Callable[..., Any], fails: set[str]
) -> None:
    outcome = run(replace(Subject(), **{broken: with_what}))
    assert (outcome.tests, set(outcome.failures)) == (TESTS, fails)


@pytest.mark.parametrize(
    "broken",
    ["content_hash", "derived_id", "encode_cursor", "decode_cursor", "parse", "prescribed_ms"],
)
def test_a_case_that_raises_has_failed_and_the_others_are_run(broken: str) -> None:
    outcome = run(replace(Subject(), **{broken: raising}))
    assert outcome.tests == TESTS
    assert 0 < len(outcome.failures) < TESTS
