"""The notes and faults of one run, as the process that owns it puts them on the timeline.

Some come from this process, and whoever says something wrong is told so; others from workers, who
have gone on since: what is wrong with a fault of theirs is put on the timeline, and the verdict is
INCONCLUSIVE. Life cycle: one per run; `close` before the timeline ends. This module must not know
where notes come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from results.fault import FAULT_REFUSED, FaultLog
from results.field import Fields
from results.note import MAX_NOTES, left_out_note, sound_note
from results.printable import printable
from results.timeline import Annotation, Fault

NOTE, FAULT, HEALED, LEFT_OUT = "note", "fault", "healed", "notes_left_out"

KINDS = frozenset((NOTE, FAULT, HEALED, LEFT_OUT))
"""Kinds of reports that a note book takes."""

logger = logging.getLogger(__name__)


class NoteWriter(Protocol):
    """What it needs of a timeline's writer."""

    def annotation(self, annotation: Annotation) -> None: ...
    def fault_began(self, fault: Fault) -> None: ...
    def fault_healed(self, id: str, at_s: float) -> None: ...


Write = Callable[[Callable[[Any], None], object], None]
"""Has a record written by a method of the timeline's writer, if the disk still takes it."""


class NoteBook:
    """Holds notes to their number, and faults to the rules of `FaultLog`."""

    def __init__(self, timeline: NoteWriter, write: Write) -> None:
        self._timeline = timeline
        self._write = write
        self._faults = FaultLog()
        self._notes = 0
        self._left_out = 0

    def take(self, kind: str, report: Mapping[str, object]) -> None:
        """Raises ValueError for what is no note and no fault, or contradicts what was said."""
        fields = Fields(report, kind)
        match kind:
            case "note":
                said = sound_note(fields.number("t_s"), fields.text("text"), fields.text("label"))
                fields.end()
                self._note(said)
            case "fault":
                id, what, node = (fields.text(name) for name in ("id", "fault", "node"))
                fault = Fault(id, what, node, fields.number("t_s"))
                fields.end()
                self._faults.begin(fault)
                self._write(self._timeline.fault_began, fault)
            case "healed":
                id, at_s = fields.text("id"), fields.number("t_s")
                fields.end()
                self._faults.heal(id, at_s)
                self._write(lambda _: self._timeline.fault_healed(id, at_s), None)
            case "notes_left_out":
                self._left_out += fields.whole("count", least=0)
            case _:
                raise ValueError(f"{kind!r} is neither a note nor a fault")

    def take_shipped(self, kind: str, report: Mapping[str, object]) -> None:
        """The same of another process, which cannot be told."""
        try:
            self.take(kind, report)
        except ValueError as error:
            logger.error("a worker's %s could not be recorded: %s", kind, error)
            if kind in (FAULT, HEALED):
                t_s = report.get("t_s")
                at_s = t_s if isinstance(t_s, float) else 0.0
                refused = Annotation(at_s, FAULT_REFUSED, printable(str(error)))
                self._write(self._timeline.annotation, refused)

    def _note(self, said: Annotation) -> None:
        if self._notes >= MAX_NOTES:
            self._left_out += 1
            return
        self._notes += 1
        self._write(self._timeline.annotation, said)

    @property
    def under_way(self) -> tuple[str, ...]:
        """Ids of the faults that nobody has seen healed."""
        return self._faults.under_way

    def close(self, t_s: float) -> None:
        """Say how many notes were left out, if any."""
        if self._left_out:
            self._write(self._timeline.annotation, left_out_note(t_s, self._left_out))
