"""Why a run with an open load may prove nothing, whatever its checks say.

Every planned arrival must be accounted for: offered once, started or unsent, and completed when it
was started. Where a worker was gone, that is a finding of its own, and its holes are told with it.
This module must not know how statistics are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from results.absence import absences
from results.arrival import ArrivalStats
from results.check import Check
from results.health import WORKERS_LOST
from results.measure import Measure
from results.timeline import EndReason, Plan, Timeline
from results.windows import RUN, Window


def not_started(
    arrived: ArrivalStats | None,
    checks: Sequence[Check],
    windows: Sequence[Window],
    plan: Plan | None,
) -> list[str]:
    """Arrivals of which nobody asked how many may be missing: silence would pass for a pass."""
    if arrived is None or not arrived.missing or _is_covered(checks, windows, plan):
        return []
    return [
        f"{arrived.missing:,} of {arrived.planned:,} planned arrivals were not started "
        f"({arrived.explained()}), and no check says how many may be missing in all of the run: "
        "add unsent(at_most=…) or achieved(at_least=…)"
    ]


def _is_covered(checks: Sequence[Check], windows: Sequence[Window], plan: Plan | None) -> bool:
    """By a check of the run, or by checks of windows that hold every planned second."""
    asked = {check.window for check in checks if _is_about_arrivals(check)}
    if RUN in asked:
        return True
    held = [span for w in windows if w.name in asked for span in w.seconds()]
    counts = plan.arrivals.values() if plan is not None else ()
    planned = {second for each in counts for second, count in enumerate(each) if count}
    return bool(planned) and all(any(second in span for span in held) for second in planned)


def _is_about_arrivals(check: Check) -> bool:
    """`achieved` of an endpoint or a cycle of its own is about users."""
    if check.measure is Measure.ACHIEVED:
        return check.endpoint is None and check.mean_cycle_s is None
    return check.measure is Measure.UNSENT


def unaccounted(
    timeline: Timeline, arrived: ArrivalStats | None, declared: Plan | None
) -> list[str]:
    """`declared` is the plan as it was written, `timeline` has it as far as it went."""
    if arrived is None or declared is None or timeline.plan is None:
        return []
    offered = _offered(timeline)
    found = _sent_twice(offered, declared)
    if _is_whole(timeline):
        found += _never_offered(offered, timeline.plan, ended_early=timeline.plan != declared)
        found += _never_completed(arrived)
    return found


def _is_whole(timeline: Timeline) -> bool:
    """It was run to its end, and everybody was there and has reported everything."""
    return (
        timeline.end is not None
        and timeline.end.reason is EndReason.COMPLETED
        and not timeline.lost_reports()
        and not absences(timeline.health)
        and not any(line.values.get(WORKERS_LOST) for line in timeline.health)
    )


def _offered(timeline: Timeline) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for report in timeline.reports:
        for name, arrived in report.arrivals.items():
            found.setdefault(name, Counter())[report.second] += arrived.offered
    return found


def _sent_twice(offered: Mapping[str, Counter[int]], plan: Plan) -> list[str]:
    """By second, since in a sum what is too many here hides what is missing there."""
    found = []
    for name, counts in sorted(offered.items()):
        planned = Counter(dict(enumerate(plan.arrivals.get(name, ()))))
        if over := counts - planned:
            first = min(over)
            found.append(
                f"{over.total():,} arrival(s) of {name} were offered beyond the plan, first in "
                f"second {first} ({counts[first]:,}, planned {planned[first]:,}): two processes "
                "took the same for their own, so this is not the load that was planned; see their "
                "logs"
            )
    return found


def _never_offered(
    offered: Mapping[str, Counter[int]], plan: Plan, *, ended_early: bool
) -> list[str]:
    found = []
    for name, counts in sorted(plan.arrivals.items()):
        # Of a second that was cut only the share is known.
        whole = counts[: int(plan.duration_s)] if ended_early else counts
        planned = Counter(dict(enumerate(whole)))
        if lacking := planned - offered.get(name, Counter()):
            first = min(lacking)
            found.append(
                f"{lacking.total():,} planned arrival(s) of {name} were offered by nobody though "
                f"no worker was gone, first in second {first} ({planned[first]:,} planned): see "
                "the processes' logs"
            )
    return found


def _never_completed(arrived: ArrivalStats) -> list[str]:
    """Nothing is in flight when a run has ended: what was, was cancelled."""
    unfinished = arrived.started - arrived.completed
    if unfinished <= 0:
        return []
    return [
        f"{unfinished:,} of {arrived.started:,} started arrivals never completed, so how they "
        "would have ended is unknown: give the scenario a stop_timeout_s that its tasks end within"
    ]
