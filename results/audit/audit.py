"""What became of the writes: the ledger held against what the nodes have stored.

The words that checks, verdict and report share. This module must not read files or ask nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from results.windows import Window


class Fate(StrEnum):
    """What became of one write (D13). Each write has one, the first that is true of it.

    Refused: `phantom` when it is stored all the same, else `refused`, or `unread` where not every
    node could be read. Of the others, if found: `altered` (stored with another content),
    `duplicated` (more than once on one node), `redelivered` (under two origins, after a client's
    failover), and else `present` when acknowledged, `stored` when the outcome is unknown. If not
    found, and every read that could have found it succeeded: `lost` when acknowledged, else
    `absent`. If not found, and not every such read succeeded: `unverified`, else `unread`.
    """

    PRESENT = "present"
    LOST = "lost"
    UNVERIFIED = "unverified"
    ALTERED = "altered"
    DUPLICATED = "duplicated"
    REDELIVERED = "redelivered"
    STORED = "stored"
    ABSENT = "absent"
    UNREAD = "unread"
    REFUSED = "refused"
    PHANTOM = "phantom"


MEANING: Mapping[Fate, str] = {
    Fate.PRESENT: "acknowledged, and stored",
    Fate.LOST: "acknowledged, and on none of the nodes, all of which could be read",
    Fate.UNVERIFIED: "acknowledged, and not found on those nodes that could be read",
    Fate.ALTERED: "stored with another content than was sent",
    Fate.DUPLICATED: "stored more than once on one node",
    Fate.REDELIVERED: "stored under two nodes of origin, after its client turned to another",
    Fate.STORED: "no answer told what became of it; it is stored",
    Fate.ABSENT: "no answer told what became of it; it is not stored",
    Fate.UNREAD: "not acknowledged, and not found on those nodes that could be read",
    Fate.REFUSED: "refused, and not stored",
    Fate.PHANTOM: "refused, and stored all the same",
}
"""In words that verdict, page and report share, as `docs/ledger.md` has them."""

FAULTS = frozenset({Fate.LOST, Fate.UNVERIFIED, Fate.ALTERED, Fate.DUPLICATED, Fate.PHANTOM})
"""What nobody wants to see of any write."""


class Place(NamedTuple):
    """Where a write ended: the node that was sent to, and the second in which it answered; of
    several times that it was sent, the last of those that ended best."""

    node: str
    second: int


@dataclass(frozen=True, slots=True)
class Audit:
    """`counts` holds how many writes of each place had which fate; `examples` some ids of each
    fate that is a fault, as hex. `compared` is for how many of each place the content that is
    stored was held against what was sent: where nobody knows both, nothing is altered nor known not
    to be. `unseen` is how many that have another fate may have this one, for all that is known: a
    node that they were sent to could not be read. Those that are unverified are not among them.

    `not_made` says why there was no audit, else it is None. `unread_nodes` names nodes that could
    not be read, with the reason; `doubts` is what keeps the audit from being believed.
    `is_asked_for` is false where nobody named an auditor, which is no fault.
    """

    counts: Mapping[Place, Mapping[Fate, int]]
    examples: Mapping[Fate, Sequence[str]] = field(default_factory=dict)
    unread_nodes: Mapping[str, str] = field(default_factory=dict)
    not_made: str | None = None
    doubts: Sequence[str] = ()
    is_asked_for: bool = True
    compared: Mapping[Place, int] = field(default_factory=dict)
    unseen: Mapping[Place, Mapping[Fate, int]] = field(default_factory=dict)
    _seconds: Mapping[int, Sequence[Place]] = field(init=False, repr=False, compare=False)
    """A thousand faults have two thousand windows, of some seconds each."""

    def __post_init__(self) -> None:
        seconds: dict[int, list[Place]] = {}
        for place in sorted({*self.counts, *self.compared, *self.unseen}):
            seconds.setdefault(place.second, []).append(place)
        object.__setattr__(self, "_seconds", dict(sorted(seconds.items())))

    def of(self, window: Window | None = None, node: str | None = None) -> dict[Fate, int]:
        """Writes by fate: all of them, or those that ended in the window, or at the node."""
        places = self._places(window)
        if node is not None:
            places = [place for place in places if place.node == node]
        return _sum(self.counts, places)

    def by_node(self, window: Window | None = None) -> dict[str, dict[Fate, int]]:
        """As `of`, for each node at which any of them ended."""
        by_node: dict[str, list[Place]] = {}
        for place in self._places(window):
            by_node.setdefault(place.node, []).append(place)
        return {node: _sum(self.counts, places) for node, places in by_node.items()}

    def compared_in(self, window: Window | None = None) -> int:
        """Writes whose content was compared: all of them, or those that ended in the window."""
        return sum(self.compared.get(place, 0) for place in self._places(window))

    def unseen_in(self, window: Window | None = None) -> dict[Fate, int]:
        """Writes that may have these fates: of all, or of those that ended in the window."""
        return _sum(self.unseen, self._places(window))

    def _places(self, window: Window | None) -> list[Place]:
        """In order of their seconds."""
        if window is None:
            return [place for places in self._seconds.values() for place in places]
        known = list(self._seconds)
        return [
            place
            for span in window.seconds()
            for second in known[bisect_left(known, span.start) : bisect_left(known, span.stop)]
            for place in self._seconds[second]
        ]


def _sum(each: Mapping[Place, Mapping[Fate, int]], places: Iterable[Place]) -> dict[Fate, int]:
    total: dict[Fate, int] = {}
    for place in places:
        for fate, count in each.get(place, {}).items():
            total[fate] = total.get(fate, 0) + count
    return total
