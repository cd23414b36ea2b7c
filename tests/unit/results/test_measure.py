"""Values are short, and never rounded to their limit or across it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.grammar import check
from results.judging.check_result import compared
from results.measure import Measure, Unit, formatted


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("availability >= 100%", 0.999999, "99.9999 %"),
        ("availability > 99%", 0.999999, "100.00 %"),
        ("p99 < 2s", 2000.4, "2,000.4 ms"),
        ("p99 < 2s", 2000.0, "2,000 ms"),
        ("p99 < 2s", 2400.4, "2,400 ms"),
        ("p99 < 250ms", 249.999, "249.999 ms"),
        ("errors < 0.1%", 0.001000004, "0.1000004 %"),
        ("rate > 20,000/s", 19_999.9, "19,999.9/s"),
        ("sum(x) >= 2", 1.999999999, "1.999999999"),
        ("recovery < 15s", 15.00000001, "15.00000001 s"),
    ],
)
def test_a_value_beside_its_limit_is_told_apart(text: str, value: float, shown: str) -> None:
    asked = check(text)
    assert f": {shown} in window" in compared(asked, value, 9).reason


@given(
    measure=st.sampled_from(Measure),
    limit=st.floats(min_value=1e-3, max_value=1e7),
    near=st.floats(min_value=-1e-3, max_value=1e-3),
)
def test_what_is_shown_is_on_the_side_on_which_the_value_is(
    measure: Measure, limit: float, near: float
) -> None:
    value = limit * (1 + near)
    shown = formatted(measure, value, limit=limit)
    number = re.sub(r"( %|/s| ms| s)$", "", shown).replace(",", "")
    told = float(number) / (100 if measure.unit is Unit.SHARE else 1)
    if abs(near) > 1e-9:
        assert (told < limit) is (value < limit)
        assert (told > limit) is (value > limit)
    else:
        # Half of the last digit that is shown: counts are whole, shares have two digits or more.
        half = {Unit.COUNT: 0.5, Unit.SHARE: 5e-5}.get(measure.unit, 0.05)
        assert math.isclose(told, value, rel_tol=1e-3, abs_tol=half)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("measure", Measure)
def test_what_is_no_number_can_be_shown(measure: Measure, value: float) -> None:
    assert str(value) in formatted(measure, value, limit=1.0)
    assert formatted(measure, 1.0, limit=value) == formatted(measure, 1.0)
    assert formatted(measure, None, limit=1.0) == "-"
