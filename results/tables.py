"""The tables of a run as CSV files: windows, endpoints, seconds and checks.

For spreadsheets and other tools, in the format of RFC 4180, UTF-8. Text from elsewhere cannot
become a formula: a cell that a spreadsheet would compute begins with an apostrophe, and control
characters are escaped. This module must not compute statistics.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from results.errors import RunFolderError
from results.evaluation import CheckResult
from results.finding import unfit_s
from results.measure import quantile_name
from results.printable import printable
from results.run_folder import RunFolder, write_text
from results.series import LatencySeries, Series
from results.statistic import QUANTILES, EndpointStats, Latency, WindowStats
from results.verdict import Judgement

Cell = str | int | float | None
Row = Sequence[Cell]

_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a formula begins, in wide forms too. Tabs and line ends are escaped before."""

_LATENCY_NAMES = ("mean", *(quantile_name(q) for q in QUANTILES))

_COUNT_NAMES = (
    "requests",
    "started",
    "cancelled",
    "errors",
    "error_rate",
    "errors_by_kind",
    "bytes_received",
    *(f"{series}_{n}_ms" for series in ("raw", "excess", "corrected") for n in _LATENCY_NAMES),
)

_WINDOW_NAMES = (
    *("window", "intervals_s", "length_s", "planned_users", "planned_starts", "achieved"),
    *("rate_per_s", "unfit_s"),
)

_CHECK_NAMES = (
    *("id", "expression", "window", "endpoint", "measure", "value", "limit", "samples"),
    *("status", "reason"),
)


def write_csv(folder: RunFolder, judgement: Judgement, series: Series) -> None:
    """Each file whole, into the run's folder `csv`. Raises RunFolderError."""
    tables: dict[str, Iterable[Row]] = {
        "windows": window_rows(judgement),
        "endpoints": endpoint_rows(judgement.windows),
        "seconds": second_rows(series),
        "checks": check_rows(judgement.results),
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
    out = StringIO()
    writer = csv.writer(out)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Cell) -> Cell:
    """None is an empty cell."""
    if not isinstance(value, str):
        return value
    text = printable(value, None)
    return f"'{text}" if text.startswith(_COMPUTED) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def window_rows(judgement: Judgement) -> Iterator[Row]:
    """All endpoints together, a row for each window."""
    yield (*_WINDOW_NAMES, *_COUNT_NAMES)
    for stats in judgement.windows:
        window = stats.window
        yield (
            window.name,
            " ".join(f"{start_s:g}..{end_s:g}" for start_s, end_s in window.intervals),
            window.length_s,
            stats.planned_users,
            stats.planned_starts(),
            stats.achieved(None),
            stats.rate,
            unfit_s(judgement.findings, window.intervals),
            *_counts(stats.total),
        )


def endpoint_rows(windows: Iterable[WindowStats]) -> Iterator[Row]:
    """A row for each endpoint in each window."""
    yield ("window", "endpoint", *_COUNT_NAMES)
    for stats in windows:
        for name, endpoint in stats.endpoints.items():
            yield (stats.window.name, name, *_counts(endpoint))


def _counts(stats: EndpointStats) -> Row:
    return (
        stats.ended,
        stats.started,
        stats.cancelled,
        stats.failed,
        stats.error_rate,
        " ".join(f"{kind}={count}" for kind, count in stats.errors.items()),
        stats.bytes_received,
        *_latency(stats.raw),
        *_latency(stats.excess),
        *_latency(stats.corrected),
    )


def _latency(latency: Latency | None) -> Row:
    if latency is None:
        return (None,) * len(_LATENCY_NAMES)
    return (latency.mean_ms, *(latency.quantile_ms(q) for q in QUANTILES))


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


def check_rows(results: Iterable[CheckResult]) -> Iterator[Row]:
    """A row for each check, in the order of the verdict."""
    yield _CHECK_NAMES
    for result in results:
        check = result.check
        yield (
            check.id,
            check.expression,
            check.window,
            check.endpoint,
            check.measure.value,
            result.value,
            check.limit,
            result.samples,
            result.status.value,
            result.reason,
        )
