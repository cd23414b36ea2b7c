"""The checks that every audited run has, whether or not its scenario names them.

They are made from the timeline's own checks and the audit, so that they are the same whenever a
verdict is computed. This module must not evaluate them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.audit.audit import Audit
from results.check import of_writes
from results.criterion import Check
from results.measure import Measure
from results.windows import RUN

USUAL = (Measure.LOST, Measure.ALTERED, Measure.DUPLICATED, Measure.PHANTOM)
"""What no service may do to a write. A redelivered one is the work of a client that failed over,
and an unverified one is a doubt of the audit itself."""


def audit_checks(declared: Iterable[Check], audit: Audit | None) -> tuple[Check, ...]:
    """`lost == 0` and so on, but for what a declared check asks of the whole run; none without an
    auditor. One of a window stands for nothing that is lost elsewhere.

    An auditor that tells no content has nothing altered to be asked for.
    """
    if audit is None or not audit.is_asked_for:
        return ()
    usual = _not_in(declared)
    if audit.not_made is None and not (audit.compared or audit.unread_nodes):
        return tuple(check for check in usual if check.measure is not Measure.ALTERED)
    return usual


def namesakes(declared: Sequence[Check]) -> tuple[Check, ...]:
    """Declared checks with the id of one that an audit adds: two of one id cannot be judged."""
    ids = {check.id for check in _not_in(declared)}
    return tuple(check for check in declared if check.id in ids)


def _not_in(declared: Iterable[Check]) -> tuple[Check, ...]:
    own = {check.measure for check in declared if check.window == RUN}
    return tuple(of_writes(measure) for measure in USUAL if measure not in own)
