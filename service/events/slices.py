"""Large batches in slices: where a JSON array may be cut, and work that lets others run in between.

A batch of 16 MiB takes a node's loop most of a second to read; nobody, not even /health, would be
answered in the meantime. So large bodies are read a slice at a time. Pure but for `in_turns`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import Final, TypeVar

SLICE_BYTES: Final = 128 * 2**10
"""About 4 ms of parsing; smaller bodies are read at once."""

TURN_S: Final = 0.005
_TRIES: Final = 4

_BETWEEN: Final = re.compile(
    rb"\}[ \t\r\n]*(,)[ \t\r\n]*\{[ \t\r\n]*"
    rb'"(?:type|id|data|metadata|correlation_id|created_at|stream|expected_version)"'
)
"""The end of one event and the start of the next, or something in an event that looks like it."""

T = TypeVar("T")


def start_of(array: bytes) -> int | None:
    """Behind the opening bracket; None for what is no array."""
    inside = array.lstrip(b" \t\r\n")
    return len(array) - len(inside) + 1 if inside[:1] == b"[" else None


def cuts(array: bytes, start: int) -> Iterator[int]:
    """Places of commas that may end a slice which begins with an event at `start`; none when what
    is left is no more than a slice.

    A place is right if and only if what lies before it is a sequence of whole JSON values, since a
    text is read from left to right: whoever parses the slice finds out. Those with as many opening
    as closing braces before them come first; braces in texts can make that wrong.
    """
    if len(array) - start <= SLICE_BYTES:
        return
    begin = start + SLICE_BYTES
    place, deep = start, 0
    tries = _TRIES
    others: list[int] = []
    for found in _BETWEEN.finditer(array, begin, begin + SLICE_BYTES):
        cut = found.start(1)
        deep += array.count(b"{", place, cut) - array.count(b"}", place, cut)
        place = cut
        if deep:
            if len(others) < _TRIES:
                others.append(cut)
            continue
        yield cut
        tries -= 1
        if not tries:
            return
    yield from others[:tries]


async def in_turns(work: Generator[None, None, T]) -> T:
    """Run `work` to its end, others in between whenever it yields and its turn is over."""
    ends_s = perf_counter() + TURN_S
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if perf_counter() >= ends_s:
            await asyncio.sleep(0)
            ends_s = perf_counter() + TURN_S
