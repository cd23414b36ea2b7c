"""Bytes to writes: what is refused, what is canonical, what the content hash covers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from service.errors import InvalidInput, MalformedJson, PayloadTooLarge
from service.events.intake import (
    Intake,
    IntakeLimits,
    decode,
    derived_id,
    workload_write,
)
from service.schema import SaasRequest

NOW_US = 1_700_000_000_000_000
ID = "0190b8a0-0000-7000-8000-000000000001"


def intake(**limits: int) -> Intake:
    return Intake(IntakeLimits(**limits), lambda: NOW_US)


def body(**fields: Any) -> bytes:
    return orjson.dumps({"type": "t", "id": ID} | fields)


def nested(levels: int) -> bytes:
    """A body of exactly `levels` levels: the event, data, and lists."""
    return b'{"type":"t","data":{"a":' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"


def test_a_full_event_is_taken_as_sent() -> None:
    write = intake().one(
        body(
            data={"b": 1, "a": [1.5, None]},
            metadata={"tenant": "x"},
            correlation_id="c",
            created_at="2026-01-31T12:00:00.000001Z",
            stream="s",
            expected_version=3,
        ),
        "from-header",
    )
    assert write.id == UUID(ID).bytes
    assert (write.data, write.metadata) == (b'{"a":[1.5,null],"b":1}', b'{"tenant":"x"}')
    assert (write.correlation_id, write.created_at) == ("c", 1_769_860_800_000_001)
    assert (write.stream, write.expected_version) == ("s", 3)
    assert write.size_bytes > len(write.data) + len(write.metadata)


def test_the_node_fills_in_what_is_missing() -> None:
    first, second = (intake().one(b'{"type":"t"}') for _ in range(2))
    assert first.id != second.id
    assert UUID(bytes=first.id).version == 7
    assert first.created_at == NOW_US
    assert first.correlation_id != second.correlation_id
    assert intake().one(b'{"type":"t"}', "from-header").correlation_id == "from-header"
    assert (first.data, first.metadata) == (b"{}", b"{}")


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"data": {"b": 2, "a": 1}}, True),
        ({"expected_version": 4, "stream": "s"}, True),
        ({"id": "0190b8a0-0000-7000-8000-000000000002"}, True),
        ({"metadata": {}, "stream": "s"}, True),
        ({"data": {"a": 1, "b": 3}}, False),
        ({"data": {"a": 1, "b": 2.0}}, False),
        ({"data": {"a": 1, "b": "2"}}, False),
        ({"metadata": {"x": 1}}, False),
        ({"type": "u"}, False),
        ({"stream": "other"}, False),
        ({"correlation_id": "c"}, False),
        ({"created_at": NOW_US}, False),
    ],
)
def test_the_hash_covers_what_the_client_supplied(changed: dict[str, Any], same: bool) -> None:
    fields: dict[str, Any] = {"data": {"a": 1, "b": 2}, "stream": "s"}
    original = intake().one(body(**fields), "first-header")
    other = intake().one(body(**(fields | changed)), "second-header")
    assert (original.content_hash == other.content_hash) is same
    assert len(original.content_hash) == 16


def test_a_timestamp_has_one_hash_in_both_notations() -> None:
    micros, text = (
        intake().one(body(created_at=value))
        for value in (1_769_860_800_000_000, "2026-01-31T13:00:00+01:00")
    )
    assert micros.created_at == text.created_at
    assert micros.content_hash == text.content_hash


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b'{"type":"t"} x',
        b'{"type":"\\ud800"}',
        b'{"type":"t","data":{"a":"\\ud800"}}',
        b'{"type":"t","data":{"a":NaN}}',
        b'{"type":"t","data":{"a":-Infinity}}',
        b'{"type":"t","data":{"a":1e999}}',
        b'{"type":"t","metadata":{"a":[1e999]}}',
        b'{"type":"t","data":{"a":9223372036854775808}}',
        b'{"type":"t","data":{"a":-9223372036854775809}}',
        b'{"type":"t","data":{"a":18446744073709551616}}',
        b'{"type":"t","data":{"a":[{"b":9223372036854775808}]}}',
        b'{"type":"t","data":{"a":1' + b"0" * 400 + b"}}",
        b'{"type":"t","data":{"a":1' + b"0" * 400 + b".5}}",
        b'{"type":"t","data":' + b"[" * 5_000,
        nested(65),
        nested(150),
        b'{"type":"t","data":' + b'{"a":' * 63 + b"{}" + b"}" * 63 + b"}",
    ],
)
def test_json_that_could_not_be_given_back_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        intake().one(raw)
    with pytest.raises(MalformedJson):
        intake().lines(raw or b"x")
    with pytest.raises(MalformedJson):
        intake().array(b"[" + raw + b"]" if raw else b"")


def test_what_only_looks_suspicious_is_taken() -> None:
    texts = ["NaN", "null", "[" * 200, "{" * 200, "1e999", "9" * 40, "Infinity"]
    data: dict[str, Any] = {
        "null": None,
        "texts": texts,
        "high": 2**63 - 1,
        "low": -(2**63),
        "float": 1e308,
        "many": [{} for _ in range(100)],
        "flags": [True, False],
    }
    write = intake().one(body(data=data))
    assert orjson.loads(write.data) == data


@pytest.mark.parametrize("levels", [3, 63, 64])
def test_depth_is_counted_over_the_whole_body(levels: int) -> None:
    assert intake().one(nested(levels)).type == "t"
    assert len(intake().lines(nested(levels))) == 1
    if levels < 64:
        assert len(intake().array(b"[" + nested(levels) + b"]")) == 1
    else:
        with pytest.raises(MalformedJson, match="64"):
            intake().array(b"[" + nested(levels) + b"]")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "should be an object"),
        (b"5", "should be an object"),
        (b"null", "should be an object"),
        (b"{}", "type"),
        (b'{"type":""}', "type"),
        (b'{"type":"a\\u0000b"}', "type"),
        (b'{"type":"a\\nb"}', "type"),
        (b'{"type":5}', "type"),
        (b'{"type":"' + b"x" * 201 + b'"}', "type"),
        (b'{"type":"t","stream":"a\\u0000"}', "stream"),
        (b'{"type":"t","correlation_id":""}', "correlation_id"),
        (b'{"type":"t","id":"x"}', "id"),
        (b'{"type":"t","data":[]}', "data"),
        (b'{"type":"t","metadata":"x"}', "metadata"),
        (b'{"type":"t","metadata":{"a":"b\\u0000c"}}', "NUL"),
        (b'{"type":"t","metadata":{"a\\u0000":1}}', "NUL"),
        (b'{"type":"t","created_at":-1}', "created_at"),
        (b'{"type":"t","created_at":9223372036854775808}', "created_at"),
        (b'{"type":"t","created_at":1.5}', "created_at"),
        (b'{"type":"t","created_at":true}', "created_at"),
        (b'{"type":"t","created_at":"2026-01-31T12:00:00"}', "offset"),
        (b'{"type":"t","created_at":"yesterday"}', "created_at"),
        (b'{"type":"t","created_at":"0001-01-01T00:00:00+23:59"}', "created_at"),
        (b'{"type":"t","expected_version":1}', "stream"),
        (b'{"type":"t","stream":"$config/a"}', "the node's own"),
        (b'{"type":"t","stream":"$"}', "the node's own"),
        (b'{"type":"t","stream":"s","expected_version":-1}', "expected_version"),
        (b'{"type":"t","stream":"s","expected_version":"1"}', "expected_version"),
        (b'{"type":"t","unknown":1}', "unknown"),
    ],
)
def test_content_that_is_not_an_event_is_refused_by_its_name(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        intake().one(raw)
    assert not isinstance(caught.value, MalformedJson)


def test_a_backslash_before_u0000_in_metadata_is_not_nul() -> None:
    assert intake().one(body(metadata={"path": "C:\\u0000"})).metadata


def test_an_error_in_a_batch_names_its_place() -> None:
    good, bad = b'{"type":"t"}', b'{"type":"t","data":5}'
    with pytest.raises(InvalidInput, match=r"\[2\]\.data"):
        intake().array(b"[" + b",".join((good, good, bad)) + b"]")
    with pytest.raises(InvalidInput, match=r"line 4 data"):
        intake().lines(b"\n".join((good, b"", good, bad)))
    huge = b'{"type":"t","data":{"a":9223372036854775808}}'
    with pytest.raises(MalformedJson, match=r"\[1\]"):
        intake().array(b"[" + good + b"," + huge + b"]")
    with pytest.raises(MalformedJson, match="line 2"):
        intake().lines(good + b"\n" + huge)


def test_blank_lines_and_carriage_returns_are_ignored() -> None:
    writes = intake().lines(b'\n {"type":"a"} \r\n\r\n\t\n{"type":"b"}')
    assert [write.type for write in writes] == ["a", "b"]
    assert intake().lines(b"\n\n") == intake().lines(b"") == intake().array(b"[]") == []


@pytest.mark.parametrize("line", [b'{"type":"a"},{"type":"b"}', b'{"type":"a"}{"type":"b"}'])
def test_a_line_holds_one_event(line: bytes) -> None:
    with pytest.raises(MalformedJson, match="line 1"):
        intake().lines(line)


def test_a_batch_is_bounded_by_count() -> None:
    event = b'{"type":"t"}'
    assert len(intake(events=3).array(b"[" + b",".join([event] * 3) + b"]")) == 3
    with pytest.raises(PayloadTooLarge, match="3 events"):
        intake(events=3).array(b"[" + b",".join([event] * 4) + b"]")
    with pytest.raises(PayloadTooLarge, match="3 events"):
        intake(events=3).lines(b"\n".join([event] * 4))


def test_an_event_is_bounded_by_its_bytes() -> None:
    with pytest.raises(PayloadTooLarge, match="limit is 100"):
        intake(event_bytes=100).one(body(data={"a": "x" * 200}))


def test_a_body_of_bad_events_is_one_error() -> None:
    with pytest.raises(InvalidInput) as caught:
        intake().array(b"[" + b",".join([b"{}"] * 100_000) + b"]")
    assert len(str(caught.value)) < 500


def test_errors_do_not_repeat_the_value() -> None:
    with pytest.raises(InvalidInput) as caught:
        intake().one(b'{"type":"t","data":"secret-value"}')
    assert "secret-value" not in str(caught.value)


def test_a_workload_hashes_what_its_client_sent_only() -> None:
    def write(node: str, payload: int) -> Any:
        return workload_write(
            id=UUID(ID).bytes,
            type="user_action",
            data={"node": node, "payload": payload},
            client={"payload": payload},
            correlation_id="c",
            created_at=NOW_US,
        )

    assert write("node-1", 1).content_hash == write("node-2", 1).content_hash
    assert write("node-1", 1).content_hash != write("node-1", 2).content_hash
    assert write("node-1", 1).data == b'{"node":"node-1","payload":1}'
    with pytest.raises(MalformedJson):
        write("node-1", 2**63)


def test_a_derived_id_depends_on_its_base_and_name_alone() -> None:
    base = UUID(ID).bytes
    made = derived_id(base, "session_ended")
    assert made == derived_id(base, "session_ended")
    assert made != derived_id(base, "other")
    assert made[:6] == base[:6]
    assert UUID(bytes=made).version == 8


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":NaN}',
        b'{"a":9223372036854775808}',
        b'{"a":1e999}',
        b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    ],
)
def test_other_bodies_obey_the_same_rules(payload: bytes) -> None:
    adapter = TypeAdapter(SaasRequest)
    raw = b'{"id":"' + ID.encode() + b'","user_id":"u","payload":%s}'
    assert decode(adapter, raw % b'{"a":[null,1,"NaN"]}').payload == {"a": [None, 1, "NaN"]}
    with pytest.raises(MalformedJson):
        decode(adapter, raw % payload)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values))
def test_any_json_object_comes_back_equal(data: dict[str, Any]) -> None:
    write = intake().one(orjson.dumps({"type": "t", "data": data}))
    assert orjson.loads(write.data) == data


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused_with_our_errors(raw: bytes) -> None:
    for read in (intake().one, intake().array, intake().lines):
        with suppress(InvalidInput):
            read(raw)
