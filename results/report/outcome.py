"""The top of the page: the verdict in words, the figures that everybody asks for, the checks.

This module must not judge: it shows what the verdict's document says.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.audit.audit import Fate
from results.document import Document
from results.measure import Measure, formatted
from results.report.record import Record
from results.report.table import (
    NOTHING,
    Cell,
    Column,
    Table,
    count,
    decimal,
    milliseconds,
    numbers,
    plain,
    share,
    text,
    words,
)
from results.windows import RUN

MEANING = {
    "PASS": "Every check holds, and the generator was fit to say so.",
    "FAIL": "The target did not meet its checks.",
    "INCONCLUSIVE": "This run proves nothing either way.",
    "ABORTED": "The run did not reach its end.",
}

TONE = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "inconclusive", "ABORTED": "aborted"}
"""Classes of the style. Colour never stands alone: the word is always there."""

MARK = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "ABORTED": "■"}


@dataclass(frozen=True, slots=True)
class Headline:
    """`verdict` is shown as it is; tone and mark are empty for a word that is none of ours."""

    verdict: str
    tone: str
    mark: str
    meaning: str
    exit_code: str
    reasons: tuple[str, ...]
    recomputed: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One large figure: `value` with its unit, and what it is of."""

    name: str
    value: str
    detail: str = ""
    tone: str = ""


def headline(record: Record) -> Headline:
    verdict = record.verdict.text("verdict")
    code = record.verdict.number("exit_code")
    return Headline(
        verdict or "NO VERDICT",
        TONE.get(verdict, ""),
        MARK.get(verdict, ""),
        MEANING.get(verdict, "verdict.json does not hold one of the four verdicts."),
        "" if code is None else f"{code:g}",
        tuple(record.verdict.lines("reasons")),
        record.recomputed or "",
    )


def window(record: Record, name: str = RUN) -> Document:
    """A window of the verdict's document; an empty one when it is not there."""
    found = (each for each in record.verdict.rows("windows") if each.text("name") == name)
    return next(found, Document())


def tiles(record: Record) -> tuple[Tile, ...]:
    """Of the whole run."""
    run = window(record)
    total = run.table("total")
    if not total:
        return ()
    raw = total.table("raw_ms")
    failed = sum(total.table("errors").numbers().values())
    found = [
        Tile("Requests", count(total.number("requests")).text, "ended"),
        Tile("Rate", decimal(run.number("rate_per_s"), 0).text, "requests per second"),
        Tile(
            "Errors",
            share(total.number("error_rate")).text,
            f"{failed:,.0f} requests",
            "bad" if failed else "",
        ),
        Tile("Median", _ms(raw, "p50"), "response time"),
        Tile("p99", _ms(raw, "p99"), "response time"),
    ]
    if run.number("achieved") is not None:
        found.append(Tile("Achieved", share(run.number("achieved")).text, "of the planned starts"))
    return (*found, *_lost(record.verdict.table("audit")))


def _ms(latency: Document, name: str) -> str:
    shown = milliseconds(latency.number(name)).text
    return shown if shown == NOTHING else f"{shown} ms"


_LOOKED_UP = (Fate.PRESENT, Fate.LOST, Fate.ALTERED, Fate.DUPLICATED, Fate.REDELIVERED)
"""Fates that only a read can tell; of a write that was not acknowledged nobody asks whether it is
lost."""


def _lost(audit: Document) -> tuple[Tile, ...]:
    """Nothing where no write was looked up or should have been. Good is only what nothing hides."""
    fates = audit.table("totals").numbers()
    lost, unverified = fates.get(Fate.LOST, 0), fates.get(Fate.UNVERIFIED, 0)
    verified = sum(fates.get(fate, 0) for fate in _LOOKED_UP)
    if not verified and not unverified:
        return ()
    detail = f"of {verified:,.0f} verified" + (f", {unverified:,.0f} unverified" * bool(unverified))
    is_doubtful = unverified or audit.lines("doubts")
    return (
        Tile(
            "Writes lost",
            f"{lost:,.0f}" if verified else NOTHING,
            detail,
            "bad" if lost else "warn" if is_doubtful else "good",
        ),
    )


def check_table(record: Record) -> Table | None:
    """None without checks."""
    results = record.verdict.rows("checks")
    if not results:
        return None
    has_interval = any(len(result.figures("interval")) == 2 for result in results)
    has_endpoint = any(result.text("endpoint") for result in results)
    columns = (
        *words("Status", "Check", *(["Endpoint"] if has_endpoint else []), "Window"),
        Column("Value", numeric=True),
        *(
            [Column("95 % interval", "what chance alone could have made of it", numeric=True)]
            if has_interval
            else []
        ),
        *numbers("Samples"),
    )
    rows = tuple(_check_row(result, has_endpoint, has_interval) for result in results)
    return Table("Checks: what was asked for, and what was measured", columns, rows)


def _check_row(result: Document, has_endpoint: bool, has_interval: bool) -> tuple[Cell, ...]:
    status = result.text("status")
    value = _value(result, result.number("value"))
    interval = result.figures("interval")
    within = " to ".join(_value(result, edge) for edge in interval) if len(interval) == 2 else ""
    return (
        Cell(f"{MARK.get(status, '')} {status}".strip(), None, TONE.get(status, "")),
        Cell(result.text("expression") or result.text("id")),
        *([text(result.text("endpoint") or "all")] if has_endpoint else []),
        text(result.text("window")),
        Cell(value, result.number("value"), hint=result.text("reason")),
        *([text(within)] if has_interval else []),
        count(result.number("samples")),
    )


def _value(result: Document, value: float | None) -> str:
    measure = result.text("measure")
    if measure in set(Measure):
        return formatted(Measure(measure), value, limit=result.number("limit"))
    return plain(value).text
