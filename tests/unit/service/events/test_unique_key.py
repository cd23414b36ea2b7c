"""Bodies whose objects name a member twice are refused, however the name is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedJson
from service.events import unique_key
from service.events.intake import Intake, IntakeLimits
from service.events.sqlite import wall_clock_us

TWICE = [
    b'{"type":"t","type":"t"}',
    b'{"type":"t","type":"u"}',
    b'{"type":"t","data":{"a":1},"data":{"a":1}}',
    b'{"type":"t","data":{"a":1,"a":1}}',
    b'{"type":"t","data":{"a":1,"\\u0061":2}}',
    b'{"type":"t","data":{"a":[{"b":{"c":1,"d":[],"c":null}}]}}',
    b'{"type":"t","metadata":{"k":"1","k":"1"}}',
    # A hidden colon makes the counts agree again.
    b'{"type":"t","data":{"a":1,"a":"\\u003a"}}',
    b'{"type":"t","data":{"a":1,"a":"\\u003A"}}',
    b'{"type":"t\\u003a","type":"t\\u003a"}',
    b'{"type":"t","created_at":"2026-01-31T12:00:00Z","data":{"a":1,"a":2}}',
]
ONCE = [
    b'{"type":"t"}',
    b'{"type":"a:b:c","stream":"s:1","data":{"a":":::","b":{"a":1},":":"x"}}',
    b'{"type":"t","data":{"a":"\\u003a","b":"\\u003c","c":"\\\\u003a"}}',
    b'{"type":"t","created_at":"2026-01-31T12:00:00Z","correlation_id":"a:b"}',
    b'{"type":"t","data":{"a":[{"a":1},{"a":1}],"n":9223372036854775807}}',
]


def intake() -> Intake:
    return Intake(IntakeLimits(), wall_clock_us)


@pytest.mark.parametrize("body", TWICE)
def test_a_member_named_twice_is_refused_in_every_form_of_append(body: bytes) -> None:
    for read in (
        lambda: intake().one(body),
        lambda: intake().array(b'[{"type":"x"},' + body + b"]"),
        lambda: intake().lines(b'{"type":"x"}\n' + body + b"\n"),
        lambda: unique_key.check_text(body),
    ):
        with pytest.raises(MalformedJson, match="twice"):
            read()


@pytest.mark.parametrize("body", ONCE)
def test_colons_and_escapes_elsewhere_are_no_reason_to_refuse(body: bytes) -> None:
    intake().one(body)
    intake().array(b"[" + body + b"," + body + b"]")
    intake().lines(body + b"\n\n" + body)
    unique_key.check_text(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(":ua0{\\é\u2028", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(":ua\\", max_size=3), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_json_from_a_dictionary_is_never_refused(value: object, ascii_only: bool) -> None:
    unique_key.check_text(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(JSON, JSON, st.text(":ua\\", max_size=3), st.booleans())
def test_a_second_member_of_a_name_is_always_refused(
    one: object, two: object, name: str, ascii_only: bool
) -> None:
    first, second, key = (json.dumps(x, ensure_ascii=ascii_only) for x in (one, two, name))
    text = f'[{{"x":{{{key}:{first},{key}:{second}}}}}]'
    with pytest.raises(MalformedJson, match="twice"):
        unique_key.check_text(text.encode())
