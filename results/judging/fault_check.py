"""Holds a check of faults against what each of them did: how soon it showed, when it was over.

Without a fault nothing was shown, however well the run went; nor was it where no check looked.
This module must not measure impacts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.criterion import Check
from results.impact import SETTLED_S, Impact
from results.judging.check_result import CheckResult, Status, compared, holds, inconclusive
from results.measure import Measure, formatted
from results.windows import RUN, Window

NEVER_FIRED = "no fault was injected in this run, so nothing is known of one"


def evaluate_faults(
    check: Check, impacts: Sequence[Impact], windows: Mapping[str, Window]
) -> CheckResult:
    """The longest of the faults that the window names; of a phase, of those that began in it."""
    about = [impact for impact in impacts if _is_named(check.window, impact, windows)]
    if not about:
        there = ", ".join(impact.fault.id for impact in impacts)
        why = f"no fault belongs to the window {check.window}, there were: {there}"
        return inconclusive(check, why if impacts else NEVER_FIRED)
    if check.measure is Measure.DETECTION:
        return _detection(check, about)
    return _recovery(check, about, windows)


def _is_named(window: str, impact: Impact, windows: Mapping[str, Window]) -> bool:
    if window == RUN:
        return True
    prefix, _, name = window.partition(":")
    if prefix in ("fault", "recovery"):
        return name in ("*", impact.fault.id, impact.fault.kind)
    known = windows.get(window)
    spans = () if known is None else known.intervals
    return any(start_s <= impact.fault.began_s < end_s for start_s, end_s in spans)


def _detection(check: Check, about: Sequence[Impact]) -> CheckResult:
    shown = [one for one in about if one.detect_s is not None]
    if not shown:
        ids = ", ".join(one.fault.id for one in about)
        return inconclusive(check, f"{ids} broke no check, so that there was nothing to detect")
    times = [_Time(one.fault.id, one.detect_s, one.detect_least_s or 0.0) for one in shown]
    why = ""
    if silent := [one.fault.id for one in about if one.detect_s is None]:
        why = f"; {', '.join(silent)} broke no check"
    return _longest(check, times, why)


def _recovery(check: Check, about: Sequence[Impact], windows: Mapping[str, Window]) -> CheckResult:
    """A fault that nobody healed, or after which nothing was well again, has no time to compare."""
    times = []
    for one in about:
        if one.recover_least_s is not None:
            too_few = one.recover_s is None and _is_short_of_time(one, windows)
            times.append(_Time(one.fault.id, one.recover_s, one.recover_least_s, too_few))
            continue
        healed_s = one.fault.healed_s
        why = "it was never seen healed"
        if healed_s is not None:
            why = f"the checks did not hold again after it was healed at {healed_s:.1f} s"
        reason = f"{check.id}: no recovery from {one.fault.id}: {why}, asked for {check.comparison}"
        return CheckResult(check, Status.FAIL, None, len(about), reason)
    return _longest(check, times)


@dataclass(frozen=True, slots=True)
class _Time:
    """Of one fault. `most_s` is None where nobody saw it end: no check asked, or `too_few` seconds
    were left to see."""

    fault_id: str
    most_s: float | None
    least_s: float
    too_few: bool = False


def _is_short_of_time(impact: Impact, windows: Mapping[str, Window]) -> bool:
    window = windows.get(f"recovery:{impact.fault.id}")
    return window is None or sum(map(len, window.seconds())) < SETTLED_S


def _longest(check: Check, times: Sequence[_Time], why: str = "") -> CheckResult:
    """Limits of such times are the most that they may be: a FAIL needs the least, a PASS the most.

    `why` follows the reason.
    """
    longest = max(times, key=lambda time: time.least_s)
    surely = compared(check, longest.least_s, len(times), _of(longest, why))
    if surely.status is not Status.PASS:
        return surely
    for time in times:
        if time.most_s is None or not holds(check, time.most_s):
            return inconclusive(check, _unwatched(check, time))
    longest = max(times, key=lambda time: time.most_s or 0.0)
    assert longest.most_s is not None
    return compared(check, longest.most_s, len(times), _of(longest, why))


def _of(time: _Time, why: str) -> str:
    return f"the longest is that of {time.fault_id}{why}"


def _unwatched(check: Check, time: _Time) -> str:
    if time.too_few:
        return (
            f"{time.fault_id}: too few seconds were left after its healing to see whether the "
            f"checks hold again, which takes {SETTLED_S}: let the next fault begin, and the plan "
            "end, later"
        )
    begins = "beginning" if check.measure is Measure.DETECTION else "healing"
    until = "" if time.most_s is None else f" to {formatted(check.measure, time.most_s)}"
    return (
        f"{time.fault_id}: no check says how the target was from "
        f"{formatted(check.measure, time.least_s)}{until} after its {begins}: add one of errors, "
        "availability or latency, of the run or of the phase, for requests that are made there"
    )
