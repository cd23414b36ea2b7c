"""Recorded loads from CSV files: what is read, and what is refused with file, line and column."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from shapes.profile import Unit, per_s, trace
from shapes.trace import LONGEST_LINE, read_trace

USERS = b"time_s,users\n0,5\n10,8\n12,0\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "monday.csv"


def test_a_file_of_users_is_the_trace_of_its_rows(file: Path) -> None:
    file.write_bytes(USERS)
    profile = read_trace(file)
    assert profile == trace([(0, 5), (10, 8), (12, 0)])
    assert profile.unit is Unit.USERS


def test_a_file_of_rates_takes_fractions_and_exponents(file: Path) -> None:
    file.write_bytes(b"time_s,per_s\n0,12.5\n0.25,1e3\n0.5,2.5E-1\n")
    profile = read_trace(file)
    assert profile == trace([(0, per_s(12.5)), (0.25, per_s(1000.0)), (0.5, per_s(0.25))])
    assert profile.unit is Unit.ARRIVALS


def test_what_trace_takes_is_handed_on(file: Path) -> None:
    file.write_bytes(USERS)
    assert read_trace(file, linear=True).target(5) == 6.5
    assert read_trace(file, end_s=20, phase="monday").phases()[0].name == "monday"
    assert read_trace(file, end_s=20).duration_s == 20


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + USERS,
        USERS.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + USERS.replace(b"\n", b"\r\n"),
        USERS.rstrip(),
        b'"time_s","users"\r\n"0","5"\n10,"8"\n"12",0',
    ],
    ids=["byte order mark", "CRLF", "both", "no last line end", "quoted"],
)
def test_what_spreadsheets_write_is_read(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert read_trace(file) == trace([(0, 5), (10, 8), (12, 0)])


def test_the_limits_themselves_are_read(file: Path) -> None:
    file.write_bytes(b"time_s,users\n0,1000000000\n1000000000,0\n")
    assert read_trace(file, linear=True) == trace([(0, 10**9), (1e9, 0)], linear=True)
    row = b"0," + b"1000000000\n".rjust(LONGEST_LINE - 2, b"0")
    assert len(row) == LONGEST_LINE
    file.write_bytes(b"time_s,per_s\n" + row)
    assert read_trace(file, end_s=1).target(0) == 1e9


def test_a_relative_path_is_one_of_the_working_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(USERS)
    monkeypatch.chdir(file.parent)
    assert read_trace(file.name).duration_s == 14
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match=r"monday\.csv: is no file"):
        read_trace(file.name)


def test_the_unit_that_is_asked_for_must_be_the_files(file: Path) -> None:
    file.write_bytes(USERS)
    assert read_trace(file, unit=Unit.USERS).unit is Unit.USERS
    with pytest.raises(ValueError, match="line 1, column 2: the file records users, and arrivals"):
        read_trace(file, unit=Unit.ARRIVALS)


@pytest.mark.parametrize(
    ("data", "place", "remedy"),
    [
        (b"", (1, 1), "write time_s,users"),
        (b"\n", (1, 1), "write time_s,users"),
        (b"0,5\n10,8\n", (1, 1), "write time_s,users"),
        (b"time_s;users\n0;5\n", (1, 1), "write time_s,users"),
        (b"time_s,user\n0,5\n", (1, 2), "write time_s,users"),
        (b"time_s, users\n0,5\n", (1, 2), "write time_s,users"),
        (b"users,time_s\n5,0\n", (1, 1), "write time_s,users"),
        (b"time_s,users,per_s\n0,5,1\n", (1, 2), "write time_s,users"),
        (b"Time_S,users\n0,5\n", (1, 1), "write time_s,users"),
        (b"time_s,users\n", (1, 1), "no rows: write one"),
        (b"time_s,users\n0,5\n\n10,8\n", (3, 1), "leave no line empty"),
        (b"time_s,users\n0,5\n10\n", (3, 2), "two fields"),
        (b"time_s,per_s\n0,5\n10,8,5\n", (3, 3), "write decimals with a point"),
        (b"time_s,users\n0,2.5\n", (2, 2), "call the column per_s"),
        (b"time_s,users\n0,1e3\n", (2, 2), "whole number"),
        (b"time_s,users\n0,-1\n", (2, 2), "whole number of 0 or more"),
        (b"time_s,users\n0,\n", (2, 2), "whole number"),
        (b"time_s,users\n0,many\n", (2, 2), "whole number"),
        (b"time_s,users\n0, 5\n", (2, 2), "whole number"),
        (b"time_s,users\n0,1_000\n", (2, 2), "whole number"),
        (b"time_s,users\n0,\xd9\xa5\n", (2, 2), "whole number"),
        (b"time_s,users\n0," + b"9" * 20 + b"\n", (2, 2), "whole number"),
        (b"time_s,per_s\n0,nan\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,per_s\n0,inf\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,per_s\n0,1e999\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,per_s\n0,-0.5\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,per_s\n0,0x10\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,per_s\n0,\x00\n", (2, 2), "arrivals per second, 0 or more"),
        (b"time_s,users\nnan,5\n", (2, 1), "write seconds, from 0 to"),
        (b"time_s,users\n-1,5\n", (2, 1), "write seconds, from 0 to"),
        (b"time_s,users\n0,5\n1e10,5\n", (3, 1), "write seconds, from 0 to"),
        (b"time_s,users\n12:30,5\n", (2, 1), "write seconds, from 0 to"),
        (b"time_s,users\n1700000000,5\n", (2, 1), "write seconds, from 0 to"),
        (b"time_s,users\n60,5\n70,5\n", (2, 1), "subtract it from all times"),
        (b"time_s,users\n0,5\n10,8\n10,9\n", (4, 1), "sort the rows by time"),
        (b"time_s,users\n0,5\n10,8\n9,9\n", (4, 1), "sort the rows by time"),
        (b"time_s,users\n0,5\n1,8\n1.0000004,9\n", (4, 1), "join those of one microsecond"),
        (b'time_s,users\n"0,5\n', (2, 1), "quoted as a whole"),
        (b'time_s,users\n0,5\n1,"5"0\n', (3, 1), "quoted as a whole"),
        (b"time_s,users\r0,5\r10,8\r", (1, 1), "quoted as a whole"),
        (b"time_s,users\n0,5\n1,\xff\n", (3, 1), "save the file as CSV in UTF-8"),
        ("time_s,users\n0,5\n".encode("utf-16"), (1, 1), "save the file as CSV in UTF-8"),
        (b"time_s,users\n0,5\n1,8" + b" " * 1000, (3, 1), "write two numbers a line"),
        (b"\x00" * 100_000, (1, 1), "write two numbers a line"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place_and_the_remedy(
    file: Path, data: bytes, place: tuple[int, int], remedy: str
) -> None:
    file.write_bytes(data)
    line, column = place
    where = re.escape(f"{file}, line {line}, column {column}: ")
    with pytest.raises(ValueError, match=f"^{where}.*{re.escape(remedy)}"):
        read_trace(file)


def test_complaints_about_the_whole_name_the_file(file: Path) -> None:
    file.write_bytes(b"time_s,users\n0,5\n")
    with pytest.raises(ValueError, match=r"monday\.csv: trace\(\) of one row needs end_s="):
        read_trace(file)
    with pytest.raises(ValueError, match=r"monday\.csv: a linear trace\(\)"):
        read_trace(file, linear=True)
    with pytest.raises(ValueError, match=r"monday\.csv: phase name"):
        read_trace(file, end_s=5, phase="")


def test_more_than_a_million_rows_are_refused_and_a_million_are_not(file: Path) -> None:
    with file.open("w") as text:
        text.write("time_s,users\n")
        text.writelines(f"{n},{n % 10}\n" for n in range(1_000_000))
    assert read_trace(file).duration_s == 1_000_000
    with file.open("a") as text:
        text.write("1000000,1\n")
    with pytest.raises(ValueError, match="line 1000002, column 1: more than 1,000,000 rows: join"):
        read_trace(file)


def test_what_is_no_file_is_refused_without_waiting(file: Path, tmp_path: Path) -> None:
    os.mkfifo(file)
    for path in (tmp_path, tmp_path / "missing.csv", file, "/dev/zero"):
        with pytest.raises(ValueError, match=r"is no file: name a CSV file.*time_s,users"):
            read_trace(path)


def test_a_file_that_may_not_be_read_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="/proc/self/mem: cannot be read: Input/output error"):
        read_trace("/proc/self/mem")
