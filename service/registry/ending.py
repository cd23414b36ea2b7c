"""Stores the ends of registrations: in one batch, or in as few as the ids that are taken allow.

The id of an end follows from that of its registration. Clients cannot store events under such ids
any more; where a log of before holds one, it must stop neither this end nor the others of a batch.
The caller holds the turns of the names. This module decides nothing about which registrations end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.errors import IdConflict
from service.events.own_log import OwnLog
from service.registry import facts
from service.registry.model import Entry, Registration


async def store_ends(
    own: OwnLog[Registration],
    entries: Sequence[Entry],
    type: facts.End,
    apply: Callable[[Sequence[Entry]], None],
    *,
    correlation_id: str,
    now_us: int,
    number: int = 1,
) -> None:
    """Store the ends of `entries`, under the ids of this number or later ones; `apply` gets each
    batch once it is stored. Raises what the log's append raises but IdConflict."""
    writes = [facts.end_write(one, type, correlation_id, now_us, number) for one in entries]
    try:
        await own.append(writes, lambda _: apply(entries))
    except IdConflict:
        middle = len(entries) // 2
        halves = (entries[:middle], entries[middle:]) if middle else (entries,)
        for half in halves:
            await store_ends(
                own,
                half,
                type,
                apply,
                correlation_id=correlation_id,
                now_us=now_us,
                number=number if middle else number + 1,
            )
