"""The node's own streams: how its parts keep their state in the log, and read it back.

Configuration, registry, jobs and analytics are projections of the log (docs/decisions/0007): what
they acknowledge is an event in a stream whose name starts with `$`, and their state is what these
events add up to. Clients cannot append to such streams, so nobody can forge a part's state. A part
that writes a snapshot now and then reads back that one and what came after it, not all of the log.
No I/O of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from service.events.query import Position, encode_cursor
from service.events.store import EventQuery, EventStore
from service.events.tables import OWN_STREAM
from service.schema import Event

__all__ = ["OWN_STREAM", "newest_own", "own_events"]

PAGE_EVENTS = 500


async def newest_own(store: EventStore, type: str) -> Event | None:
    """The last own event of this type, such as a snapshot. Raises as the store's query."""
    page = await store.query(EventQuery(type=type, order_by="-seq", limit=1, own=True))
    return page.events[0] if page.events else None


async def own_events(
    store: EventStore, types: Sequence[str], after: int = 0
) -> AsyncIterator[Event]:
    """Own events of these types with seq > `after`, in order of seq, up to the log's end now.

    Raises as the store's query. One page of each type is in memory at a time.
    """
    pages = {type: await _page(store, type, after) for type in types}
    while True:
        heads = [page[0] for page in pages.values() if page]
        if not heads:
            return
        event = min(heads, key=lambda one: one.seq)
        page = pages[event.type]
        page.pop(0)
        if not page:
            page += await _page(store, event.type, event.seq)
        yield event


async def _page(store: EventStore, type: str, after: int) -> list[Event]:
    cursor = encode_cursor("seq", Position(after, after))
    found = await store.query(
        EventQuery(type=type, order_by="seq", limit=PAGE_EVENTS, cursor=cursor, own=True)
    )
    return list(found.events)
