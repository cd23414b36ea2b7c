"""One node per database: a lock file beside it, held for as long as the node runs.

SQLite's own locks would let two nodes take turns, and each would give the same sequence numbers.
The lock is the kernel's, so it ends with the process that holds it, also after SIGKILL. Between two
runs the file holds the token of the last clean shutdown (see sqlite.py). This module must not open
the database's own files: closing any of them would drop SQLite's locks on it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from service.errors import StorageError

_TOKEN_BYTES = 64


class Lock:
    """Made by `take`, ended by `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, database: Path) -> Lock:
        """Raises StorageError when the directory is unusable or another process holds the lock."""
        path = database.with_name(f"{database.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"{database.parent} cannot hold the database ({error.strerror}): it must be a "
                "directory that exists and is writable by the node's user"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"another node has {database} open: stop it, or give this node its own data "
                "directory"
            ) from error
        return cls(descriptor)

    def token(self) -> str | None:
        """The token that the last clean shutdown left, and takes it away."""
        assert self._descriptor is not None
        token = os.pread(self._descriptor, _TOKEN_BYTES, 0).decode("ascii", "replace")
        os.ftruncate(self._descriptor, 0)
        return token or None

    def leave(self, token: str) -> None:
        """Leave `token` for the next start. Not synced: losing it costs a new incarnation only."""
        assert self._descriptor is not None
        os.pwrite(self._descriptor, token.encode("ascii"), 0)

    def release(self) -> None:
        """Harmless when repeated. The file stays: removing it would race with another node."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
