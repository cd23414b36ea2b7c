"""Telemetry of the workloads: counters, gauges and measurements under a path with tags (A-6).

Plain dictionaries, because everything that emits runs on the node's one loop: a warm series costs
two look-ups, no lock and no I/O, so that emitting never slows the event path. The number of series
is bounded: what a new one would exceed goes to the path's series `overflow="true"`, or to the one
of the path `overflow` when there is no room for that either, so that totals stay right and memory
stays flat whatever the tags are. This module must not do I/O, read a clock or know HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

Tags = Mapping[str, str]
TagSet = frozenset[tuple[str, str]]

NO_TAGS: Final[Tags] = MappingProxyType({})
MAX_TAGS: Final = 8
MAX_TAG_CHARS: Final = 200
MAX_PATH_CHARS: Final = 180
TAG_SETS_PER_PATH: Final = 100
"""One path must not take the room of all others."""

OVERFLOW: Final = "overflow"
"""Name of the tag, and the path of what found no room at its own."""

PATH_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}$"
TAG_NAME_PATTERN: Final = r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$"
TAG_VALUE_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}$"
RESERVED_TAGS: Final = frozenset({OVERFLOW, "telemetry_path", "le", "quantile"})
"""Labels that this node or Prometheus gives a meaning of its own; so are all that start `__`."""

_OVERFLOWN: Final[TagSet] = frozenset({(OVERFLOW, "true")})
_path = re.compile(PATH_PATTERN.replace("$", r"\Z"))
_tag_name = re.compile(TAG_NAME_PATTERN.replace("$", r"\Z"))
_tag_value = re.compile(TAG_VALUE_PATTERN.replace("$", r"\Z"))

S = TypeVar("S")
Family = dict[str, dict[TagSet, S]]
"""Path -> tags -> what is kept of that series."""


class Distribution:
    """Count, sum and extremes of a measurement, in milliseconds."""

    __slots__ = ("count", "max_ms", "min_ms", "sum_ms")

    def __init__(self) -> None:
        self.count = 0
        self.sum_ms = 0.0
        self.min_ms = float("inf")
        self.max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        self.count += 1
        self.sum_ms += duration_ms
        if duration_ms < self.min_ms:
            self.min_ms = duration_ms
        if duration_ms > self.max_ms:
            self.max_ms = duration_ms


class Series(NamedTuple):
    """One series as it is shown: `tags` in order of name."""

    path: str
    tags: dict[str, str]
    value: float


class Measurement(NamedTuple):
    """One measured series as it is shown."""

    path: str
    tags: dict[str, str]
    of: Distribution


class Telemetry:
    """All series of one node: at most `series`, and one for overflow of each kind."""

    def __init__(self, series: int = 2_000) -> None:
        self.limit = series
        self._counters: Family[float] = {}
        self._gauges: Family[float] = {}
        self._measurements: Family[Distribution] = {}
        self.series = 0
        """How many there are, those for overflow included."""
        self.overflowed = 0
        """Values that found no series of their own."""

    def count(self, path: str, tags: Tags = NO_TAGS, n: float = 1) -> None:
        """Add `n` (>= 0) to a counter."""
        try:
            self._counters[path][frozenset(tags.items())] += n
        except KeyError:
            sets, key = self._room(self._counters, path, tags)
            sets[key] = sets.get(key, 0) + n

    def gauge(self, path: str, value: float, tags: Tags = NO_TAGS) -> None:
        """Set a gauge."""
        key = frozenset(tags.items())
        sets = self._gauges.get(path)
        if sets is None or key not in sets:
            sets, key = self._room(self._gauges, path, tags)
        sets[key] = value

    def measure(self, path: str, duration_ms: float, tags: Tags = NO_TAGS) -> None:
        """Note how long something took, in milliseconds."""
        try:
            self._measurements[path][frozenset(tags.items())].add(duration_ms)
        except KeyError:
            sets, key = self._room(self._measurements, path, tags)
            sets.setdefault(key, Distribution()).add(duration_ms)

    def counters(self, prefix: str = "") -> Iterator[Series]:
        """Counters whose path starts with `prefix`, in order of path and tags."""
        return (Series(*place, value) for place, value in _sorted(self._counters, prefix))

    def gauges(self, prefix: str = "") -> Iterator[Series]:
        """Gauges, as `counters`."""
        return (Series(*place, value) for place, value in _sorted(self._gauges, prefix))

    def measurements(self, prefix: str = "") -> Iterator[Measurement]:
        """Measurements, as `counters`."""
        return (Measurement(*place, value) for place, value in _sorted(self._measurements, prefix))

    def _room(self, family: Family[S], path: str, tags: Tags) -> tuple[dict[TagSet, S], TagSet]:
        """Where a value goes that has no series yet: a new one, the path's overflow, or the one
        of all paths. What no page could show (a caller's mistake) goes there too."""
        sets = family.get(path)
        known = 0 if sets is None else len(sets) - (_OVERFLOWN in sets)
        key: TagSet = frozenset(tags.items())
        fits = known < TAG_SETS_PER_PATH and self.series < self.limit
        if fits and fault_of(path, tags) is None:
            return self._place(family, path, key), key
        self.overflowed += 1
        if sets is not None and (_OVERFLOWN in sets or self.series < self.limit):
            return self._place(family, path, _OVERFLOWN), _OVERFLOWN
        return self._place(family, OVERFLOW, _OVERFLOWN), _OVERFLOWN

    def _place(self, family: Family[S], path: str, key: TagSet) -> dict[TagSet, S]:
        """The path's series, with `key` counted as one of them."""
        sets = family.setdefault(path, {})
        self.series += key not in sets
        return sets


def fault_of(path: str, tags: Tags) -> str | None:
    """What is wrong with a path or its tags, or None: names that no Prometheus label may have,
    control characters, too many, too long."""
    if len(path) > MAX_PATH_CHARS or not _path.match(path):
        return (
            "path: 1 to 8 segments of letters, digits, _ and -, joined by /, at most"
            f" {MAX_PATH_CHARS} characters"
        )
    if path == OVERFLOW:
        return f"path: {OVERFLOW} is the node's own: choose another"
    if len(tags) > MAX_TAGS:
        return f"tags: at most {MAX_TAGS}, not {len(tags)}"
    for name, value in tags.items():
        if not _tag_name.match(name):
            return "tags: a name is 1 to 64 letters, digits and _, and starts with no digit"
        if name in RESERVED_TAGS or name.startswith("__"):
            return f"tags: {name} is reserved: choose another name"
        if not _tag_value.match(value):
            return f"tags.{name}: 1 to {MAX_TAG_CHARS} characters, none of them a control character"
    return None


def _sorted(family: Family[S], prefix: str) -> Iterator[tuple[tuple[str, dict[str, str]], S]]:
    for path in sorted(family):
        if path.startswith(prefix):
            for tags, kept in sorted((sorted(tags), kept) for tags, kept in family[path].items()):
                yield (path, dict(tags)), kept
