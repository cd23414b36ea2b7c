"""What a person reads: the line while a run goes on, and the page when it is over.

The caller prints. With `styled` it is coloured for a terminal, otherwise plain text for logs. This
module must not compute statistics: it shows those of the judgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.arrival import ArrivalsNow
from results.evaluation import CheckResult, Status
from results.fault_table import LEFT, MEANING, RIGHT, fault_rows, with_room
from results.finding import Finding, unfit_s
from results.measure import OF_FAULTS, OF_WRITES, Measure, formatted, number
from results.scrape import (
    COMMIT_MS,
    CPU_PERCENT,
    LOOP_LAG_MS,
    MEMORY_BYTES,
    QUEUE_EVENTS,
    UP,
    WAL_BYTES,
)
from results.statistic import Latency, WindowStats
from results.target import ByNode, TargetStats
from results.verdict import Judgement, Verdict
from results.windows import RUN

_COLOUR = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "ABORTED": "magenta"}

_MEANING = {
    Verdict.PASS: "every check holds",
    Verdict.FAIL: "the target did not meet its checks",
    Verdict.INCONCLUSIVE: "this run proves nothing either way",
    Verdict.ABORTED: "the run was stopped before its end",
}

_ABOUT = {
    Measure.ACHIEVED: "planned",
    Measure.UNSENT: "planned",
    Measure.FIGURE: "-",
    Measure.RATIO: "-",
}
"""Of measures that are not about all endpoints."""

_MOST_REASONS = 12

_MOST_FIGURE_ROWS = 40

_MEGABYTE = 1e6

_WIDEST_COLUMNS = 240
"""Endpoint names are route templates; nothing that is reasonable is longer."""


def progress_line(
    *,
    phase: str | None,
    elapsed_s: float,
    total_s: float,
    users: int,
    planned_users: int,
    rate_per_s: float,
    errors: int,
    requests: int,
    arrivals: ArrivalsNow | None = None,
) -> str:
    """One line: phase, elapsed of total, users of planned or arrivals, rate, errors so far."""
    share = f" ({_percent(errors / requests)})" if requests else ""
    parts = [f"{phase or 'drain':<10} {_clock(elapsed_s)} / {_clock(total_s)}"]
    if arrivals is None or users or planned_users:
        parts.append(f"users {users:,} of {planned_users:,}")
    if arrivals is not None:
        parts.append(
            f"arrivals {arrivals.rate_per_s:,.0f}/s, sessions {arrivals.busy:,} of "
            f"{arrivals.sessions:,} busy, unsent {arrivals.unsent:,}"
        )
    parts += [f"{rate_per_s:,.0f} req/s", f"errors {errors:,}{share}"]
    return "  ".join(parts)


def summary(
    judgement: Judgement, *, folder: str, closing: Sequence[str] = (), styled: bool = False
) -> str:
    """The page at the end of a run: verdict, reasons, checks, windows, figures, target, files.
    `closing` are its last lines.

    Tables are as wide as their content (about 105 columns): a cell cut short tells nothing.
    """
    out = StringIO()
    console = Console(
        file=out,
        force_terminal=styled,
        no_color=not styled,
        color_system="standard" if styled else None,
        width=_WIDEST_COLUMNS,
        highlight=False,
        soft_wrap=True,
    )
    console.print()
    console.print(_headline(judgement))
    for reason in judgement.reasons[:_MOST_REASONS]:
        console.print(Text(f"  - {reason}"))
    if len(judgement.reasons) > _MOST_REASONS:
        console.print(
            Text(f"  - and {len(judgement.reasons) - _MOST_REASONS} more in verdict.json")
        )
    for section in _sections(judgement):
        console.print()
        console.print(section)
    console.print()
    for line in (f"files: {folder}", *closing):
        console.print(Text(line))
    return out.getvalue()


def _sections(judgement: Judgement) -> Iterator[Table | Text]:
    """Whatever there is something to show of."""
    if judgement.results:
        yield _check_table(judgement.results)
        if any(result.interval is not None for result in judgement.results):
            yield Text(
                "95 % interval: where the true share lies, shown where the limit is in it.\n"
                "verdict.json says how many more requests would settle it."
            )
    windows = tuple(with_room(judgement.windows))
    if windows:
        yield _window_table(windows, judgement.findings)
        corrected = (
            "\ncorrected: from the intended start." if _has_corrected(judgement.windows) else ""
        )
        yield Text(
            "users planned: their mean.  started: requests begun, of those that were planned.\n"
            "raw: response time.\n"
            "excess: response time less the wait that the node itself declared as emulated."
            + corrected
        )
        if any(_unfit_s(stats, judgement.findings) for stats in judgement.windows):
            yield Text("unfit: seconds in which the generator was not fit; verdict.json says why.")
        if failures := windows[0].total.failures:
            yield Text(f"errors in {windows[0].window.name}: {failures}")
    if judgement.impacts:
        yield _fault_table(judgement)
        more = len(judgement.impacts) - len(fault_rows(judgement.impacts, ()))
        yield Text(MEANING + (f"\n{more:,} more faults are in verdict.json." if more else ""))
    if any(window.arrivals for window in windows):
        yield _arrival_table(windows)
        yield Text(
            "offered: their time came.  unsent: offered and not started, so without a latency.\n"
            "completed: their tasks ended."
        )
    rows = _figure_rows(windows)
    if rows:
        yield _figure_table(rows)
        if sum(len(w.figures) for w in judgement.windows) > len(rows):
            yield Text("the figures of every window are in verdict.json")
    nodes = judgement.target.get(RUN, {})
    if any(nodes.values()):
        yield _target_table(nodes)
        yield Text(
            "the target's own metrics, in the run.  cpu (of one core) and commit: their means.\n"
            "the others: the most in any second.  samples: seconds that were read."
        )


def _figure_rows(windows: Sequence[WindowStats]) -> list[tuple[str, WindowStats]]:
    """(figure, window), in order of the windows, as many as a page takes.

    Occurrences of a phase go first, then phases, so that what is left covers the whole run.
    """
    names = {w.window.name for w in windows}
    occurrences = {name for name in names if name.rpartition("#")[0] in names}
    rows: list[tuple[str, WindowStats]] = []
    for shown in (names, names - occurrences, {RUN}):
        rows = [(name, w) for w in windows if w.window.name in shown for name in w.figures]
        if len(rows) <= _MOST_FIGURE_ROWS:
            break
    return sorted(rows, key=lambda row: row[0])[:_MOST_FIGURE_ROWS]


def _headline(judgement: Judgement) -> Text:
    verdict = judgement.verdict
    line = Text("verdict: ")
    line.append(verdict.value, style=f"bold {_COLOUR[verdict.value]}")
    line.append(f" (exit code {int(judgement.exit_code)}): {_MEANING[verdict]}")
    return line


def _check_table(results: tuple[CheckResult, ...]) -> Table:
    has_interval = any(result.interval is not None for result in results)
    numbers = ("value", "95 % interval", "samples") if has_interval else ("value", "samples")
    table = _table(left=("status", "check", "window", "endpoint"), right=numbers)
    for result in results:
        check = result.check
        cells = [formatted(check.measure, result.value), f"{result.samples:,}"]
        if has_interval:
            ends = [formatted(check.measure, end) for end in result.interval or ()]
            cells.insert(1, " to ".join(ends) or "-")
        table.add_row(
            _status(result.status),
            Text(check.comparison),
            Text(check.window),
            Text(check.endpoint or _about(check.measure)),
            *cells,
        )
    return table


def _about(measure: Measure) -> str:
    """What stands for the endpoint of a check that names none."""
    if measure in OF_WRITES:
        return "writes"
    if measure in OF_FAULTS:
        return "faults"
    return _ABOUT.get(measure, "all")


def _window_table(windows: tuple[WindowStats, ...], findings: Sequence[Finding]) -> Table:
    counts = ("users planned", "requests", "req/s", "started", "errors")
    latencies: tuple[str, ...] = ("raw p50 ms", "p99 ms", "excess p50 ms", "p99 ms")
    corrected = _has_corrected(windows)
    if corrected:
        latencies += ("corrected p50 ms", "p99 ms")
    unfit = {stats.window.name: _unfit_s(stats, findings) for stats in windows}
    is_marked = any(unfit.values())
    marks = ("unfit",) if is_marked else ()
    table = _table(left=("window",), right=(*counts, *latencies, *marks))
    for stats in windows:
        cells = _window_cells(stats) + (_corrected_cells(stats) if corrected else ())
        if is_marked:
            seconds = unfit[stats.window.name]
            cells += (f"{number(round(seconds, 1))} s" if seconds else "-",)
        table.add_row(Text(stats.window.name), *cells)
    return table


def _fault_table(judgement: Judgement) -> Table:
    table = _table(left=LEFT, right=RIGHT)
    for row in fault_rows(judgement.impacts, judgement.windows):
        table.add_row(*map(Text, row))
    return table


def _unfit_s(stats: WindowStats, findings: Sequence[Finding]) -> float:
    return unfit_s(findings, stats.window.intervals)


def _has_corrected(windows: Sequence[WindowStats]) -> bool:
    return any(window.total.corrected for window in windows)


def _corrected_cells(stats: WindowStats) -> tuple[str, str]:
    latency = stats.total.corrected
    return ("-", "-") if latency is None else (_ms(latency, 0.5), _ms(latency, 0.99))


def _arrival_table(windows: Sequence[WindowStats]) -> Table:
    """A row for each user class of an open load and each window."""
    counts = ("planned", "offered", "started", "unsent", "completed")
    table = _table(left=("arrivals", "window"), right=counts)
    for name in dict.fromkeys(name for window in windows for name in window.arrivals):
        for window in windows:
            if (seen := window.arrivals.get(name)) is None:
                continue
            numbers = (seen.planned, seen.offered, seen.started, seen.unsent_total, seen.completed)
            cells = (f"{value:,}" for value in numbers)
            table.add_row(Text(name), Text(window.window.name), *cells)
    return table


def _figure_table(rows: Sequence[tuple[str, WindowStats]]) -> Table:
    counts = ("count", "sum", "mean", "least", "most", "sum/s")
    table = _table(left=("figure", "window"), right=counts)
    for name, stats in rows:
        seen = stats.figures[name]
        values = (seen.sum, seen.mean, seen.least, seen.most, seen.rate)
        cells = (f"{seen.count:,}", *(number(value) for value in values))
        table.add_row(Text(name), Text(stats.window.name), *cells)
    return table


def _target_table(nodes: ByNode) -> Table:
    figures = ("cpu %", "max %", "memory MB", "queue", "commit ms", "WAL MB", "lag ms", "samples")
    table = _table(left=("target",), right=figures)
    for node, values in nodes.items():
        table.add_row(Text(node), *_target_cells(values))
    return table


def _target_cells(values: Mapping[str, TargetStats]) -> tuple[str, ...]:
    def mean(name: str) -> str:
        return number(round(values[name].mean, 1)) if name in values else "-"

    def most(name: str, unit: float = 1.0) -> str:
        return number(round(values[name].most / unit, 1)) if name in values else "-"

    # Every page states gauges; what is made of two pages has fewer samples.
    read = max((v.samples for name, v in values.items() if name != UP), default=0)
    asked = values[UP].samples if UP in values else read
    return (
        mean(CPU_PERCENT),
        most(CPU_PERCENT),
        most(MEMORY_BYTES, _MEGABYTE),
        most(QUEUE_EVENTS),
        mean(COMMIT_MS),
        most(WAL_BYTES, _MEGABYTE),
        most(LOOP_LAG_MS),
        f"{read:,}" if read == asked else f"{read:,} of {asked:,}",
    )


def _table(*, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    """Columns without a frame, like `ps`: narrow, and easy to cut with other tools."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _window_cells(stats: WindowStats) -> tuple[str, ...]:
    total = stats.total
    achieved = stats.achieved(None)
    return (
        _number(stats.planned_users),
        f"{total.ended:,}",
        _number(stats.rate),
        "-" if achieved is None else f"{achieved * 100:.1f} %",
        f"{total.failed:,}" + ("" if not total.failed else f" ({_percent(total.error_rate)})"),
        _ms(total.raw, 0.5),
        _ms(total.raw, 0.99),
        _ms(total.excess, 0.5),
        _ms(total.excess, 0.99),
    )


def _status(status: Status) -> Text:
    return Text(status.value, style=_COLOUR[status.value])


def _ms(latency: Latency, quantile: float) -> str:
    value = latency.quantile_ms(quantile)
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    # With two digits, of which 100 has three.
    return "100 %" if share >= 0.995 else f"{share * 100:.2g} %"


def _clock(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
