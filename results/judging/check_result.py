"""What a check came to: a status, the value, what it rests on, and why in plain words.

The words that every evaluation shares. This module must not know statistics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from results.criterion import Check
from results.measure import formatted


class Status(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`samples` is what the value rests on. `reason` says in plain words how the status came about.

    `firm` marks a FAIL that a slow generator cannot have caused (D15). `interval` is where the true
    share lies with 95 % confidence, of a share whose limit lies in it; else None.
    """

    check: Check
    status: Status
    value: float | None
    samples: int
    reason: str
    firm: bool = False
    interval: tuple[float, float] | None = None


def holds(check: Check, value: float) -> bool:
    """Whether the value is on the right side of the check's limit."""
    return check.bound.holds(value, check.limit)


def compared(check: Check, value: float, samples: int, why: str = "") -> CheckResult:
    """PASS or FAIL by the value; without samples, or with what is no number, INCONCLUSIVE.

    `why` follows the reason.
    """
    if samples == 0:
        return inconclusive(check, "no samples")
    if not (math.isfinite(value) and math.isfinite(check.limit)):
        return inconclusive(check, f"the value {value} or the limit {check.limit} is no number")
    shown = formatted(check.measure, value, limit=check.limit)
    status = Status.PASS if holds(check, value) else Status.FAIL
    where = f" of {check.endpoint}" if check.endpoint else ""
    reason = (
        f"{check.id}: {shown}{where} in window {check.window} ({samples:,} samples), "
        f"asked for {check.comparison}"
    )
    return CheckResult(check, status, value, samples, f"{reason}: {why}" if why else reason)


def inconclusive(check: Check, why: str, value: float | None = None) -> CheckResult:
    """It proves nothing, for this reason."""
    return CheckResult(check, Status.INCONCLUSIVE, value, 0, f"{check.id}: {why}")
