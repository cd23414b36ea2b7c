"""X-23 over a real store with a manual clock: contract, races, leases, order, restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import pytest
import structlog
import uuid_utils

from service.errors import (
    AlreadyRegistered,
    Conflict,
    IdConflict,
    NotFound,
    NotOwner,
    Overloaded,
    PayloadTooLarge,
    RegistrationEnded,
    RegistryFull,
    StorageError,
)
from service.events.intake import workload_write
from service.events.sqlite import SqliteEventStore, wall_clock_us
from service.events.store import EventQuery, Stored, Write
from service.registry import facts, logic, turn
from service.registry.logic import Registry
from service.registry.model import Entry, Key
from service.schema import Event
from service.schema_registry import RegistryWrite
from tests.event import make_write

T = TypeVar("T")

GUARD_S = 20.0
KEY = Key("production", "checkout")


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    made = await SqliteEventStore.open(tmp_path / "events.db", node="node-1")
    yield made
    await made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def opened(store: SqliteEventStore, clock: Clock, every: int = 1_000) -> Registry:
    registry = Registry(
        store, wall_clock_us, structlog.get_logger(), monotonic_s=clock, snapshot_every=every
    )
    await registry.recover()
    return registry


@pytest.fixture
async def registry(store: SqliteEventStore, clock: Clock) -> AsyncIterator[Registry]:
    made = await opened(store, clock)
    yield made
    await made.close()


def asked(owner: str = "a", **more: Any) -> RegistryWrite:
    return RegistryWrite(**{"id": UUID(str(uuid_utils.uuid7())), "owner": owner, **more})


async def register(
    registry: Registry, request: RegistryWrite | None = None, key: Key = KEY
) -> tuple[Entry, bool]:
    async with asyncio.timeout(GUARD_S):
        return await registry.register(key, request or asked(), "correlation")


async def told(store: SqliteEventStore) -> list[tuple[str, str, int]]:
    """(type, owner, stream version) of the registry's events in order of the log."""
    events: list[Event] = []
    for type in facts.TYPES:
        query = EventQuery(type=type, order_by="seq", limit=1_000, own=True)
        events += (await store.query(query)).events
    events.sort(key=lambda event: event.seq)
    return [(one.type, one.data["owner"], one.stream_version or 0) for one in events]


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = monotonic() + GUARD_S
    while not condition():
        assert monotonic() < deadline_s
        await asyncio.sleep(0.002)


# The contract


async def test_a_registration_is_stored_and_found(
    store: SqliteEventStore, registry: Registry
) -> None:
    request = asked(url="http://x:1", metadata={"zone": "a"}, lease_s=30)
    entry, renewed = await register(registry, request)
    assert not renewed and entry == registry.lookup(KEY)
    assert (entry.registration.version, entry.lease.lease_s) == (1, 30)
    assert registry.services("production") == [entry] and registry.services("global") == []
    page = await store.query(EventQuery(type=facts.REGISTERED, order_by="seq", own=True))
    [event] = page.events
    assert event.stream == "$registry/production/checkout" and event.id == request.id
    assert event.data == {
        "namespace": "production",
        "name": "checkout",
        "owner": "a",
        "url": "http://x:1",
        "metadata": {"zone": "a"},
        "lease_s": 30,
    }


async def test_a_look_up_has_no_effect(store: SqliteEventStore, registry: Registry) -> None:
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    await register(registry)
    registry.lookup(KEY)
    assert len(await told(store)) == 1 and registry.renewals == 0


async def test_another_owner_is_refused_without_an_event(
    store: SqliteEventStore, registry: Registry
) -> None:
    await register(registry)
    with pytest.raises(AlreadyRegistered, match=r"registered by a for another 15\.0 s"):
        await register(registry, asked("b"))
    assert len(await told(store)) == 1


async def test_the_owner_s_next_request_renews_without_an_event(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    first, _ = await register(registry, asked(lease_s=60))
    clock.now_s += 14
    entry, renewed = await register(registry, asked(lease_s=60))
    assert renewed and entry.registration == first.registration
    clock.now_s += 59
    assert registry.lookup(KEY).lease.lease_s == 60
    assert (registry.renewals, len(await told(store))) == (1, 1)


@pytest.mark.parametrize(
    "more", [{"url": "http://new"}, {"metadata": {"a": 1}}, {"lease_s": 600}, {"lease_s": 1}]
)
async def test_other_content_of_the_owner_is_a_new_registration(
    store: SqliteEventStore, registry: Registry, more: dict[str, Any]
) -> None:
    await register(registry)
    entry, renewed = await register(registry, asked(**more))
    assert not renewed and entry.registration.version == 2
    assert await told(store) == [(facts.REGISTERED, "a", 1), (facts.REGISTERED, "a", 2)]


async def test_unregistering_frees_the_name_once(
    store: SqliteEventStore, registry: Registry
) -> None:
    entry, _ = await register(registry)
    with pytest.raises(NotOwner, match="registered by a"):
        await registry.unregister(KEY, "b", "c")
    assert await registry.unregister(KEY, "a", "c") == entry
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    with pytest.raises(NotFound):
        await registry.unregister(KEY, "a", "c")
    assert (await register(registry, asked("b")))[0].registration.version == 3
    assert await told(store) == [
        (facts.REGISTERED, "a", 1),
        (facts.UNREGISTERED, "a", 2),
        (facts.REGISTERED, "b", 3),
    ]


async def test_metadata_is_bounded(registry: Registry) -> None:
    await register(registry, asked(metadata={"k": "x" * 4_088}))
    with pytest.raises(PayloadTooLarge, match="4097 bytes"):
        await register(registry, asked(metadata={"k": "x" * 4_089}))


# Leases


async def test_an_ended_lease_hides_the_entry_before_anybody_swept(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    await register(registry)
    clock.now_s += 15
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    assert registry.services("production") == []
    with pytest.raises(NotFound):
        await registry.unregister(KEY, "a", "c")
    assert len(await told(store)) == 1, "nothing was told yet"


@pytest.mark.parametrize("owner", ["a", "b"])
async def test_the_log_tells_of_the_loss_before_the_next_registration(
    store: SqliteEventStore, registry: Registry, clock: Clock, owner: str
) -> None:
    await register(registry)
    clock.now_s += 15
    entry, renewed = await register(registry, asked(owner))
    assert not renewed and entry.registration.version == 3
    assert await registry.sweep() == 0
    assert await told(store) == [
        (facts.REGISTERED, "a", 1),
        (facts.LOST, "a", 2),
        (facts.REGISTERED, owner, 3),
    ]
    assert (registry.losses, registry.registrations) == (1, 2)


async def test_the_sweeper_tells_of_each_loss_once(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    keys = [Key("ns", f"n{number}") for number in range(logic.SWEEP_ENTRIES + 20)]
    await asyncio.gather(*[register(registry, asked(), key) for key in keys])
    clock.now_s += 14
    await register(registry, asked(), keys[0])
    clock.now_s += 1
    assert await registry.sweep() == logic.SWEEP_ENTRIES
    assert await registry.sweep() == 19
    assert await registry.sweep() == 0
    assert registry.services("ns") == [registry.lookup(keys[0])]
    types = [type for type, _, _ in await told(store)]
    assert types.count(facts.LOST) == logic.SWEEP_ENTRIES + 19 == registry.losses


async def test_the_sweeper_wakes_by_itself(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    registry.start()
    await register(registry)
    clock.now_s += 15
    await until(lambda: registry.losses == 1)
    await register(registry, asked("b"))
    clock.now_s += 15
    await until(lambda: registry.losses == 2)
    assert len(registry) == 0


async def test_losses_that_cannot_be_stored_are_told_later(
    store: SqliteEventStore, registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(registry)
    clock.now_s += 15
    real = store.append_batch

    async def broken(writes: Sequence[Write], *, patience_s: float = 0.0) -> list[Stored]:
        raise StorageError("seeded")

    monkeypatch.setattr(store, "append_batch", broken)
    registry.start()
    await until(lambda: registry.health().status == "degraded")
    assert "losses wait to be stored: seeded" in registry.health().detail
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    monkeypatch.setattr(store, "append_batch", real)
    await until(lambda: registry.health().status == "up")
    assert registry.losses == 1


# Races


async def test_of_owners_that_race_for_a_name_exactly_one_wins(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    for round_ in range(10):
        results = await asyncio.gather(
            *[register(registry, asked(f"owner-{number}")) for number in range(8)],
            return_exceptions=True,
        )
        won = [one for one in results if not isinstance(one, BaseException)]
        assert len(won) == 1 and not won[0][1]
        assert sum(isinstance(one, AlreadyRegistered) for one in results) == 7
        assert registry.lookup(KEY) == won[0][0]
        assert won[0][0].registration.version == 2 * round_ + 1
        clock.now_s += 15
    alternating = [type for type, _, _ in await told(store)]
    assert alternating == ([facts.REGISTERED, facts.LOST] * 10)[:-1]


async def test_sweeper_owners_and_ends_that_race_keep_the_log_in_order(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    """The log alternates between registrations and ends whatever comes at once, and its last word
    is what the registry holds."""
    rng = random.Random(23)
    for _ in range(60):
        await asyncio.gather(
            registry.sweep(),
            *[register(registry, asked(owner)) for owner in rng.sample("abc", 2)],
            *[registry.unregister(KEY, owner, "c") for owner in rng.sample("abc", 1)],
            return_exceptions=True,
        )
        clock.now_s += rng.choice([1, 8, 16])
    history = await told(store)
    assert [version for _, _, version in history] == list(range(1, len(history) + 1))
    starts = [type == facts.REGISTERED for type, _, _ in history]
    assert starts == [number % 2 == 0 for number in range(len(history))]
    assert {type for type, _, _ in history} == set(facts.TYPES)
    assert len(registry) == starts[-1] == len(await opened(store, clock))


class NoTurns(turn.Turns):
    """A seeded bug: everybody changes a name at once."""

    async def wait(self, key: Key) -> None:
        pass

    async def hold(self, keys: Sequence[Key], change: Coroutine[Any, Any, T]) -> T:
        return await change


async def test_without_turns_several_owners_would_win(registry: Registry) -> None:
    """The positive control of both tests above."""
    registry._turns = NoTurns()
    results = await asyncio.gather(
        *[register(registry, asked(f"owner-{number}")) for number in range(8)],
        return_exceptions=True,
    )
    assert sum(isinstance(one, tuple) for one in results) > 1


@pytest.fixture
def disk(store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Nothing is stored before it is set."""
    released = asyncio.Event()
    real = store.append_batch

    async def slow(writes: Sequence[Write], *, patience_s: float = 0.0) -> list[Stored]:
        await released.wait()
        return await real(writes)

    monkeypatch.setattr(store, "append_batch", slow)
    return released


async def test_a_registration_whose_caller_is_gone_holds_the_name(
    registry: Registry, disk: asyncio.Event
) -> None:
    task = asyncio.ensure_future(register(registry))
    await until(lambda: KEY in registry._turns)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = asyncio.ensure_future(register(registry, asked("b")))
    disk.set()
    with pytest.raises(AlreadyRegistered):
        await other
    assert registry.lookup(KEY).registration.owner == "a"


async def test_a_change_waits_for_the_disk_no_longer_than_stated(
    registry: Registry, disk: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TURN_S", 0.05)
    first = asyncio.ensure_future(register(registry))
    await until(lambda: KEY in registry._turns)
    with pytest.raises(Overloaded, match="another change"):
        await register(registry, asked("b"))
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    disk.set()
    assert (await first)[0].registration.owner == "a"


# Retries and bounds


async def test_a_retry_renews_what_it_registered(
    store: SqliteEventStore, registry: Registry
) -> None:
    request = asked()
    first, _ = await register(registry, request)
    again, renewed = await register(registry, request)
    assert renewed and again.registration == first.registration
    assert len(await told(store)) == 1


@pytest.mark.parametrize("swept", [False, True])
async def test_a_retry_never_brings_back_what_has_ended(
    store: SqliteEventStore, registry: Registry, clock: Clock, swept: bool
) -> None:
    request = asked()
    await register(registry, request)
    clock.now_s += 15
    if swept:
        await registry.sweep()
    with pytest.raises(RegistrationEnded, match="new id"):
        await register(registry, request)
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    assert [type for type, _, _ in await told(store)] == [facts.REGISTERED, facts.LOST]
    assert (await register(registry))[0].registration.version == 3


async def test_an_id_belongs_to_one_registration(registry: Registry) -> None:
    request = asked()
    await register(registry, request)
    for other in (request.model_copy(update={"url": "http://x"}), request):
        key = KEY if other is not request else Key("production", "cart")
        with pytest.raises(IdConflict):
            await register(registry, other, key)


async def test_a_late_retry_of_a_replaced_registration_changes_nothing(
    registry: Registry,
) -> None:
    old = asked(url="http://old")
    await register(registry, old)
    await register(registry, asked(url="http://new"))
    with pytest.raises(RegistrationEnded):
        await register(registry, old)
    assert registry.lookup(KEY).registration.url == "http://new"


@pytest.mark.parametrize(("limit", "value"), [("MAX_ENTRIES", 5), ("MAX_DIRECTORY_BYTES", 5 * 12)])
async def test_the_registry_is_bounded(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(logic, limit, value)
    requests = [asked() for _ in range(20)]
    keys = [Key("ns", f"n{number:03}") for number in range(20)]
    results = await asyncio.gather(
        *[register(registry, *pair) for pair in zip(requests, keys, strict=True)],
        return_exceptions=True,
    )
    assert len(registry) == sum(isinstance(one, tuple) for one in results) in (4, 5)
    assert sum(isinstance(one, RegistryFull) for one in results) == 20 - len(registry)
    assert (await register(registry, requests[0], keys[0]))[1], "what is held can be renewed"
    assert registry.health().status == "degraded"
    await registry.unregister(keys[0], "a", "c")
    with pytest.raises(RegistrationEnded):
        await register(registry, requests[0], keys[0])
    await register(registry, asked(), keys[-1])


# Restart


@pytest.mark.parametrize("every", [3, 1_000])
async def test_a_restart_brings_registrations_back_with_a_fresh_lease(
    store: SqliteEventStore, clock: Clock, every: int
) -> None:
    registry = await opened(store, clock, every)
    for number in range(12):
        key = Key("ns", f"n{number % 4}")
        await register(registry, asked(f"o{number}", lease_s=20, metadata={"n": [number]}), key)
        if number < 8:
            await registry.unregister(key, f"o{number}", "c")
    await registry.unregister(Key("ns", "n3"), "o11", "c")
    clock.now_s += 19
    await register(registry, asked("o8", lease_s=20, metadata={"n": [8]}), Key("ns", "n0"))
    again = await opened(store, clock, every)
    assert [one.registration for one in again.services("ns")] == [
        one.registration for one in registry.services("ns")
    ]
    assert [one.lease.deadline_s for one in again.services("ns")] == [clock.now_s + 20] * 3
    assert again.last_seq() == registry.last_seq()
    clock.now_s += 20
    assert await again.sweep() == 3
    await registry.close()


async def test_before_the_recovery_reads_are_refused_and_changes_wait_for_it(
    store: SqliteEventStore, clock: Clock
) -> None:
    registry = Registry(store, wall_clock_us, structlog.get_logger(), monotonic_s=clock)
    for read in (lambda: registry.lookup(KEY), lambda: registry.services("ns"), registry.last_seq):
        with pytest.raises(Overloaded):
            read()
    assert registry.health().status == "degraded"
    registering = asyncio.create_task(register(registry))
    ending = asyncio.create_task(registry.unregister(Key("a", "absent"), "a", "c"))
    await asyncio.sleep(0)
    assert not registering.done() and not ending.done()
    async with asyncio.timeout(GUARD_S):
        await registry.recover()
        await registering
        with pytest.raises(NotFound):
            await ending
    await registry.close()


@pytest.mark.parametrize("data", [{"namespace": "a"}, {"namespace": "a", "name": "b", "owner": 5}])
async def test_an_own_event_of_another_form_stops_the_recovery_with_a_remedy(
    store: SqliteEventStore, clock: Clock, data: dict[str, object]
) -> None:
    await store.append(
        workload_write(
            id=uuid_utils.uuid7().bytes,
            type=facts.REGISTERED,
            data=data,
            client={},
            correlation_id="correlation",
            created_at=1,
            stream=facts.stream_of(Key("a", "b")),
        )
    )
    with pytest.raises(StorageError, match="start the version that wrote it"):
        await opened(store, clock)


async def test_a_restart_keeps_a_lease_as_long_as_it_was_last_acknowledged(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    await register(registry, asked(lease_s=1))
    longer, renewed = await register(registry, asked(lease_s=600))
    assert not renewed and longer.lease.deadline_s == clock.now_s + 600
    again = await opened(store, clock)
    clock.now_s += 599
    assert again.lookup(KEY).registration == longer.registration
    assert await again.sweep() == 0
    await again.close()


# Events that have the id of an end: no client can store one any more, a log of before may hold it


async def squat(store: SqliteEventStore, entry: Entry, type: facts.End, ids: int) -> None:
    """Store events of a client's under the first ids of the end of `entry`."""
    for number in range(1, ids + 1):
        id = facts.end_write(entry, type, "c", 1, number).id
        await store.append(make_write(id=id, type=type, data={"n": number}))


@pytest.mark.parametrize("ids", [1, 3])
async def test_a_loss_whose_id_is_taken_is_told_and_stops_no_other(
    store: SqliteEventStore, registry: Registry, clock: Clock, ids: int
) -> None:
    keys = [Key("ns", f"n{number}") for number in range(5)]
    entries = [(await register(registry, asked(), key))[0] for key in keys]
    await squat(store, entries[2], facts.LOST, ids)
    clock.now_s += 15
    assert await registry.sweep() == 5
    assert await registry.sweep() == 0
    assert (registry.losses, len(registry)) == (5, 0)
    assert [type for type, _, _ in await told(store)].count(facts.LOST) == 5
    assert (await register(registry, asked("b"), keys[2]))[0].registration.version == 3
    again = await opened(store, clock)
    assert [one.registration.key for one in again.services("ns")] == [keys[2]]
    await again.close()


async def test_a_name_whose_loss_s_id_is_taken_can_be_registered_before_the_sweep(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    entry, _ = await register(registry)
    await squat(store, entry, facts.LOST, 1)
    clock.now_s += 15
    results = await asyncio.gather(
        *[register(registry, asked(owner)) for owner in "bcd"],
        registry.sweep(),
        return_exceptions=True,
    )
    [won] = [one for one in results if isinstance(one, tuple)]
    assert won[0].registration.version == 3 and registry.lookup(KEY) == won[0]
    assert [type for type, _, _ in await told(store)] == [
        facts.REGISTERED,
        facts.LOST,
        facts.REGISTERED,
    ]
    assert registry.losses == 1


async def test_an_id_that_is_taken_is_a_conflict_also_when_a_loss_comes_first(
    store: SqliteEventStore, registry: Registry, clock: Clock
) -> None:
    taken = asked("b")
    await store.append(make_write(id=taken.id.bytes))
    await register(registry)
    clock.now_s += 15
    with pytest.raises(IdConflict):
        await register(registry, taken)
    assert [type for type, _, _ in await told(store)] == [facts.REGISTERED, facts.LOST]


async def test_an_owner_can_end_a_registration_whose_end_s_id_is_taken(
    store: SqliteEventStore, registry: Registry
) -> None:
    entry, _ = await register(registry)
    await squat(store, entry, facts.UNREGISTERED, 2)
    await registry.unregister(KEY, "a", "c")
    with pytest.raises(NotFound):
        registry.lookup(KEY)
    assert [type for type, _, _ in await told(store)] == [facts.REGISTERED, facts.UNREGISTERED]
    assert (registry.unregistrations, registry.losses) == (1, 0)


async def test_a_namespace_s_feed_holds_its_own_events_alone(registry: Registry) -> None:
    for namespace in ("a", "b", "a"):
        await register(registry, asked(url=f"http://{namespace}"), Key(namespace, "n"))
        await registry.unregister(Key(namespace, "n"), "a", "c")
    found: list[str] = []
    async with asyncio.timeout(GUARD_S):
        async for event in registry.follow("a", 0):
            assert event.data["namespace"] == "a"
            found.append(event.type)
            if len(found) == 4:
                break
    assert found == [facts.REGISTERED, facts.UNREGISTERED] * 2


async def test_every_refusal_is_an_error_of_the_api() -> None:
    for kind in (AlreadyRegistered, NotOwner, RegistrationEnded, RegistryFull):
        assert issubclass(kind, Conflict) and kind.status == 409
