"""Whether what is read of versioned values is what was written: a checker for many clients.

A value that is written by many at once may legitimately be any of theirs, so a read is compared by
its version: the value of a version is the one that its writer was acknowledged for, and a reader
never sees an older version than before (oddity 11). Only what the writers of this process were told
is known; a version of another process, or one whose acknowledgement is still on its way, cannot be
compared. Memory is bounded. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

REMEMBERED_VERSIONS = 10_000


class Seen(Enum):
    """What a read tells."""

    RIGHT = "right"
    UNKNOWN = "unknown"
    WRONG_VALUE = "wrong value"
    WENT_BACK = "went back"


class Register:
    """Values by path and version, as acknowledged to writers of this process."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._written: dict[str, dict[int, object]] = {path: {} for path in paths}

    def wrote(self, path: str, version: int, value: object) -> bool:
        """A node acknowledged `value` as this version; what is long past is forgotten.

        False when it acknowledged another value as the same version before: one of them is lost.
        """
        versions = self._written[path]
        if version in versions:
            return versions[version] == value
        versions[version] = value
        if len(versions) > REMEMBERED_VERSIONS:
            del versions[next(iter(versions))]
        return True

    def judge(self, path: str, version: int, value: object, *, seen: int) -> Seen:
        """A read by somebody who has `seen` a version of this path before (0: none)."""
        if version < seen:
            return Seen.WENT_BACK
        versions = self._written[path]
        if version not in versions:
            return Seen.UNKNOWN
        return Seen.RIGHT if versions[version] == value else Seen.WRONG_VALUE
