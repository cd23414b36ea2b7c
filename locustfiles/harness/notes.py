"""Says something on the timeline of the run that this process takes part in.

    from locustfiles.harness import fault_began, fault_healed, note
    note("deployed build 42", label="deploy")
    fault_began("kill-1", kind="kill", node="http://127.0.0.1:8001")
    fault_healed("kill-1")

For locustfiles, shapes and whatever injects faults, in the only process, the master and workers
alike: there is one run in a process at a time, so nobody needs to be handed anything. What a worker
says is shipped to the master, with the time of the master's clock. Life cycle: `open_desk` when a
run begins here; `settle_desk` in a worker whose part of it has ended, where faults may still heal
while the master waits for that; `close_desk` when the run is over. This module must not know
timelines or runners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from locustfiles.harness.note_book import FAULT, HEALED, LEFT_OUT, NOTE
from results.fault import require_sound
from results.note import MAX_NOTES, sound_note
from results.redaction import redacted_url
from results.timeline import Annotation, Fault

Send = Callable[[str, dict[str, Any]], None]
"""Takes a kind of `note_book.KINDS` and its report; may raise ValueError."""


@dataclass(slots=True)
class _Desk:
    """Where a run of this process takes notes."""

    send: Send
    elapsed_s: Callable[[], float]
    notes: int = 0
    left_out: int = 0

    def now_s(self) -> float:
        return round(self.elapsed_s(), 3)


_desks: list[_Desk] = []
"""The run of this process, if there is one."""


def open_desk(send: Send, elapsed_s: Callable[[], float]) -> None:
    """A run begins in this process. `elapsed_s` are seconds since its second 0."""
    _desks[:] = [_Desk(send, elapsed_s)]


def settle_desk() -> None:
    """Say how many notes were left out so far, as long as somebody counts them."""
    for desk in _desks:
        if desk.left_out:
            count, desk.left_out = desk.left_out, 0
            desk.send(LEFT_OUT, {"count": count})


def close_desk() -> None:
    """The run is over: whoever says more is told so. Idempotent."""
    settle_desk()
    _desks.clear()


def note(text: str, label: str = "note") -> Annotation:
    """Put a mark on the timeline, now: it is shown with the plots, and changes no verdict.

    Returns it as it is written: cut to 500 characters, secrets replaced. What comes after 1,000
    notes is only counted. Raises ValueError for an empty text or a label that is none, LookupError
    outside of a run.
    """
    desk = _desk("a note")
    said = sound_note(desk.now_s(), text, label)
    if desk.notes >= MAX_NOTES:
        desk.left_out += 1
        return said
    desk.notes += 1
    desk.send(NOTE, {"t_s": said.t_s, "label": said.label, "text": said.text})
    return said


def fault_began(id: str, kind: str, node: str = "") -> None:
    """A fault took effect, now. The run gets the windows `fault:ID` and `recovery:ID`.

    `node` says whom it hit. Raises ValueError for names that are none, and where this process owns
    the run for an id that there was; LookupError outside of a run.
    """
    desk = _desk("a fault")
    # What is no text is refused below.
    shown = redacted_url(node) if isinstance(node, str) else node
    fault = Fault(id, kind, shown, desk.now_s())
    require_sound(fault)
    desk.send(FAULT, {"t_s": fault.began_s, "id": id, "fault": kind, "node": fault.node})


def fault_healed(id: str) -> None:
    """That fault is gone, now. Raises ValueError, where this process owns the run, for one that
    never began or is gone already; LookupError outside of a run."""
    desk = _desk("a fault")
    if not isinstance(id, str):
        raise ValueError(f"a fault's id is text, not {type(id).__name__}")
    desk.send(HEALED, {"t_s": desk.now_s(), "id": id})


def _desk(what: str) -> _Desk:
    if not _desks:
        raise LookupError(
            f"{what} belongs to a run, and none goes on in this process: say it between Locust's "
            "test_start and test_stop, in a locustfile with strap_in(…) or judge(…)"
        )
    return _desks[0]
