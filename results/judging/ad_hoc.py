"""Runs without a plan: a person starts, edits and stops the users, in Locust's web UI.

Such a run has no phases, no planned load and no length, so that what counts, shares and phases say
means nothing; what is wrong with the answers is wrong with any number of users. This module says
which of a scenario's checks stay, and must not evaluate them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from results.check import Check
from results.measure import OF_WRITES, Bound, Measure
from results.windows import RUN

_OF_ANSWERS = (
    Measure.ERROR_RATE,
    Measure.ERRORS,
    Measure.AVAILABILITY,
    Measure.LATENCY,
    Measure.MEAN_LATENCY,
)


def applying(
    checks: Sequence[Check], observed: Collection[str], *, wrote: bool = True
) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Those that apply without a plan, and those that are left out; both in their order.

    `observed` names the run's figures: one of what must never happen (`at_most=0`) applies when
    users that observe it ran, since a person chooses which do. So do those of writes when users
    that write ran.
    """
    stay = tuple(check for check in checks if _applies(check, observed, wrote))
    return stay, tuple(check for check in checks if check not in stay)


def _applies(check: Check, observed: Collection[str], wrote: bool) -> bool:
    if check.window != RUN:
        return False
    if check.measure in OF_WRITES:
        return wrote
    if check.measure in _OF_ANSWERS:
        return True
    figure = check.figure
    if check.measure is not Measure.FIGURE or figure is None:
        return False
    is_never = check.limit == 0 and check.bound in (Bound.AT_MOST, Bound.EQUAL)
    return is_never and figure.name in observed


def note(left_out: Sequence[Check]) -> str:
    """One sentence for the verdict's reasons."""
    if not left_out:
        return "ad hoc: the users followed no plan; every check of the scenario applies without one"
    names = ", ".join(check.id for check in left_out)
    return f"ad hoc: the users followed no plan, so checks that need one were left out: {names}"
