"""Ways to take the disk away from a running node, and to give it back.

`FileSizeLimit` lowers the kernel's limit on the size of files (RLIMIT_FSIZE): the next write fails
with EFBIG. `SmallDisk` is a tmpfs of a few MiB (root only): a ballast file and the node's own
writes fill it, and writes fail with ENOSPC.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pytest

BLOCK_BYTES = 4_096
"""Less than a write-ahead log's header and first frame: with this limit every commit fails."""

_MOUNT_TIMEOUT_S = 10.0


class Limit(Protocol):
    """What a test does to a disk. Both may be repeated."""

    def take(self) -> None: ...

    def give_back(self) -> None: ...


class FileSizeLimit:
    """Only the soft limit is changed, so that it can be raised again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def take(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (BLOCK_BYTES, self._before[1]))

    def give_back(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


class SmallDisk:
    """A tmpfs mounted on `folder` for the length of a `with` block; skips where it cannot be."""

    def __init__(self, folder: Path, size_bytes: int, *, options: str = "") -> None:
        self.folder = folder
        self._options = f"size={size_bytes}{options}"
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("NOT TESTED: a full tmpfs needs root and mount")
        self.folder.mkdir()
        command = ("mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.folder))
        found = subprocess.run(command, capture_output=True, timeout=_MOUNT_TIMEOUT_S)
        if found.returncode != 0:
            pytest.skip(f"NOT TESTED: mount was refused: {found.stderr.decode().strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        command = ("umount", "--lazy", str(self.folder))
        subprocess.run(command, check=True, capture_output=True, timeout=_MOUNT_TIMEOUT_S)

    def remount(self, options: str) -> None:
        command = ("mount", "-o", f"remount,{options}", str(self.folder))
        subprocess.run(command, check=True, capture_output=True, timeout=_MOUNT_TIMEOUT_S)

    def free_bytes(self) -> int:
        space = os.statvfs(self.folder)
        return space.f_bavail * space.f_frsize

    def leave(self, free_bytes: int) -> None:
        """A ballast file takes all but so much."""
        self.give_back()
        with self._ballast.open("wb") as file:
            wanted = self.free_bytes() - free_bytes
            if wanted > 0:
                os.posix_fallocate(file.fileno(), 0, wanted)

    def take(self) -> None:
        """Fill it to the last page, in spite of others who write."""
        with self._ballast.open("ab") as file:
            while True:
                try:
                    os.write(file.fileno(), bytes(BLOCK_BYTES))
                except OSError:
                    return

    def give_back(self) -> None:
        self._ballast.unlink(missing_ok=True)
