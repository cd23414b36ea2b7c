"""The configuration of one node: reads from memory, changes through the log (A-4).

A change is an own event `config_changed` in the stream `$config/<path>`, so that its version is the
stream's, compare-and-set is the store's `expected_version` (G4), and a change that was acknowledged
outlives a crash (G1). Memory follows the log: it is changed when the event is on disk and before
anybody is told, and never from a newer version to an older one.

Life: made with the defaults -> `recover` reads the changes back; until then `ready` waits ->
`reply`, `put` … -> `begin_shutdown` -> `close`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from structlog.typing import FilteringBoundLogger

from service.config.model import (
    MAX_PATHS,
    MAX_TABLE_BYTES,
    MAX_VALUE_BYTES,
    PATH_PATTERN,
    ConfigTable,
    Defaults,
    Entry,
    canonical,
    check_path,
    check_prefix,
)
from service.content import CONFIG_CHANGED, config_stream, of_config
from service.errors import (
    ConfigFull,
    ConfigNotFound,
    FoundationError,
    NotUpdatable,
    PayloadTooLarge,
    VersionConflict,
)
from service.events.intake import workload_write
from service.events.own_log import SNAPSHOT_EVERY, OwnLog
from service.events.store import EventStore, Stored
from service.readiness import Readiness
from service.schema import ComponentHealth, Event
from service.schema_config import ConfigWrite

NAME: Final = "config"
_FULL_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is on disk; `value` is JSON text, `changed_at` in microseconds."""

    path: str
    value: bytes
    version: int
    changed_at: int
    seq: int
    duplicate: bool


class _Changed(BaseModel):
    """The data of a `config_changed`."""

    model_config = ConfigDict(strict=True)

    path: Annotated[str, Field(pattern=PATH_PATTERN)]
    value: Any


class _Saved(BaseModel):
    """A row of a snapshot; its value is JSON text."""

    model_config = ConfigDict(strict=True)

    path: Annotated[str, Field(pattern=PATH_PATTERN)]
    value: str
    version: int
    changed_at: int
    seq: int


class Configuration:
    """See the module. `changes` and `refused` (by error code) count since the start."""

    def __init__(
        self,
        store: EventStore,
        defaults: Defaults,
        clock_us: Callable[[], int],
        log: FilteringBoundLogger,
        *,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self.changes = 0
        self.refused: Counter[str] = Counter()
        self._store = store
        self._defaults = defaults
        self._clock_us = clock_us
        self._table = ConfigTable(Defaults())
        self._readiness = Readiness("the configuration")
        self._creating: Counter[str] = Counter()
        self._growing_bytes = 0
        self._own = OwnLog[Entry](
            store,
            NAME,
            (CONFIG_CHANGED,),
            entries=lambda: self._table.changed(),
            row=_row,
            clock_us=clock_us,
            log=log,
            snapshot_every=snapshot_every,
        )

    # Reads

    @property
    def is_ready(self) -> bool:
        """Whether `ready` has nothing to wait for."""
        return self._readiness.is_ready

    async def ready(self) -> None:
        """Until the changes are read back. Raises Overloaded, ShuttingDown."""
        await self._readiness.wait()

    def reply(self, path: str) -> bytes:
        """The `ConfigEntry` of one path as JSON. Raises InvalidInput, ConfigNotFound, Overloaded.

        Hot: until the recovery is done the table is empty, so one look-up answers the usual case.
        """
        entry = self._table.entries.get(path)
        if entry is not None:
            return entry.reply
        check_path(path)
        self._readiness.check()
        raise ConfigNotFound(f"{path} has no value: GET /v1/config lists the paths that have one")

    def values(self, prefix: str) -> tuple[int, list[bytes]]:
        """The last change's seq, and the replies of all paths under `prefix`, in order."""
        check_prefix(prefix)
        self._readiness.check()
        return self._table.last_seq, [entry.reply for entry in self._table.under(prefix)]

    def updatable(self) -> tuple[tuple[str, ...], list[str]]:
        """The allowlist's patterns, and the existing paths that match one, in order."""
        self._readiness.check()
        paths = [entry.path for entry in self._table.under("") if entry.updatable]
        return self._table.allowlist.patterns, paths

    def last_seq(self) -> int:
        """Where the feed's end is now."""
        self._readiness.check()
        return self._own.last_seq

    def follow(self, after: int) -> AsyncIterator[Event]:
        """Every `config_changed` with seq > `after`: catch-up, then live, without gaps."""
        return self._own.follow(after)

    # Changes

    async def put(self, path: str, asked: ConfigWrite, correlation_id: str) -> Change:
        """Change one path, or find that this id did so before.

        Raises InvalidInput, PayloadTooLarge, NotUpdatable, ConfigFull, VersionConflict, IdConflict
        and what the store raises.
        """
        try:
            change = await self._put(path, asked, correlation_id)
        except FoundationError as error:
            self.refused[error.code] += 1
            raise
        if not change.duplicate:
            self.changes += 1
        return change

    async def _put(self, path: str, asked: ConfigWrite, correlation_id: str) -> Change:
        check_path(path)
        await self.ready()
        value = canonical(asked.value)
        if len(value) > MAX_VALUE_BYTES:
            raise PayloadTooLarge(
                f"value: {len(value)} bytes as canonical JSON, at most {MAX_VALUE_BYTES}"
            )
        refusal = self._refusal(path, value)
        # A retry of what is stored is told so, whatever would be said to it today.
        if refusal is not None and not await self._store.audit([asked.id.bytes]):
            raise refusal
        content = of_config(path, asked.value)
        write = workload_write(
            id=asked.id.bytes,
            type=CONFIG_CHANGED,
            data=content,
            client=content,
            correlation_id=correlation_id,
            created_at=self._clock_us(),
            stream=config_stream(path),
            expected_version=asked.expected_version,
        )
        growth_bytes = max(0, self._table.growth_bytes(path, value))
        self._creating[path] += 1
        self._growing_bytes += growth_bytes
        try:
            return await self._own.append([write], lambda stored: self._apply(path, value, stored))
        except VersionConflict:
            raise VersionConflict(
                f"{path} is at version {self._version(path)}, not {asked.expected_version}: "
                "read it again and decide anew"
            ) from None
        finally:
            self._growing_bytes -= growth_bytes
            self._creating[path] -= 1
            if not self._creating[path]:
                del self._creating[path]

    def _refusal(self, path: str, value: bytes) -> FoundationError | None:
        """Why a new change cannot be made, or None. Counts the changes that are on their way."""
        table = self._table
        entry = table.entries.get(path)
        if not (table.allowlist.allows(path) if entry is None else entry.updatable):
            patterns = ", ".join(table.allowlist.patterns) or "nothing"
            return NotUpdatable(f"{path} may not be changed: updatable is {patterns}")
        if entry is None and path not in self._creating:
            paths = len(table) + sum(1 for one in self._creating if one not in table.entries)
            if paths >= MAX_PATHS:
                return ConfigFull(
                    f"there are {MAX_PATHS} paths, the maximum: change one that exists, or put "
                    "what belongs together into one value"
                )
        growth_bytes = table.growth_bytes(path, value)
        if growth_bytes > 0 and (
            table.size_bytes + self._growing_bytes + growth_bytes > MAX_TABLE_BYTES
        ):
            return ConfigFull(
                f"all values together may take {MAX_TABLE_BYTES} bytes: make one smaller first"
            )
        return None

    def _apply(self, path: str, value: bytes, receipts: Sequence[Stored]) -> Change:
        [stored] = receipts
        version = _version_of(stored)
        self._table.apply(path, value, version, stored.created_at, stored.seq)
        return Change(path, value, version, stored.created_at, stored.seq, stored.duplicate)

    def _version(self, path: str) -> int:
        entry = self._table.entries.get(path)
        return 0 if entry is None else entry.version

    # Life

    async def recover(self) -> None:
        """Read the changes back. Raises what the store raises; it may then be called again."""
        table = ConfigTable(self._defaults)
        await self._own.read_back(
            lambda row: _restore(table, row), lambda event: _apply_event(table, event)
        )
        self._table = table
        self._readiness.ready()

    def begin_shutdown(self) -> None:
        self._readiness.end()

    async def close(self) -> None:
        await self._own.close()

    def health(self) -> ComponentHealth:
        if not self.is_ready:
            return ComponentHealth(status="degraded", detail="reading the changes back: wait")
        table = self._table
        share = max(len(table) / MAX_PATHS, table.size_bytes / MAX_TABLE_BYTES)
        detail = f"{len(table)} paths, {table.size_bytes} bytes, last change at {table.last_seq}"
        if share > _FULL_SHARE:
            return ComponentHealth(
                status="degraded", detail=f"{detail}: {share:.0%} of what it may hold"
            )
        return ComponentHealth(status="up", detail=detail)

    def size(self) -> tuple[int, int]:
        """Paths, and the bytes of their values."""
        return len(self._table), self._table.size_bytes


def _version_of(stored: Stored) -> int:
    assert stored.stream_version is not None, "every change is in a stream"
    return stored.stream_version


def _apply_event(table: ConfigTable, event: Event) -> None:
    assert event.stream_version is not None, "every change is in a stream"
    changed = _Changed.model_validate(event.data)
    value = canonical(changed.value)
    table.apply(changed.path, value, event.stream_version, event.created_at, event.seq)


def _row(entry: Entry) -> Mapping[str, object]:
    """One entry of a snapshot. The value is text: its levels and the snapshot's would add up."""
    return {
        "path": entry.path,
        "value": entry.value.decode("utf-8"),
        "version": entry.version,
        "changed_at": entry.changed_at,
        "seq": entry.seq,
    }


def _restore(table: ConfigTable, row: Mapping[str, object]) -> None:
    saved = _Saved.model_validate(row)
    value = saved.value.encode("utf-8")
    table.apply(saved.path, value, saved.version, saved.changed_at, saved.seq)


def change_reply(change: Change) -> bytes:
    """A `schema_config.ConfigChange`."""
    return b'{"path":"%s","value":%s,"version":%d,"changed_at":%d,"seq":%d,"duplicate":%s}' % (
        change.path.encode("ascii"),
        change.value,
        change.version,
        change.changed_at,
        change.seq,
        b"true" if change.duplicate else b"false",
    )
