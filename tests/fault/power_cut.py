"""A disk that loses power: an SQLite VFS that knows what was synced and what was only written.

Files live on the real file system, so that the store runs at full speed and sees its own writes.
Beside them the VFS keeps, for each file, the bytes as of its last sync and every write and
truncation since. A *cut* is what a disk could hold if the power failed in this instant: the synced
bytes, plus a random part of what came after, in any combination, the last of them possibly torn at
a sector. Deleted files may come back and new ones be missing until something of theirs was synced.

The disk can also fail (`Disk.fails`): a write that stores a part and reports an error, a disk
without room, a sync that fails. A failed sync does what Linux does: it reports once, and forgets.
Each change that it should have stored is stored or not, and no later sync will store it, since its
pages count as clean; only writing them again helps.

`Disk.connect` gives the store a connection on this disk: an adapter with the few calls of `sqlite3`
that the store makes, around apsw (which, unlike sqlite3, can register a VFS). For tests only.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import apsw

SECTOR_BYTES = 512

Change = tuple[str, int, bytes]
"""("write", offset, bytes) or ("truncate", size, b"")."""


class DiskFile:
    """One file: its synced bytes (None: not there) and the changes since."""

    def __init__(self, durable: bytes | None) -> None:
        self.durable = durable
        self.pending: list[Change] = []

    def sync(self) -> None:
        content = bytearray(self.durable or b"")
        for change in self.pending:
            apply(content, change)
        self.durable = bytes(content)
        self.pending.clear()

    def sync_failed(self, random: Random) -> None:
        """What of the changes reached the disk stays there, the rest never will."""
        content = bytearray(self.durable or b"")
        for change in self.pending:
            if random.random() < 0.5:
                apply(content, change)
        self.durable = bytes(content)
        self.pending.clear()

    def after_cut(self, random: Random) -> bytes | None:
        """One state that the file may be in after a power cut."""
        keep = random.choice((0.0, 0.2, 0.5, 0.9, 1.0))
        kept = [change for change in self.pending if random.random() < keep]
        if self.durable is None and not kept:
            return None
        content = bytearray(self.durable or b"")
        for number, change in enumerate(kept):
            kind, at, data = change
            if kind == "write" and number == len(kept) - 1 and random.random() < 0.5:
                change = (kind, at, data[: SECTOR_BYTES * random.randint(0, 8)])
            apply(content, change)
        return bytes(content)


def apply(content: bytearray, change: Change) -> None:
    kind, at, data = change
    if kind == "truncate":
        del content[at:]
        content.extend(bytes(at - len(content)))
        return
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + len(data)] = data


Operation = Literal["write", "full", "sync"]
"""What can fail; `full` is a write that the disk has no room for. Truncations always succeed:
SQLite makes light of one that fails (the log stays longer than need be), and apsw would not."""


class Disk:
    """All files of one store. `on_change` is called after each change, on the writing thread.

    `fails(operation, file name)` is asked before each; `random` decides what a failure leaves.
    """

    def __init__(self, name: str, on_change: Callable[[], None], random: Random) -> None:
        self.fails: Callable[[Operation, str], bool] = lambda operation, name: False
        self.trusts_a_repeated_sync = False
        """The seeded bug: a sync that failed is asked for again, and then has nothing to do."""
        self.random = random
        self.files: dict[str, DiskFile] = {}
        self.lock = threading.RLock()
        self.on_change = on_change
        self.name = name
        self._vfs = _Vfs(name, self)

    def file(self, path: str) -> DiskFile:
        with self.lock:
            if path not in self.files:
                self.files[path] = DiskFile(None)
            return self.files[path]

    def cut(self, random: Random) -> dict[str, bytes]:
        """File name → bytes, as a disk could hold them if the power failed now."""
        with self.lock:
            found = {
                Path(path).name: content
                for path, file in self.files.items()
                if (content := file.after_cut(random)) is not None
            }
        return found

    def connect(self, path: Path, *, read_only: bool) -> sqlite3.Connection:
        """A `database.Connector` on this disk."""
        return Adapter(path, self.name, read_only)  # type: ignore[return-value]

    def remove(self) -> None:
        """Unregister the VFS; every connection must be closed."""
        self._vfs.unregister()


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        kept = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
        if not flags[0] & kept:
            return apsw.VFSFile("", name, flags)
        return _File(name, flags, self._disk, path)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        with self._disk.lock:
            file = self._disk.files.get(filename)
            if file is not None and syncdir:
                file.durable, file.pending = None, []
            elif file is not None:
                file.pending.append(("truncate", 0, b""))
            self._disk.on_change()


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk, path: str) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._file = disk.file(path)
        self._name = Path(path).name

    def xWrite(self, data: bytes, offset: int) -> None:
        disk = self._disk
        if disk.fails("full", self._name):
            raise apsw.FullError("the disk is full")
        if disk.fails("write", self._name):
            self._write(data[: disk.random.randrange(len(data))], offset)
            raise io_error(apsw.SQLITE_IOERR_WRITE)
        self._write(data, offset)

    def _write(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        with self._disk.lock:
            self._file.pending.append(("write", offset, bytes(data)))
            self._disk.on_change()

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        with self._disk.lock:
            self._file.pending.append(("truncate", newsize, b""))
            self._disk.on_change()

    def xSync(self, flags: int) -> None:
        # The real sync is left out: this disk's durability is what is kept beside the file.
        with self._disk.lock:
            self._disk.on_change()
            if self._disk.fails("sync", self._name):
                self._file.sync_failed(self._disk.random)
                if not self._disk.trusts_a_repeated_sync:
                    raise io_error(apsw.SQLITE_IOERR_FSYNC)
            self._file.sync()
            self._disk.on_change()


def io_error(code: int) -> Exception:
    """The driver's error for an extended code, with the text that sqlite3 gives it."""
    error: Exception = apsw.exception_for(code)
    error.args = ("disk I/O error",)
    return error


class Adapter:
    """What `database.Database` calls of an sqlite3.Connection, on apsw."""

    def __init__(self, path: Path, vfs: str, read_only: bool) -> None:
        flags = apsw.SQLITE_OPEN_READONLY
        if not read_only:
            flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
        self._connection.setbusytimeout(5_000)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> _Rows:
        try:
            return _Rows(self._connection.execute(sql, tuple(parameters)).fetchall())
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def interrupt(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


class _Rows:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows
