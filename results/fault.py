"""Faults as they come and go: which ones a run has had, and what may be said of them.

Whoever writes a timeline and whoever reads it holds each fault to the same rules, so that a window
of the name `fault:ID` is that of one fault. Life cycle of a fault: `begin`, then `heal` at most
once. This module must not know windows or what a fault did.
"""

from __future__ import annotations

import re
from dataclasses import replace

from results.second import LATEST_S
from results.timeline import Fault, Timeline

FAULT_REFUSED = "fault_refused"
"""Label of the annotation that says which fault could not be recorded, and why."""

MAX_FAULTS = 1_000
"""Each has windows of its own, over which the whole run is cut."""

LONGEST_NAME = 64

LONGEST_NODE = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class FaultLog:
    """Collects the faults of one run. Every method raises ValueError for what cannot be."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def begin(self, fault: Fault) -> None:
        """A new one, which nobody has seen healed."""
        assert fault.healed_s is None, "it has just begun"
        require_sound(fault)
        id, kind = fault.id, fault.kind
        if id in self._faults:
            raise ValueError(f"fault {id!r} began twice: give each one an id of its own")
        # `fault:NAME` is the one fault of that id, or all of that kind.
        kinds = {known.kind for known in self._faults.values()}
        if id in kinds or kind in self._faults:
            name = id if id in kinds else kind
            raise ValueError(
                f"fault {id!r}: {name!r} is the id of one fault and the kind of another: give each "
                f"an id that is no kind, such as {name}-1"
            )
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"fault {id!r}: a run has at most {MAX_FAULTS:,} faults")
        self._faults[id] = fault

    def heal(self, id: str, at_s: float) -> None:
        """One that has begun is gone."""
        fault = self._faults.get(id)
        if fault is None:
            raise ValueError(f"fault {id[: LONGEST_NAME + 1]!r} healed, but it never began")
        if fault.healed_s is not None:
            raise ValueError(f"fault {id!r} healed twice")
        _require_time(id, at_s)
        if at_s < fault.began_s:
            raise ValueError(
                f"fault {id!r} healed at {at_s} s, before it began ({fault.began_s} s)"
            )
        self._faults[id] = replace(fault, healed_s=at_s)

    @property
    def under_way(self) -> tuple[str, ...]:
        """Ids of those that nobody has seen healed."""
        return tuple(f.id for f in self._faults.values() if f.healed_s is None)

    def faults(self) -> tuple[Fault, ...]:
        """In the order in which they began."""
        return tuple(sorted(self._faults.values(), key=lambda fault: (fault.began_s, fault.id)))


def require_sound(fault: Fault) -> None:
    """Raises ValueError for what is no fault, whatever others there are."""
    _require_name("id", fault.id)
    _require_name("kind", fault.kind)
    node = fault.node
    if not isinstance(node, str) or len(node) > LONGEST_NODE or not node.isprintable():
        raise ValueError(
            f"fault {fault.id!r}: its node is text of at most {LONGEST_NODE} printable characters"
        )
    _require_time(fault.id, fault.began_s)


def fault_doubts(timeline: Timeline) -> list[str]:
    """What nobody knows of the faults, so that the verdict cannot rest on their windows."""
    found = [
        f"fault {fault.id} was never seen healed, so it is taken to have lasted to the plan's end: "
        "see that it is gone"
        for fault in timeline.faults
        if fault.healed_s is None
    ]
    refused = [note.text for note in timeline.annotations if note.label == FAULT_REFUSED]
    return found + [f"a fault could not be recorded: {text}" for text in refused]


def _require_time(id: str, t_s: float) -> None:
    if not abs(t_s) <= LATEST_S:
        raise ValueError(f"fault {id!r}: {t_s} s is more than {LATEST_S:,.0f} s from the origin")


def _require_name(what: str, name: str) -> None:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        shown = name[: LONGEST_NAME + 1] if isinstance(name, str) else name
        raise ValueError(
            f"a fault's {what} is 1 to {LONGEST_NAME} letters, digits, '.', '_' and '-', beginning "
            f"with a letter or digit, not {shown!r}"
        )
