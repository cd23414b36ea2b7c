"""A reason why the generator was not fit, and when it was not.

The words that the modules of `results.fitness` and everything that shows them share. This module
must not judge anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Mark:
    """A process was not fit from `from_s` to `to_s`, in seconds since the run's origin."""

    source: str
    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        return self.to_s - self.from_s

    def within(self, start_s: float, end_s: float) -> Mark | None:
        """The part of it that lies in the interval; None when there is none."""
        from_s, to_s = max(self.from_s, start_s), min(self.to_s, end_s)
        return replace(self, from_s=from_s, to_s=to_s) if from_s < to_s else None


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why the generator was not fit. `code` is stable, `text` for people.

    `marks` say when, as far as that is known. A finding voids the run with marks or without.
    """

    code: str
    text: str
    marks: tuple[Mark, ...] = ()


Interval = tuple[float, float]
"""(start_s, end_s), half-open."""


def joined(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The same seconds of each source without overlaps, by source and time."""
    found: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (one.source, one.from_s, one.to_s)):
        last = found[-1] if found else None
        if last is not None and last.source == mark.source and mark.from_s <= last.to_s:
            found[-1] = replace(last, to_s=max(last.to_s, mark.to_s))
        else:
            found.append(mark)
    return tuple(found)


def touching(
    findings: Iterable[Finding], intervals: Sequence[Interval]
) -> Iterator[tuple[str, Mark]]:
    """Code and mark of whatever touches any of the intervals; the marks as a whole."""
    for finding in findings:
        for mark in finding.marks:
            if any(mark.within(*interval) for interval in intervals):
                yield finding.code, mark


def unfit_s(findings: Iterable[Finding], intervals: Iterable[Interval]) -> float:
    """Seconds of the intervals in which any process was not fit, for any reason; each once."""
    marks = [mark for finding in findings for mark in finding.marks]
    inside = (mark.within(*interval) for interval in intervals for mark in marks)
    anybody = joined(replace(mark, source="") for mark in inside if mark is not None)
    return sum(mark.length_s for mark in anybody)
