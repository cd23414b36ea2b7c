"""The registry of one node: who holds which name, for as long as it renews its lease (A-7, X-23).

Registrations, their ends and their losses are own events (facts.py), stored before anybody is
told. Leases and renewals are in memory alone: after a restart every registration comes back from
the log with a fresh lease, and those whose owners are gone are lost one lease later.

One change of a name at a time: whoever changes it holds its turn until the event is applied, others
wait and then look again. So of two owners who race exactly one wins, and the log tells of a name's
loss before its next registration.

Life: made -> `start` begins the sweeper -> `recover`; until then `ready` waits -> `register`,
`unregister`, reads -> `begin_shutdown` -> `close`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Final

import orjson
from structlog.typing import FilteringBoundLogger

from service.errors import (
    AlreadyRegistered,
    FoundationError,
    IdConflict,
    NotFound,
    NotOwner,
    PayloadTooLarge,
    RegistrationEnded,
    RegistryFull,
)
from service.events.intake import make_correlation_id
from service.events.own_log import SNAPSHOT_EVERY, OwnLog
from service.events.store import EventStore, Stored
from service.readiness import Readiness
from service.registry import facts
from service.registry.ending import store_ends
from service.registry.model import (
    MAX_DIRECTORY_BYTES,
    MAX_ENTRIES,
    MAX_METADATA_BYTES,
    Directory,
    Entry,
    Key,
    Lease,
    Registration,
    entry_bytes,
)
from service.registry.turn import Turns
from service.schema import ComponentHealth, Event
from service.schema_registry import RegistryWrite

SWEEP_S: Final = 0.25
"""How late a loss may be told; that an entry is found no longer does not wait for it."""

SWEEP_ENTRIES: Final = 500
_FULL_SHARE: Final = 0.9


class Registry:
    """See the module. The counters count since the start; `monotonic_s` is the leases' clock."""

    def __init__(
        self,
        store: EventStore,
        clock_us: Callable[[], int],
        log: FilteringBoundLogger,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self.registrations = 0
        self.unregistrations = 0
        self.losses = 0
        self.renewals = 0
        self._store = store
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._log = log
        self._directory = Directory()
        self._readiness = Readiness("the registry")
        self._turns = Turns()
        self._growing_bytes = 0
        self._stirred = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None
        self._unsaid: str | None = None
        self._own = OwnLog[Registration](
            store,
            facts.NAME,
            facts.TYPES,
            entries=lambda: self._directory.registrations(),
            row=facts.row,
            clock_us=clock_us,
            log=log,
            snapshot_every=snapshot_every,
        )

    # Reads

    async def ready(self) -> None:
        """Until the registrations are read back. Raises Overloaded, ShuttingDown."""
        await self._readiness.wait()

    def lookup(self, key: Key) -> Entry:
        """The entry of a name. Raises NotFound, Overloaded. Changes nothing (X-23)."""
        self._readiness.check()
        entry = self._directory.find(key, self._monotonic_s())
        if entry is None:
            raise _not_found(key)
        return entry

    def services(self, namespace: str) -> list[Entry]:
        """The entries of a namespace in order of name."""
        self._readiness.check()
        return list(self._directory.under(namespace, self._monotonic_s()))

    def last_seq(self) -> int:
        """Where the feeds' end is now."""
        self._readiness.check()
        return self._own.last_seq

    async def follow(self, namespace: str, after: int) -> AsyncGenerator[Event, None]:
        """What happens in a namespace behind seq `after`: catch-up, then live, without gaps."""
        async with aclosing(self._own.follow(after)) as events:
            async for event in events:
                if event.data["namespace"] == namespace:
                    yield event

    # Changes

    async def register(
        self, key: Key, asked: RegistryWrite, correlation_id: str
    ) -> tuple[Entry, bool]:
        """The entry, and whether it was renewed rather than registered.

        Raises AlreadyRegistered, RegistrationEnded, RegistryFull, PayloadTooLarge, IdConflict and
        what the store raises.
        """
        await self.ready()
        metadata = orjson.dumps(asked.metadata, option=orjson.OPT_SORT_KEYS)
        if len(metadata) > MAX_METADATA_BYTES:
            raise PayloadTooLarge(
                f"metadata: {len(metadata)} bytes as canonical JSON, at most {MAX_METADATA_BYTES}"
            )
        await self._turns.wait(key)
        now_s = self._monotonic_s()
        held = self._directory.held(key)
        lost = None
        if held is not None and held.ended(now_s):
            lost = held
        elif held is not None:
            if held.registration.owner != asked.owner:
                raise AlreadyRegistered(
                    f"{key} is registered by {held.registration.owner} for another "
                    f"{held.lease.deadline_s - now_s:.1f} s: wait for its end or use another name"
                )
            if held.registration.holds(asked.owner, asked.url, metadata, asked.lease_s):
                self.renewals += 1
                lease = Lease.granted(asked.lease_s, now_s, self._clock_us())
                return self._directory.renew(key, lease), True
        size_bytes = entry_bytes(key, asked.owner, asked.url, metadata)
        if (refusal := self._refusal(key, held, size_bytes)) is not None:
            # A retry of what is stored is told so; it ended, or it would have been renewed.
            raise _ended(key) if await self._store.audit([asked.id.bytes]) else refusal
        return await self._register(key, asked, metadata, lost, correlation_id), False

    async def _register(
        self,
        key: Key,
        asked: RegistryWrite,
        metadata: bytes,
        lost: Entry | None,
        correlation_id: str,
    ) -> Entry:
        """Store a registration, behind the loss that nobody has told yet. No await before."""
        now_us = self._clock_us()
        writes = [facts.registered_write(key, asked, correlation_id, now_us)]
        if lost is not None:
            writes.insert(0, facts.end_write(lost, facts.LOST, correlation_id, now_us))

        def apply(receipts: Sequence[Stored]) -> Entry | None:
            if len(receipts) > 1:
                self._directory.remove(key)
                self.losses += 1
            stored = receipts[-1]
            if stored.duplicate:
                return None
            entry = self._entry(_registration(key, asked, metadata, stored))
            self._directory.put(entry)
            self.registrations += 1
            self._stirred.set()
            return entry

        async def store() -> Entry | None:
            try:
                return await self._own.append(writes, apply)
            except IdConflict:  # perhaps the loss's
                if lost is None:
                    raise
            await self._store_ends([lost], facts.LOST, correlation_id)
            return await self._own.append(writes[-1:], apply)

        size_bytes = entry_bytes(key, asked.owner, asked.url, metadata)
        self._growing_bytes += size_bytes
        try:
            entry = await self._turns.hold((key,), store())
        finally:
            self._growing_bytes -= size_bytes
        if entry is None:
            raise _ended(key)
        return entry

    async def unregister(self, key: Key, owner: str, correlation_id: str) -> Entry:
        """End a registration; the entry that it was. Raises NotFound, NotOwner."""
        await self.ready()
        await self._turns.wait(key)
        entry = self._directory.find(key, self._monotonic_s())
        if entry is None:
            raise _not_found(key)
        if entry.registration.owner != owner:
            raise NotOwner(f"{key} is registered by {entry.registration.owner}: only it may end it")
        ends = self._store_ends([entry], facts.UNREGISTERED, correlation_id)
        await self._turns.hold((key,), ends)
        return entry

    def _store_ends(
        self, entries: Sequence[Entry], type: facts.End, correlation_id: str
    ) -> Coroutine[Any, Any, None]:
        """What stores and applies these ends, for whoever holds the turns of their names."""

        def apply(ended: Sequence[Entry]) -> None:
            for entry in ended:
                self._directory.remove(entry.registration.key)
            if type == facts.LOST:
                self.losses += len(ended)
            else:
                self.unregistrations += len(ended)

        now_us = self._clock_us()
        return store_ends(
            self._own, entries, type, apply, correlation_id=correlation_id, now_us=now_us
        )

    def _refusal(self, key: Key, held: Entry | None, size_bytes: int) -> RegistryFull | None:
        """Why there is no room for an entry, or None. Counts what is being stored."""
        directory = self._directory
        coming = sum(1 for busy in self._turns if directory.held(busy) is None)
        if held is None and len(directory) + coming >= MAX_ENTRIES:
            return RegistryFull(
                f"{MAX_ENTRIES} services are registered, the maximum: unregister those that ended"
            )
        growth_bytes = size_bytes - (0 if held is None else held.registration.size_bytes())
        if growth_bytes > 0 and (
            directory.size_bytes + self._growing_bytes + growth_bytes > MAX_DIRECTORY_BYTES
        ):
            return RegistryFull(
                f"all services together may take {MAX_DIRECTORY_BYTES} bytes: send less metadata"
            )
        return None

    def _entry(self, registration: Registration) -> Entry:
        """`registration` with a lease that begins now."""
        lease = Lease.granted(registration.lease_s, self._monotonic_s(), self._clock_us())
        return Entry(registration, lease)

    # The sweeper

    def start(self) -> None:
        """Begin to tell of losses."""
        self._sweeper = asyncio.create_task(self._sweep_always(), name="registry-sweeper")

    async def _sweep_always(self) -> None:
        while True:
            if not len(self._directory):
                self._stirred.clear()
                await self._stirred.wait()
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
                self._unsaid = None
            except FoundationError as error:
                if self._unsaid is None:
                    self._log.warning("losses could not be stored", error=str(error))
                self._unsaid = str(error)
            except Exception:
                # The task's edge: leases must go on ending, and /health says what is wrong.
                if self._unsaid is None:
                    self._log.exception("the registry's sweeper failed")
                self._unsaid = "a fault of the node, which its log tells"

    async def sweep(self) -> int:
        """Tell of the entries whose leases have ended, some hundreds at once; how many there were.

        Raises what the store raises: they stay unfound, and are told of the next time.
        """
        expired = self._directory.expired(self._monotonic_s())
        lost = [entry for entry in expired if entry.registration.key not in self._turns]
        lost = lost[:SWEEP_ENTRIES]
        if not lost:
            return 0
        ends = self._store_ends(lost, facts.LOST, make_correlation_id())
        await self._turns.hold([entry.registration.key for entry in lost], ends)
        return len(lost)

    # Life

    async def recover(self) -> None:
        """Read the registrations back. Raises what the store raises; may then be called again."""
        found: facts.Registrations = {}
        await self._own.read_back(
            lambda row: facts.restore(found, row), lambda event: facts.apply(found, event)
        )
        self._directory = Directory()
        for registration in found.values():
            self._directory.put(self._entry(registration))
        self._readiness.ready()
        self._stirred.set()

    def begin_shutdown(self) -> None:
        self._readiness.end()

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper}, timeout=0.5)
        await self._own.close()

    def __len__(self) -> int:
        return len(self._directory)

    def health(self) -> ComponentHealth:
        if not self._readiness.is_ready:
            return ComponentHealth(status="degraded", detail="reading registrations back: wait")
        directory = self._directory
        share = max(len(directory) / MAX_ENTRIES, directory.size_bytes / MAX_DIRECTORY_BYTES)
        detail = f"{len(directory)} services, {directory.size_bytes} bytes"
        if self._unsaid is not None:
            return ComponentHealth(
                status="degraded", detail=f"{detail}; losses wait to be stored: {self._unsaid}"
            )
        if share > _FULL_SHARE:
            return ComponentHealth(
                status="degraded", detail=f"{detail}: {share:.0%} of what it may hold"
            )
        return ComponentHealth(status="up", detail=detail)


def _registration(key: Key, asked: RegistryWrite, metadata: bytes, stored: Stored) -> Registration:
    assert stored.stream_version is not None, "every registration is in a stream"
    return Registration(
        key=key,
        owner=asked.owner,
        url=asked.url,
        metadata=metadata,
        lease_s=asked.lease_s,
        version=stored.stream_version,
        id=stored.id,
        registered_at=stored.created_at,
    )


def _not_found(key: Key) -> NotFound:
    return NotFound(f"nobody is registered as {key}, or its lease has ended")


def _ended(key: Key) -> RegistrationEnded:
    return RegistrationEnded(
        f"this id registered {key} before, and that registration has ended: register with a new id"
    )
