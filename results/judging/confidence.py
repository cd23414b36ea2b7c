"""How sure a share is that was counted: the interval in which the true one lies (95 %).

By Wilson's score interval (E. B. Wilson, "Probable inference, the law of succession, and
statistical inference", JASA 22, 1927), which holds for shares near 0 and 1 and for few requests. It
takes requests for independent; failures that come in bursts make the truth wider. This module must
not change a status: a value beside its limit is told, not forgiven.
"""

from __future__ import annotations

import math
from dataclasses import replace

from results.judging.check_result import CheckResult
from results.measure import formatted

Z = 1.959963984540054
"""Of the normal distribution, for 95 % in the middle."""


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Lower and upper end, for `hits` of `total`; `total` is at least 1.

    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n)
    """
    assert 0 <= hits <= total and total, "a share of something"
    share, square = hits / total, Z * Z / total
    middle = share + square / 2
    reach = math.sqrt(square * share * (1 - share) + square * square / 4)
    low, high = (middle - reach) / (1 + square), (middle + reach) / (1 + square)
    # Exact at the edges, where rounding would leave a crumb.
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == total else min(1.0, high))


def needed(share: float, limit: float) -> int | None:
    """How many requests it takes until the interval of that share is clear of the limit; None when
    it never is.

    Wilson's interval is the score test turned around: it leaves the limit out exactly when
    |share - limit| > z √(limit (1 - limit) / n), so n > z² limit (1 - limit) / (share - limit)².
    """
    distance = (share - limit) ** 2
    if not distance:
        return None
    count = Z * Z * limit * (1 - limit) / distance
    return math.floor(count) + 1 if math.isfinite(count) else None


def near_its_limit(result: CheckResult, hits: int, total: int) -> CheckResult:
    """With the interval, and a reason that tells it, when the limit lies in it; else as it was.

    A limit of 0 or 1 is not a share that a sample is held to: one request decides.
    """
    limit = result.check.limit
    if result.value is None or not total or not 0 < limit < 1:
        return result
    low, high = wilson(hits, total)
    if not low <= limit <= high:
        return result
    measure = result.check.measure
    ends = [formatted(measure, end, limit=limit) for end in (low, high)]
    more = needed(hits / total, limit)
    settle = "no number of further requests would settle it"
    if more is not None:
        settle = f"{max(1, more - total):,} more with the same share would settle it"
    reason = (
        f"{result.reason}; the limit lies within the 95 % interval of {total:,}, "
        f"{' to '.join(ends)}: {settle}"
    )
    return replace(result, reason=reason, interval=(low, high))
