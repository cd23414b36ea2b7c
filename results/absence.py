"""Workers that were away: what the master writes of them, and what it says to people.

A worker is away when its beats stop for the length of a lease. The master writes one line of health
under the worker's name when it gives the share to others, another when the worker is back; all that
is said of it is said from these lines. This module must not know how anybody is heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from results.timeline import Health

AWAY = "away"
"""1 from the moment at which others got the share, 0 from the return on."""
HEARD_S = "away_heard_s"
"""When its last beat came, in seconds since the run's origin."""
SHARE = "away_share"
"""Its part of the load, 0 to 1."""
LEFT = "away_left"
"""1 for one that said that it is done; absent for one that was lost."""
OTHERS = "away_others"
"""How many workers were there to take it over."""
LAST_SECOND = "away_last_second"
"""The last second that it has reported; absent when it has reported none."""
UNREPORTED_S = "away_unreported_s"
"""From that second's end to its lease's end: for so long it may have sent what nobody knows of."""
RATE = "away_rate_per_s"
"""Requests that ended in the last second that it has reported."""


@dataclass(frozen=True, slots=True)
class Absence:
    """`taken_s` is when others got its share. `back_s` is None for one that did not come back."""

    source: str
    heard_s: float
    taken_s: float
    share: float
    others: int
    unreported_s: float
    last_second: int | None = None
    rate_per_s: float = 0.0
    back_s: float | None = None
    has_left: bool = False

    def lines(self) -> tuple[Health, ...]:
        """As the master writes it: one line, two when it is over."""
        values = {
            AWAY: 1.0,
            HEARD_S: round(self.heard_s, 3),
            SHARE: round(self.share, 4),
            OTHERS: float(self.others),
            UNREPORTED_S: round(self.unreported_s, 3),
            RATE: round(self.rate_per_s, 1),
        }
        if self.last_second is not None:
            values[LAST_SECOND] = float(self.last_second)
        if self.has_left:
            values[LEFT] = 1.0
        began = Health(round(self.taken_s, 3), self.source, values)
        if self.back_s is None:
            return (began,)
        return (began, Health(round(self.back_s, 3), self.source, {AWAY: 0.0}))

    def text(self) -> str:
        """One sentence, without the worker's name."""
        if self.back_s is None and self.has_left:
            return (
                f"left: it said at {self.heard_s:.1f} s that it was done, and reported all; "
                f"{self._taken_over()}"
            )
        if self.back_s is None:
            return (
                f"was lost: its last beat came at {self.heard_s:.1f} s, {self._missing()}; "
                f"{self._unreported()}"
            )
        return f"was away from {self.heard_s:.1f} s to {self.back_s:.1f} s, {self._missing()}"

    def _taken_over(self) -> str:
        share = f"its share ({self.share:.0%} of the load)"
        if not self.others:
            return f"{share} was missing until the end, since no other worker was there"
        who = "another worker" if self.others == 1 else f"{self.others} others"
        return f"{who} took {share} over then"

    def _missing(self) -> str:
        share = f"its share ({self.share:.0%} of the load) was missing"
        if self.others:
            who = "another worker" if self.others == 1 else f"{self.others} others"
            return f"{share} until {who} took it over at {self.taken_s:.1f} s"
        until = "the end" if self.back_s is None else "then"
        return f"{share} until {until}, since no other worker was there"

    def _unreported(self) -> str:
        if self.last_second is None:
            return "it has reported nothing"
        told = f"its last report told of second {self.last_second}"
        if self.unreported_s <= 0:
            return f"{told}, nothing of it is missing"
        about = self.rate_per_s * self.unreported_s
        return (
            f"{told}, so at most {self.unreported_s:.1f} s of its requests, about {about:,.0f} by "
            "its last rate, are missing"
        )


def absences(lines: Iterable[Health]) -> tuple[Absence, ...]:
    """All of a run, in the order in which they began."""
    found: list[Absence] = []
    open_by_source: dict[str, int] = {}
    for line in sorted((one for one in lines if AWAY in one.values), key=lambda one: one.t_s):
        position = open_by_source.pop(line.source, None)
        if line.values[AWAY]:
            if position is None:
                open_by_source[line.source] = len(found)
                found.append(_absence(line))
            else:
                open_by_source[line.source] = position
        elif position is not None:
            found[position] = replace(found[position], back_s=line.t_s)
    return tuple(found)


def _absence(line: Health) -> Absence:
    values = line.values
    last = values.get(LAST_SECOND)
    return Absence(
        line.source,
        heard_s=values.get(HEARD_S, line.t_s),
        taken_s=line.t_s,
        share=values.get(SHARE, 0.0),
        others=int(values.get(OTHERS, 0.0)),
        unreported_s=values.get(UNREPORTED_S, 0.0),
        last_second=None if last is None else int(last),
        rate_per_s=values.get(RATE, 0.0),
        has_left=bool(values.get(LEFT, 0.0)),
    )
