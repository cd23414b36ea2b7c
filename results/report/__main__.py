"""Makes `report.html` and `csv/` of a run: `python -m results.report RUN_FOLDER [--open]`.

A process of its own, which the master starts at a run's end and `foundation results report` at any
time: it draws, and takes the memory that this takes, where no load runs. It reads the run's folder,
writes the page and `csv/` into it, each file whole or not at all, and asks nobody else. Exit code 1
and one line when it cannot. This module must not decide what the page says.
"""

from __future__ import annotations

import argparse
import signal
import sys
import webbrowser
from pathlib import Path

from results.bundle.tables import write_csv
from results.carried_out import as_carried_out
from results.errors import ResultsError
from results.report.page import page
from results.report.panes import sketch
from results.report.record import kept_files, read_record
from results.run_folder import write_text
from results.series import series


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    asked = _parser().parse_args(arguments)
    try:
        made = build(asked.folder)
    except ResultsError as error:
        print(f"error: no report: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(made)
    if asked.open and not webbrowser.open(made.resolve().as_uri()):
        print("error: no browser could be started: open the file above yourself", file=sys.stderr)
        return 1
    return 0


def build(path: Path) -> Path:
    """The path of the report. Raises ResultsError; then an earlier report is as it was."""
    record = read_record(path)
    timeline = as_carried_out(record.timeline)
    by_second = series(timeline)
    write_csv(record.folder, record.verdict, by_second)
    drawn = sketch(timeline, by_second, record.verdict)
    text = page(record, drawn, kept_files(path))
    write_text(record.folder.report, text)
    return record.folder.report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m results.report", description="Make report.html of a run."
    )
    parser.add_argument("folder", type=Path, help="the run's folder, with its timeline.jsonl")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    return parser


if __name__ == "__main__":
    sys.exit(main())
