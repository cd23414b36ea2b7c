"""What must be said with a result: nobody asked that endpoint, or the run ended before its window.

Either would let a slip of the pen pass for a finding. This module must not evaluate a check.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from results.judging.check_result import CheckResult, Status
from results.measure import Measure
from results.statistic import WindowStats
from results.text.notation import span_of

EDGE_S = 1.0
"""A run of 60 s may have its last request in second 58."""

_MOST_SHOWN = 5

_GROWING = (Measure.REQUESTS, Measure.RATE)
"""What a window that was cut short has too few of."""


def qualified(result: CheckResult, run: WindowStats) -> CheckResult:
    """The result, and what `run`, the window of everything, says of it."""
    return _beyond_the_run(_of_nobody(result, run), run)


def _of_nobody(result: CheckResult, run: WindowStats) -> CheckResult:
    """An endpoint that no request was of, in all of the run: the nearest that there was."""
    endpoint = result.check.endpoint
    if endpoint is None or result.status is not Status.INCONCLUSIVE:
        return result
    seen = run.of(endpoint)
    if seen.ended or seen.started:
        return result
    names = list(run.endpoints)
    near = get_close_matches(endpoint, names, n=1, cutoff=0.5)
    if near:
        hint = f": did you mean {near[0]!r}?"
    elif names:
        more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
        hint = f": there are {', '.join(map(repr, names[:_MOST_SHOWN]))}{more}"
    else:
        return result
    reason = f"{result.reason}; no request of the run was of {endpoint!r}{hint}"
    return replace(result, reason=reason)


def _beyond_the_run(result: CheckResult, run: WindowStats) -> CheckResult:
    """An interval of which the run has only the beginning: what held there may not have held."""
    span = span_of(result.check.window)
    ends_s = run.window.intervals[-1][1]
    if span is None or span[1] <= ends_s + EDGE_S or result.status is Status.INCONCLUSIVE:
        return result
    if result.status is Status.FAIL and result.check.measure not in _GROWING:
        return result
    reason = (
        f"{result.reason}, but the run ended at {ends_s:g} s, before the window did: let it go on "
        "for longer, or end the window sooner"
    )
    return replace(result, status=Status.INCONCLUSIVE, reason=reason, firm=False)
