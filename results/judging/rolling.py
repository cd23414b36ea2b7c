"""Checks over time: what must hold in every N seconds (`over`), or may not break for N (`for`).

A window's seconds are gone through once, in order of time:

- `over 10s`: the measure of every ten seconds on end that lie in the window must hold. The value is
  that of the worst ten.
- `for 10s`: it fails when each second by itself breaks the limit for ten seconds on end. The value
  is that of the mildest second of the longest such time; of a check that holds, the mildest second
  of the worst ten seconds on end: it is within the limit exactly when the check holds.

A second in which no request ended says nothing of errors and latency: it neither holds nor breaks,
nor does it end a breach that goes on in the next second that says something. Of a target that does
not answer, availability and rate are 0: where requests hung and failed, or where so many were
planned that no chance explains the silence. Then the whole silence counts, of a check `for` too.

`abort.py` goes through the same seconds while the run goes on. This module must not read files or
decide what follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from results.criterion import Check
from results.judging.check_result import CheckResult, Status, inconclusive
from results.judging.demand import Demand
from results.judging.expansion import expanded
from results.judging.sliding import Sliding
from results.judging.spell import Breach, Limit, Spell, Worst
from results.judging.tally import Tally
from results.measure import Measure, formatted
from results.second import SecondReport
from results.timeline import Plan, Timeline
from results.windows import RUN, Window

LONGEST_WINDOW_S = 1_000_000
"""Eleven days. A damaged timeline may claim any second, and each would be looked at."""


def is_rolling(check: Check) -> bool:
    """Whether `evaluate_rolling` evaluates it, rather than `evaluation.evaluate`."""
    return check.over_s is not None or check.for_s is not None


def why_too_short(check: Check, windows: Sequence[Window]) -> str | None:
    """Why no run of these windows could ever tell, ahead of it; None: one could.

    Windows that are not among them are left out: nobody knows ahead how long faults are.
    """
    for each in expanded([check], [window.name for window in windows]) if is_rolling(check) else ():
        held = next((window for window in windows if window.name == each.window), None)
        length = _length(each)
        if held is None or max(map(len, held.seconds())) >= length:
            continue
        return (
            f"asks for {length} s on end, and {held.name} has no more than "
            f"{max(map(len, held.seconds()))} s: use a shorter time, or a larger --time-scale"
        )
    return None


def _length(check: Check) -> int:
    """In seconds, of what it looks at; 0: it is not rolling."""
    return int(check.over_s or check.for_s or 0)


class Rolling:
    """One check, second by second in order of time. `seconds` are those of its window.

    Life cycle: `note` every report, `push` each second of the window, `result` at any time.
    """

    def __init__(self, check: Check, seconds: Sequence[range], plan: Plan | None) -> None:
        assert is_rolling(check), "it has a span"
        self.check = check
        self.length = _length(check)
        self._seconds = seconds
        self._demand = Demand(plan, check.endpoint)
        self._sliding = Sliding(check, self.length if check.over_s is not None else 1)
        limit = Limit(check.bound, check.limit)
        # Beside it what nodes alone have caused: see `CheckResult.firm`.
        self._judge, self._node_made = (
            Worst(limit) if check.over_s is not None else Breach(limit, self.length)
            for _ in range(2)
        )
        self._silent: list[tuple[int, float | None]] = []
        self._next_s: int | None = None
        self._samples = 0

    def note(self, report: SecondReport) -> None:
        """Any report, also of other seconds."""
        self._demand.note(report)

    def holds(self, second: int) -> bool:
        """Whether the second is one of its window's."""
        return any(second in span for span in self._seconds)

    def push(self, second: int, tally: Tally | None) -> None:
        """A second of the window; None: nothing ended in it."""
        if second != self._next_s or any(second == span.start for span in self._seconds):
            self._sliding.clear()
            self._settle()
            self._judge.interrupt()
            self._node_made.interrupt()
        self._next_s = second + 1
        self._demand.advance(second)
        part = self._sliding.push(tally, self._demand)
        self._samples += part.ended if self.check.series is None else part.timed
        if not self._sliding.is_full:
            return
        first_s = second + 1 - (self.length if self.check.over_s is not None else 1)
        node_made = self._sliding.node_made_value()
        if node_made is not None:
            self._node_made.take(Spell(first_s, second + 1, node_made))
        self._weigh(first_s, second + 1, self._sliding.value(), part.ended)

    def _weigh(self, first_s: int, end_s: int, value: float | None, ended: int) -> None:
        """A breach may have begun before it is certain that nobody answers: the seconds of a
        silence wait for it to be certain, or over."""
        if self.check.for_s is not None and not ended:
            if value is not None or self._sliding.may_be_silence:
                self._silent.append((first_s, value))
            if self._sliding.is_certain:
                self._settle(0.0)
            return
        self._settle()
        if value is not None:
            self._judge.take(Spell(first_s, end_s, value))

    def _settle(self, silent: float | None = None) -> None:
        """`silent` is the value of seconds that have none of their own; None: they stay out."""
        for second, told in self._silent:
            value = silent if told is None else told
            if value is not None:
                self._judge.take(Spell(second, second + 1, value))
        self._silent.clear()

    @property
    def found(self) -> Spell | None:
        """What its value is taken from so far."""
        return self._judge.found

    @property
    def fails(self) -> bool:
        return self._judge.fails

    def result(self) -> CheckResult:
        self._settle()
        check, found = self.check, self._judge.found
        if max(map(len, self._seconds), default=0) < self.length:
            return inconclusive(
                check,
                f"window {check.window} is shorter than {self.length} s, so that nothing can be "
                f"said of {self.length} s on end",
            )
        has_seen = self._samples > 0 or self.fails
        if found is None or not has_seen or not math.isfinite(check.limit):
            return inconclusive(check, self._why_nothing())
        status = Status.FAIL if self.fails else Status.PASS
        where = f" of {check.endpoint}" if check.endpoint else ""
        reason = (
            f"{check.id}: {self._said(found)}{where} in window {check.window} "
            f"({self._samples:,} samples), asked for {check.comparison}"
        )
        firm = self.fails and self._node_made.fails
        return CheckResult(check, status, found.value, self._samples, reason, firm)

    def _said(self, found: Spell) -> str:
        shown = formatted(self.check.measure, found.value, limit=self.check.limit)
        place = f"from {found.first_s} to {found.end_s} s"
        if self.check.over_s is not None:
            return f"{shown} {place}, the worst {self.length} s,"
        if self.fails:
            return f"{shown} or worse for {found.length_s} s on end, {place},"
        return f"{shown} or better in some second of every {self.length} s"

    def _why_nothing(self) -> str:
        if self._samples and self.check.for_s is not None:
            return f"in window {self.check.window} no requests ended for {self.length} s on end"
        if self.check.series is not None:
            return f"no request has a {self.check.series} latency"
        return "no request ended"


def evaluate_rolling(
    checks: Iterable[Check], windows: Mapping[str, Window], timeline: Timeline
) -> dict[str, CheckResult]:
    """By the check's id, of those that `is_rolling` and whose window there is.

    Raises HistogramError when a histogram is damaged.
    """
    found: dict[str, CheckResult] = {}
    rollings: list[Rolling] = []
    for check in checks:
        window = windows.get(check.window)
        if window is None or not is_rolling(check):
            continue
        seconds = _seconds(check, window, timeline)
        if sum(map(len, seconds)) > LONGEST_WINDOW_S:
            found[check.id] = inconclusive(check, f"window {check.window} is longer than 11 days")
            continue
        rollings.append(Rolling(check, seconds, timeline.plan))
    if rollings:
        _go_through(rollings, timeline)
    return found | {rolling.check.id: rolling.result() for rolling in rollings}


def _go_through(rollings: Sequence[Rolling], timeline: Timeline) -> None:
    tallies: dict[int, Tally] = {}
    for report in timeline.reports:
        if report.endpoints:
            tallies.setdefault(report.second, Tally()).add(report.endpoints)
        for rolling in rollings:
            rolling.note(report)
    seconds = sorted({s for rolling in rollings for span in rolling._seconds for s in span})
    for second in seconds:
        # Dropped at once, with all that was decoded of it.
        tally = tallies.pop(second, None)
        for rolling in rollings:
            if rolling.holds(second):
                rolling.push(second, tally)


def _seconds(check: Check, window: Window, timeline: Timeline) -> list[range]:
    """Of the whole run a rate is asked only while load is sent: it falls when users drain."""
    seconds = window.seconds()
    if check.measure is not Measure.RATE or window.name != RUN:
        return seconds
    end_s = _load_ends_s(timeline)
    return [range(max(0, span.start), min(end_s, span.stop)) for span in seconds]


def _load_ends_s(timeline: Timeline) -> int:
    """With the plan, or, without one, before the last second in which a request began."""
    if timeline.plan is not None:
        return int(timeline.plan.duration_s)
    began = (s for r in timeline.reports for e in r.endpoints.values() for s in e.started)
    return max(began, default=0)
