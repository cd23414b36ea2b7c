"""Stress: load that goes up stair by stair until a check breaks, and the capacity that is found.

Every phase of such a plan is a stair. While the run goes on, the check is held against one after
the other:

1. `take` each report as it arrives, `step` once a second;
2. `step` returns what is found so far when a stair does not hold: the plan may end;
3. `close` says what was found, when every request has ended: of what began in a stair some may
   have hung, so that an earlier stair than the one that ended the plan turns out to have broken.

A stair breaks when the check does not hold over it, alone or with the requests that began in it
and ended later (overhang.py); or before its end

- when the check can hold no more (`LiveCheck.is_lost`), or
- when no request ended for three seconds though there is no doubt that some were under way
  (`Pulse.is_lost`): what a target that hangs leaves of a stair are the good early ones, or
- when more than half of the requests failed for three seconds in a row, whatever the check says:
  refusals are quick, and a dead target would pass a limit of latency, or
- when more than 1 % of its planned arrivals were not started: they have no latency, and the load
  was not there.

What was found is written to the timeline as an annotation and as the figure `capacity`, from which
the verdict is computed like any other. Pure: time comes in as an argument. This module must not
know shapes or how a run is ended.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from results.check import Check
from results.figure import Figure
from results.judging.evaluation import CheckResult, Status
from results.judging.live import Frontier, LiveCheck, Pulse
from results.measure import Measure, formatted, number, quantile_name
from results.second import SecondReport
from results.timeline import OWNER, Annotation, Timeline
from results.windows import Window

CAPACITY = "capacity"
"""Figure: the highest level that held, in users or arrivals per second; 0 when the first broke."""

LIMIT_FOUND = "limit_found"
LIMIT_NOT_FOUND = "limit_not_found"
"""Labels of the annotation that says what was found."""

LEAST_SEEN_S = 3
"""Seconds of a stair before it may be given up: its users start around its first."""

DEAD_SHARE = 0.5
DEAD_SPAN_S = 3

SILENT_SPAN_S = 3

LATEST_START_S = 1
"""An arrival is started so late at most, and is told of in the second for which it was intended."""

SETTLE_S = 60
"""After the end of a stair: requests that began in it have ended by then, or were given up."""

MISSING_SHARE = 0.01
"""Of a stair's planned arrivals: those that a stair may lack and still hold."""


@dataclass(frozen=True, slots=True)
class Stair:
    """One phase of the plan: `level` in users or arrivals per second, as `unit` says.

    `window` has the phase's name and one interval, which holds a whole second. `arrivals` is how
    many are planned in its whole seconds.
    """

    window: Window
    level: float
    unit: str
    arrivals: int = 0

    @property
    def text(self) -> str:
        return f"{number(self.level)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a stress has found: the highest level that held, and whether one broke."""

    capacity: float
    broke: bool
    text: str

    @property
    def label(self) -> str:
        return LIMIT_FOUND if self.broke else LIMIT_NOT_FOUND

    def report(self, second: int) -> SecondReport:
        """The figure `capacity`, as the owning process reports it: its only report."""
        figure = Figure(1, self.capacity, self.capacity, self.capacity)
        return SecondReport(OWNER, 0, second, {}, figures={CAPACITY: figure})


class _Climb:
    """A stair that is not settled yet."""

    def __init__(self, until: Check, stair: Stair, *, is_followed: bool) -> None:
        self.stair = stair
        (seconds,) = stair.window.seconds()
        # Requests that are under way when the next stair begins suffer from that one.
        begun_before_s = seconds.stop - 1 if is_followed else None
        self.live = LiveCheck(until, stair.window, begun_before_s=begun_before_s)
        self.passed: CheckResult | None = None
        self._started = self._unsent = 0
        self._weighed = 0

    @property
    def end_s(self) -> int:
        return self.live.end_s

    def is_over(self, complete_s: int) -> bool:
        """Whether all is told of what ended in it, and of arrivals that were started late."""
        late_s = LATEST_START_S + 1 if self.stair.arrivals else 0
        return complete_s >= self.end_s + late_s

    def add(self, report: SecondReport) -> None:
        self.live.add(report)
        if self.live.first_s <= report.second < self.end_s:
            for arrived in report.arrivals.values():
                self._started += arrived.started
                self._unsent += arrived.offered - arrived.started

    def lacks(self, *, is_over: bool) -> str | None:
        """What is said of arrivals that are missing, when they are too many: at the end all that
        were not started, before it those that are known to be unsent.
        """
        planned = self.stair.arrivals
        missing = planned - self._started if is_over else self._unsent
        if missing <= MISSING_SHARE * planned:
            return None
        return f"{missing:,} of {planned:,} arrivals were not started"

    def broken_later(self) -> CheckResult | None:
        """The check with what began in it and ended later, where that breaks it."""
        weight = self.live.overhanging
        if weight <= self._weighed:
            return None
        self._weighed = weight
        result = self.live.whole_result()
        return result if result.status is Status.FAIL else None

    def is_sure(self) -> bool:
        """Whether it also held if all requests that were cut off had failed."""
        return self.live.whole_result(cancelled_failed=True).status is Status.PASS


class Stress:
    """`until` is held against each of the stairs, which are in order of time."""

    def __init__(self, until: Check, stairs: Sequence[Stair]) -> None:
        """Raises ValueError for a check that a run that goes on cannot be held to."""
        self._until = until
        self._climbs = deque(_climbs(until, stairs))
        self._held: list[tuple[Stair, CheckResult]] = []
        self._broke: tuple[_Climb, str] | None = None
        self._frontier = Frontier()
        self._pulse = Pulse()

    def take(self, report: SecondReport) -> None:
        """Merge a report. What comes late for a stair that is settled no longer counts here."""
        self._frontier.note(report)
        if not self._climbs:
            return
        is_about = self._climbs[0].live.is_about
        ended = sum(one.ended for name, one in report.endpoints.items() if is_about(name))
        self._pulse.add(report.second, ended)
        for climb in self._climbs:
            climb.add(report)

    def step(self, elapsed_s: float) -> Found | None:
        """What is found as of now: None while every stair holds."""
        if self._broke is None:
            self._look(self._frontier.complete_s(elapsed_s))
        return None if self._broke is None else self._found()

    def close(self, elapsed_s: float) -> Found:
        """Everything has arrived: settle the stairs that had ended by then.

        A stair that held but for requests that were cut off, of which nobody knows how they would
        have ended, is neither held nor broken.
        """
        while self._climbs and self._climbs[0].end_s <= elapsed_s:
            climb = self._climbs.popleft()
            if self._broke is not None and climb is self._broke[0]:
                break
            # Reports may have come since it was looked at.
            climb.passed = None
            if (why := self._why_not_held(climb)) is not None:
                self._broke = climb, why
                break
            if climb.is_sure():
                self._held.append((climb.stair, climb.live.result()))
        self._climbs.clear()
        return self._found()

    def _look(self, complete_s: int) -> None:
        """At each stair that has begun, in order of time."""
        for climb in self._climbs:
            if climb.live.first_s >= complete_s:
                break
            is_over = climb.is_over(complete_s)
            why = self._why_not_held(climb) if is_over else self._why_lost(climb, complete_s)
            if why is not None:
                self._broke = climb, why
                return
        while self._climbs and self._climbs[0].end_s + SETTLE_S <= complete_s:
            climb = self._climbs.popleft()
            assert climb.passed is not None, "it was over and did not break"
            self._held.append((climb.stair, climb.passed))

    def _why_not_held(self, climb: _Climb) -> str | None:
        """Of a stair that is over, from what is known so far."""
        result = climb.passed or climb.live.result()
        lacks = climb.lacks(is_over=True)
        if lacks is not None or result.status is not Status.PASS:
            return f"{climb.stair.text} ({lacks or self._said(result)})"
        climb.passed = result
        if (later := climb.broken_later()) is not None:
            return (
                f"{climb.stair.text} ({self._said(later)} with {climb.live.overhanging:,} requests "
                "that began in it and failed or were slow after its end)"
            )
        return None

    def _why_lost(self, climb: _Climb, complete_s: int) -> str | None:
        """Of a stair that goes on."""
        stair, live = climb.stair, climb.live
        seen_s = min(complete_s, live.end_s) - live.first_s
        if seen_s < LEAST_SEEN_S:
            return None
        after = f"after {seen_s} of {live.end_s - live.first_s} s"
        if live.is_lost(complete_s):
            return f"{stair.text} ({self._said(live.result())} {after})"
        if (lacks := climb.lacks(is_over=False)) is not None:
            return f"{stair.text} ({lacks}, {after})"
        last_s = min(complete_s, live.end_s)
        shares = live.error_shares(range(last_s - DEAD_SPAN_S, last_s))
        if min(shares) > DEAD_SHARE:
            return (
                f"{stair.text} (more than {DEAD_SHARE:.0%} of the requests failed for "
                f"{DEAD_SPAN_S} s, {after})"
            )
        silent_s = self._least_silence_s()
        if self._pulse.is_lost(
            last_s,
            from_s=live.first_s,
            flow_from_s=self._rises_from_s(climb),
            least_s=silent_s,
        ):
            return f"{stair.text} (no request ended for {silent_s} s, {after})"
        return None

    def _least_silence_s(self) -> int:
        """Answers that may take longer are awaited for as long."""
        latencies = (Measure.LATENCY, Measure.MEAN_LATENCY)
        allowed_ms = self._until.limit if self._until.measure in latencies else 0.0
        return max(SILENT_SPAN_S, math.ceil(allowed_ms / 1000))

    def _rises_from_s(self, climb: _Climb) -> int:
        """Since when no level was higher than this one's: fewer users may well be silent."""
        known = [one for one, _ in self._held] + [one.stair for one in self._climbs]
        first_s = climb.live.first_s
        for stair in reversed(known[: known.index(climb.stair)]):
            if stair.level > climb.stair.level:
                break
            first_s = stair.window.seconds()[0].start
        return first_s

    def _found(self) -> Found:
        held = [*self._held, *self._held_so_far()]
        highest = max(held, key=lambda pair: pair[0].level, default=None)
        broke = None if self._broke is None else self._broke[1]
        about = f"the check {self._until.comparison}"
        if highest is None:
            text = "stopped before the end of the first level: no limit was found"
            if broke is not None:
                text = f"{about} broke at the first level, {broke}"
            return Found(0.0, broke is not None, text)
        stair, result = highest
        said = f"{about} held up to {stair.text} ({self._said(result)})"
        text = f"{said}; its limit was not found"
        if broke is not None:
            text = f"{said} and broke at {broke}"
        return Found(float(stair.level), broke is not None, text)

    def _held_so_far(self) -> list[tuple[Stair, CheckResult]]:
        """Of those that are over but not settled: before the one that broke."""
        found = []
        for climb in self._climbs:
            if climb.passed is None or (self._broke is not None and climb is self._broke[0]):
                break
            found.append((climb.stair, climb.passed))
        return found

    def _said(self, result: CheckResult) -> str:
        """The value as people read it: `p99 612.0 ms`."""
        check = self._until
        if result.value is None:
            return "no request ended" if check.series is None else f"no {check.series} latency"
        match check.measure:
            case Measure.LATENCY:
                name = quantile_name(check.quantile or 1.0)
            case Measure.MEAN_LATENCY:
                name = "mean"
            case _:
                name = check.measure.replace("_", " ")
        return f"{name} {formatted(check.measure, result.value, limit=check.limit)}"


def _climbs(until: Check, stairs: Sequence[Stair]) -> list[_Climb]:
    begins = {stair.window.seconds()[0].start for stair in stairs}
    return [
        _Climb(until, stair, is_followed=stair.window.seconds()[0].stop in begins)
        for stair in stairs
    ]


def findings(annotations: Iterable[Annotation]) -> list[Annotation]:
    """What stress has found, for the verdict's reasons: one at most."""
    return [note for note in annotations if note.label in (LIMIT_FOUND, LIMIT_NOT_FOUND)]


def with_own_capacity(timeline: Timeline) -> Timeline:
    """Without what anybody else calls `capacity`, where the owning process tells of it.

    Users of a stress are refused that name when they observe it; a timeline is judged by itself.
    """
    if not any(r.source == OWNER and CAPACITY in r.figures for r in timeline.reports):
        return timeline
    return replace(timeline, reports=tuple(_own_capacity(each) for each in timeline.reports))


def _own_capacity(report: SecondReport) -> SecondReport:
    if report.source == OWNER or CAPACITY not in report.figures:
        return report
    others = {name: figure for name, figure in report.figures.items() if name != CAPACITY}
    return replace(report, figures=others)


def qualified(result: CheckResult, annotations: Iterable[Annotation]) -> CheckResult:
    """A check of `capacity` where no limit was found: what held is a lower bound, and no more.

    It proves that the capacity is at least as high, and cannot prove that it is lower.
    """
    criterion = result.check.figure
    if criterion is None or criterion.name != CAPACITY or result.value is None:
        return result
    if not any(note.label == LIMIT_NOT_FOUND for note in annotations):
        return result
    if result.check.bound.is_lower and result.status is Status.PASS:
        return result
    reason = (
        f"{result.check.id}: at least {number(result.value)} held and the limit was not found, so "
        f"nobody knows whether {result.check.comparison}: let the run reach its end, or plan "
        "higher stairs"
    )
    return replace(result, status=Status.INCONCLUSIVE, reason=reason)
