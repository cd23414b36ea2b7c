"""Requests whose client stated no response time: they count, and say nothing of latency.

Locust takes such events (a message that was received, say), so they are in every count. Their 0 ms
would flatter each latency, so that no check of one may rest on them. This module must not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.check import Check
from results.measure import Measure
from results.timeline import Annotation

UNTIMED = "untimed_requests"
"""Label of the annotation that names the first of them in a process."""

_OF_LATENCY = (Measure.LATENCY, Measure.MEAN_LATENCY)


def untimed_doubts(annotations: Iterable[Annotation], checks: Sequence[Check]) -> list[str]:
    """Why the checks of latency prove nothing, if so."""
    first = min(
        (note for note in annotations if note.label == UNTIMED),
        key=lambda note: note.t_s,
        default=None,
    )
    judged = [check.id for check in checks if check.measure in _OF_LATENCY]
    if first is None or not judged:
        return []
    return [
        f"some requests stated no response time and count as 0 ms, the first: {first.text}; so "
        f"{', '.join(judged)} would flatter the target: have the client state response_time"
    ]
