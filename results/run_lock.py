"""Tells a run whose process still uses its folder from one that was killed.

The process that owns a run holds a lock of the kernel's on the folder itself (flock(2)) from the
run's beginning until it is sealed. Nothing is written for it, and it ends with the process, however
that ends. So a run that writes nothing for minutes, since it waits for faults to heal or is
audited, is not taken for a dead one. This module must not know what is in the folder.

Where a file system has no such locks (some networks'), nobody holds one, and nothing is known.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_ATTEMPTS = 100
_PAUSE_S = 0.01
"""Whoever asks holds it for a moment, which is waited for."""


class RunLock:
    """Held from `take` until `release`, or until nobody refers to it any more."""

    def __init__(self, number: int | None) -> None:
        self._number = number

    @classmethod
    def take(cls, path: Path) -> RunLock:
        """Of a folder that is there. Never raises: what cannot be locked is not."""
        try:
            number = _open(path)
        except OSError:
            return cls(None)
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return cls(number)
            except BlockingIOError:
                time.sleep(_PAUSE_S)
            except OSError:
                break
        os.close(number)
        return cls(None)

    @property
    def is_held(self) -> bool:
        return self._number is not None

    def release(self) -> None:
        """Idempotent."""
        number, self._number = self._number, None
        if number is not None:
            os.close(number)

    def __del__(self) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether a process uses the folder; false where that cannot be told."""
    try:
        number = _open(path)
    except (OSError, ValueError):
        return False
    try:
        # Shared, so that two who ask do not take each other for the owner.
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(number)
    return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
