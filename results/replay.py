"""The verdict, computed from a run's timeline and ledger alone: the only way to one.

The master calls this at the end of a run and `verify` calls it years later; since both read the
same files, a verdict cannot depend on anything that was not written down. This module must not
write anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from results import stress
from results.audit.audit import Audit
from results.audit.offline import audit_of
from results.carried_out import as_carried_out
from results.check import SHORTEST_ACHIEVED_S, Check, expanded, interval_windows
from results.errors import TimelineError
from results.fault import fault_doubts
from results.generator import assess, worst_health
from results.impact import Impact, impacts
from results.judging import caveat
from results.judging.abort import Settled, settled
from results.judging.ad_hoc import applying, note
from results.judging.arrival_doubt import not_started, unaccounted
from results.judging.audit_check import audit_checks
from results.judging.evaluation import evaluate
from results.judging.ledger_doubt import late_doubts, ledger_doubts
from results.judging.leftover import leftover_doubts
from results.judging.rolling import evaluate_rolling
from results.judging.unanswered import evaluate_unanswered
from results.judging.untimed import untimed_doubts
from results.ledger.store import LedgerFile
from results.run_folder import RunFolder
from results.statistic import WindowStats, cut
from results.target import target_stats
from results.timeline import EndReason, Timeline
from results.timeline_reader import read_timeline
from results.verdict import Judgement, judge
from results.windows import RUN, Window, standard_windows

CANCELLED_SHARE = 0.05
"""Of the users that the plan took away, this many may be stopped in mid-request. Users end their
request before they stop, so clean runs had none to 1 %; a target that hangs to the end has all."""

TOLD = frozenset(("worker_joined", "worker_left_out", "worker_refused"))
"""Labels of annotations that are told with the verdict. They change nothing: the load is what the
plan asks for, whoever sends it."""
MAX_TOLD = 10
"""A worker that is refused may be started again and again."""


def replay(timeline_path: Path, audit: Audit | None = None) -> Judgement:
    """Read a timeline, and the ledger beside it, and judge them. Raises TimelineError,
    HistogramError, LedgerError or AuditError when they are damaged.

    `audit` is one that was counted while its reads were written; else it is computed from them.
    """
    return judge_run(read_timeline(timeline_path), RunFolder(timeline_path.parent), audit)


def judge_run(timeline: Timeline, folder: RunFolder, audit: Audit | None = None) -> Judgement:
    """As `replay`, of a timeline that was read already."""
    sent = None if timeline.end is None else timeline.end.writes
    missing = ledger_doubts(timeline.header.run_id, sent, LedgerFile.open(folder))
    return judge_timeline(timeline, audit or audit_of(folder), missing)


def judge_timeline(
    timeline: Timeline, audit: Audit | None = None, missing: Sequence[str] = ()
) -> Judgement:
    """A timeline without an end is ABORTED: the process that wrote it was killed.

    `missing` says what the ledger lacks, in words.
    """
    declared = timeline.plan
    timeline = stress.with_own_capacity(as_carried_out(timeline))
    windows = standard_windows(timeline)
    aborted = _aborted(timeline)
    # Nothing is audited after an abort, which is told once.
    checks, left_out = _checks(timeline, windows, None if aborted else audit)
    windows = (*windows, *interval_windows(checks))
    # Under stress no stair held that lacked arrivals, and the one that broke tells what it lacked.
    found = stress.findings(timeline.annotations)
    stats = cut(timeline, windows, [c.endpoint for c in checks if c.endpoint is not None])
    arrived = stats[RUN].all_arrivals
    felt = impacts(timeline, checks)
    evaluated = _evaluated(checks, windows, stats, timeline, audit, felt)
    return judge(
        evaluated.results,
        windows=list(stats.values()),
        findings=assess(timeline),
        aborted=aborted,
        doubts=[
            *_doubts(timeline),
            *missing,
            *late_doubts(timeline.annotations),
            *(audit.doubts if audit is not None and not aborted else ()),
            *fault_doubts(timeline),
            *_unanswered(timeline, stats[RUN]),
            # Whoever stops a run leaves requests to fail.
            *([] if aborted else leftover_doubts(timeline, checks)),
            *([] if found else not_started(arrived, checks, windows, timeline.plan)),
            *unaccounted(timeline, arrived, declared),
            *untimed_doubts(timeline.annotations, checks),
            *evaluated.doubts,
        ],
        health=worst_health(timeline),
        notes=_notes(timeline, left_out),
        target=target_stats(timeline.target, windows),
        left_out=len(left_out),
        audit=audit,
        impacts=felt,
    )


def _evaluated(
    checks: Sequence[Check],
    windows: Sequence[Window],
    stats: Mapping[str, WindowStats],
    timeline: Timeline,
    audit: Audit | None,
    felt: Sequence[Impact],
) -> Settled:
    """Each check by what it looks at: whole windows, their seconds, or what ended the run."""
    rolled = evaluate_rolling(checks, {window.name: window for window in windows}, timeline)
    rolled |= evaluate_unanswered(checks, stats, timeline)
    notes = timeline.annotations
    results = [
        rolled.get(check.id)
        or stress.qualified(evaluate(check, stats, audit=audit, impacts=felt), notes)
        for check in checks
    ]
    return settled([caveat.qualified(result, stats[RUN]) for result in results], notes)


def _notes(timeline: Timeline, left_out: Sequence[Check]) -> list[str]:
    found = [note(left_out)] if timeline.header.ad_hoc else []
    found += [each.text for each in stress.findings(timeline.annotations)]
    told = [each.text for each in timeline.annotations if each.label in TOLD]
    if len(told) > MAX_TOLD:
        told[MAX_TOLD:] = [f"and {len(told) - MAX_TOLD} more such notes: see the timeline"]
    return found + told


def _checks(
    timeline: Timeline, windows: Sequence[Window], audit: Audit | None
) -> tuple[Sequence[Check], Sequence[Check]]:
    """Those to evaluate, and those that an ad-hoc run leaves out."""
    short = [window.name for window in windows if window.length_s < SHORTEST_ACHIEVED_S]
    names = [window.name for window in windows]
    try:
        applied = tuple(Check.from_dict(data) for data in timeline.checks)
        left_out: tuple[Check, ...] = ()
        if timeline.header.ad_hoc:
            observed = {name for report in timeline.reports for name in report.figures}
            applied, left_out = applying(applied, observed, wrote=audit is not None)
        applied = (*applied, *audit_checks((*applied, *left_out), audit))
        found = expanded(applied, names, short=short, faults=timeline.faults)
        interval_windows(found)
        return found, left_out
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
    if timeline.plan is None and timeline.header.needs_plan:
        found.append("the timeline holds no plan, so phases and planned load are unknown")
    if timeline.end is not None and timeline.torn:
        found.append("the timeline's last line is torn")
    if timeline.duplicates:
        found.append(
            f"{timeline.duplicates} report(s) arrived twice, of which the first counted: two "
            "processes may have used one name, or a report of another run came in"
        )
    return found


def _unanswered(timeline: Timeline, run: WindowStats) -> list[str]:
    """Requests of users that were killed have an unknown outcome: too many hide a dead target."""
    if timeline.plan is None and timeline.header.needs_plan:
        return []
    running = timeline.plan.users if timeline.plan else [p.users for p in timeline.progress]
    users = (*running, 0)
    removed = sum(max(0, before - after) for before, after in pairwise(users))
    cancelled = run.total.cancelled
    if cancelled <= CANCELLED_SHARE * removed:
        return []
    # Sessions of an open load are killed only at the end, those that outlast the stop timeout.
    whose = f", of {removed:,} users that were taken away" if removed else ""
    return [
        f"{cancelled:,} request(s) were still unanswered when their users were killed{whose}, so "
        "how they would have ended is unknown: "
        "let requests time out sooner than the stop timeout"
    ]
