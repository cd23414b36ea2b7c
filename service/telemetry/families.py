"""Telemetry as Prometheus families: a valid page whatever the paths and tags are.

A counter `dev/file_saves` becomes `foundation_dev_file_saves_total`, a gauge loses the `_total`, a
measurement is the summary `foundation_…_seconds` (count and sum: quantiles of all series would make
a page of megabytes). `a/b` and `a-b` have the same name then: such paths share one family, each
sample told apart by a label `telemetry_path`. A name that the node itself has taken gets
`foundation_telemetry_` in front. Called at a scrape; emits nothing and does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, Literal

from prometheus_client.metrics_core import Metric

from service.telemetry.series import Series, Telemetry

Kind = Literal["counter", "gauge", "summary"]
_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {
    "counter": ("_total", "_created"),
    "gauge": (),
    "summary": ("_count", "_sum", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
}
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")

Sample = tuple[str, dict[str, str], float]
"""A suffix, labels, a value."""


def stem(path: str) -> str:
    """What the name of a path's family is made of; several paths can have the same."""
    return _UNFIT.sub("_", path)


def claimed(family: Metric) -> set[str]:
    """Every sample name that a family may have on a page, its own name among them."""
    return _claims(family.name, family.type)


def telemetry_families(telemetry: Telemetry, taken: set[str]) -> Iterator[Metric]:
    """All series of `telemetry`; `taken` are the names on the page already, and is added to."""
    yield from _families("counter", list(telemetry.counters()), taken)
    yield from _families("gauge", list(telemetry.gauges()), taken)
    yield from _summaries(telemetry, taken)


def _families(kind: Kind, series: Sequence[Series], taken: set[str]) -> Iterator[Metric]:
    suffix = "_total" if kind == "counter" else ""
    by_path: dict[str, list[Sample]] = {}
    for path, tags, value in series:
        by_path.setdefault(path, []).append((suffix, tags, value))
    yield from _named(kind, by_path, taken)


def _summaries(telemetry: Telemetry, taken: set[str]) -> Iterator[Metric]:
    by_path: dict[str, list[Sample]] = {}
    for path, tags, of in telemetry.measurements():
        by_path.setdefault(path, []).extend(
            (("_count", tags, of.count), ("_sum", tags, of.sum_ms / 1_000))
        )
    yield from _named("summary", by_path, taken)


def _named(kind: Kind, by_path: dict[str, list[Sample]], taken: set[str]) -> Iterator[Metric]:
    """One family for each name, with the samples of all paths that have it."""
    paths: dict[str, list[str]] = {}
    for path in by_path:
        paths.setdefault(stem(path), []).append(path)
    for shared, sharing in paths.items():
        name = _free_name(kind, shared, taken)
        family = Metric(name, f"Telemetry of {', '.join(sharing)}", kind)
        for path in sharing:
            apart = {"telemetry_path": path} if len(sharing) > 1 else {}
            for suffix, tags, value in by_path[path]:
                family.add_sample(name + suffix, tags | apart, value)
        yield family


def _free_name(kind: Kind, shared: str, taken: set[str]) -> str:
    """The first fitting name of which nothing is taken; it is taken from now on."""
    unit = "_seconds" if kind == "summary" else ""
    for number in count():
        prefix = ("foundation", "foundation_telemetry")[min(number, 1)]
        name = f"{prefix}_{shared}{f'_{number}' if number > 1 else ''}{unit}"
        claims = _claims(name, kind)
        if claims.isdisjoint(taken):
            break
    taken |= claims
    return name


def _claims(name: str, kind: str) -> set[str]:
    return {name, *(name + suffix for suffix in _SUFFIXES.get(kind, ()))}
