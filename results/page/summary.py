"""What a person reads: the line while a run goes on, and the page when it is over.

The caller prints. With `styled` it is coloured for a terminal, otherwise plain text for logs. This
module must not compute statistics: it shows those of the judgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.console import Console
from rich.text import Text

from results.arrival import ArrivalsNow
from results.judging.evaluation import CheckResult, Status
from results.measure import OF_FAULTS, OF_WRITES, Measure, formatted
from results.page.audit_table import audit_section
from results.page.fault_table import LEFT, MEANING, RIGHT, fault_rows, with_room
from results.page.table import PageTable, percent, without_escapes
from results.page.target_table import MEANING as TARGET_MEANING
from results.page.target_table import target_table
from results.page.window_table import (
    ARRIVALS_MEANING,
    arrival_table,
    figure_rows,
    figure_table,
    window_meaning,
    window_table,
)
from results.printable import printable
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
    share = f" ({percent(errors / requests)})" if requests else ""
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
        console.print(Text(f"  - {printable(reason, None)}"))
    if len(judgement.reasons) > _MOST_REASONS:
        console.print(
            Text(f"  - and {len(judgement.reasons) - _MOST_REASONS} more in verdict.json")
        )
    for section in _sections(judgement):
        console.print()
        console.print(section)
    console.print()
    for line in (f"files: {folder}", *closing):
        console.print(Text(printable(line, None)))
    return without_escapes(out.getvalue())


def _sections(judgement: Judgement) -> Iterator[PageTable | Text]:
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
        yield window_table(windows, judgement.findings)
        yield Text(window_meaning(windows, judgement.findings))
        if failures := windows[0].total.failures:
            yield Text(f"errors in {windows[0].window.name}: {failures}")
    if judgement.impacts:
        yield _fault_table(judgement)
        more = len(judgement.impacts) - len(fault_rows(judgement.impacts, ()))
        yield Text(MEANING + (f"\n{more:,} more faults are in verdict.json." if more else ""))
    if judgement.audit is not None:
        yield from audit_section(judgement.audit, [stats.window for stats in judgement.windows])
    if any(window.arrivals for window in windows):
        yield arrival_table(windows)
        yield Text(ARRIVALS_MEANING)
    rows = figure_rows(windows)
    if rows:
        yield figure_table(rows)
        if sum(len(w.figures) for w in judgement.windows) > len(rows):
            yield Text("the figures of every window are in verdict.json")
    nodes = judgement.target.get(RUN, {})
    if any(nodes.values()):
        yield target_table(nodes)
        yield Text(TARGET_MEANING)


def _headline(judgement: Judgement) -> Text:
    verdict = judgement.verdict
    line = Text("verdict: ")
    line.append(verdict.value, style=f"bold {_COLOUR[verdict.value]}")
    line.append(f" (exit code {int(judgement.exit_code)}): {_MEANING[verdict]}")
    return line


def _check_table(results: tuple[CheckResult, ...]) -> PageTable:
    has_interval = any(result.interval is not None for result in results)
    numbers = ("value", "95 % interval", "samples") if has_interval else ("value", "samples")
    table = PageTable(left=("status", "check", "window", "endpoint"), right=numbers)
    for result in results:
        check = result.check
        value = formatted(check.measure, result.value, limit=check.limit)
        cells = [value, f"{result.samples:,}"]
        if has_interval:
            ends = [
                formatted(check.measure, end, limit=check.limit) for end in result.interval or ()
            ]
            cells.insert(1, " to ".join(ends) or "-")
        table.row(
            _status(result.status),
            check.comparison,
            check.window,
            check.endpoint or _about(check.measure),
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


def _fault_table(judgement: Judgement) -> PageTable:
    table = PageTable(left=LEFT, right=RIGHT)
    for row in fault_rows(judgement.impacts, judgement.windows):
        table.row(*row)
    return table


def _status(status: Status) -> Text:
    return Text(status.value, style=_COLOUR[status.value])


def _clock(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
