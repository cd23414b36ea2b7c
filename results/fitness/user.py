"""Did users do what the scenario says, or fail by exceptions of their own?

This module must not know checks or the target.
"""

from __future__ import annotations

from results.finding import Finding
from results.fitness.counter import rises, worst_by_source
from results.health import USER_ERRORS
from results.timeline import Timeline


def user_errors(timeline: Timeline) -> list[Finding]:
    """A user that failed did not do, or not check, what the scenario says (its own bug)."""
    count = sum(worst_by_source(timeline.health, USER_ERRORS).values())
    first = min(
        (note for note in timeline.annotations if note.label == USER_ERRORS),
        key=lambda note: note.t_s,
        default=None,
    )
    if not count and first is None:
        return []
    what = "" if first is None else f", the first: {first.text}"
    text = (
        f"users failed {max(count, 1):,.0f} time(s) by an exception of their own{what}: see "
        "the log, and mend the scenario"
    )
    return [Finding(USER_ERRORS, text, rises(timeline.health, USER_ERRORS))]
