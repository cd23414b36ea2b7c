"""Was the generator fit? A slow or broken one measures itself, and its run proves nothing (D15).

Judges the health lines of a timeline and the completeness of its reports. Each finding is one
sentence that says what was seen, what the limit is and what to do. This module must not know
checks or the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from results.sample import Outcome
from results.timeline import EndReason, Health, Timeline

LAG_P99_MS = "lag_p99_ms"
"""How late a timer of the loop fires, 99th percentile since the last health line."""
WORKERS_LOST = "workers_lost"
"""Workers that the master has given up so far."""
RECORDER_FAILURES = "recorder_failures"
"""Exceptions in recording or shipping so far, of any kind."""
SAMPLES_DROPPED = "samples_dropped"
"""Samples that a recorder has thrown away so far."""

USER_ERRORS = "user_errors"
"""Exceptions that users of this process have raised so far: the label of the annotations, too."""

LAG_LIMIT_MS = 250.0
"""Clean full runs had a lag p99 of 2-13 ms, with 15 % foreign CPU load 33-146 ms (design, D15);
neither may be voided."""
LAG_SPAN_S = 3.0
"""For this long at a stretch the lag must be over its limit."""

WATCH_GAP_S = 5.0
"""A process says how it does every second. One that is silent for longer than this while it has
requests is not watched; a loop that stands still as long shows in the line after it."""

USERS_SHARE = 0.9
USERS_SPAN_S = 10.0
"""Fewer than this share of the planned users for this long: the load was not there. Workers report
their users every 3 s, and a step takes a second, so that shorter gaps mean nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why the generator was not fit. `code` is stable, `text` for people."""

    code: str
    text: str


def assess(timeline: Timeline) -> tuple[Finding, ...]:
    """Empty when the generator was fit."""
    found = [
        *_nothing_sent(timeline),
        *_exhausted(timeline),
        *_unwatched(timeline),
        *_lag(timeline.health),
        *_counters(timeline.health),
        *_user_errors(timeline),
        *_users_missing(timeline),
        *_lost_reports(timeline),
        *_dropped(timeline),
    ]
    return tuple(found)


def worst_health(timeline: Timeline) -> dict[str, dict[str, float]]:
    """The largest value of each figure by source, for the verdict's document."""
    worst: dict[str, dict[str, float]] = {}
    for line in timeline.health:
        figures = worst.setdefault(line.source, {})
        for name, value in line.values.items():
            figures[name] = max(figures.get(name, value), value)
    return worst


def _nothing_sent(timeline: Timeline) -> list[Finding]:
    for report in timeline.reports:
        if any(endpoint.started for endpoint in report.endpoints.values()):
            return []
    return [
        Finding(
            "nothing_sent",
            "no request was sent: look for user errors in the log, and that the users' tasks run",
        )
    ]


def _exhausted(timeline: Timeline) -> list[Finding]:
    """Requests that the generator could not send for want of its own means."""
    kind = Outcome.LOCAL.value
    count = sum(e.errors.get(kind, 0) for r in timeline.reports for e in r.endpoints.values())
    if not count:
        return []
    return [
        Finding(
            "generator_exhausted",
            f"{count:,} request(s) were not sent because the generator had no file descriptors or "
            "local ports left: raise `ulimit -n`, keep connections alive, or use more machines",
        )
    ]


def _unwatched(timeline: Timeline) -> list[Finding]:
    """Each source from its first second to its last; without any report, the run as a whole."""
    measured = _lags_by_source(timeline.health)
    seconds: dict[str, list[int]] = {}
    for report in timeline.reports:
        seconds.setdefault(report.source, []).append(report.second)
    if not seconds and not measured:
        return [
            Finding(
                "unwatched",
                "the generator's loop lag was never measured, so nobody knows whether it kept up",
            )
        ]
    found = []
    for source, reported in sorted(seconds.items()):
        gap_s = _longest_gap([t_s for t_s, _ in measured.get(source, [])], reported)
        if gap_s is not None and gap_s <= WATCH_GAP_S:
            continue
        seen = "never measured" if gap_s is None else f"not measured for {gap_s:.0f} s at a stretch"
        text = (
            f"{source}: the loop's lag was {seen}, so nobody knows whether it kept up: see its log"
        )
        found.append(Finding("unwatched", text))
    return found


def _longest_gap(times_s: list[float], seconds: list[int]) -> float | None:
    """Between two lines, or from the first second to the first line, or from the last to the last.

    None without a line.
    """
    if not times_s:
        return None
    moments = [min(*times_s, *seconds), *sorted(times_s), max(*times_s, *seconds)]
    return max(after - before for before, after in pairwise(moments))


def _lags_by_source(lines: tuple[Health, ...]) -> dict[str, list[tuple[float, float]]]:
    """(t_s, lag p99 in ms) of each source that measured one, as they came."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if LAG_P99_MS in line.values:
            found.setdefault(line.source, []).append((line.t_s, line.values[LAG_P99_MS]))
    return found


def _lag(lines: tuple[Health, ...]) -> list[Finding]:
    """The longest stretch of successive lines of one source that are over the limit.

    A line speaks for the time since the one before it, so a stretch begins there.
    """
    found = []
    for source, lags in sorted(_lags_by_source(lines).items()):
        longest_s, worst_ms = _longest_stretch(lags, over=LAG_LIMIT_MS)
        if longest_s >= LAG_SPAN_S:
            found.append(
                Finding(
                    "generator_lag",
                    f"{source}: the loop's lag p99 was over {LAG_LIMIT_MS:.0f} ms for "
                    f"{longest_s:.0f} s (worst {worst_ms:.0f} ms): give the generator more cores "
                    "or workers, or lower the load",
                )
            )
    return found


def _longest_stretch(values: list[tuple[float, float]], *, over: float) -> tuple[float, float]:
    """Seconds of the longest stretch of values over a limit, and the largest value in any."""
    values = sorted(values)
    longest_s = worst = 0.0
    began_s: float | None = None
    before_s = values[0][0] - 1.0 if values else 0.0
    for t_s, value in values:
        if value > over:
            began_s = before_s if began_s is None else began_s
            longest_s = max(longest_s, t_s - began_s)
            worst = max(worst, value)
        else:
            began_s = None
        before_s = t_s
    return longest_s, worst


def _users_missing(timeline: Timeline) -> list[Finding]:
    """Compares with the fewest users that the plan has around each moment."""
    if timeline.plan is None:
        return []
    missing: list[tuple[float, float]] = []
    for progress in timeline.progress:
        second = int(progress.t_s)
        around = timeline.plan.users[max(0, second - 1) : second + 2]
        planned = min(around) if len(around) >= 2 else 0
        missing.append((progress.t_s, 1 - progress.users / planned if planned else 0.0))
    longest_s, worst = _longest_stretch(missing, over=1 - USERS_SHARE)
    if longest_s < USERS_SPAN_S:
        return []
    return [
        Finding(
            "users_missing",
            f"up to {worst:.0%} of the planned users did not run, for {longest_s:.0f} s at a "
            "stretch: look for user errors in the log, and whether another run's workers joined",
        )
    ]


def _counters(lines: tuple[Health, ...]) -> list[Finding]:
    texts = {
        WORKERS_LOST: "{n:.0f} worker(s) were lost during the run: their load and their last "
        "seconds are missing; see the workers' logs",
        RECORDER_FAILURES: "recording or shipping of results failed {n:.0f} time(s): see the log",
        SAMPLES_DROPPED: "{n:.0f} samples were dropped because results were not shipped in time",
    }
    found = []
    for code, text in texts.items():
        worst = max((line.values.get(code, 0.0) for line in lines), default=0.0)
        if worst > 0:
            found.append(Finding(code, text.format(n=worst)))
    return found


def _user_errors(timeline: Timeline) -> list[Finding]:
    """A user that failed did not do, or not check, what the scenario says (its own bug)."""
    count = sum(figures.get(USER_ERRORS, 0.0) for figures in worst_health(timeline).values())
    first = min(
        (note for note in timeline.annotations if note.label == USER_ERRORS),
        key=lambda note: note.t_s,
        default=None,
    )
    if not count and first is None:
        return []
    what = "" if first is None else f", the first: {first.text}"
    return [
        Finding(
            USER_ERRORS,
            f"users failed {max(count, 1):,.0f} time(s) by an exception of their own{what}: see "
            "the log, and mend the scenario",
        )
    ]


def _lost_reports(timeline: Timeline) -> list[Finding]:
    """Missing ones, and sources that never said how many there are: the last may be missing."""
    silent: list[str] = []
    if timeline.end is not None and timeline.end.reason is EndReason.COMPLETED:
        sources = {report.source for report in timeline.reports}
        silent = sorted(sources - timeline.end.reports.keys())
    return [
        Finding(
            "reports_lost",
            f"{source} never said how many reports it sent, so its last seconds may be missing: "
            "see its log",
        )
        for source in silent
    ] + [
        Finding(
            "reports_lost",
            f"{count} report(s) of {source} never arrived: that many seconds are missing",
        )
        for source, count in timeline.lost_reports().items()
    ]


def _dropped(timeline: Timeline) -> list[Finding]:
    worst: dict[str, int] = {}
    for report in timeline.reports:
        worst[report.source] = max(worst.get(report.source, 0), report.dropped)
    return [
        Finding(
            SAMPLES_DROPPED,
            f"{source} dropped {count:,} samples because its reports were not shipped in time",
        )
        for source, count in sorted(worst.items())
        if count
    ]
