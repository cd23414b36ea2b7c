"""Holds a check of writes against the audit: what was lost, altered, stored twice, and where.

A write that no read could verify is never taken for one that is there. This module must not read
files or ask nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from results.audit.audit import MEANING, Audit, Fate
from results.criterion import Check
from results.judging.check_result import CheckResult, Status, compared, holds, inconclusive
from results.measure import Measure
from results.windows import RUN, Window

FIRM = frozenset({Measure.LOST, Measure.ALTERED, Measure.DUPLICATED, Measure.PHANTOM})
"""What no slow generator causes (D15)."""

_ACKNOWLEDGED = (
    Fate.PRESENT,
    Fate.LOST,
    Fate.UNVERIFIED,
    Fate.ALTERED,
    Fate.DUPLICATED,
    Fate.REDELIVERED,
)

_HIDDEN_BY_UNVERIFIED = frozenset({Measure.LOST, Measure.ALTERED, Measure.DUPLICATED})
"""Each unverified write may be one of these."""

_MOST_PLACES = 3


def evaluate_writes(check: Check, audit: Audit | None, windows: Sequence[Window]) -> CheckResult:
    """`windows` are all of the run's: those with the check's name, and where to look."""
    if audit is None:
        return inconclusive(check, "the scenario declares no writes, so that none were audited")
    if audit.not_made is not None:
        return inconclusive(check, f"the writes were not audited: {audit.not_made}")
    window = _window(check.window, windows)
    counts = audit.of(window)
    fate = Fate(check.measure.value)
    value = counts.get(fate, 0)
    fates = counts if fate is Fate.PHANTOM else _ACKNOWLEDGED
    samples = sum(counts.get(one, 0) for one in fates)
    if fate is Fate.ALTERED:
        samples = audit.compared_in(window)
        if not samples:
            why = f"of no write of window {check.window} was the stored content compared"
            return inconclusive(check, why)
    if not samples:
        kind = "write" if fate is Fate.PHANTOM else "acknowledged write"
        return inconclusive(check, f"no {kind} ended in window {check.window}")
    why = _where(audit, fate, value, window, windows) if value else ""
    result = compared(check, value, samples, why)
    if result.status is Status.FAIL:
        return replace(result, firm=check.measure in FIRM)
    unseen = _why_unseen(check, audit, window, value)
    if unseen is None:
        return result
    reason = f"{result.reason}: {unseen}"
    return replace(result, status=Status.INCONCLUSIVE, reason=reason)


def _window(name: str, windows: Sequence[Window]) -> Window | None:
    """None is all of the run: also what ended outside of every second, or what nobody wrote."""
    return None if name == RUN else next(window for window in windows if window.name == name)


def _why_unseen(check: Check, audit: Audit, window: Window | None, value: int) -> str | None:
    """Why a check that holds may hold only because somebody could not look."""
    unseen = audit.unseen_in(window).get(Fate(check.measure.value), 0)
    if check.measure in _HIDDEN_BY_UNVERIFIED:
        unseen += audit.of(window).get(Fate.UNVERIFIED, 0)
    if not unseen or holds(check, value + unseen):
        return None
    nodes = "; ".join(f"{node}: {why}" for node, why in sorted(audit.unread_nodes.items()))
    because = f" ({nodes})" if nodes else ""
    return f"{unseen:,} more cannot be ruled out, as not every read succeeded{because}"


def _where(
    audit: Audit, fate: Fate, value: int, window: Window | None, windows: Sequence[Window]
) -> str:
    """What that means, on which nodes and, of a check of all of the run, in which windows."""
    parts = []
    if window is None:
        # A union is told by what it is made of.
        told = [one for one in windows if not one.is_union]
        for prefixes in (("phase:",), ("fault:", "recovery:")):
            named = [one for one in told if one.name.startswith(prefixes)]
            by_window = {one.name: audit.of(one).get(fate, 0) for one in named}
            parts.append(_spread(by_window, value, "in"))
    by_node = {node: counts.get(fate, 0) for node, counts in audit.by_node(window).items() if node}
    parts.append(_spread(by_node, value, "on"))
    return "; ".join(filter(None, (MEANING[fate], ", ".join(filter(None, parts)))))


def _spread(counts: Mapping[str, int], whole: int, preposition: str) -> str:
    """`all in phase:burst`, or the most frequent places with how many each."""
    all_in = [name for name, count in counts.items() if count == whole]
    if all_in:
        return f"all {preposition} {' and '.join(all_in[:_MOST_PLACES])}"
    there = [name for name, count in counts.items() if count]
    most = sorted(there, key=lambda name: -counts[name])[:_MOST_PLACES]
    return ", ".join(f"{counts[name]:,} {preposition} {name}" for name in most)
