"""Requests that the plan began and that failed when it was over, where no phase sees them.

A request counts in the second in which it ends. Those that a target which died leaves hanging end
as timeouts after the last phase, so that checks of the phases alone would pass it. This module must
not judge whether a target is good enough: it only says that nobody asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.check import Check
from results.judging.abort import CHECK_ABORTED
from results.measure import Measure
from results.stress import LIMIT_FOUND
from results.timeline import Timeline
from results.windows import RUN

LEFTOVER_SHARE = 0.05
"""Of the requests that were under way at the plan's end, this many may fail unasked: a service that
fails now and then does so there as well, and is judged by its phases."""


def leftover_doubts(timeline: Timeline, checks: Sequence[Check]) -> list[str]:
    """Empty with a check of all failures of the run, without a plan, and where a check ended it:
    what was under way then is what broke."""
    has_broken = any(note.label in (LIMIT_FOUND, CHECK_ABORTED) for note in timeline.annotations)
    has_asked = any(_covers_failures(check) for check in checks)
    if timeline.plan is None or has_broken or has_asked:
        return []
    ended, failed = _under_way_at(timeline, timeline.plan.duration_s)
    if failed <= LEFTOVER_SHARE * ended:
        return []
    return [
        f"{failed:,} of {ended:,} requests that were under way when the plan ended failed after "
        "its last phase, and no check says how many may: add error_rate(below=…), which is of the "
        "whole run"
    ]


def _covers_failures(check: Check) -> bool:
    of_failures = check.measure in (Measure.ERROR_RATE, Measure.ERRORS, Measure.AVAILABILITY)
    # A breach `for` some seconds says nothing of how many fail in fewer.
    return of_failures and check.window == RUN and check.endpoint is None and check.for_s is None


def _under_way_at(timeline: Timeline, end_s: float) -> tuple[int, int]:
    """Requests that started before the second of that moment and ended later; those that failed.

    Of an endpoint's requests in one second it is not known which of them failed: as many as may.
    """
    ended = failed = 0
    for report in timeline.reports:
        if report.second + 0.5 < end_s:
            continue
        for endpoint in report.endpoints.values():
            before = sum(n for second, n in endpoint.started.items() if second + 0.5 < end_s)
            before = max(0, before - endpoint.cancelled)
            ended += before
            failed += min(before, sum(endpoint.errors.values()))
    return ended, failed
