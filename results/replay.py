"""The verdict, computed from a run's timeline alone: the only way to one.

The master calls this at the end of a run and `verify` calls it years later; since both read the
same file, a verdict cannot depend on anything that was not written down. This module must not
write anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from results.check import Check, evaluate, expanded
from results.errors import TimelineError
from results.generator import assess, worst_health
from results.statistic import cut
from results.timeline import EndReason, Timeline
from results.timeline_reader import read_timeline
from results.verdict import Judgement, judge
from results.windows import standard_windows


def replay(timeline_path: Path) -> Judgement:
    """Read a timeline and judge it. Raises TimelineError or HistogramError when it is damaged."""
    return judge_timeline(read_timeline(timeline_path))


def judge_timeline(timeline: Timeline) -> Judgement:
    """A timeline without an end is ABORTED: the process that wrote it was killed."""
    windows = standard_windows(timeline)
    checks = _checks(timeline, [window.name for window in windows])
    stats = cut(timeline, windows, [c.endpoint for c in checks if c.endpoint is not None])
    return judge(
        [evaluate(check, stats) for check in checks],
        windows=list(stats.values()),
        findings=assess(timeline),
        aborted=_aborted(timeline),
        doubts=_doubts(timeline),
        health=worst_health(timeline),
    )


def _checks(timeline: Timeline, windows: Sequence[str]) -> Sequence[Check]:
    try:
        return expanded([Check.from_dict(data) for data in timeline.checks], windows)
    except ValueError as error:
        raise TimelineError(f"the timeline's checks cannot be read: {error}") from error


def _aborted(timeline: Timeline) -> str | None:
    if timeline.end is None:
        torn = " and its last line is torn" if timeline.torn else ""
        return f"the timeline has no end{torn}, so the run was killed"
    if timeline.end.reason is EndReason.ABORTED:
        return timeline.end.detail or "it was stopped"
    return None


def _doubts(timeline: Timeline) -> list[str]:
    found = []
    if timeline.plan is None:
        found.append("the timeline holds no plan, so phases and planned load are unknown")
    if timeline.end is not None and timeline.torn:
        found.append("the timeline's last line is torn")
    return found
