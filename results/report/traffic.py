"""Tables of what was sent and what came back: windows, endpoints, errors, arrivals, figures.

This module must not compute statistics: it shows those of the verdict's document.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.document import Document
from results.report.record import Record
from results.report.table import (
    Cell,
    Column,
    Table,
    count,
    decimal,
    milliseconds,
    numbers,
    plain,
    share,
    spans,
    text,
    words,
)
from results.windows import RUN

ERROR_KINDS = {
    "http_4xx": "answered with a status of 400 to 499",
    "http_5xx": "answered with a status of 500 to 599",
    "timeout": "no answer in time",
    "refused": "the connection was refused",
    "reset": "the connection broke before the answer was complete",
    "malformed": "the answer was no valid HTTP",
    "check": "answered, but with other content than the scenario expects",
    "local": "never sent: the generator had no descriptors or ports left",
    "other": "anything else",
}
"""Of `results.sample.Outcome`, in words."""

_LATENCY = "response time, errors included"
_EXCESS = "response time less the wait that the node itself declared as emulated"
_CORRECTED = "from the intended start, so that requests which were held back count as slow"


@dataclass(frozen=True, slots=True)
class EndpointTables:
    """`whole` is the run's, `parts` those of the other windows."""

    whole: Table | None
    parts: tuple[Table, ...]


def windows(record: Record) -> list[Document]:
    return record.verdict.rows("windows")


def window_table(record: Record) -> Table | None:
    found = windows(record)
    if not found:
        return None
    corrected = any(w.table("total").table("corrected_ms") for w in found)
    unfit = any(w.rows("unfit") for w in found)
    columns = (
        *words("Window", "From, to"),
        *numbers("Users", "Requests", "Per s"),
        Column("Achieved", "starts, of those that the plan asks for", numeric=True),
        *numbers("Errors", "Error rate"),
        Column("p50 ms", _LATENCY, numeric=True),
        Column("p99 ms", _LATENCY, numeric=True),
        Column("max ms", _LATENCY, numeric=True),
        Column("excess p99 ms", _EXCESS, numeric=True),
        *([Column("corrected p99 ms", _CORRECTED, numeric=True)] if corrected else []),
        *([Column("Unfit", "while the generator was not fit", numeric=True)] if unfit else []),
    )
    rows = tuple(_window_row(each, corrected, unfit) for each in found)
    caption = "Every window: the run, its phases, faults and recoveries"
    return Table(caption, columns, rows, "csv/windows.csv")


def _window_row(window: Document, corrected: bool, unfit: bool) -> tuple[Cell, ...]:
    total = window.table("total")
    raw = total.table("raw_ms")
    failed = sum(total.table("errors").numbers().values())
    unfit_s = _covered(window.rows("unfit"))
    return (
        text(window.text("name")),
        text(spans(window.pairs("intervals_s"))),
        decimal(window.number("planned_users"), 0),
        count(total.number("requests")),
        decimal(window.number("rate_per_s"), 1),
        share(window.number("achieved")),
        count(failed, "bad"),
        share(total.number("error_rate")),
        milliseconds(raw.number("p50")),
        milliseconds(raw.number("p99")),
        milliseconds(raw.number("max")),
        milliseconds(total.table("excess_ms").number("p99")),
        *([milliseconds(total.table("corrected_ms").number("p99"))] if corrected else []),
        *([Cell(f"{unfit_s:,.0f} s", unfit_s, "warn" if unfit_s else "")] if unfit else []),
    )


def _covered(marks: list[Document]) -> float:
    """Seconds under any of the marks, each once."""
    total, edge = 0.0, float("-inf")
    for start, end in sorted((m.number("from_s") or 0, m.number("to_s") or 0) for m in marks):
        total += max(0.0, end - max(start, edge))
        edge = max(edge, end)
    return total


def endpoint_tables(record: Record) -> EndpointTables:
    whole, parts = None, []
    for each in windows(record):
        name = each.text("name")
        table = _endpoint_table(each, name)
        if name == RUN:
            whole = table
        elif table is not None:
            parts.append(table)
    return EndpointTables(whole, tuple(parts))


def _endpoint_table(window: Document, name: str) -> Table | None:
    endpoints = sorted(
        window.table("endpoints").tables(), key=lambda item: -(item[1].number("requests") or 0)
    )
    if not endpoints:
        return None
    has_corrected = any(stats.table("corrected_ms") for _, stats in endpoints)
    columns = (
        *words("Endpoint"),
        *numbers("Requests", "Errors", "Error rate"),
        *(Column(f"{q} ms", _LATENCY, numeric=True) for q in _QUANTILES),
        Column("excess p99 ms", _EXCESS, numeric=True),
        *([Column("corrected p99 ms", _CORRECTED, numeric=True)] if has_corrected else []),
        Column("Received", "bytes of the answers", numeric=True),
    )
    rows = tuple(_endpoint_row(endpoint, stats, has_corrected) for endpoint, stats in endpoints)
    return Table(f"Endpoints in the window {name}", columns, rows, "csv/endpoints.csv")


_QUANTILES = ("mean", "p50", "p90", "p99", "p99.9", "max")


def _endpoint_row(name: str, stats: Document, has_corrected: bool) -> tuple[Cell, ...]:
    raw = stats.table("raw_ms")
    failed = sum(stats.table("errors").numbers().values())
    size = stats.number("bytes_received")
    return (
        text(name),
        count(stats.number("requests")),
        Cell(f"{failed:,.0f}", failed, "bad" if failed else "", _by_kind(stats)),
        share(stats.number("error_rate")),
        *(milliseconds(raw.number(q)) for q in _QUANTILES),
        milliseconds(stats.table("excess_ms").number("p99")),
        *([milliseconds(stats.table("corrected_ms").number("p99"))] if has_corrected else []),
        Cell("-") if size is None else Cell(f"{size / 1e6:,.2f} MB", size),
    )


def _by_kind(stats: Document) -> str:
    kinds = stats.table("errors").numbers().items()
    return ", ".join(f"{count:,.0f} {kind}" for kind, count in kinds)


def error_table(record: Record) -> Table | None:
    """By kind, in the run; None when there were none."""
    run = next((w for w in windows(record) if w.text("name") == RUN), Document())
    total = run.table("total")
    kinds = sorted(total.table("errors").numbers().items(), key=lambda item: -item[1])
    if not any(number for _, number in kinds):
        return None
    ended = total.number("requests")
    by_status = total.table("errors_by_status").numbers()
    rows = tuple(
        (
            text(kind),
            count(number),
            share(number / ended if ended else None),
            text(ERROR_KINDS.get(kind, "")),
            text(_statuses(kind, by_status)),
        )
        for kind, number in kinds
        if number
    )
    columns = (*words("Kind"), *numbers("Requests", "Share"), *words("Meaning", "By status"))
    return Table("Errors of the run by kind", columns, rows)


def _statuses(kind: str, by_status: dict[str, float]) -> str:
    first = {"http_4xx": "4", "http_5xx": "5"}.get(kind)
    if first is None:
        return ""
    found = [(number, status) for status, number in by_status.items() if status[:1] == first]
    return ", ".join(f"{number:,.0f} x {status}" for number, status in sorted(found, reverse=True))


def arrival_table(record: Record) -> Table | None:
    """None where nothing of the load is open."""
    rows = [
        (
            text(name),
            text(window.text("name")),
            *(count(arrived.number(key)) for key in ("planned", "offered", "started")),
            Cell(
                count(arrived.number("unsent")).text,
                arrived.number("unsent"),
                "bad" if arrived.number("unsent") else "",
                ", ".join(
                    f"{number:,.0f} {why}"
                    for why, number in arrived.table("unsent_by_reason").numbers().items()
                ),
            ),
            count(arrived.number("completed")),
        )
        for window in windows(record)
        for name, arrived in window.table("arrivals").tables()
    ]
    columns = (
        *words("User class", "Window"),
        *numbers("Planned", "Offered", "Started"),
        Column("Unsent", "offered and not started, so without a latency", numeric=True),
        Column("Completed", "their tasks ended", numeric=True),
    )
    return Table("Arrivals of the open load", columns, tuple(rows)) if rows else None


def figure_table(record: Record) -> Table | None:
    """What users observed; None when they observed nothing."""
    rows = [
        (
            text(name),
            text(window.text("name")),
            *(plain(seen.number(key)) for key in _FIGURES),
        )
        for window in windows(record)
        for name, seen in window.table("figures").tables()
    ]
    columns = (
        *words("Figure", "Window"),
        *numbers("Count", "Sum", "Mean", "Least", "Most", "Sum per s"),
    )
    rows.sort(key=lambda row: row[0].text)
    return Table("Figures that users observed", columns, tuple(rows)) if rows else None


_FIGURES = ("count", "sum", "mean", "least", "most", "rate_per_s")
