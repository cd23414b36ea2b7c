"""Holds a check of faults against what each of them did: how soon it showed, when it was over.

Without a fault nothing was shown, however well the run went. This module must not measure impacts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.criterion import Check
from results.impact import Impact
from results.judging.check_result import CheckResult, Status, compared, inconclusive
from results.measure import Measure
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
    return _recovery(check, about)


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
    shown = [(one.detect_s, one) for one in about if one.detect_s is not None]
    if not shown:
        ids = ", ".join(one.fault.id for one in about)
        return inconclusive(check, f"{ids} broke no check, so that there was nothing to detect")
    value, longest = max(shown, key=lambda pair: pair[0])
    why = f"the longest is that of {longest.fault.id}"
    if silent := [one.fault.id for one in about if one.detect_s is None]:
        why += f"; {', '.join(silent)} broke no check"
    return compared(check, value, len(shown), why)


def _recovery(check: Check, about: Sequence[Impact]) -> CheckResult:
    """A fault that nobody healed, or after which nothing was well again, has no time to compare."""
    for one in about:
        if one.recover_s is not None:
            continue
        healed_s = one.fault.healed_s
        why = "it was never seen healed"
        if healed_s is not None:
            why = f"the checks did not hold again after it was healed at {healed_s:.1f} s"
        reason = f"{check.id}: no recovery from {one.fault.id}: {why}, asked for {check.comparison}"
        return CheckResult(check, Status.FAIL, None, len(about), reason)
    times = [(one.recover_s, one) for one in about if one.recover_s is not None]
    value, longest = max(times, key=lambda pair: pair[0])
    return compared(check, value, len(about), f"the longest is that of {longest.fault.id}")
