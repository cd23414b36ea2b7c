"""The tables of a run as CSV files: windows, endpoints, seconds and checks.

For spreadsheets and other tools, in the format of RFC 4180, UTF-8, every text in quotes. Text from
elsewhere cannot become a formula: what a spreadsheet would compute is preceded by an apostrophe,
also where it takes `;` for the end of a cell, and control characters are escaped. The numbers are
those of `verdict.json`. This module must not compute statistics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from results.document import Document
from results.errors import RunFolderError
from results.measure import quantile_name
from results.printable import printable
from results.run_folder import RunFolder, write_text
from results.series import LatencySeries, Series
from results.statistic import QUANTILES

Cell = str | int | float | None
Row = Sequence[Cell]

_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a formula begins, in wide forms too. Tabs and line ends are escaped before."""

_COMPUTED_WITHIN = re.compile(rf"""([;|]["'\s]*)(?=[{re.escape("".join(_COMPUTED))}])""")
"""Where a spreadsheet may begin a cell in the midst of ours: its separator depends on the country,
and quotes that do not follow that are no quotes to it."""

_WINDOW_NUMBERS = ("planned_users", "planned_starts", "achieved", "rate_per_s")
_COUNTS = ("requests", "started", "cancelled", "error_rate", "bytes_received")
_SERIES = ("raw_ms", "excess_ms", "corrected_ms")
_LATENCIES = ("mean", *(quantile_name(q) for q in QUANTILES))
_COUNT_NAMES = (
    *_COUNTS,
    *("errors", "errors_by_kind"),
    *(f"{series.removesuffix('_ms')}_{name}_ms" for series in _SERIES for name in _LATENCIES),
)
_CHECK_TEXTS = ("id", "expression", "window", "endpoint", "measure", "status", "reason")
_CHECK_NUMBERS = ("value", "limit", "samples")


def write_csv(folder: RunFolder, verdict: Document, series: Series) -> None:
    """Each file whole, into the run's folder `csv`. `verdict` is the content of `verdict.json`.

    Raises RunFolderError.
    """
    windows = verdict.rows("windows")
    tables: dict[str, Iterable[Row]] = {
        "windows": window_rows(windows),
        "endpoints": endpoint_rows(windows),
        "seconds": second_rows(series),
        "checks": check_rows(verdict.rows("checks")),
    }
    if folder.csv.is_symlink():
        raise RunFolderError(f"{folder.csv} is a symbolic link, which is not followed: remove it")
    try:
        folder.csv.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make {folder.csv}: {error.strerror}") from error
    for name, rows in tables.items():
        write_text(folder.csv / f"{name}.csv", as_csv(rows))


def as_csv(rows: Iterable[Row]) -> str:
    """The first row holds the names."""
    return "".join(f"{','.join(map(_cell, row))}\r\n" for row in rows)


def _cell(value: Cell) -> str:
    """None is an empty cell. Whole numbers stay whole."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if not isinstance(value, str):
        return repr(value)
    text = printable(value, None)
    if text.startswith(_COMPUTED) and not _is_number(text):
        text = f"'{text}"
    text = _COMPUTED_WITHIN.sub(r"\1'", text).replace('"', '""')
    return f'"{text}"'


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def window_rows(windows: Iterable[Document]) -> Iterator[Row]:
    """All endpoints together, a row for each window."""
    yield ("window", "intervals_s", "length_s", *_WINDOW_NUMBERS, *_COUNT_NAMES)
    for window in windows:
        intervals = window.pairs("intervals_s")
        yield (
            window.text("name"),
            " ".join(f"[{start_s:g}, {end_s:g})" for start_s, end_s in intervals),
            math.fsum(end_s - start_s for start_s, end_s in intervals),
            *(window.number(name) for name in _WINDOW_NUMBERS),
            *_counts(window.table("total")),
        )


def endpoint_rows(windows: Iterable[Document]) -> Iterator[Row]:
    """A row for each endpoint in each window."""
    yield ("window", "endpoint", *_COUNT_NAMES)
    for window in windows:
        for name, endpoint in window.table("endpoints").tables():
            yield (window.text("name"), name, *_counts(endpoint))


def _counts(endpoint: Document) -> Row:
    errors = endpoint.table("errors").numbers()
    latencies = [endpoint.table(name) for name in _SERIES]
    return (
        *(endpoint.number(name) for name in _COUNTS),
        sum(errors.values()),
        " ".join(f"{kind}={count:g}" for kind, count in errors.items()),
        *(latency.number(name) for latency in latencies for name in _LATENCIES),
    )


def second_rows(series: Series) -> Iterator[Row]:
    """All endpoints together, a row for each second of the run."""
    columns: dict[str, Sequence[Cell]] = {
        "second": series.seconds,
        "ended": series.ended,
        "started": series.started,
        "planned_starts": series.planned_starts,
        "failed": series.failed,
        **{f"errors_{kind}": counts for kind, counts in series.errors.items()},
        "users": series.users,
        "planned_users": series.planned_users,
        **_latency_columns("raw", series.raw),
        **_latency_columns("excess", series.excess),
        **({} if series.corrected is None else _latency_columns("corrected", series.corrected)),
    }
    if series.arrivals is not None:
        columns |= {
            "arrivals_planned": series.arrivals.planned,
            "arrivals_started": series.arrivals.started,
            "arrivals_unsent": series.arrivals.unsent,
        }
    yield tuple(columns)
    yield from zip(*columns.values(), strict=True)


def _latency_columns(name: str, series: LatencySeries) -> dict[str, Sequence[Cell]]:
    return {
        f"{name}_p50_ms": series.p50_ms,
        f"{name}_p99_ms": series.p99_ms,
        f"{name}_max_ms": series.max_ms,
    }


def check_rows(checks: Iterable[Document]) -> Iterator[Row]:
    """A row for each check, in the order of the verdict."""
    yield (*_CHECK_TEXTS, *_CHECK_NUMBERS)
    for check in checks:
        yield (
            *(check.text(name) for name in _CHECK_TEXTS),
            *(check.number(name) for name in _CHECK_NUMBERS),
        )
