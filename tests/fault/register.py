"""A register checker (G4): were appends with `expected_version` to one stream linearizable?

Each stream is a register that only compare-and-set changes: an append that names version v takes
effect at one moment between its first try and its answer, when the version is v, and makes it
v + 1. So a history can be checked in one pass, without a search: the versions say in which order
the appends took effect, and only their times are left to hold against it. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain
from math import inf
from uuid import UUID


class Outcome(Enum):
    """`UNKNOWN`: no answer to the last try; it may have taken effect or not (G10)."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Append:
    """One append over all its tries. Times are seconds of one monotonic clock.

    `version` is what was acknowledged, else None. An unknown append has no end that counts.
    """

    stream: str
    id: UUID
    expected: int
    outcome: Outcome
    version: int | None
    started_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Read:
    """One answer to "which version has the stream?"."""

    stream: str
    version: int
    started_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class History:
    appends: Sequence[Append]
    reads: Sequence[Read]


Stored = Mapping[str, Sequence[tuple[int, UUID]]]
"""Version and id of every stored event of a stream, in the order of the log."""


def check(history: History, stored: Stored) -> list[str]:
    """What contradicts G4; empty when every stream was a register."""
    faults: list[str] = []
    streams = {append.stream for append in history.appends} | set(stored)
    for stream in sorted(streams):
        appends = [one for one in history.appends if one.stream == stream]
        reads = [one for one in history.reads if one.stream == stream]
        held = stored.get(stream, ())
        found = (_versions(held, appends), _effects(appends, held), _times(appends, reads, held))
        faults += [f"{stream}: {fault}" for fault in chain(*found)]
    return faults


def _versions(held: Sequence[tuple[int, UUID]], appends: Sequence[Append]) -> Iterator[str]:
    """The stored and the acknowledged versions are 1..n, each once."""
    versions = [version for version, _ in held]
    if versions != list(range(1, len(versions) + 1)):
        yield f"stored versions are not 1..{len(versions)}"
    given = Counter(one.version for one in appends if one.version is not None)
    for version, count in given.items():
        if count > 1:
            yield f"double: version {version} was acknowledged {count} times"


def _effects(appends: Sequence[Append], held: Sequence[tuple[int, UUID]]) -> Iterator[str]:
    """What was acknowledged is there as it was acknowledged, what was refused is not."""
    version_of = {id_: version for version, id_ in held}
    for append in appends:
        found = version_of.pop(append.id, None)
        if append.version not in (None, append.expected + 1):
            yield f"version {append.version} was given to an append that expected {append.expected}"
        if append.outcome is Outcome.ACKNOWLEDGED and found != append.version:
            yield f"lost: version {append.version} was acknowledged, stored is {found}"
        elif append.outcome is Outcome.REFUSED and found is not None:
            yield f"a refused append is stored as version {found}"
        elif append.outcome is Outcome.UNKNOWN and found not in (None, append.expected + 1):
            yield f"version {found} is an append's that expected {append.expected}"
    for version in version_of.values():
        yield f"invented: nobody sent version {version}"


def _times(
    appends: Sequence[Append], reads: Sequence[Read], held: Sequence[tuple[int, UUID]]
) -> Iterator[str]:
    """Real time: nobody is told an older version than one that was known before he asked, nor
    one that nobody had asked for yet; and a refusal had a reason by the time it was given."""
    given = [(one, one.version) for one in appends if one.version is not None]
    seen = [(read, read.version) for read in reads]
    done = sorted((one.ended_s, version) for one, version in given + seen)
    newest = [0, *accumulate((version for _, version in done), max)]
    met = [(one.started_s, version - 1) for one, version in given]
    for started_s, version in met + [(read.started_s, read.version) for read in reads]:
        known = newest[bisect_left(done, (started_s, 0))]
        if version < known:
            yield f"stale: version {version} was seen after {known} was known"
    started_at_s = {one.id: one.started_s for one in appends}
    first_s = {version: started_at_s.get(id_, inf) for version, id_ in held}
    for read in reads:
        if read.version and first_s.get(read.version, inf) >= read.ended_s:
            yield f"version {read.version} was read before anybody asked for it"
    for one in appends:
        refused = one.outcome is Outcome.REFUSED
        if refused and first_s.get(one.expected + 1, inf) >= one.ended_s:
            yield f"refused without a reason: nobody had moved on from {one.expected}"
