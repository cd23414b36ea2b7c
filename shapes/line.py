"""A compiled profile: disjoint lines, and questions to them that stay cheap however many there are.

A day of a recorded trace is 86,400 lines, and the shape, the plan and the report ask for each of
its seconds. So the sum of a profile's segments is compiled once into lines that follow each other
without gaps, and every question is answered by bisection over their starts, over prefix sums (the
integral) and over a tree of maxima (the peak): O(log n) each. This module must not know phases,
units or builders.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Line:
    """A straight piece: from `from_level` at start_s to `to_level` just before end_s.

    start_s < end_s, in seconds since the profile's start. Levels are users or arrivals per second.
    """

    start_s: float
    end_s: float
    from_level: float
    to_level: float

    def value(self, t_s: float) -> float:
        """level(t) = from + (to - from) * (t - start) / (end - start), for start <= t <= end."""
        if t_s == self.end_s:
            # The equation's rounding could miss it by a bit.
            return self.to_level
        share = (t_s - self.start_s) / (self.end_s - self.start_s)
        return self.from_level + (self.to_level - self.from_level) * share

    def area(self, start_s: float, end_s: float) -> float:
        """The trapezoid under [start_s, end_s], which lies within the line: exact."""
        return (end_s - start_s) * (self.value(start_s) + self.value(end_s)) / 2


class LineIndex:
    """Answers about lines that are in order, without gaps, from 0 s on; at least one."""

    __slots__ = ("_areas", "_lines", "_starts", "_tops")

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._starts = [line.start_s for line in lines]
        areas = (line.area(line.start_s, line.end_s) for line in lines)
        self._areas = list(accumulate(areas, initial=0.0))
        self._tops = _tree_of_maxima([max(line.from_level, line.to_level) for line in lines])

    def target(self, t_s: float) -> float:
        """The level at t_s; 0 before the first line and from the end of the last on."""
        if t_s < self._starts[0] or t_s >= self._lines[-1].end_s:
            return 0.0
        return self._lines[self._at(t_s)].value(t_s)

    def peak(self, start_s: float, end_s: float) -> float:
        """The largest level in [start_s, end_s], those just before a step included.

        Lines have their maximum at one of their ends, or where the interval cuts them.
        """
        low, high = self._within(start_s, end_s)
        if low > high or start_s >= self._lines[-1].end_s:
            return 0.0
        first, last = self._at(low), self._at(high)
        if first == last:
            line = self._lines[first]
            return max(line.value(low), line.value(high))
        begun, ended = self._lines[first], self._lines[last]
        return max(
            begun.value(low),
            begun.to_level,
            self._highest(first + 1, last),
            ended.from_level,
            ended.value(high),
        )

    def integral(self, start_s: float, end_s: float) -> float:
        """The area under the lines in [start_s, end_s], as exact as floats sum trapezoids."""
        low, high = self._within(start_s, end_s)
        if low >= high:
            return 0.0
        first, last = self._at(low), self._at(high)
        begun, ended = self._lines[first], self._lines[last]
        if first == last:
            return begun.area(low, high)
        between = self._areas[last] - self._areas[first + 1]
        return begun.area(low, begun.end_s) + between + ended.area(ended.start_s, high)

    def _at(self, t_s: float) -> int:
        return bisect_right(self._starts, t_s) - 1

    def _within(self, start_s: float, end_s: float) -> tuple[float, float]:
        return max(start_s, self._starts[0]), min(end_s, self._lines[-1].end_s)

    def _highest(self, first: int, last: int) -> float:
        """The largest of lines first <= i < last; 0 when there are none."""
        size = len(self._lines)
        low, high, best = first + size, last + size, 0.0
        while low < high:
            if low & 1:
                best = max(best, self._tops[low])
                low += 1
            if high & 1:
                high -= 1
                best = max(best, self._tops[high])
            low, high = low >> 1, high >> 1
        return best


def _tree_of_maxima(values: list[float]) -> list[float]:
    """A segment tree: leaf i at len(values) + i, each node the larger of its two children."""
    size = len(values)
    tree = [0.0] * size + values
    for node in range(size - 1, 0, -1):
        tree[node] = max(tree[2 * node], tree[2 * node + 1])
    return tree
