"""Was the load there: requests at all, and the users that the plan asked for?

This module must not know checks or the target.
"""

from __future__ import annotations

from results.finding import Finding, Mark
from results.health import USERS_LEAST_SPAN_S, USERS_SHARE, USERS_SPAN_S, USERS_SPAN_SHARE
from results.judging.stretch import long_stretches, longest
from results.timeline import Timeline

ALL = "all"
"""Source of the marks about users, who are counted over all processes."""


def nothing_sent(timeline: Timeline) -> list[Finding]:
    for report in timeline.reports:
        if any(endpoint.started for endpoint in report.endpoints.values()):
            return []
    return [
        Finding(
            "nothing_sent",
            "no request was sent: look for user errors in the log, and that the users' tasks run",
        )
    ]


def users_missing(timeline: Timeline) -> list[Finding]:
    """Compares with the fewest users that the plan has around each moment."""
    if timeline.plan is None:
        return []
    missing: list[tuple[float, float]] = []
    for progress in timeline.progress:
        second = int(progress.t_s)
        around = timeline.plan.users[max(0, second - 1) : second + 2]
        planned = min(around) if len(around) >= 2 else 0
        missing.append((progress.t_s, 1 - progress.users / planned if planned else 0.0))
    length_s = len(timeline.plan.users)
    least_s = min(USERS_SPAN_S, max(USERS_LEAST_SPAN_S, USERS_SPAN_SHARE * length_s))
    over = long_stretches(missing, over=1 - USERS_SHARE, least_s=least_s)
    if not over:
        return []
    worst = max(one.worst for one in over)
    text = (
        f"up to {worst:.0%} of the planned users did not run, for {longest(over).length_s:.0f} s "
        "at a stretch: look for user errors in the log, and whether another run's workers joined"
    )
    marks = tuple(Mark(ALL, one.from_s, one.to_s) for one in over)
    return [Finding("users_missing", text, marks)]
