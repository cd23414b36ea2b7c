"""The parts of one analytics pass: whose log, in which shares, and what is told of each.

`analytics.py` makes a pass of them; this module stores nothing.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Final, NamedTuple

from service.cluster.peers import Peer
from service.schema_analytics import AnalyticsNode
from service.workloads.analytics_feed import Log, read_on
from service.workloads.analytics_state import Cursor, Tally

PER_EVENT_MS: Final = 100
LONGEST_PASS_MS: Final = 5_900
"""With what storing takes, a pass ends within 6 s: before a client's own limit of 8 s."""

READ_S: Final = 4.0
NODE_S: Final = 1.5
"""A node that does not answer costs a pass so much, all of them together READ_S."""

_ROUNDS: Final = 2
"""What a node that caught up leaves of its share goes to the others."""


class Source(NamedTuple):
    """One app node: `log` is None while it cannot be read, `why` says so; `peer` unless it is
    this node."""

    name: str | None
    url: str
    log: Log | None
    why: str = ""
    peer: Peer | None = None


def prescribed_ms(processed: int) -> int:
    """P1-11: 100 ms for each event; a pass as a whole is capped (5 s for 50 events)."""
    return min(PER_EVENT_MS * processed, LONGEST_PASS_MS)


def batch_size(processed: int) -> str:
    """The tag of P1-11's counter: a bounded set of words."""
    if processed <= 10:
        return "1-10"
    return "11-50" if processed <= 50 else "51+"


async def share_out(named: list[tuple[Log, Tally]], limit: int) -> None:
    """Read `limit` events in all, in the order given; a first round with equal shares, then a
    second one for what was left."""
    ends_s = perf_counter() + READ_S
    left = limit
    for number in range(_ROUNDS):
        turn = [one for one in named if number == 0 or one[1].has_more]
        for index, (log, tally) in enumerate(turn):
            time_s = min(NODE_S, ends_s - perf_counter())
            if time_s <= 0:
                if not tally.was_read:
                    tally.error = "no time was left for it in this pass"
                continue
            before = tally.processed
            await read_on(log, tally, math.ceil(left / (len(turn) - index)), time_s)
            left -= tally.processed - before
        if not left:
            return


def known_lag(cursor: Cursor) -> float:
    """A log that was never read is taken to lag most."""
    return cursor.lag_events if cursor.last_seq else math.inf


def row_of(source: Source, tallies: dict[str, Tally], now_us: int) -> AnalyticsNode:
    tally = tallies.get(source.name or "") or Tally(Cursor(url=source.url))
    cursor = tally.cursor
    lag_s = cursor.lag_s(now_us)
    return AnalyticsNode(
        node=source.name,
        url=source.url,
        processed=tally.processed,
        cursor=cursor.seq,
        last_seq=cursor.last_seq,
        lag_events=cursor.lag_events,
        lag_s=None if lag_s is None else round(lag_s, 6),
        error=tally.error or (source.why if source.log is None else None),
    )


def greatest_lag_s(nodes: list[AnalyticsNode]) -> float:
    return max((node.lag_s or 0.0 for node in nodes), default=0.0)


def why_not(source: Source, tallies: dict[str, Tally]) -> str:
    tally = tallies.get(source.name or "")
    return f"{source.name or source.url}: {(tally and tally.error) or source.why}"
