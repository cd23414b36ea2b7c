"""Where two JSON documents differ, field by field.

For a verdict that was written and the one that is computed again. This module must not know what
the fields mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

from results.printable import printable

CLOSE = 1e-9
"""Numbers this near to each other, relatively, are the same: other machines may add up in another
order."""

_LONGEST_VALUE = 60
_LEAD = 10
"""Characters that are shown before two texts part."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, such as `checks[2].value`, with what either document says, as text.

    `is_lacking`: the stated document has no such field at all. `path` is the names from the
    document to it, `*` for any entry of a list.
    """

    place: str
    stated: str
    computed: str
    is_lacking: bool = False
    path: tuple[str, ...] = ()


def differences(
    stated: object, computed: object, place: str = "", path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """Of documents that JSON could have given; in order of `computed`. Lengths differ as one."""
    if isinstance(stated, dict) and isinstance(computed, dict):
        for name in [*computed, *(name for name in stated if name not in computed)]:
            inner = f"{place}.{printable(name, _LONGEST_VALUE)}" if place else printable(name)
            yield from _of_field(stated, computed, name, inner, (*path, name))
    elif isinstance(stated, list) and isinstance(computed, list):
        if len(stated) != len(computed):
            yield Difference(place, f"{len(stated)} entries", f"{len(computed)} entries")
        for n, (one, other) in enumerate(zip(stated, computed, strict=False)):
            yield from differences(one, other, f"{place}[{n}]", (*path, "*"))
    elif isinstance(stated, str) and isinstance(computed, str):
        if stated != computed:
            yield Difference(place or "the document", *_where_apart(stated, computed))
    elif not _is_same(stated, computed):
        yield Difference(place or "the document", _shown(stated), _shown(computed))


def _of_field(
    stated: dict[str, object],
    computed: dict[str, object],
    name: str,
    place: str,
    path: tuple[str, ...],
) -> Iterator[Difference]:
    if name not in stated:
        yield Difference(place, "nothing", _shown(computed[name]), is_lacking=True, path=path)
    elif name not in computed:
        yield Difference(place, _shown(stated[name]), "nothing")
    else:
        yield from differences(stated[name], computed[name], place, path)


def _where_apart(one: str, other: str) -> tuple[str, str]:
    """Both, from shortly before the first character that differs."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
    start = same - _LEAD if same > 2 * _LEAD else 0
    mark = "…" if start else ""
    return _shown(mark + one[start:]), _shown(mark + other[start:])


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or _is_close(one, other)
    return type(one) is type(other) and one == other


def _is_close(one: float, other: float) -> bool:
    try:
        return math.isclose(one, other, rel_tol=CLOSE)
    except OverflowError:
        # Beyond what a float holds, which nothing is that was computed.
        return False


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f'"{printable(value, _LONGEST_VALUE)}"'
    return printable(json.dumps(value), _LONGEST_VALUE)
