"""What the audit read, on disk: `ledger/reads.bin`, one record for each id and node that was asked.

A header line, then records of 40 bytes: a write that was found, with the copy's digest, place and
origin, or one that a successful read did not find. A read that failed leaves none, so that what is
not here was never read. With `audit.json` (record.py) this is all that the fates of a run's
writes are computed from, beside the ledger itself. This module must not ask nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from struct import Struct

from results.auditor import LONGEST_ORIGIN, Found
from results.errors import AuditError
from results.ledger.ledger import DIGEST_BYTES, ID_BYTES, NO_DIGEST
from results.note import sound_text
from results.regular_file import open_regular

FILE = "reads.bin"
VERSION = 1

RECORD = Struct(">16s8s8sHHB3x")
"""Id, digest, place, node, origin, kind, three bytes to spare."""

MAX_NODES = 2**16
MAX_ORIGINS = 2**16

CHUNK_RECORDS = 4096
"""Read at once: 164 kB."""

LONGEST_HEADER_BYTES = 4096

_NOWHERE = bytes(8)


class Kind(IntEnum):
    FOUND = 1
    MISSED = 2


def place_of(text: str) -> bytes:
    """A place of any length in 8 bytes; places differ where their texts do."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class Origins:
    """The names of the nodes of origin, each with its number.

    They are told apart as they came, and kept as `sound_text` has them.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(sound_text, self._numbers))

    def number(self, origin: str) -> int:
        found = self._numbers.get(origin)
        if found is None:
            if len(self._numbers) == MAX_ORIGINS:
                raise ValueError(f"it names more than {MAX_ORIGINS:,} nodes of origin")
            found = self._numbers[origin] = len(self._numbers)
        return found


def packed(node: int, asked: Sequence[bytes], found: Iterable[Found], origins: Origins) -> bytes:
    """The records of one successful read. Raises ValueError for an answer that cannot be kept."""
    pack, out, seen = RECORD.pack, bytearray(), set()
    for id, digest, place, origin in found:
        if len(id) != ID_BYTES or (digest is not None and len(digest) != DIGEST_BYTES):
            raise ValueError("an id has 16 bytes and a digest 8")
        if not isinstance(origin, str) or len(origin) > LONGEST_ORIGIN:
            raise ValueError(f"an origin is a name of at most {LONGEST_ORIGIN} characters")
        seen.add(id)
        number = origins.number(origin)
        out += pack(id, digest or NO_DIGEST, place_of(place), node, number, Kind.FOUND)
    wanted = set(asked)
    if not seen <= wanted:
        raise ValueError("it answered for ids that it was not asked for")
    for id in wanted - seen:
        out += pack(id, NO_DIGEST, _NOWHERE, node, 0, Kind.MISSED)
    return bytes(out)


class ReadsWriter:
    """Appends to a new file; every method but `close` raises AuditError when the disk refuses."""

    def __init__(self, path: Path, run_id: str) -> None:
        self._path = path
        self.records = 0
        header = {"kind": "ledger-reads", "version": VERSION, "run_id": run_id}
        try:
            self._file = path.open("wb")
            self._file.write(json.dumps(header, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise AuditError(f"cannot write {path}: {error.strerror}") from error

    def write(self, records: bytes) -> None:
        try:
            self._file.write(records)
        except OSError as error:
            raise AuditError(f"cannot write {self._path}: {error.strerror}") from error
        self.records += len(records) // RECORD.size

    def finish(self) -> None:
        """What was written is on the disk."""
        try:
            self._file.flush()
        except OSError as error:
            raise AuditError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


def read_reads(path: Path, *, run_id: str, records: int, nodes: int) -> Iterator[bytes]:
    """The records in chunks of whole ones, all checked.

    Raises AuditError that names the file and the byte, also where there are more or fewer than
    `records`, which is what `audit.json` says, and for a node beyond `nodes`.
    """
    try:
        with open_regular(path) as file:
            offset = _past_header(path, file.readline(LONGEST_HEADER_BYTES), run_id)
            seen = 0
            while chunk := file.read(CHUNK_RECORDS * RECORD.size):
                _require_sound(path, offset, chunk, nodes)
                offset += len(chunk)
                seen += len(chunk) // RECORD.size
                yield chunk
    except OSError as error:
        raise AuditError(f"cannot read {path}: {error.strerror}") from error
    if seen != records:
        raise AuditError(f"{path}: {seen:,} records, but audit.json says {records:,}")


def _past_header(path: Path, line: bytes, run_id: str) -> int:
    try:
        header = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        header = None
    wanted = {"kind": "ledger-reads", "version": VERSION, "run_id": run_id}
    if header != wanted:
        raise AuditError(
            f"{path}: the first line is not {json.dumps(wanted)}: it is of another run or version, "
            "or damaged"
        )
    return len(line)


def _require_sound(path: Path, offset: int, chunk: bytes, nodes: int) -> None:
    whole = len(chunk) // RECORD.size * RECORD.size
    for number, (_, _, _, node, _, kind) in enumerate(RECORD.iter_unpack(chunk[:whole])):
        if node >= nodes or kind not in (Kind.FOUND, Kind.MISSED):
            at = offset + number * RECORD.size
            raise AuditError(f"{path}, byte {at:,}: node {node} or kind {kind} is none of ours")
    if whole != len(chunk):
        raise AuditError(f"{path}, byte {offset + whole:,}: the record there is cut off")
