"""What a fault did to the traffic: how soon it showed, how long it lasted, what it cost.

Seconds are held against the checks of the run one by one (`watch.py`), so that no time here is
finer than a second. Where no check asks about a second nobody knows how it was: then a time lies
between two bounds. This module must not read files or judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from results.criterion import Check
from results.judging.watch import State, Watch
from results.measure import Measure
from results.timeline import Fault, Timeline
from results.windows import RUN, FaultSpan, fault_spans

SETTLED_S = 5
"""So many seconds in a row must hold before the target counts as recovered: one may by chance."""


@dataclass(frozen=True, slots=True)
class Impact:
    """Of one fault. Times are seconds; None where there is nothing to tell.

    `detect_s` is from the fault's beginning to the first second that breaks a check, None when none
    did. `recover_s` is from its healing until the checks hold again, None when they were not seen
    to. `budget_burnt` is the share of the errors that the run may make that fell into the fault and
    its recovery, `requests_lost` how many requests fewer ended than expected.

    `detect_least_s` and `recover_least_s` are the least that these times were: the same, but where
    no check asks about a second before. Where `recover_s` alone is None nobody could tell whether
    all was well again: no check asked, or too few seconds were left before the next fault or the
    plan's end. Both are None when it never was, or when the fault never healed.
    """

    fault: Fault
    detect_s: float | None
    recover_s: float | None
    budget_burnt: float | None
    requests_lost: float | None
    detect_least_s: float | None
    recover_least_s: float | None


def impacts(timeline: Timeline, checks: Sequence[Check]) -> tuple[Impact, ...]:
    """One for each fault, in the order of `fault_spans`; faults that overlap share what they did.

    Raises HistogramError when a histogram is damaged.
    """
    spans = fault_spans(timeline)
    if not spans:
        return ()
    watch = Watch(timeline, checks)
    return tuple(_impact(span, watch, checks) for span in spans)


def _impact(span: FaultSpan, watch: Watch, checks: Sequence[Check]) -> Impact:
    settled, earliest = _settled_second(span, watch)
    seconds = _seconds_of(span, settled, watch)
    detect_s, detect_least_s = _detection(span, seconds, watch)
    recover_s, recover_least_s = _after_healing(span, settled), _after_healing(span, earliest)
    if span.recovery is None and span.healed_s is not None:
        # No second is left to tell of; perhaps none broke at all, if anybody looked.
        was_well = detect_s is None and _is_well(seconds, watch)
        recover_s, recover_least_s = (0.0 if was_well else None), 0.0
    return Impact(
        span.fault,
        detect_s,
        recover_s,
        _budget_burnt(seconds, watch, checks),
        _requests_lost(seconds, watch),
        detect_least_s,
        recover_least_s,
    )


def _detection(span: FaultSpan, seconds: range, watch: Watch) -> tuple[float | None, float | None]:
    """As it was seen, and at the least."""
    began_s = span.fault.began_s
    first_unwatched: int | None = None
    for second in seconds:
        state = watch.state(second)
        if state is State.UNWATCHED and first_unwatched is None:
            first_unwatched = second
        if state is State.BROKEN:
            least = second if first_unwatched is None else first_unwatched
            return max(0.0, second - began_s), max(0.0, least - began_s)
    return None, None


def _after_healing(span: FaultSpan, second: int | None) -> float | None:
    """How long after it a second began; 0 of the first of its recovery."""
    if second is None:
        return None
    assert span.recovery is not None and span.healed_s is not None
    is_at_once = second == _second_of(span.recovery[0])
    return 0.0 if is_at_once else max(0.0, second - span.healed_s)


def _is_well(seconds: range, watch: Watch) -> bool:
    """Whether checks ask about all of them, and one of them at least tells."""
    states = {watch.state(second) for second in seconds}
    return State.WELL in states and states <= {State.WELL, State.QUIET}


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


def _settled_second(span: FaultSpan, watch: Watch) -> tuple[int | None, int | None]:
    """The first from which `SETTLED_S` seconds hold, or as many as there are before the next fault
    or the plan's end; and the earliest from which they may have held.

    The first is None where no check tells of so many, and where all that were left are too few to
    tell; both are where the last of more seconds broke.
    """
    if span.recovery is None:
        return None, None
    first = earliest = _second_of(span.recovery[0])
    until = min(_second_of(span.until_s), watch.seconds.stop)
    began: int | None = None
    is_told = may_have = False
    for second in range(earliest, until):
        state = watch.state(second)
        if state is State.BROKEN and not may_have:
            earliest = second + 1
        may_have = may_have or second + 1 - earliest >= SETTLED_S
        if state in (State.BROKEN, State.UNWATCHED):
            began, is_told = None, False
            continue
        began = second if began is None else began
        is_told = is_told or state is State.WELL
        if is_told and second + 1 - began >= SETTLED_S:
            return began, earliest
    if earliest >= until:
        return None, max(first, until) if until - first < SETTLED_S else None
    return (began if is_told else None), earliest


def _budget_burnt(seconds: range, watch: Watch, checks: Iterable[Check]) -> float | None:
    """Of the check of the whole run that allows the fewest; None where none allows any."""
    burnt = []
    for check in checks:
        if check.window != RUN or check.over_s is not None or check.for_s is not None:
            continue
        allowed = _allowed_errors(check, watch)
        if allowed:
            burnt.append(watch.failed_in(seconds, check.endpoint) / allowed)
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
    expected = watch.expectation.over(seconds)
    return None if expected is None else max(0.0, expected - watch.ended_in(seconds))
