"""How the target was: what its own metrics say, by window, node and value (X-29).

The verdict does not rest on these. A node that could not be read has fewer samples, which the
counts show; nothing is filled in. This module must not know how samples are taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.timeline import TargetSample
from results.windows import Window


@dataclass(frozen=True, slots=True)
class TargetStats:
    """One value of one node in one window. `samples` is at least 1, each counts alike."""

    mean: float
    most: float
    samples: int


ByNode = Mapping[str, Mapping[str, TargetStats]]
"""Node -> value -> statistics."""


def target_stats(samples: Iterable[TargetSample], windows: Sequence[Window]) -> dict[str, ByNode]:
    """Window -> node -> value -> statistics; without samples there are no windows either.

    Every window has every node, since one that could not be read must show. A sample speaks for
    the second before it, so the one at 30.2 s belongs to second 29.
    """
    by_node: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
    for sample in samples:
        second = math.floor(sample.t_s - 0.5)
        by_node.setdefault(sample.node, []).append((second, sample.values))
    if not by_node:
        return {}
    return {
        window.name: {node: _of_window(found, window) for node, found in sorted(by_node.items())}
        for window in windows
    }


def _of_window(
    samples: list[tuple[int, Mapping[str, float]]], window: Window
) -> dict[str, TargetStats]:
    spans = window.seconds()
    found: dict[str, list[float]] = {}
    for second, values in samples:
        if any(second in span for span in spans):
            for name, value in values.items():
                found.setdefault(name, []).append(value)
    return {
        name: TargetStats(math.fsum(values) / len(values), max(values), len(values))
        for name, values in sorted(found.items())
    }
