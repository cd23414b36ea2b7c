"""What a client hashes is what a node hashes, whatever Python the value was made of."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from service.content import (
    HASH_BYTES,
    content_hash,
    of_action,
    of_config,
    of_job,
    of_pass,
    sorted_text,
    without_secrets,
)
from service.events.json_rule import canonical

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def as_the_node_says_it(value: object) -> bytes:
    """Sent as JSON, read by the node's parser, and printed as it keeps it."""
    return canonical({"v": from_json(orjson.dumps(value))}, 60, "data")


@given(VALUES)
def test_any_json_is_said_as_the_node_says_it(value: object) -> None:
    assert sorted_text({"v": value}) == as_the_node_says_it(value)


@dataclass
class Point:
    y: int
    x: int


class Colour(enum.Enum):
    RED = "red"


class Name(str):
    pass


class Table(dict[str, Any]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2),
        {"points": [Point(1, 2), {"b": 1, "a": Point(3, 4)}]},
        Colour.RED,
        {"b": Name("x"), "a": 1},
        Table(b=1, a=Table(d=1, c=2)),
        (1, 2),
        orjson.Fragment('{"b": 1, "a": [2.50, "\\u00e9"]}'),
        {"z": [{"y": orjson.Fragment(b'{"b":1,"a":2}')}], "a": 1},
        (orjson.Fragment("{}"), Point(1, 2)),
        {"points": [Point(1, 2)], "a": orjson.Fragment('{"b": 1, "a": 2}')},
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        UUID(int=7),
        math.nan,
        [math.inf, -0.0, 1e22, 5e-324],
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", repr(value)),
)
def test_what_python_has_beyond_json_is_said_as_the_node_says_it(value: object) -> None:
    assert sorted_text({"v": value}) == as_the_node_says_it(value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, "\ud800", 2**64, Point])
def test_what_json_cannot_say_is_refused_as_when_it_is_sent(value: object) -> None:
    with pytest.raises(TypeError):
        orjson.dumps(value)
    with pytest.raises(TypeError):
        sorted_text(value)


@pytest.mark.parametrize("value", [orjson.Fragment("{oops"), [Point(1, 2), orjson.Fragment("")]])
def test_ready_made_text_that_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="Fragment is no JSON"):
        sorted_text({"a": value})


def test_the_order_of_keys_makes_no_other_content() -> None:
    assert sorted_text({"b": {"d": 1, "c": 2}, "a": 3}) == b'{"a":3,"b":{"c":2,"d":1}}'


def test_a_hash_has_16_bytes_and_its_first_8_tell_contents_apart() -> None:
    hashes = {content_hash("t", None, None, None, b'{"a":%d}' % n, b"{}") for n in range(1_000)}
    assert {len(one) for one in hashes} == {HASH_BYTES}
    assert len({one[:8] for one in hashes}) == 1_000


def test_a_password_is_no_content() -> None:
    assert without_secrets({"password": "p", "a": 1}) == {"a": 1}
    assert without_secrets({"a": 1}) == {"a": 1}
    assert of_action("login", "ada", {"password": "p"}) == of_action("login", "ada", {})


def test_each_content_names_what_its_client_supplied() -> None:
    assert of_action("login", "ada", {}) == {"user_id": "ada", "action": "login", "payload": {}}
    assert of_job("data_cleanup", {"a": 1}) == {"kind": "data_cleanup", "payload": {"a": 1}}
    assert of_config("a/b", None) == {"path": "a/b", "value": None}
    assert of_pass(50) == {"limit": 50}
