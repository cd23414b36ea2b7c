"""Was the generator fit? A slow or broken one measures itself, and its run proves nothing (D15).

Judges the health lines of a timeline and the completeness of its reports. Each finding is one
sentence that says what was seen, what the limit is and what to do. This module must not know
checks or the target.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.timeline import Health, Timeline

LAG_P99_MS = "lag_p99_ms"
"""How late a timer of the loop fires, 99th percentile since the last health line."""
WORKERS_LOST = "workers_lost"
"""Workers that the master has given up so far."""
RECORDER_FAILURES = "recorder_failures"
"""Exceptions in recording or shipping so far, of any kind."""
SAMPLES_DROPPED = "samples_dropped"
"""Samples that a recorder has thrown away so far."""

LAG_LIMIT_MS = 250.0
"""Clean full runs had a lag p99 of 2-13 ms, with 15 % foreign CPU load 33-146 ms (design, D15);
neither may be voided."""
LAG_SPAN_S = 3.0
"""For this long at a stretch the lag must be over its limit."""

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
        *_unwatched(timeline),
        *_lag(timeline.health),
        *_counters(timeline.health),
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


def _unwatched(timeline: Timeline) -> list[Finding]:
    if any(LAG_P99_MS in health.values for health in timeline.health):
        return []
    return [
        Finding(
            "unwatched",
            "the generator's loop lag was never measured, so nobody knows whether it kept up",
        )
    ]


def _lag(lines: tuple[Health, ...]) -> list[Finding]:
    """The longest stretch of successive lines of one source that are over the limit.

    A line speaks for the time since the one before it, so a stretch begins there.
    """
    found = []
    for source in sorted({line.source for line in lines}):
        lags = [
            (line.t_s, line.values[LAG_P99_MS])
            for line in lines
            if line.source == source and LAG_P99_MS in line.values
        ]
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


def _lost_reports(timeline: Timeline) -> list[Finding]:
    return [
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
