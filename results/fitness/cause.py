"""Why a loop was late, as far as its process's own figures tell, and what to do about it.

A loop that is late was either computing, or waiting for a processor that others had, or blocked in
a call. CPU time and CPU wait only explain here. This module must not decide whether the loop was
late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from results.finding import Mark
from results.health import (
    CPU_PERCENT,
    CPU_WAIT_PERCENT,
    LAG_LIMIT_MS,
    MASTER,
    WRITE_MAX_MS,
    readings_by_source,
)
from results.judging.stretch import FIRST_SPAN_S
from results.timeline import Health

WAIT_PERCENT = 20.0
"""From here on the wait for a processor is named as the cause. Below it every reading of 20 ms
would have to wait for a whole scheduler period to be a quarter of a second late."""

CORE_PERCENT = 90.0
"""A process that used this much of its core computed nearly all the time."""


def cause(lines: Iterable[Health], marks: Sequence[Mark]) -> str:
    """A clause for the finding of one source, of its lines within the marks: what and remedy."""
    assert marks, "a cause of something"
    source = marks[0].source
    own = [line for line in lines if line.source == source]
    wait = _mean(own, CPU_WAIT_PERCENT, marks)
    cpu = _mean(own, CPU_PERCENT, marks)
    written_ms = max(
        (value for t_s, value, _ in _spans(own, WRITE_MAX_MS) if _is_in(t_s, marks)), default=0.0
    )
    if wait is not None and wait >= WAIT_PERCENT:
        return (
            f"it was runnable but waited for a processor {wait:.0f} % of the time: other processes "
            f"took it ({_used(cpu)}); stop them, pin them elsewhere, or use more cores"
        )
    if cpu is not None and cpu >= CORE_PERCENT:
        return f"{_used(cpu)}: {_relief(source)}"
    if written_ms > LAG_LIMIT_MS:
        return (
            f"a write to the timeline took up to {written_ms:,.0f} ms: write to a disk that is "
            "free, with --results-dir"
        )
    if cpu is None:
        return "give the generator more cores or workers, or lower the load"
    others = "other processes took the processor, or " if wait is None else ""
    return (
        f"{_used(cpu)}: {others}it was suspended, or blocked in a call that gevent "
        "does not make cooperative; see its log, and what else ran on its machine"
    )


def _used(cpu: float | None) -> str:
    return "its own use is not known" if cpu is None else f"it used {cpu:.0f} % of a core"


def _relief(source: str) -> str:
    if source == MASTER:
        return "it needs a faster core of its own, or fewer workers and users"
    return "one process computes on one core, so use more workers (--processes), or lower the load"


def _spans(lines: Iterable[Health], name: str) -> list[tuple[float, float, float]]:
    """(t_s, value, seconds that it speaks for), in order of time."""
    (readings,) = readings_by_source(lines, name).values() or ([],)
    ordered = sorted(readings)
    if not ordered:
        return []
    times_s = [ordered[0][0] - FIRST_SPAN_S, *(t_s for t_s, _ in ordered)]
    return [
        (t_s, value, after - before)
        for (t_s, value), (before, after) in zip(ordered, pairwise(times_s), strict=True)
    ]


def _mean(lines: Iterable[Health], name: str, marks: Sequence[Mark]) -> float | None:
    """Over the marked seconds; None when nobody measured it there."""
    told = [(value, s) for t_s, value, s in _spans(lines, name) if _is_in(t_s, marks)]
    weight = sum(s for _, s in told)
    return sum(value * s for value, s in told) / weight if weight else None


def _is_in(t_s: float, marks: Iterable[Mark]) -> bool:
    return any(mark.from_s < t_s <= mark.to_s for mark in marks)
