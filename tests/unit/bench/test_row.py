"""Rows of the benchmark table: what passes, what fails, what is only shown."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import pytest
from rich.console import Console

from tests.bench import table
from tests.bench.row import Row, absolute, at_least, at_most, failed, pair_ratios, shown, spread


@pytest.mark.parametrize(("make", "good", "bad"), [(at_least, 3.5, 3.49), (at_most, 0.55, 0.56)])
def test_a_limit_separates_pass_from_fail(
    make: Callable[[str, float, float, str], Row], good: float, bad: float
) -> None:
    limit = 3.5 if make is not at_most else 0.55
    assert make("name", good, limit, "").status == "PASS"
    assert make("name", bad, limit, "").status == "FAIL"


@pytest.mark.parametrize("make", [at_least, at_most])
def test_a_figure_that_is_not_a_number_never_passes(
    make: Callable[[str, float, float, str], Row],
) -> None:
    assert make("name", math.nan, 1.0, "").status == "FAIL"


@pytest.mark.parametrize(
    ("value", "status"), [(9.9, "holds"), (10.0, "missed"), (math.nan, "missed")]
)
def test_an_absolute_figure_is_held_against_its_limit_and_does_not_gate(
    value: float, status: str
) -> None:
    row = absolute("name", value, 10.0, "", "ms")
    assert (row.status, row.gated, row.limit) == (status, False, "< 10 ms")


def test_what_is_shown_is_not_gated_and_what_has_no_figure_fails() -> None:
    assert shown("name", 1.0, "").gated is False
    assert failed("name", "the node did not start").status == "FAIL"


def test_pairs_give_ratios_and_their_spread() -> None:
    ratios = pair_ratios([8.0, 9.0, 10.0], [2.0, 2.0, 2.0])
    assert ratios == [4.0, 4.5, 5.0]
    assert spread(ratios) == "min 4, median 4.5, max 5 of 3"


def test_the_table_is_plain_text_away_from_a_terminal() -> None:
    output = io.StringIO()
    rows = [at_least("single [POST]", 3.9, 3.5, "min 3.8"), shown("rate", 9000.0, "", "/s")]
    table.show(rows, {"CPU": "any"}, "python -m tests.bench", Console(file=output))
    text = output.getvalue()
    assert "\x1b" not in text
    for piece in (
        "single [POST]",
        ">= 3.5",
        "3.9",
        "PASS",
        "9,000/s",
        "not gated",
        "CPU:",
        "repeat",
    ):
        assert piece in text
