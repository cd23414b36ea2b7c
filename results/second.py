"""What happened in one second at one source: the unit that is shipped, stored and merged.

A report is an increment: several reports of one source may tell of the same second (late samples),
and adding them in any order gives the same sums. Sequence numbers per source make a lost report
visible. The dict form holds only text, integers, lists and dicts, so that JSON and msgpack carry
it alike. This module must not know how samples are collected or cut into windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from results.arrival import ArrivalSecond
from results.field import Fields, whole_number
from results.figure import Figure, figures_from
from results.histogram import EncodedHistogram

LATEST_S = 1_000_000
"""11.5 days from the origin, either way: no run may last longer. Every second from the first to the
last is looked at, so a damaged line may not claim just any: a million of them cost a second."""


@dataclass(frozen=True, slots=True)
class EndpointSecond:
    """One endpoint's requests that *ended* in the second, and the starts that they tell of.

    `ended` counts every outcome but CANCELLED, which is counted apart. `errors` counts by outcome,
    `statuses` failed answers by their status.
    `started` maps a second to how many of these requests (CANCELLED ones too) started in it.
    `raw` is response time, `excess` response time less the emulated part (both of `ended`; the same
    object where nothing was emulated, so that nobody decodes it twice),
    `corrected` is counted from the intended start and None when no request had one.
    """

    ended: int
    cancelled: int
    errors: Mapping[str, int]
    bytes_received: int
    started: Mapping[int, int]
    raw: EncodedHistogram
    excess: EncodedHistogram
    corrected: EncodedHistogram | None = None
    statuses: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeSecond:
    """One node's share of the second, over all endpoints."""

    ended: int
    errors: int


@dataclass(frozen=True, slots=True)
class SecondReport:
    """`sequence` counts a source's reports from 0; `second` is relative to the run's origin.

    `dropped` counts the samples that this source has thrown away so far because nobody shipped
    its reports: anything but 0 voids the run. `figures` are what users observed in the second,
    `arrivals` what became of an open load's, by user class; a report may hold nothing else.
    """

    source: str
    sequence: int
    second: int
    endpoints: Mapping[str, EndpointSecond]
    nodes: Mapping[str, NodeSecond] = field(default_factory=dict)
    dropped: int = 0
    figures: Mapping[str, Figure] = field(default_factory=dict)
    arrivals: Mapping[str, ArrivalSecond] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        figures = {name: figure.as_list() for name, figure in self.figures.items()}
        arrivals = {name: arrived.as_dict() for name, arrived in self.arrivals.items()}
        return {
            "source": self.source,
            "sequence": self.sequence,
            "second": self.second,
            "dropped": self.dropped,
            "endpoints": {name: _endpoint_dict(e) for name, e in self.endpoints.items()},
            "nodes": {name: [n.ended, n.errors] for name, n in self.nodes.items()},
            # Absent when empty, as in every timeline from before there were figures.
            **({"figures": figures} if figures else {}),
            **({"arrivals": arrivals} if arrivals else {}),
        }

    @classmethod
    def from_dict(cls, data: object) -> SecondReport:
        """Raises ValueError that names the field; unknown fields are refused."""
        fields = Fields(data, "report")
        report = cls(
            source=fields.text("source"),
            sequence=fields.whole("sequence", least=0),
            second=fields.whole("second"),
            dropped=fields.whole("dropped", least=0),
            endpoints={
                name: _endpoint(value, name) for name, value in fields.table("endpoints").items()
            },
            nodes={name: _node(value, name) for name, value in fields.table("nodes").items()},
            figures=figures_from(fields.table("figures")) if fields.has("figures") else {},
            arrivals={
                name: ArrivalSecond.from_dict(value, name)
                for name, value in fields.table("arrivals").items()
            }
            if fields.has("arrivals")
            else {},
        )
        fields.end()
        _require_seconds(report)
        return report


def _require_seconds(report: SecondReport) -> None:
    _require_second(report.second)
    for endpoint in report.endpoints.values():
        if endpoint.started:
            _require_second(min(endpoint.started))
            _require_second(max(endpoint.started))


def _require_second(second: int) -> None:
    if not -LATEST_S <= second <= LATEST_S:
        raise ValueError(f"report: second {second} is more than {LATEST_S:,} s from the origin")


def _endpoint_dict(e: EndpointSecond) -> dict[str, object]:
    return {
        "ended": e.ended,
        "cancelled": e.cancelled,
        "errors": dict(e.errors),
        "bytes": e.bytes_received,
        # Pairs, since keys of JSON objects are text.
        "started": [[second, count] for second, count in sorted(e.started.items())],
        "raw": _histogram_list(e.raw),
        # Null where nothing was emulated: each second would hold everything twice.
        "excess": None if e.excess == e.raw else _histogram_list(e.excess),
        "corrected": None if e.corrected is None else _histogram_list(e.corrected),
        **({"statuses": [list(pair) for pair in sorted(e.statuses.items())]} if e.statuses else {}),
    }


def _endpoint(data: object, name: str) -> EndpointSecond:
    fields = Fields(data, f"endpoint {name!r}")
    raw = _histogram(fields.row("raw", 5))
    endpoint = EndpointSecond(
        ended=fields.whole("ended", least=0),
        cancelled=fields.whole("cancelled", least=0),
        errors=fields.counts("errors"),
        bytes_received=fields.whole("bytes", least=0),
        started=fields.pairs("started"),
        raw=raw,
        excess=raw if fields.is_null("excess") else _histogram(fields.row("excess", 5)),
        corrected=None if fields.is_null("corrected") else _histogram(fields.row("corrected", 5)),
        statuses=_statuses(fields) if fields.has("statuses") else {},
    )
    fields.end()
    _require_counts(endpoint, name)
    return endpoint


def _require_counts(endpoint: EndpointSecond, name: str) -> None:
    """What contradicts itself would be a share of more than all."""
    failed = sum(endpoint.errors.values())
    if not endpoint.raw.count == endpoint.excess.count == endpoint.ended >= failed:
        raise ValueError(
            f"endpoint {name!r}: {endpoint.ended} requests ended, of which {failed} failed, but "
            f"{endpoint.raw.count} have a response time and {endpoint.excess.count} an excess"
        )
    if endpoint.statuses and sum(endpoint.statuses.values()) > failed:
        raise ValueError(f"endpoint {name!r}: {failed} failed, but more have a status")


def _statuses(fields: Fields) -> dict[int, int]:
    found = fields.pairs("statuses")
    if strange := [status for status in found if not 100 <= status <= 999]:
        raise ValueError(f"a status of HTTP has three digits, not {strange[0]}")
    return found


def _node(data: object, name: str) -> NodeSecond:
    fields = Fields({"counts": data}, f"node {name!r}")
    ended, errors = fields.row("counts", 2)
    return NodeSecond(_count(ended, "ended"), _count(errors, "errors"))


def _histogram_list(h: EncodedHistogram) -> list[object]:
    return [h.count, h.sum_us, h.max_us, h.clamped, h.data]


def _histogram(row: list[object]) -> EncodedHistogram:
    count, sum_us, max_us, clamped, data = row
    if not isinstance(data, str):
        raise ValueError(f"a histogram's data is base64 text, not {type(data).__name__}")
    return EncodedHistogram(
        _count(count, "count"),
        _count(sum_us, "sum_us"),
        _count(max_us, "max_us"),
        _count(clamped, "clamped"),
        data,
    )


def _count(value: object, name: str) -> int:
    return whole_number(value, name, "entry", 0)
