"""The query string: nothing is ignored, everything is bounded."""

from __future__ import annotations

import pytest

from service.errors import InvalidInput
from service.events.store import EventQuery
from service.query_string import parse, position


def test_nothing_given_means_the_first_page_in_order_of_time() -> None:
    assert parse([]) == EventQuery()


def test_every_filter_arrives() -> None:
    assert parse(
        [
            ("type", "user_action"),
            ("correlation_id", "c"),
            ("created_after", "1000"),
            ("created_before", "2026-01-31T12:00:00Z"),
            ("stream", "order-1"),
            ("order_by", "-seq"),
            ("limit", "7"),
            ("cursor", "abc"),
            ("scope", "cluster"),
            ("metadata.b", "2"),
            ("metadata.a", "1"),
        ]
    ) == EventQuery(
        type="user_action",
        correlation_id="c",
        created_after=1_000,
        created_before=1_769_860_800_000_000,
        metadata=(("a", "1"), ("b", "2")),
        stream="order-1",
        order_by="-seq",
        limit=7,
        cursor="abc",
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("typ", "type"), ("created_befor", "created_before"), ("metadat.a", "metadata.<key>")],
)
def test_an_unknown_parameter_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InvalidInput, match=f"did you mean {nearest}"):
        parse([(name, "1")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "ten"),
        ("order_by", "id"),
        ("scope", "galaxy"),
        ("type", ""),
        ("type", "a\x00b"),
        ("stream", "x" * 201),
        ("created_after", "-1"),
        ("created_after", "1.5"),
        ("created_after", str(2**63)),
        ("created_after", "9" * 5_000),
        ("created_after", "yesterday"),
        ("created_before", "2026-01-31T12:00:00"),
        ("cursor", ""),
        ("metadata.", "x"),
        ("metadata." + "k" * 201, "x"),
        ("metadata.a", "x" * 1_001),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        parse([(name, value)])


@pytest.mark.parametrize("name", ["type", "metadata.a"])
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        parse([(name, "a"), (name, "b")])


def test_too_many_metadata_filters_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at most 8"):
        parse([(f"metadata.{i}", "x") for i in range(9)])


def test_a_metadata_filter_may_be_named_like_a_parameter() -> None:
    assert parse([("type", "a"), ("metadata.type", "b")]).metadata == (("type", "b"),)


@pytest.mark.parametrize("text", ["-1", "", "1.0", "abc", str(2**63), "9" * 30, "\u0661"])
def test_a_position_is_a_whole_number_below_2_to_63(text: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        position(text, "after")


def test_positions_at_the_ends_are_taken() -> None:
    assert position("0", "after") == 0
    assert position(str(2**63 - 1), "after") == 2**63 - 1
    assert position(None, "after") is None
