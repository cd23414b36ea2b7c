"""A recorded load from a CSV file, as a profile.

The one module of profiles that reads a file. It exists so that yesterday's traffic can be planned
again: a header, then one row for each recorded level. It is strict, since a row that is guessed
at is a load that nobody recorded: every complaint names file, line and column, and the remedy. This
module must not know a clock, Locust or randomness; what the rows mean is `shapes.profile.trace`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from shapes.level import LARGEST_LEVEL, Level, Unit, per_s
from shapes.piecewise import LONGEST_S, MOST_PIECES, Piecewise, seconds
from shapes.profile import trace

COLUMNS = {"users": Unit.USERS, "per_s": Unit.ARRIVALS}
"""What the second column may be called, and the unit that it gives the profile."""

LONGEST_LINE = 200
"""Bytes. A row of two numbers has some 30; what is longer is no row, and is not read to its end."""

_REAL = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[0-9]{1,10}")
"""Plain ASCII: `float` alone would also take `nan`, `1_000`, blanks around it and other digits."""

_HEADERS = "time_s,users (whole numbers) or time_s,per_s"


def read_trace(
    path: str | Path,
    *,
    unit: Unit | None = None,
    linear: bool = False,
    end_s: float | None = None,
    phase: str = "trace",
) -> Piecewise:
    """The profile of a CSV file: `trace` of its rows (stepwise, or `linear`; see there).

    The header is `time_s,users` (whole numbers) or `time_s,per_s`; times are seconds, increasing,
    the first is 0. With `unit`, a file of the other one is refused. UTF-8, with or without a byte
    order mark; lines end in LF or CRLF; fields may be quoted. A relative path is one of the working
    directory. Raises ValueError with file, line, column and remedy, also for a file that cannot be
    read and for more than `MOST_PIECES` rows.
    """
    file = Path(path)
    if not file.is_file():
        # Also pipes and devices, which could be waited for without end.
        raise ValueError(f"{file}: is no file: name a CSV file whose header is {_HEADERS}")
    try:
        with file.open("rb") as data:
            rows = list(_Rows(file, data).read(unit))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        return trace(rows, linear=linear, end_s=end_s, phase=phase)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


class _Rows:
    """The rows of one file, and where in it the reading is."""

    def __init__(self, file: Path, data: BinaryIO) -> None:
        self._file = file
        self._data = data
        self._line = 0
        self._csv = csv.reader(self._lines(), strict=True)

    def read(self, unit: Unit | None) -> Iterator[tuple[float, Level]]:
        column = self._header(unit)
        count, last_s = 0, -1.0
        for fields in self._fields():
            count += 1
            if count > MOST_PIECES:
                self._refuse(1, f"more than {MOST_PIECES:,} rows: join some of them")
            if len(fields) != 2:
                self._refuse(
                    min(len(fields), 2) + 1,
                    f"a row has two fields, time_s,{column}, not {len(fields)}: write decimals "
                    "with a point, and leave no line empty",
                )
            last_s = self._time(fields[0], last_s)
            yield last_s, self._level(column, fields[1])
        if not count:
            self._refuse(
                1, f"no rows: write one for each level, such as 0,10 below time_s,{column}"
            )

    def _header(self, unit: Unit | None) -> str:
        """The name of the second column."""
        header = next(self._fields(), [])
        column = header[1] if len(header) == 2 else ""
        if column not in COLUMNS or header[0] != "time_s":
            wrong = 2 if header[:1] == ["time_s"] else 1
            self._refuse(wrong, f"the header is {','.join(header)!r}: write {_HEADERS}")
        if unit is not None and COLUMNS[column] is not unit:
            self._refuse(2, f"the file records {COLUMNS[column]}, and {unit} are asked for")
        return column

    def _time(self, text: str, last_s: float) -> float:
        if not _REAL.fullmatch(text) or float(text) > LONGEST_S:
            self._refuse(1, f"time_s is {text!r}: write seconds, from 0 to {LONGEST_S:,.0f}")
        time_s = seconds(float(text))
        if last_s < 0 < time_s:
            self._refuse(1, f"the first time_s is {text}, not 0: subtract it from all times")
        if time_s <= last_s:
            self._refuse(
                1,
                f"time_s is {text}, after {last_s:g} in the row before: sort the rows by time, and "
                "join those of one microsecond",
            )
        return time_s

    def _level(self, column: str, text: str) -> Level:
        if column == "per_s":
            if not _REAL.fullmatch(text) or float(text) > LARGEST_LEVEL:
                self._refuse(2, f"per_s is {text!r}: write arrivals per second, 0 or more")
            return per_s(float(text))
        if not _WHOLE.fullmatch(text) or int(text) > LARGEST_LEVEL:
            self._refuse(
                2,
                f"users is {text!r}: write a whole number of 0 or more, or call the column per_s "
                "if they are arrivals per second",
            )
        return int(text)

    def _fields(self) -> Iterator[list[str]]:
        try:
            yield from self._csv
        except csv.Error as error:
            self._refuse(1, f"{error}: write two numbers, quoted as a whole or not at all")

    def _lines(self) -> Iterator[str]:
        while line := self._data.readline(LONGEST_LINE + 1):
            self._line += 1
            if len(line) > LONGEST_LINE:
                self._refuse(1, f"more than {LONGEST_LINE} bytes: write two numbers a line")
            try:
                yield line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError:
                self._refuse(1, "not UTF-8 text: save the file as CSV in UTF-8")

    def _refuse(self, column: int, complaint: str) -> NoReturn:
        raise ValueError(
            f"{self._file}, line {max(1, self._line)}, column {column}: {complaint}"
        ) from None
