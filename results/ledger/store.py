"""The ledger on disk: `ledger/` of a run's folder, written as reports arrive and read back.

`writes.bin` holds a header line and then the records of `results.ledger.ledger`; `nodes.jsonl`
names the nodes that they number; `index.jsonl` says which report of which process brought how many
of them, so that what is missing can be told years later (docs/ledger.md). A report's nodes go
first, then its records, then its line in the index; each is flushed, so that a killed run leaves at
most one torn record and one torn line. This module must not know what became of a write.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from results.errors import LedgerError
from results.field import Fields
from results.ledger.ledger import NODE_OFFSET, RECORD, WritesReport, first_wrong
from results.regular_file import open_regular
from results.run_folder import RunFolder

WRITES = "writes.bin"
NODES = "nodes.jsonl"
INDEX = "index.jsonl"

KIND = "ledger-writes"
VERSION = 1
"""Raised when a reader of before could misunderstand a record. Readers refuse other versions."""

HEADER_BEGINS = b'{"kind":"ledger-writes",'

MAX_NODES = 2**16
MAX_LINE_BYTES = 16 * 1024
CHUNK_RECORDS = 2**15
"""1 MB at a time."""


T = TypeVar("T")


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


class LedgerWriter:
    """Appends reports to the new ledger of `folder`. Owns its files.

    Raises LedgerError when there is one already or it cannot be written; after a failed write every
    further one is refused, since the record before it may be torn.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.ledger
        self._failed = False
        self._nodes: dict[str, int] = {}
        self._files: dict[str, BinaryIO] = {}
        try:
            self._path.mkdir()
        except FileExistsError as error:
            raise LedgerError(
                f"{self._path} exists: a ledger is never continued, use another run id"
            ) from error
        except OSError as error:
            raise LedgerError(f"cannot create {self._path}: {error.strerror}") from error
        try:
            for name in (WRITES, NODES, INDEX):
                self._files[name] = (self._path / name).open("xb")
            header = {"kind": KIND, "version": VERSION, "run_id": folder.run_id}
            self._append(WRITES, _line(header))
        except (OSError, LedgerError) as error:
            # Nobody has the writer yet, so nobody else can; and half a ledger is none.
            self._discard()
            if isinstance(error, LedgerError):
                raise
            raise LedgerError(f"cannot create {self._path}: {error.strerror}") from error

    def _discard(self) -> None:
        self._close_all()
        with suppress(OSError):
            for name in self._files:
                (self._path / name).unlink()
            self._path.rmdir()

    def take(self, report: WritesReport) -> None:
        """Append a report. Raises LedgerError."""
        new = [node for node in report.nodes if node not in self._nodes]
        if len(self._nodes) + len(new) > MAX_NODES:
            raise LedgerError(
                f"{self._path}: more than {MAX_NODES:,} nodes were written to: their number is a "
                "record's, which holds no more"
            )
        for node in new:
            index = self._nodes.setdefault(node, len(self._nodes))
            self._append(NODES, _line({"index": index, "node": node}))
        self._append(WRITES, self._renumbered(report))
        dropped = {"dropped": report.dropped} if report.dropped else {}
        entry = {"source": report.source, "sequence": report.sequence, "records": report.count}
        self._append(INDEX, _line({**entry, **dropped}))

    def _renumbered(self, report: WritesReport) -> bytes:
        """The records with this ledger's numbers of nodes instead of the report's."""
        own = [self._nodes[node] for node in report.nodes]
        if own == list(range(len(own))):
            return report.records
        # A report numbers its nodes in one byte: two tables turn that into the two of ours.
        table = (*own, *[0] * (256 - len(own)))
        records = bytearray(report.records)
        numbers = records[NODE_OFFSET + 1 :: RECORD.size]
        records[NODE_OFFSET :: RECORD.size] = numbers.translate(bytes(n >> 8 for n in table))
        records[NODE_OFFSET + 1 :: RECORD.size] = numbers.translate(bytes(n & 255 for n in table))
        return bytes(records)

    def _append(self, name: str, data: bytes) -> None:
        path = self._path / name
        if self._failed:
            raise LedgerError(f"{path}: an earlier write failed, nothing more is written")
        try:
            self._files[name].write(data)
            self._files[name].flush()
        except OSError as error:
            self._failed = True
            raise LedgerError(
                f"cannot write {path}: {error.strerror}: free space on that disk or use "
                "--results-dir"
            ) from error

    def close(self) -> None:
        """Raises LedgerError when what a failed write left in a buffer is refused again."""
        if (error := self._close_all()) is not None:
            raise LedgerError(f"cannot close {self._path}: {error.strerror}") from error

    def _close_all(self) -> OSError | None:
        first = None
        for file in self._files.values():
            try:
                file.close()
            except OSError as error:
                # Closed all the same; what it could not flush is lost.
                first = first or error
        return first


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One report that was stored. `dropped` is how many its source had thrown away until then."""

    source: str
    sequence: int
    records: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A ledger on disk. `nodes[i]` is the node that records number i; `count` whole records.

    `torn` says that the last record, or the last line of the index, was cut off, or the header:
    then nothing was recorded, and `run_id` is empty.
    """

    path: Path
    run_id: str
    nodes: tuple[str, ...]
    reports: tuple[IndexEntry, ...]
    count: int
    torn: bool
    _begins: int

    @classmethod
    def open(cls, folder: RunFolder) -> Self | None:
        """None when the run kept no ledger. Raises LedgerError for what is none of this version."""
        path = folder.ledger
        if not path.exists():
            return None
        if path.is_symlink():
            raise LedgerError(f"cannot read {path}: it is a symbolic link, which is not followed")
        try:
            with open_regular(path / WRITES) as file:
                line = file.readline(MAX_LINE_BYTES)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise LedgerError(f"cannot read {path / WRITES}: {error.strerror}") from error
        run_id = _run_id_of(path / WRITES, line)
        count, rest = divmod(size - len(line), RECORD.size)
        rest += not run_id
        nodes, _ = _rows(path / NODES, _node)
        reports, is_torn = _rows(path / INDEX, _entry)
        for number, (index, _) in enumerate(nodes):
            if index != number:
                raise LedgerError(f"{path / NODES}, line {number + 1}: node {index} is out of turn")
        names = tuple(name for _, name in nodes)
        return cls(path, run_id, names, reports, count, bool(rest) or is_torn, len(line))

    def records(self, chunk_records: int = CHUNK_RECORDS) -> Iterator[bytes]:
        """Whole records, many at a time, in the order of their arrival. Raises LedgerError."""
        path, place, left = self.path / WRITES, self._begins, self.count
        try:
            with open_regular(path) as file:
                file.seek(place)
                while left:
                    chunk = file.read(min(left, chunk_records) * RECORD.size)
                    wrong = first_wrong(chunk, len(self.nodes))
                    if wrong is not None:
                        raise LedgerError(f"{path}, byte {place + wrong[0]:,}: {wrong[1]}")
                    if not chunk:
                        raise LedgerError(f"{path}, byte {place:,}: the file became shorter")
                    place += len(chunk)
                    left -= len(chunk) // RECORD.size
                    yield chunk
        except OSError as error:
            raise LedgerError(f"cannot read {path}: {error.strerror}") from error


def _run_id_of(path: Path, line: bytes) -> str:
    """From the header line."""
    if not line.endswith(b"\n"):
        if HEADER_BEGINS.startswith(line[: len(HEADER_BEGINS)]):
            return ""
        raise LedgerError(f"{path}: the file has no header line: it is none of {KIND!r}")
    try:
        fields = Fields(json.loads(line), "header")
        if fields.text("kind") != KIND:
            raise ValueError(f"this is no file of {KIND!r}")
        version = fields.whole("version")
        if version != VERSION:
            raise ValueError(
                f"the ledger has version {version}, this suite reads version {VERSION}: use the "
                "version of the suite that wrote it"
            )
        run_id = fields.text("run_id")
        fields.end()
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{path}, line 1: {_reason(error)}") from error
    return run_id


def _rows(path: Path, read: Callable[[Fields], T]) -> tuple[tuple[T, ...], bool]:
    """Every line, and whether the last one was cut off."""
    rows: list[T] = []
    try:
        with open_regular(path) as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n"):
                    if len(line) >= MAX_LINE_BYTES:
                        raise ValueError(f"the line is longer than {MAX_LINE_BYTES} bytes")
                    return tuple(rows), True
                fields = Fields(json.loads(line), "entry")
                rows.append(read(fields))
                fields.end()
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{path}, line {len(rows) + 1}: {_reason(error)}") from error
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror}") from error
    return tuple(rows), False


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _node(fields: Fields) -> tuple[int, str]:
    return fields.whole("index", least=0), fields.text("node")


def _entry(fields: Fields) -> IndexEntry:
    return IndexEntry(
        fields.text("source"),
        fields.whole("sequence", least=0),
        fields.whole("records", least=0),
        fields.whole("dropped", least=0) if fields.has("dropped") else 0,
    )
