"""Which checks there are once the run is known: scaled, and one for each phase or fault.

A pattern such as `phase:*` stands for several windows, and `30s..90s` for one that nobody else
cuts. This module must not evaluate a check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from results.criterion import Check
from results.measure import Bound, Measure
from results.text.notation import span_of
from results.timeline import Fault
from results.windows import RUN, Window, interval

EACH_PHASE = "phase:*"
"""As a check's window: one check for each occurrence of each phase."""

EACH_FAULT = "fault:*"
EACH_RECOVERY = "recovery:*"
"""One check for each fault, or for the time after each."""

KNOWN_LATER = ("fault:", "recovery:", "baseline")
"""Beginnings of windows that only the run itself has: faults may come from anywhere."""

SHORTEST_ACHIEVED_S = 5.0
"""Occurrences of a phase that are shorter get no `achieved` of their own from `EACH_PHASE`. A step
of users takes a second at either edge, and starts vary by chance: phases of 3 s and less were seen
between 91 and 158 % of their plan while the target kept up. The whole run's share covers them."""


def scaled_counts(
    checks: Iterable[Check], *, time_scale: float, load_scale: float
) -> tuple[Check, ...]:
    """Count criteria times the scales that make counts smaller; others never scale."""
    for name, scale in (("time_scale", time_scale), ("load_scale", load_scale)):
        if not 0 < scale < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0, not {scale}")
    return tuple(
        check
        if check.scales is None
        else replace(
            check, limit=_rounded(check.limit * check.scales.factor(time_scale, load_scale))
        )
        for check in checks
    )


def _rounded(limit: float) -> float:
    """Without what a product of decimals leaves in the last digits, as in 3.3300000000000005."""
    return float(f"{limit:.12g}")


def expanded(
    checks: Iterable[Check],
    windows: Sequence[str],
    *,
    short: Collection[str] = (),
    faults: Sequence[Fault] = (),
) -> tuple[Check, ...]:
    """Patterns become one check per occurrence among the window names, but for those of which
    another check asks the same by name.

    `short` names the windows below `SHORTEST_ACHIEVED_S`. A fault without a recovery has a check of
    it all the same, and a pattern stays when nothing is of it: that nothing was looked at must be
    said. A kind that came once is its only fault's window. Raises ValueError when two checks have
    the same id.
    """
    declared = list(checks)
    patterns = (EACH_PHASE, EACH_FAULT, EACH_RECOVERY)
    by_name = {check.id for check in declared if check.window not in patterns}
    found: list[Check] = []
    for check in declared:
        if check.window not in patterns:
            found.append(replace(check, window=_of_kind(check.window, windows, faults)))
            continue
        if check.window == EACH_PHASE:
            names = _occurrences(check, windows, short)
        else:
            prefix = check.window.removesuffix("*")
            names = [prefix + fault.id for fault in faults]
        each = [_moved(check, name) for name in names]
        if not each and not _is_covered(check, declared):
            each = [check]
        found += [one for one in each if one.id not in by_name]
    ids: set[str] = set()
    for check in found:
        if check.id in ids:
            raise ValueError(f"two checks have the id {check.id!r}: remove one of them")
        ids.add(check.id)
    return tuple(found)


def _is_covered(check: Check, declared: Iterable[Check]) -> bool:
    """Whether the whole run's share of the planned starts is asked for beside the phases'."""
    of_run = replace(check, window=RUN, id="", bound=Bound.AT_LEAST, limit=0)
    return check.measure is Measure.ACHIEVED and any(
        replace(other, id="", bound=Bound.AT_LEAST, limit=0) == of_run for other in declared
    )


def _moved(check: Check, window: str) -> Check:
    """To a window of its pattern, which the id names as well: also one that somebody chose."""
    stem = check.id.removesuffix(f"@{check.window}")
    return replace(check, window=window, id=f"{stem}@{window}")


def _occurrences(check: Check, windows: Sequence[str], short: Collection[str]) -> list[str]:
    phases = [name for name in windows if name.startswith("phase:")]
    found = []
    for name in phases:
        is_union = any(other.startswith(f"{name}#") for other in phases)
        too_short = check.measure is Measure.ACHIEVED and name in short
        if not is_union and not too_short:
            found.append(name)
    return found


def _of_kind(window: str, windows: Sequence[str], faults: Sequence[Fault]) -> str:
    prefix, colon, kind = window.partition(":")
    ids = [fault.id for fault in faults if fault.kind == kind]
    if window in windows or f"{prefix}{colon}" not in KNOWN_LATER or len(ids) != 1:
        return window
    return f"{prefix}:{ids[0]}"


def interval_windows(checks: Iterable[Check]) -> tuple[Window, ...]:
    """Those that checks name as `30s..90s`, each once. Raises ValueError for an empty one."""
    names = dict.fromkeys(name for check in checks for name in _named_by(check))
    spans = {name: span for name in names if (span := span_of(name)) is not None}
    return tuple(interval(name, *span) for name, span in spans.items())


def unknown_windows(checks: Iterable[Check], windows: Sequence[str]) -> tuple[str, ...]:
    """Windows that checks name and the plan does not have: bad configuration, before any load."""
    wanted = {name for check in checks for name in _named_by(check)}
    there = {EACH_PHASE, RUN, *windows}
    return tuple(
        sorted(
            name
            for name in wanted - there
            if not name.startswith(KNOWN_LATER) and span_of(name) is None
        )
    )


def _named_by(check: Check) -> list[str]:
    over = None if check.figure is None else check.figure.over
    return [check.window] if over is None else [check.window, over]
