"""How late arrivals start: the generator's own delay between intended and actual start.

Late starts are in the corrected latency, where they would be blamed on the target; so they are
measured apart, and a generator that is too late is not fit (results.health). Pure.
"""

from __future__ import annotations

import math

MAX_KEPT = 100_000
"""Between two lines of health: 20 s at 5,000/s. What comes after counts in the maximum alone."""


class Lateness:
    """One per process: `add` for every arrival that is decided on, `take` once a second."""

    def __init__(self) -> None:
        self._late_us: list[int] = []
        self._most_us: int | None = None

    def add(self, late_us: int) -> None:
        """Microseconds from the intended start to the actual one, or to the decision not to."""
        late_us = max(0, late_us)
        if len(self._late_us) < MAX_KEPT:
            self._late_us.append(late_us)
        if self._most_us is None or late_us > self._most_us:
            self._most_us = late_us

    def take(self) -> tuple[float, float] | None:
        """99th percentile and maximum in ms since the last call; None when nothing was due."""
        if self._most_us is None:
            return None
        late_us, most_us = sorted(self._late_us), self._most_us
        self._late_us, self._most_us = [], None
        return late_us[math.ceil(0.99 * len(late_us)) - 1] / 1000, most_us / 1000
