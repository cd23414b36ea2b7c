"""A reason why the generator was not fit, and when it was not.

The words that the modules of `results.fitness` and everything that shows them share. This module
must not judge anything.
"""

from __future__ import annotations

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
