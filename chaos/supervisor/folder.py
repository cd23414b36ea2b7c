"""Where a cluster keeps its files: temporary folders that end with their supervisor, and locks.

A temporary folder has a lock file beside it, which its supervisor holds with `flock`. The kernel
drops that lock when the supervisor dies, however it dies; the next supervisor recognises the
folder by its free lock and removes it. The lock must be taken after the zygote was forked: a
forked child would share it and keep it alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from pathlib import Path

from chaos.supervisor.errors import DataInUse, NotWritable

_PREFIX = "foundation-cluster-"
_LOCK_SUFFIX = ".lock"
_DATA_LOCK = ".supervisor.lock"


class TemporaryFolder:
    """A private folder under `base` until `remove`. Raises NotWritable."""

    def __init__(self, base: Path) -> None:
        name = _PREFIX + secrets.token_hex(8)
        self._lock_path = base / (name + _LOCK_SUFFIX)
        self.path = base / name
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.open(self._lock_path, flags, 0o600)
            # A sweep can take the file between these two lines. Then this waits for it, and the
            # lock is on a file that is no longer there: the folder is merely not swept after a
            # crash. It is never swept while we live, since the sweep looked for it before.
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise not_writable(base, error) from error

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._lock_path.unlink()
        os.close(self._lock)


def sweep(base: Path) -> list[Path]:
    """Removes what dead supervisors of this user left under `base`; returns the folders."""
    removed = []
    for lock_path in base.glob(f"{_PREFIX}*{_LOCK_SUFFIX}"):
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # somebody else's, or gone since
        try:
            if os.fstat(lock).st_uid != os.geteuid():
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = lock_path.with_suffix("")
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            lock_path.unlink()
        except OSError:
            continue  # its supervisor lives
        finally:
            os.close(lock)
    return removed


class DataLock:
    """Keeps a kept data directory to one supervisor: two writers would corrupt it (D1).

    Raises DataInUse when another supervisor holds it, NotWritable when it cannot be made.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / _DATA_LOCK
        make_folder(data_dir)
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise not_writable(data_dir, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise DataInUse(
                f"the data directory {data_dir} is in use by another cluster: "
                "take that one down, or choose another directory"
            ) from error

    def release(self) -> None:
        """The lock file stays: removing it would let two later holders lock different files."""
        os.close(self._lock)


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, and checks that it takes files. Raises NotWritable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".write-{secrets.token_hex(4)}"
        probe.touch(mode=0o600, exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise not_writable(path, error) from error


def not_writable(path: Path, error: OSError) -> NotWritable:
    return NotWritable(f"cannot write in {path} ({error.strerror}): choose another directory")
