"""Runs without a plan: a person starts, edits and stops the users, in Locust's web UI.

Such a run has no phases, no planned load and no length, so that what counts, shares and phases say
means nothing; what is wrong with the answers is wrong with any number of users. This module says
which of a scenario's checks stay, and must not evaluate them.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.check import Check
from results.windows import RUN

APPLYING = frozenset({"error_rate", "errors", "latency", "mean_latency"})
"""Measures of the answers themselves; over the whole run they need no plan."""


def applying(checks: Sequence[Check]) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Those that apply without a plan, and those that are left out; both in their order."""
    stay = tuple(c for c in checks if c.measure.value in APPLYING and c.window == RUN)
    return stay, tuple(c for c in checks if c not in stay)


def note(left_out: Sequence[Check]) -> str:
    """One sentence for the verdict's reasons."""
    if not left_out:
        return "ad hoc: the users followed no plan; every check of the scenario applies without one"
    names = ", ".join(check.id for check in left_out)
    return f"ad hoc: the users followed no plan, so checks that need one were left out: {names}"
