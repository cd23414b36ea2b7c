"""Stress: load that goes up stair by stair until a check breaks, and the capacity that is found.

Every phase of such a plan is a stair. While the run goes on, the check is held against one after
the other as soon as all reports of it are in:

1. `take` each report as it arrives, `step` once a second;
2. `step` returns what was found when a stair does not hold: the run may end;
3. `close` says it at the end, when no stair broke before.

A stair breaks when the check does not hold over it, or before its end

- when the check can hold no more (`LiveCheck.is_lost`), or
- when more than half of the requests failed for three seconds in a row, whatever the check says:
  refusals are quick, and a dead target would pass a limit of latency, or
- when more than 1 % of its planned arrivals were not started: they have no latency, and the load
  was not there.

What was found is written to the timeline as an annotation and as the figure `capacity`, from which
the verdict is computed like any other. Pure: time comes in as an argument. This module must not
know shapes or how a run is ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from results.check import Check
from results.evaluation import CheckResult, Status
from results.figure import Figure
from results.live import Frontier, LiveCheck
from results.measure import Bound, Measure, formatted, number, quantile_name
from results.second import SecondReport
from results.timeline import OWNER, Annotation
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

    def __init__(self, until: Check, stair: Stair) -> None:
        self.stair = stair
        self.live = LiveCheck(until, stair.window)
        self._started = self._unsent = 0

    @property
    def end_s(self) -> int:
        return self.live.end_s

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


class Stress:
    """`until` is held against each of the stairs, which are in order of time."""

    def __init__(self, until: Check, stairs: Sequence[Stair]) -> None:
        """Raises ValueError for a check that a run that goes on cannot be held to."""
        self._until = until
        self._open = deque(_Climb(until, stair) for stair in stairs)
        self._held: list[tuple[Stair, CheckResult]] = []
        self._broke: str | None = None
        self._frontier = Frontier()

    def take(self, report: SecondReport) -> None:
        """Merge a report. What comes late for a stair that is settled no longer counts here."""
        if self._broke is not None:
            return
        self._frontier.note(report)
        for climb in self._open:
            climb.add(report)

    def step(self, elapsed_s: float) -> Found | None:
        """What is found as of now: None while every stair holds."""
        complete_s = self._frontier.complete_s(elapsed_s)
        self._settle_until(complete_s)
        if self._open and self._broke is None:
            self._broke = self._why_lost(self._open[0], complete_s)
        return None if self._broke is None else self._found()

    def close(self, elapsed_s: float) -> Found:
        """Everything has arrived: settle the stairs that had ended by then."""
        self._settle_until(elapsed_s)
        return self._found()

    def _settle_until(self, moment_s: float) -> None:
        while self._open and self._broke is None and self._open[0].end_s <= moment_s:
            climb = self._open.popleft()
            result, lacks = climb.live.result(), climb.lacks(is_over=True)
            if lacks is not None or result.status is not Status.PASS:
                self._broke = f"{climb.stair.text} ({lacks or self._said(result)})"
            else:
                self._held.append((climb.stair, result))

    def _why_lost(self, climb: _Climb, complete_s: int) -> str | None:
        stair, live = climb.stair, climb.live
        seen_s = complete_s - live.first_s
        if seen_s < LEAST_SEEN_S:
            return None
        after = f"after {seen_s} of {live.end_s - live.first_s} s"
        if live.is_lost(complete_s):
            return f"{stair.text} ({self._said(live.result())} {after})"
        if (lacks := climb.lacks(is_over=False)) is not None:
            return f"{stair.text} ({lacks}, {after})"
        shares = live.error_shares(range(complete_s - DEAD_SPAN_S, complete_s))
        if min(shares) > DEAD_SHARE:
            return (
                f"{stair.text} (more than {DEAD_SHARE:.0%} of the requests failed for "
                f"{DEAD_SPAN_S} s, {after})"
            )
        return None

    def _found(self) -> Found:
        highest = max(self._held, key=lambda pair: pair[0].level, default=None)
        about = f"the check {self._until.expression}"
        if highest is None:
            text = "stopped before the end of the first level: no limit was found"
            if self._broke is not None:
                text = f"{about} broke at the first level, {self._broke}"
            return Found(0.0, self._broke is not None, text)
        stair, result = highest
        held = f"{about} held up to {stair.text} ({self._said(result)})"
        text = f"{held}; its limit was not found"
        if self._broke is not None:
            text = f"{held} and broke at {self._broke}"
        return Found(float(stair.level), self._broke is not None, text)

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
        return f"{name} {formatted(check.measure, result.value)}"


def findings(annotations: Iterable[Annotation]) -> list[Annotation]:
    """What stress has found, for the verdict's reasons: one at most."""
    return [note for note in annotations if note.label in (LIMIT_FOUND, LIMIT_NOT_FOUND)]


def qualified(result: CheckResult, annotations: Iterable[Annotation]) -> CheckResult:
    """A check of `capacity` where no limit was found: what held is a lower bound, and no more.

    It proves that the capacity is at least as high, and cannot prove that it is lower.
    """
    criterion = result.check.figure
    if criterion is None or criterion.name != CAPACITY or result.value is None:
        return result
    if not any(note.label == LIMIT_NOT_FOUND for note in annotations):
        return result
    is_lower = criterion.bound in (Bound.ABOVE, Bound.AT_LEAST)
    if is_lower and result.status is Status.PASS:
        return result
    reason = (
        f"{result.check.id}: at least {number(result.value)} held and the limit was not found, so "
        f"nobody knows whether {result.check.expression}: let the run reach its end, or plan "
        "higher stairs"
    )
    return replace(result, status=Status.INCONCLUSIVE, reason=reason)
