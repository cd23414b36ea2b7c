"""Tallies: what all sources tell of one second, for checks that look at seconds by themselves.

`statistic.cut` sums up whole windows; checks `over` and `for` some seconds, and those that may end
the run, ask every second of a selection of endpoints. Each histogram is decoded once, whoever asks
for it, and only when somebody does. This module must not know checks or windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from results.histogram import EncodedHistogram, Histogram, decode
from results.measure import Series
from results.second import EndpointSecond
from results.selection import is_about
from results.statistic import NODE_MADE


@dataclass(frozen=True, slots=True)
class Part:
    """A selection's requests that ended in the second. `failed` counts those that failed,
    `node_made` those of them that a slow generator cannot have caused.

    `timed` requests have a latency of the series that was asked for, with that sum and maximum.
    """

    ended: int = 0
    failed: int = 0
    node_made: int = 0
    timed: int = 0
    sum_us: int = 0
    max_us: int = 0


NOTHING = Part()


class Tally:
    """One second. Life cycle: `add` what each source tells of it, then ask."""

    __slots__ = ("_decoded", "_endpoints", "_merged", "_parts")

    def __init__(self) -> None:
        self._endpoints: dict[str, list[EndpointSecond]] = {}
        self._parts: dict[tuple[str | None, Series | None], Part] = {}
        self._merged: dict[tuple[str | None, Series], Histogram | None] = {}
        self._decoded: dict[tuple[str, Series], Histogram | None] = {}

    def add(self, endpoints: Mapping[str, EndpointSecond]) -> None:
        """What one report tells of the second, by endpoint."""
        for name, endpoint in endpoints.items():
            self._endpoints.setdefault(name, []).append(endpoint)

    def part(self, selection: str | None, series: Series | None) -> Part:
        """Of the endpoints that a name or pattern selects; None selects all."""
        key = selection, series
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = _part(self._selected(selection), series)
        return found

    def latencies(self, selection: str | None, series: Series) -> Histogram | None:
        """None where no request has one. Not to be changed: it is everybody's.

        Raises HistogramError when a histogram is damaged.
        """
        key = selection, series
        if key not in self._merged:
            self._merged[key] = self._merge(selection, series)
        return self._merged[key]

    def _selected(self, selection: str | None) -> Iterator[EndpointSecond]:
        for name, endpoints in self._endpoints.items():
            if is_about(selection, name):
                yield from endpoints

    def _merge(self, selection: str | None, series: Series) -> Histogram | None:
        found = [
            one
            for name in self._endpoints
            if is_about(selection, name) and (one := self._of_endpoint(name, series)) is not None
        ]
        return _sum(found)

    def _of_endpoint(self, name: str, series: Series) -> Histogram | None:
        key = name, series
        if key not in self._decoded:
            told = (series_of(one, series) for one in self._endpoints[name])
            found = [decode(one) for one in told if one is not None and one.count]
            self._decoded[key] = _sum(found)
        return self._decoded[key]


def series_of(endpoint: EndpointSecond, series: Series) -> EncodedHistogram | None:
    """That latency of an endpoint's requests."""
    match series:
        case Series.RAW:
            return endpoint.raw
        case Series.EXCESS:
            return endpoint.excess
        case Series.CORRECTED:
            return endpoint.corrected


def _part(endpoints: Iterator[EndpointSecond], series: Series | None) -> Part:
    ended = failed = node_made = timed = sum_us = max_us = 0
    for one in endpoints:
        ended += one.ended
        for kind, count in one.errors.items():
            failed += count
            if kind in NODE_MADE:
                node_made += count
        told = None if series is None else series_of(one, series)
        if told is not None:
            timed += told.count
            sum_us += told.sum_us
            max_us = max(max_us, told.max_us)
    return Part(ended, failed, node_made, timed, sum_us, max_us)


def _sum(histograms: Sequence[Histogram]) -> Histogram | None:
    """Of one that is itself: nobody changes it."""
    if len(histograms) < 2:
        return histograms[0] if histograms else None
    whole = Histogram()
    for one in histograms:
        whole.add(one)
    return whole
