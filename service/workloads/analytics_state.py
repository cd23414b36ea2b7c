"""What the analytics consumer knows: how far it has read each log, and what it counted. Pure.

A cursor is a place in one log: seq, and the id of the event there. It is checked whenever reading
goes on, since a node can come back with another log: emptied, or put back from a copy. Then reading
starts at 0 again, and what was counted is not counted again: an event is known by its incarnation
and seq, which never mean two events (design D8), and for each incarnation the highest seq that was
counted is kept. A node that was killed and came back with its own log has a new incarnation, but
the same events: its cursor still fits, and reading goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.content import USER_ACTION
from service.events.tables import OWN_STREAM
from service.schema import Event, SaasAction

OTHER_ACTION: Final = "(other)"
"""Anybody can post a `user_action` with any action: totals keep the seven names and this one."""

KEPT_INCARNATIONS: Final = 64
"""Of each node; each unclean start adds one. Older ones could be counted twice after a rewind."""

_ACTIONS: Final = frozenset(get_args(SaasAction))
_Count = Annotated[int, Field(ge=0)]


class Cursor(BaseModel):
    """How far one node's log was read. `counted` is incarnation -> highest seq counted."""

    model_config = ConfigDict(extra="forbid")

    url: str
    seq: _Count = 0
    id: UUID | None = None
    stored_at: _Count = 0
    last_seq: _Count = 0
    processed: _Count = 0
    counted: dict[int, _Count] = Field(default_factory=dict)

    @property
    def lag_events(self) -> int:
        return max(0, self.last_seq - self.seq)

    def lag_s(self, now_us: int) -> float | None:
        """Age of the last event read, in seconds; 0 when caught up, None when none was read."""
        if not self.lag_events:
            return 0.0
        return max(0, now_us - self.stored_at) / 1e6 if self.id is not None else None


class Progress(BaseModel):
    """All of it: cursors by node's name, and totals over all passes."""

    model_config = ConfigDict(extra="forbid")

    cursors: dict[str, Cursor] = Field(default_factory=dict)
    processed_total: _Count = 0
    actions: dict[str, _Count] = Field(default_factory=dict)
    rewinds: _Count = 0


class Tally:
    """One node's share of a pass: a copy of its cursor that moves, and what was counted."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor.model_copy(deep=True)
        self.processed = 0
        self.taken = 0
        """Events that the cursor moved to, whether they count or not."""
        self.actions: Counter[str] = Counter()
        self.rewinds = 0
        self.was_read = False
        self.error: str | None = None

    @property
    def has_more(self) -> bool:
        """Whether reading on would give more now."""
        return self.error is None and self.cursor.lag_events > 0

    def is_place(self, event: Event) -> bool:
        """Whether `event` is the one that the cursor stands on."""
        return event.seq == self.cursor.seq and event.id == self.cursor.id

    def rewind(self) -> None:
        """The log is another one: read it from its start. Counted events stay counted."""
        self.cursor.seq, self.cursor.id, self.cursor.stored_at = 0, None, 0
        self.rewinds += 1

    def take(self, event: Event) -> None:
        """Move to `event` and count it, unless it was counted or is a node's own bookkeeping."""
        cursor = self.cursor
        assert event.seq > cursor.seq, (event.seq, cursor.seq)
        cursor.seq, cursor.id, cursor.stored_at = event.seq, event.id, event.stored_at
        self.taken += 1
        known = cursor.counted.get(event.incarnation, 0)
        if event.seq <= known:
            return
        cursor.counted[event.incarnation] = event.seq
        if len(cursor.counted) > KEPT_INCARNATIONS:
            del cursor.counted[min(cursor.counted)]
        if event.stream is not None and event.stream.startswith(OWN_STREAM):
            return
        self.processed += 1
        cursor.processed += 1
        if event.type == USER_ACTION:
            action = event.data.get("action")
            known = isinstance(action, str) and action in _ACTIONS
            self.actions[str(action) if known else OTHER_ACTION] += 1


def advanced(progress: Progress, tallies: dict[str, Tally]) -> Progress:
    """`progress` after a pass; `tallies` are by node's name."""
    actions = Counter(progress.actions)
    for tally in tallies.values():
        actions.update(tally.actions)
    return Progress(
        cursors={
            **progress.cursors,
            **{name: tally.cursor for name, tally in tallies.items()},
        },
        processed_total=progress.processed_total + sum(t.processed for t in tallies.values()),
        actions=dict(sorted(actions.items())),
        rewinds=progress.rewinds + sum(t.rewinds for t in tallies.values()),
    )
