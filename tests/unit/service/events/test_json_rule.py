"""How deep a JSON text is, told without walking its value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.json_rule import may_be_deep

TEXTS = st.text(alphabet='[]{}"\\:,a\u00e9', max_size=8)
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, 6))
def test_the_depth_of_a_text_is_that_of_its_value(value: Any, deepest: int) -> None:
    assert may_be_deep(orjson.dumps(value), deepest) == (depth(value) > deepest)


@pytest.mark.parametrize("levels", [63, 64, 65, 200])
def test_brackets_in_strings_and_beside_each_other_are_no_levels(levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    for text in (deep, b"[" * 200 + b"]" * 200, b'{"a\\"[[[":[%b,%b]}' % (deep, deep)):
        assert may_be_deep(text, 64) == (depth(orjson.loads(text)) > 64)
    assert not may_be_deep(b'["' + b"[{" * 500 + b'",' + b"[]," * 500 + b"{}]", 64)
