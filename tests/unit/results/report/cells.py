"""What tests of the page's tables have in common: a record of a document alone, and its cells."""

from __future__ import annotations

from pathlib import Path

from results.document import Document
from results.report.record import Record
from results.report.table import Table
from results.run_folder import RunFolder
from results.timeline import Header, Timeline


def of(document: object, made: Timeline | None = None) -> Record:
    """A record of which only the verdict is known."""
    empty = made or Timeline(Header("r", "s", 0))
    return Record(RunFolder(Path("r")), Document(), empty, Document(document))


def cells(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def by_first(table: Table | None) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in cells(table)}
