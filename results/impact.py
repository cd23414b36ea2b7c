"""What a fault did to the traffic: how soon it showed, how long it lasted, what it cost.

Seconds are held against the checks of the run one by one (`watch.py`), so that no time here is
finer than a second. This module must not read files or judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from results.criterion import Check
from results.judging.watch import Watch, tells_of_a_second
from results.measure import Measure
from results.timeline import Fault, Timeline
from results.windows import RUN, FaultSpan, fault_spans

SETTLED_S = 5
"""So many seconds in a row must hold before the target counts as recovered: one may by chance."""


@dataclass(frozen=True, slots=True)
class Impact:
    """Of one fault. Times are seconds; None where there is nothing to tell.

    `detect_s` is from the fault's beginning to the first second that breaks a check, None when none
    did. `recover_s` is from its healing until the checks hold again, None when they never did, or
    when it never healed. `budget_burnt` is the share of the errors that the run may make that fell
    into the fault and its recovery, `requests_lost` how many requests fewer ended than expected.
    """

    fault: Fault
    detect_s: float | None
    recover_s: float | None
    budget_burnt: float | None
    requests_lost: float | None


def impacts(timeline: Timeline, checks: Sequence[Check]) -> tuple[Impact, ...]:
    """One for each fault, in the order of `fault_spans`; faults that overlap share what they did.

    Raises HistogramError when a histogram is damaged.
    """
    spans = fault_spans(timeline)
    if not spans:
        return ()
    watch = Watch(timeline, checks)
    return tuple(_impact(span, watch, checks) for span in spans)


def recovery_doubts(timeline: Timeline, checks: Iterable[Check]) -> list[str]:
    """Why a check of recovery or detection proves nothing, if so."""
    asked = [c.id for c in checks if c.measure in (Measure.RECOVERY, Measure.DETECTION)]
    if not asked or not timeline.faults or any(map(tells_of_a_second, checks)):
        return []
    return [
        f"{', '.join(asked)}: no check says what a second must be like that is well again: add one "
        "of errors, availability or latency, of the run or of its phases"
    ]


def _impact(span: FaultSpan, watch: Watch, checks: Sequence[Check]) -> Impact:
    settled = _settled_second(span, watch)
    seconds = _seconds_of(span, settled, watch)
    detected = next((second for second in seconds if watch.breaks(second)), None)
    if settled is None:
        recover_s = None if detected is not None or span.healed_s is None else 0.0
    else:
        assert span.recovery is not None and span.healed_s is not None
        is_at_once = settled == _second_of(span.recovery[0])
        recover_s = 0.0 if is_at_once else max(0.0, settled - span.healed_s)
    return Impact(
        span.fault,
        None if detected is None else max(0.0, detected - span.fault.began_s),
        recover_s,
        _budget_burnt(seconds, watch, checks),
        _requests_lost(seconds, watch),
    )


def _seconds_of(span: FaultSpan, settled: int | None, watch: Watch) -> range:
    """From the second in which it began until it was recovered from, or its recovery is over."""
    stop = _second_of(span.end_s)
    if settled is not None:
        stop = max(settled, stop)
    elif span.recovery is not None:
        stop = _second_of(span.recovery[1])
    first = math.floor(span.fault.began_s)
    return range(max(first, watch.seconds.start), min(stop, watch.seconds.stop))


def _second_of(t_s: float) -> int:
    """The first second whose midpoint is not before it."""
    return math.ceil(t_s - 0.5)


def _settled_second(span: FaultSpan, watch: Watch) -> int | None:
    """The first from which `SETTLED_S` seconds hold, or as many as there are before the next fault
    or the plan's end; None where the last of them broke, or none is left."""
    if span.recovery is None:
        return None
    settled = _second_of(span.recovery[0])
    until = min(_second_of(span.until_s), watch.seconds.stop)
    for second in range(settled, until):
        if watch.breaks(second):
            settled = second + 1
        elif second + 1 - settled >= SETTLED_S:
            return settled
    return settled if settled < until else None


def _budget_burnt(seconds: range, watch: Watch, checks: Iterable[Check]) -> float | None:
    """Of the check of the whole run that allows the fewest; None where none allows any."""
    burnt = []
    for check in checks:
        if check.window != RUN or check.over_s is not None or check.for_s is not None:
            continue
        allowed = _allowed_errors(check, watch)
        if allowed:
            failed = sum(watch.failed(second, check.endpoint) for second in seconds)
            burnt.append(failed / allowed)
    return max(burnt, default=None)


def _allowed_errors(check: Check, watch: Watch) -> float:
    match check.measure:
        case Measure.ERROR_RATE:
            return check.limit * watch.ended_in_all(check.endpoint)
        case Measure.AVAILABILITY:
            return (1 - check.limit) * watch.ended_in_all(check.endpoint)
        case Measure.ERRORS:
            return check.limit
        case _:
            return 0.0


def _requests_lost(seconds: range, watch: Watch) -> float | None:
    expected = [watch.expectation.at(second) for second in seconds]
    known = [value for value in expected if value is not None]
    if len(known) < len(expected):
        return None
    return max(0.0, math.fsum(known) - sum(map(watch.ended, seconds)))
