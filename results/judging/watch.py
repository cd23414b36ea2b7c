"""Second by second: whether the checks of the run held, as far as one second can tell.

Asked are checks of errors, availability and latency, of the run and of the phase that the second
belongs to. Those `over` or `for` some seconds ask for more than one and are left out, and so are
limits that no second by itself can break. A second in which nothing ended says nothing, but a
silence in which `SILENT_REQUESTS` were expected breaks: that is how a target looks that has frozen.
This module must not know faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto

from results.criterion import Check
from results.judging.check_result import holds
from results.judging.demand import Demand
from results.judging.expectation import Expectation
from results.judging.sliding import Sliding
from results.judging.tally import NOTHING, Part, Tally
from results.measure import Bound, Measure
from results.second import EndpointSecond
from results.selection import is_about
from results.timeline import Timeline
from results.windows import RUN, phase_windows, plan_end_s

SILENT_REQUESTS = 5.0
"""Requests that come by chance leave such a silence out of every 150: exp(-5) is 0.7 %."""

_LATENCIES = frozenset((Measure.LATENCY, Measure.MEAN_LATENCY))

_BEST_AND_WORST = {
    Measure.ERROR_RATE: (0.0, 1.0),
    Measure.AVAILABILITY: (1.0, 0.0),
    # How many more there are is a matter of load: only the first one tells.
    Measure.ERRORS: (0.0, 1.0),
}
"""Of a second in which nothing failed, and of one in which the target was not there."""


class State(Enum):
    """Of one second. `QUIET`: checks ask about it, and no request of theirs ended in it.
    `UNWATCHED`: no check asks about it."""

    BROKEN = auto()
    WELL = auto()
    QUIET = auto()
    UNWATCHED = auto()


def tells_of_a_second(check: Check) -> bool:
    """Whether one second by itself can break it.

    `errors <= 10000` is met by each second of a run that breaks it.
    """
    is_of_load = check.window == RUN or check.window.startswith("phase:")
    if not is_of_load or check.over_s is not None or check.for_s is not None:
        return False
    if check.measure in _LATENCIES:
        return True
    best, worst = _BEST_AND_WORST.get(check.measure, (None, None))
    if best is None or worst is None:
        return False
    return holds(check, best) and not holds(check, worst)


class _Asked:
    """One check, and the seconds that it is about; None: all."""

    def __init__(self, check: Check, seconds: Sequence[range] | None) -> None:
        self.check = check
        self._seconds = seconds
        self._sliding = Sliding(check, 1)
        self._demand = Demand(None, check.endpoint)

    def is_about(self, second: int) -> bool:
        return self._seconds is None or any(second in span for span in self._seconds)

    def is_met_by(self, tally: Tally) -> bool:
        """Whether a second that does not break it tells that all was well.

        Requests that failed have a latency too: alone they tell of no answer that was quick.
        """
        part = tally.part(self.check.endpoint, self.check.series)
        if self.check.measure in _LATENCIES:
            return part.timed > 0 and part.failed < part.ended
        return part.ended > 0

    def is_broken_by(self, second: int, tally: Tally) -> bool:
        if self._is_surely_met(tally):
            return False
        self._demand.advance(second)
        self._sliding.clear()
        self._sliding.push(tally, self._demand)
        value = self._sliding.value()
        return value is not None and not holds(self.check, value)

    def _is_surely_met(self, tally: Tally) -> bool:
        """No quantile is above the maximum, which is known without decoding a histogram."""
        check = self.check
        if check.measure is not Measure.LATENCY or check.bound not in (Bound.BELOW, Bound.AT_MOST):
            return False
        return holds(check, tally.part(check.endpoint, check.series).max_us / 1000)


class Watch:
    """The seconds of one run. `state` may be asked in any order; raises HistogramError for a
    damaged one."""

    def __init__(self, timeline: Timeline, checks: Iterable[Check]) -> None:
        self._told: dict[int, list[Mapping[str, EndpointSecond]]] = {}
        for report in timeline.reports:
            if report.endpoints:
                self._told.setdefault(report.second, []).append(report.endpoints)
        self._parts: dict[str | None, dict[int, Part]] = {}
        self.expectation = Expectation(
            timeline, {second: part.ended for second, part in self._parts_of(None).items()}
        )
        self._asked = _asked(timeline, checks, self._names())
        self.seconds = self._seconds(timeline)
        stop = self.seconds.stop
        self._silent = self._silences(min(int(plan_end_s(timeline)), stop))
        self._known: dict[int, State] = {}

    def _names(self) -> set[str]:
        """Endpoints of which a request has ended, in the whole run."""
        told = (endpoints for reports in self._told.values() for endpoints in reports)
        return {name for endpoints in told for name, one in endpoints.items() if one.ended}

    def _seconds(self, timeline: Timeline) -> range:
        """All that there is anything to tell of: what was recorded, and what was planned until the
        run ended. A run that was cut off is not silent from there on."""
        recorded = max((second + 1 for second in self._told), default=0)
        reached = recorded if timeline.end is None else int(timeline.end.t_s)
        stop = max(recorded, min(self.expectation.stop, reached))
        return range(min([0, *self._told]), stop)

    def breaks(self, second: int) -> bool:
        """Whether the second by itself breaks a check, or belongs to a silence."""
        return self.state(second) is State.BROKEN

    def state(self, second: int) -> State:
        """What the second by itself tells."""
        found = self._known.get(second)
        if found is None:
            found = self._known[second] = self._state(second)
        return found

    def _state(self, second: int) -> State:
        if second in self._silent:
            return State.BROKEN
        asked = [each for each in self._asked if each.is_about(second)]
        if not asked:
            return State.UNWATCHED
        if not self.ended(second):
            return State.QUIET
        # Dropped at once, with all that was decoded of it.
        tally = self._tally(second)
        if any(each.is_broken_by(second, tally) for each in asked):
            return State.BROKEN
        return State.WELL if any(each.is_met_by(tally) for each in asked) else State.QUIET

    def ended(self, second: int) -> int:
        """Requests of all endpoints."""
        return self._parts_of(None).get(second, NOTHING).ended

    def ended_in(self, seconds: range) -> int:
        """Of all endpoints."""
        return sum(part.ended for part in _within(seconds, self._parts_of(None)))

    def failed_in(self, seconds: range, endpoint: str | None) -> int:
        """Of the endpoints that a name or pattern selects; None selects all."""
        return sum(part.failed for part in _within(seconds, self._parts_of(endpoint)))

    def ended_in_all(self, endpoint: str | None) -> int:
        """In the whole run."""
        return sum(part.ended for part in self._parts_of(endpoint).values())

    def _parts_of(self, endpoint: str | None) -> dict[int, Part]:
        found = self._parts.get(endpoint)
        if found is None:
            found = {second: self._tally(second).part(endpoint, None) for second in self._told}
            self._parts[endpoint] = found
        return found

    def _tally(self, second: int) -> Tally:
        tally = Tally()
        for endpoints in self._told[second]:
            tally.add(endpoints)
        return tally

    def _silences(self, end: int) -> frozenset[int]:
        """Seconds of each time without an end of a request in which enough were expected."""
        found: set[int] = set()
        silence: list[int] = []
        expected = 0.0
        for second in range(end + 1):
            if second < end and not self.ended(second):
                silence.append(second)
                expected += self.expectation.at(second) or 0.0
                continue
            if expected >= SILENT_REQUESTS:
                found.update(silence)
            silence, expected = [], 0.0
        return frozenset(found)


def _asked(timeline: Timeline, checks: Iterable[Check], names: Iterable[str]) -> list[_Asked]:
    """Those that tell of a second; of an endpoint that nobody called nothing is ever told."""
    phases = () if timeline.plan is None else phase_windows(timeline.plan)
    seconds = {window.name: window.seconds() for window in phases}
    return [
        _Asked(check, None if check.window == RUN else seconds.get(check.window, []))
        for check in checks
        if tells_of_a_second(check) and any(is_about(check.endpoint, name) for name in names)
    ]


def _within(seconds: range, parts: Mapping[int, Part]) -> Iterator[Part]:
    """Goes through whichever are fewer: a fault may last for seconds, or all of a long run."""
    if len(seconds) <= len(parts):
        return (parts[second] for second in seconds if second in parts)
    return (part for second, part in parts.items() if second in seconds)
