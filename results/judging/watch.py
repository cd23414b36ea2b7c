"""Second by second: whether the checks of the run held, as far as one second can tell.

Asked are checks of errors, availability and latency, of the run and of the phase that the second
belongs to. Those `over` or `for` some seconds ask for more than one and are left out. A second in
which nothing ended says nothing, but a silence in which `SILENT_REQUESTS` were expected breaks:
that is how a target looks that has frozen. This module must not know faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from results.criterion import Check
from results.judging.check_result import holds
from results.judging.demand import Demand
from results.judging.expectation import Expectation
from results.judging.sliding import Sliding
from results.judging.tally import NOTHING, Part, Tally
from results.measure import Bound, Measure
from results.second import EndpointSecond
from results.timeline import Timeline
from results.windows import RUN, phase_windows, plan_end_s

SILENT_REQUESTS = 5.0
"""Requests that come by chance leave such a silence out of every 150: exp(-5) is 0.7 %."""

_MEASURES = frozenset(
    (
        Measure.ERROR_RATE,
        Measure.ERRORS,
        Measure.AVAILABILITY,
        Measure.LATENCY,
        Measure.MEAN_LATENCY,
    )
)


def tells_of_a_second(check: Check) -> bool:
    """Whether one second by itself can break it."""
    is_of_load = check.window == RUN or check.window.startswith("phase:")
    has_span = check.over_s is not None or check.for_s is not None
    return check.measure in _MEASURES and is_of_load and not has_span


class _Asked:
    """One check, and the seconds that it is about; None: all."""

    def __init__(self, check: Check, seconds: Sequence[range] | None) -> None:
        self.check = check
        self._seconds = seconds
        self._sliding = Sliding(check, 1)
        self._demand = Demand(None, check.endpoint)

    def is_broken_by(self, second: int, tally: Tally) -> bool:
        if self._seconds is not None and not any(second in span for span in self._seconds):
            return False
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
    """The seconds of one run. `breaks` may be asked in any order; raises HistogramError for a
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
        self._asked = _asked(timeline, checks)
        self.seconds = self._seconds(timeline)
        stop = self.seconds.stop
        self._silent = self._silences(min(int(plan_end_s(timeline)), stop))
        self._known: dict[int, bool] = {}

    def _seconds(self, timeline: Timeline) -> range:
        """All that there is anything to tell of: what was recorded, and what was planned until the
        run ended. A run that was cut off is not silent from there on."""
        recorded = max((second + 1 for second in self._told), default=0)
        reached = recorded if timeline.end is None else int(timeline.end.t_s)
        stop = max(recorded, min(self.expectation.stop, reached))
        return range(min([0, *self._told]), stop)

    def breaks(self, second: int) -> bool:
        """Whether the second by itself breaks a check, or belongs to a silence."""
        found = self._known.get(second)
        if found is None:
            found = second in self._silent
            if self.ended(second):
                # Dropped at once, with all that was decoded of it.
                tally = self._tally(second)
                found = any(asked.is_broken_by(second, tally) for asked in self._asked)
            self._known[second] = found
        return found

    def ended(self, second: int) -> int:
        """Requests of all endpoints."""
        return self._parts_of(None).get(second, NOTHING).ended

    def failed(self, second: int, endpoint: str | None) -> int:
        """Of the endpoints that a name or pattern selects; None selects all."""
        return self._parts_of(endpoint).get(second, NOTHING).failed

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


def _asked(timeline: Timeline, checks: Iterable[Check]) -> list[_Asked]:
    phases = () if timeline.plan is None else phase_windows(timeline.plan)
    seconds = {window.name: window.seconds() for window in phases}
    return [
        _Asked(check, None if check.window == RUN else seconds.get(check.window, []))
        for check in checks
        if tells_of_a_second(check)
    ]
