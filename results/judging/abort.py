"""Checks that end the run: held against it every second, while it goes on.

A check with `abort` is evaluated of the seconds that are complete, from `abort_after_s` after its
window's beginning on. When it is broken the plan ends there, and an annotation on the timeline says
by which value: that check has then failed, whatever the requests that were under way still do to
its numbers, so that the verdict does not take back what the run was ended for.

Life cycle: `take` each report as it arrives, `step` once a second. `settled` is for the verdict.
Pure: time comes in as an argument. This module must not know shapes or how a run is ended.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from results.criterion import Check
from results.judging.ad_hoc import applying
from results.judging.check_result import CheckResult, Status, holds
from results.judging.demand import Demand
from results.judging.expansion import KNOWN_LATER, expanded, interval_windows
from results.judging.live import Frontier
from results.judging.rolling import LONGEST_WINDOW_S, Rolling, is_rolling
from results.judging.sliding import Sliding
from results.judging.tally import Tally
from results.measure import ROLLING, Measure, formatted
from results.second import SecondReport
from results.timeline import Annotation, Plan
from results.windows import RUN, Window, interval, phase_windows

CHECK_ABORTED = "check_aborted"
"""Label of the annotation that says which check ended the run, and by which value."""

EARLIEST_S = -60
"""Requests that end before second 0 count as the run's: users come a second or so ahead of it."""

_TOLD = re.compile(r"(?P<value>\S+) before second (?P<second>-?\d{1,9}), asked for .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Broken:
    """A check that ends the run, by its value over the seconds before `before_s`, all complete."""

    check: Check
    value: float
    before_s: int

    @property
    def annotation_text(self) -> str:
        """What `settled` reads again: the value in full."""
        asked = self.check.expression
        return f"{self.check.id}: {self.value!r} before second {self.before_s}, asked for {asked}"

    @property
    def text(self) -> str:
        """For the console."""
        check = self.check
        shown = formatted(check.measure, self.value, limit=check.limit)
        return f"{check.id} is broken, {shown} after {self.before_s} s ({check.expression})"


def require_abortable(check: Check) -> None:
    """Raises ValueError for a check that says abort and that a run that goes on cannot be held to.

    Others pass.
    """
    if check.abort_after_s is None:
        return
    what = f"{check.expression} cannot end a run that goes on"
    if check.measure not in ROLLING:
        names = "errors, availability, latencies and, with 'over' or 'for', the rate"
        raise ValueError(f"{what}: only {names} are known before its end; leave 'abort' out")
    if check.measure is Measure.RATE and not is_rolling(check):
        raise ValueError(
            f"{what}: a rate begins at 0, so say for how long, as in 'rate > 100/s for 10s, abort'"
        )
    if check.window.startswith(KNOWN_LATER):
        raise ValueError(
            f"{what}: nobody knows ahead when {check.window!r} is; use the run, a phase or an "
            "interval such as 30s..90s, or leave 'abort' out"
        )


class Aborts:
    """All checks of a run that may end it: those with `abort` whose window there is."""

    def __init__(
        self, checks: Iterable[Check], windows: Mapping[str, Window], plan: Plan | None
    ) -> None:
        """Raises ValueError for a check that `require_abortable` refuses."""
        self._watches: list[_Watch] = []
        for check in checks:
            require_abortable(check)
            if check.abort_after_s is None or (window := windows.get(check.window)) is None:
                continue
            self._watches.append(_Watch(check, _seconds(check, window, plan), plan))
        self._frontier = Frontier()
        self._tallies: dict[int, Tally] = {}
        self._next_s: int | None = None

    def take(self, report: SecondReport) -> None:
        """Merge a report. What comes late for a second that was complete no longer counts here."""
        self._frontier.note(report)
        if not self._watches:
            return
        for watch in self._watches:
            watch.note(report)
        is_late = self._next_s is not None and report.second < self._next_s
        if not is_late and report.second >= EARLIEST_S and report.endpoints:
            self._tallies.setdefault(report.second, Tally()).add(report.endpoints)

    def step(self, elapsed_s: float) -> Broken | None:
        """The first check that is broken as of now; to be asked once a second."""
        complete_s = self._frontier.complete_s(elapsed_s)
        if not self._watches or complete_s <= 0:
            return None
        if self._next_s is None:
            self._next_s = min(0, *self._tallies) if self._tallies else 0
        for second in range(self._next_s, complete_s):
            tally = self._tallies.pop(second, None)
            for watch in self._watches:
                watch.push(second, tally)
        self._next_s = max(self._next_s, complete_s)
        found = [watch.broken(complete_s) for watch in self._watches]
        self._watches = [watch for watch in self._watches if not watch.is_over(complete_s)]
        return next((broken for broken in found if broken is not None), None)


def aborts_of(checks: Iterable[Check], plan: Plan | None, *, ad_hoc: bool) -> Aborts:
    """Of the checks that a run is held to: an ad-hoc one leaves out those that need a plan.

    Raises ValueError when two checks have the same id, or one `require_abortable` refuses.
    """
    applied = applying(tuple(checks), ())[0] if ad_hoc else checks
    cut = [interval(RUN, 0.0, 1.0 if plan is None else max(1.0, plan.duration_s))]
    cut += phase_windows(plan) if plan is not None else ()
    named = expanded(applied, [window.name for window in cut])
    windows = {window.name: window for window in (*cut, *interval_windows(named))}
    return Aborts(named, windows, plan)


class _Watch:
    """One check in its window's seconds."""

    def __init__(self, check: Check, seconds: Sequence[range], plan: Plan | None) -> None:
        assert check.abort_after_s is not None
        self._check = check
        self._seconds = seconds
        self._from_s = max(0, seconds[0].start) + check.abort_after_s
        self._rolling = Rolling(check, seconds, plan) if is_rolling(check) else None
        self._whole = Sliding(check, None)
        self._demand = Demand(plan, check.endpoint)

    def note(self, report: SecondReport) -> None:
        if self._rolling is not None:
            self._rolling.note(report)
        else:
            self._demand.note(report)

    def push(self, second: int, tally: Tally | None) -> None:
        if not any(second in span for span in self._seconds):
            return
        if self._rolling is not None:
            self._rolling.push(second, tally)
        else:
            self._demand.advance(second)
            self._whole.push(tally, self._demand)

    def is_over(self, complete_s: int) -> bool:
        return complete_s >= self._seconds[-1].stop

    def broken(self, complete_s: int) -> Broken | None:
        if complete_s < self._from_s:
            return None
        value = self._broken_value()
        return None if value is None else Broken(self._check, value, complete_s)

    def _broken_value(self) -> float | None:
        check = self._check
        if self._rolling is None:
            value = self._whole.value()
            return None if value is None or holds(check, value) else value
        found = self._rolling.found
        return found.value if found is not None and self._rolling.fails else None


def _seconds(check: Check, window: Window, plan: Plan | None) -> list[range]:
    """Of the run nobody knows the end, unless it has a plan; a rate is asked from second 0 on."""
    if window.name != RUN:
        return window.seconds()
    start_s = 0 if check.measure is Measure.RATE else EARLIEST_S
    end_s = LONGEST_WINDOW_S if plan is None else int(plan.duration_s)
    return [range(start_s, max(1, end_s))]


@dataclass(frozen=True, slots=True)
class Settled:
    """Results in their order, with those that ended the run; `doubts` of what does not fit."""

    results: list[CheckResult]
    doubts: list[str]


def settled(results: Sequence[CheckResult], annotations: Iterable[Annotation]) -> Settled:
    """A check that ended the run has failed, by the value that it was ended for."""
    found, doubts = list(results), []
    for note in annotations:
        if note.label != CHECK_ABORTED:
            continue
        told = _told_of(note.text, [result.check for result in found])
        if told is None:
            doubts.append(
                "the timeline says that a check ended the run, and holds none that could have: "
                f"{note.text[:200]!r}"
            )
            continue
        index, broken = told
        found[index] = _failed(found[index], broken)
    return Settled(found, doubts)


def _told_of(text: str, checks: Sequence[Check]) -> tuple[int, Broken] | None:
    """Which of the checks an annotation is about, and what it says."""
    for index, check in enumerate(checks):
        if check.abort_after_s is None:
            continue
        for told_id in _ids(text, check.id):
            match = _TOLD.fullmatch(text.removeprefix(f"{told_id}: "))
            value = None if match is None else _number(match["value"])
            if match is not None and value is not None:
                return index, Broken(check, value, int(match["second"]))
    return None


def _ids(text: str, id: str) -> list[str]:
    """Of a plan that was ended, the first occurrence of a phase may be its only one: the check
    whose window was `phase:steady#1` is that of `phase:steady`."""
    found = [id] if text.startswith(f"{id}: ") else []
    head = re.match(re.escape(id) + r"#1(?=: )", text)
    return found if head is None else [*found, head.group()]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _failed(result: CheckResult, broken: Broken) -> CheckResult:
    check = result.check
    where = f" of {check.endpoint}" if check.endpoint else ""
    shown = formatted(check.measure, broken.value, limit=check.limit)
    reason = (
        f"{check.id}: {shown}{where} in window {check.window} "
        f"before second {broken.before_s}, asked for {check.comparison}; the run was stopped "
        "there, since the check says abort"
    )
    return replace(result, status=Status.FAIL, value=broken.value, reason=reason)
