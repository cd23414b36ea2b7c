"""Two documents: every field that differs is named, and numbers may differ by rounding."""

from __future__ import annotations

import pytest

from results.bundle.difference import differences

ONE = {"verdict": "PASS", "checks": [{"value": 1.0, "ok": True}, {"value": None}], "empty": {}}


def found(stated: object, computed: object) -> list[tuple[str, str, str]]:
    return [(one.place, one.stated, one.computed) for one in differences(stated, computed)]


def test_equal_documents_do_not_differ() -> None:
    assert found(ONE, dict(ONE)) == []
    assert found({"a": 1}, {"a": 1.0}) == []
    assert found(0.1 + 0.2, 0.3) == []


@pytest.mark.parametrize(
    ("stated", "computed", "place"),
    [
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1]"),
        ({"a": 1}, {"a": 1, "b": 2}, "b"),
        ({"a": 1, "c": 2}, {"a": 1}, "c"),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({"a": True}, {"a": 1}, "a"),
        ({"a": "1"}, {"a": 1}, "a"),
        ({"a": None}, {"a": 0}, "a"),
        ({"a": []}, {"a": {}}, "a"),
        (1.0, 1.001, "the document"),
        ({"a": 10**400}, {"a": 1}, "a"),
        ({"a": -(10**400)}, {"a": 0.5}, "a"),
        ([], {}, "the document"),
    ],
)
def test_a_field_that_differs_is_named(stated: object, computed: object, place: str) -> None:
    assert [one for one, _, _ in found(stated, computed)] == [place]


def test_what_is_shown_of_values_is_short_and_printable() -> None:
    long = {"a": "x" * 1000, "b": "\x1b[2J", "c": {"d": 1}, "e": [1]}
    other = {"a": 1, "b": None, "c": False, "e": 0.5}
    shown = found(long, other)
    assert shown[0][1].endswith('…"') and len(shown[0][1]) < 70
    assert "\x1b" not in shown[1][1]
    assert shown[1][2] == "null"
    assert shown[2][1:] == ("an object of 1 fields", "false")
    assert shown[3][1:] == ("a list of 1", "0.5")


def test_a_number_of_thousands_of_digits_is_shown_short() -> None:
    ((_, stated, _),) = found({"a": 10**4000}, {"a": 0.5})
    assert stated == "1" + "0" * 58 + "…"


def test_long_texts_are_shown_from_where_they_part() -> None:
    (difference,) = differences("x" * 500 + "one", "x" * 500 + "two")
    assert difference.stated == '"…xxxxxxxxxxone"'
    assert difference.computed == '"…xxxxxxxxxxtwo"'


def test_a_field_that_is_not_there_is_told_apart_from_one_that_differs() -> None:
    lacking = [one.is_lacking for one in differences({"a": 1}, {"a": 2, "b": 3})]
    assert lacking == [False, True]
