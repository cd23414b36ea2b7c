"""What a configuration is: paths, the allowlist of what may change, and the table of values.

Pure: no clock, no I/O. Values are kept as canonical JSON text, and each entry holds the whole
answer to `GET /v1/config/{path}`, so that reading one costs a look-up.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from service.errors import InvalidInput

MAX_PATH_CHARS: Final = 180
MAX_SEGMENTS: Final = 8
MAX_VALUE_BYTES: Final = 64 * 2**10
MAX_PATHS: Final = 10_000
MAX_TABLE_BYTES: Final = 16 * 2**20
"""All values together: what a node holds in memory, and writes now and then as a snapshot."""

RESERVED: Final = frozenset({"updatable", "feed"})
_SEGMENT: Final = "[A-Za-z0-9_-]{1,64}"
PATH_PATTERN: Final = rf"^{_SEGMENT}(?:/{_SEGMENT}){{0,{MAX_SEGMENTS - 1}}}$"
"""As OpenAPI describes a path; the words in RESERVED are no paths either."""

_PATH: Final = re.compile(PATH_PATTERN, re.ASCII)
_PREFIX: Final = re.compile(rf"[A-Za-z0-9_/-]{{0,{MAX_PATH_CHARS}}}", re.ASCII)
_PATTERN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_*-]{1,64}", re.ASCII)
REST: Final = "**"


def path_fault(path: str) -> str | None:
    """What is wrong with a path, or None."""
    if path in RESERVED:
        return f"{path} is reserved: choose another path"
    if len(path) > MAX_PATH_CHARS or not _PATH.fullmatch(path):
        return (
            f"a path is 1 to {MAX_SEGMENTS} segments of 1 to 64 letters, digits, dashes and "
            f"underscores, joined by /, at most {MAX_PATH_CHARS} characters"
        )
    return None


def check_path(path: str) -> None:
    """Raises InvalidInput."""
    fault = path_fault(path)
    if fault is not None:
        raise InvalidInput(f"path: {fault}")


def check_prefix(prefix: str) -> None:
    """Raises InvalidInput for what no path can begin with."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput(
            f"prefix: at most {MAX_PATH_CHARS} letters, digits, dashes, underscores and slashes"
        )


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern of the allowlist, or None."""
    segments = pattern.split("/")
    named = segments[:-1] if segments[-1] == REST else segments
    if len(pattern) > MAX_PATH_CHARS or len(segments) > MAX_SEGMENTS:
        return f"has more than {MAX_SEGMENTS} segments or {MAX_PATH_CHARS} characters"
    if not all(_PATTERN_SEGMENT.fullmatch(one) and REST not in one for one in named):
        return (
            "is not made of segments of letters, digits, dashes, underscores and *, joined by /, "
            "with ** as the last segment only"
        )
    return None


class Allowlist:
    """Which paths may be changed. Each pattern must have no `pattern_fault`."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._split = [pattern.split("/") for pattern in patterns]

    def allows(self, path: str) -> bool:
        segments = path.split("/")
        return any(_matches(pattern, segments) for pattern in self._split)


def _matches(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    if pattern[-1] == REST:
        # The rest is at least one segment: `dev/**` is what lies under dev, not dev itself.
        pattern, least = pattern[:-1], len(pattern)
        if len(segments) < least:
            return False
    elif len(pattern) != len(segments):
        return False
    return all(_segment_matches(*pair) for pair in zip(pattern, segments, strict=False))


def _segment_matches(pattern: str, segment: str) -> bool:
    """`*` stands for any run of characters, none included.

    Each piece is taken at its first place behind the one before, which never has to be taken back:
    a regular expression with ten stars could try them all for minutes.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return pattern == segment
    *middle, last = pieces
    if not segment.startswith(first) or not segment.endswith(last):
        return False
    at, end = len(first), len(segment) - len(last)
    for piece in middle:
        found = segment.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the configuration file says: values as JSON text, by path, and the allowlist."""

    values: Mapping[str, bytes] = field(default_factory=dict)
    updatable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One path. A default has version 0, seq 0 and no `changed_at` (microseconds)."""

    path: str
    value: bytes
    version: int
    changed_at: int | None
    seq: int
    updatable: bool
    reply: bytes
    """A `schema_config.ConfigEntry`."""


class ConfigTable:
    """The values of one node: the defaults, then each change applied in order of its version."""

    def __init__(self, defaults: Defaults) -> None:
        self.allowlist = Allowlist(defaults.updatable)
        self.entries: dict[str, Entry] = {}
        self.size_bytes = 0
        self.last_seq = 0
        self._paths: list[str] = []
        for path, value in defaults.values.items():
            self._put(path, value, 0, None, 0)

    def __len__(self) -> int:
        return len(self._paths)

    def apply(self, path: str, value: bytes, version: int, changed_at: int, seq: int) -> None:
        """Version `version` of `path`; an older one than the table has changes nothing."""
        current = self.entries.get(path)
        if current is None or version > current.version:
            self._put(path, value, version, changed_at, seq)
            self.last_seq = max(self.last_seq, seq)

    def growth_bytes(self, path: str, value: bytes) -> int:
        """How much larger the table would be with this value."""
        current = self.entries.get(path)
        return len(path) + len(value) if current is None else len(value) - len(current.value)

    def under(self, prefix: str) -> Iterator[Entry]:
        """The entries whose path begins with `prefix`, in order of path."""
        for index in range(bisect_left(self._paths, prefix), len(self._paths)):
            path = self._paths[index]
            if not path.startswith(prefix):
                return
            yield self.entries[path]

    def changed(self) -> list[Entry]:
        """The entries that are not defaults."""
        return [entry for entry in self.entries.values() if entry.version > 0]

    def _put(self, path: str, value: bytes, version: int, changed_at: int | None, seq: int) -> None:
        self.size_bytes += self.growth_bytes(path, value)
        current = self.entries.get(path)
        if current is None:
            insort(self._paths, path)
        updatable = self.allowlist.allows(path) if current is None else current.updatable
        reply = b'{"path":"%s","value":%s,"version":%d,"changed_at":%s,"updatable":%s}' % (
            path.encode("ascii"),
            value,
            version,
            b"null" if changed_at is None else b"%d" % changed_at,
            b"true" if updatable else b"false",
        )
        self.entries[path] = Entry(path, value, version, changed_at, seq, updatable, reply)


def canonical(value: object) -> bytes:
    """JSON text with sorted keys, of a value that has been decoded under the node's JSON rules."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
