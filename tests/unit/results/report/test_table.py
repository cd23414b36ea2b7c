"""Cells: how numbers are written, and what a table is cut to."""

from __future__ import annotations

import math

import pytest

from results.report.table import (
    NOTHING,
    Cell,
    Table,
    clock,
    count,
    decimal,
    milliseconds,
    plain,
    seconds,
    share,
    size,
    spans,
    text,
    words,
)


def test_numbers_are_written_for_people_and_kept_for_sorting() -> None:
    assert count(1234567) == Cell("1,234,567", 1234567)
    assert decimal(2.25, 1).text == "2.2"
    assert share(0.0012345).text == "0.123 %"
    assert share(30.3).text == "3,030 %"
    assert [milliseconds(v).text for v in (1.234, 83.14, 1250.4)] == ["1.23", "83.1", "1,250"]
    assert seconds(4).text == "4.0 s"
    assert [size(v).text for v in (925, 4.9e6, 2e9)] == ["925 bytes", "4.9 MB", "2.0 GB"]
    assert [plain(v).text for v in (3, 0.53981, 12345.6, 1e15)] == [
        "3",
        "0.53981",
        "12,346",
        "1e+15",
    ]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_no_number_is_not_zero(value: float | None) -> None:
    for written in (count, decimal, share, milliseconds, seconds, size, plain):
        assert written(value) == Cell(NOTHING)


def test_a_tone_of_alarm_is_for_numbers_above_zero() -> None:
    assert count(0, "bad").tone == ""
    assert count(1, "bad").tone == "bad"


def test_times_read_as_a_clock() -> None:
    assert [clock(s) for s in (0, 65, 3605, 65.5, -1)] == [
        "0:00",
        "1:05",
        "1:00:05",
        "1:05.5",
        "-0:01",
    ]
    assert clock(59.96) == "1:00"
    assert clock(1e300) == "1e+300 s"


def test_many_intervals_are_counted() -> None:
    shown = spans([(n, n + 1) for n in range(5)])
    assert shown.replace("\u00a0", " ") == "0:00 to 0:01, 0:01 to 0:02, 0:02 to 0:03 and 2 more"


def test_a_table_that_is_cut_says_how_much_is_missing() -> None:
    table = Table("letters", words("Letter"), tuple((text(c),) for c in "abcde"))
    cut = table.cut(2)
    assert [row[0].text for row in cut.rows] == ["a", "b"]
    assert cut.left_out == 3
    assert cut.cut(1).left_out == 4
    assert table.cut(9) == table


def test_a_row_that_does_not_fit_its_columns_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="letters"):
        Table("letters", words("Letter"), ((text("a"), text("b")),))
