"""Prints the benchmark table: rich on a terminal, plain elsewhere, with the machine's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.row import Row

_STYLES = {
    "PASS": "green",
    "FAIL": "bold red",
    "not gated": "dim",
    "holds": "green",
    "missed": "yellow",
}
_PLAIN_WIDTH = 160


def show(
    rows: Sequence[Row], facts: Mapping[str, str], command: str, console: Console | None = None
) -> None:
    """One table of all rows, one line for each fact, and the command that repeats it."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=_PLAIN_WIDTH, no_color=True)
    table = Table(box=box.SIMPLE)
    for title in ("benchmark", "figure"):
        table.add_column(title, overflow="fold")
    for title in ("limit", "value"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for row in rows:
        status = f"[{_STYLES[row.status]}]{row.status}[/]"
        table.add_row(escape(row.name), escape(row.figure), row.limit, row.value, status)
    console.print(table)
    for name, text in facts.items():
        console.print(f"{name + ':':<22}{text}", markup=False, highlight=False)
    console.print(f"{'repeat with:':<22}{command}", markup=False, highlight=False)
