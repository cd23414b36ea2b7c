"""What a fault did to the traffic: how soon it showed, how long it lasted, what it cost.

This module must not read files or judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.timeline import Fault


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
