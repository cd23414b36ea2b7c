"""The configuration over a real store: versions, retries, races, limits, what a restart keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import structlog
import uuid_utils

from service.config import logic
from service.config.logic import Change, Configuration
from service.config.model import MAX_VALUE_BYTES, Defaults
from service.content import CONFIG_CHANGED, config_stream
from service.errors import (
    ConfigFull,
    ConfigNotFound,
    FoundationError,
    IdConflict,
    InvalidInput,
    MalformedJson,
    NotUpdatable,
    Overloaded,
    PayloadTooLarge,
    StorageError,
    VersionConflict,
)
from service.events.intake import workload_write
from service.events.sqlite import SqliteEventStore, wall_clock_us
from service.events.store import EventQuery
from service.schema_config import ConfigWrite
from tests.event import make_write

GUARD_S = 20.0
DEFAULTS = Defaults({"features/x": b"false", "fixed": b"1"}, ("features/*", "limits/**"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    made = await SqliteEventStore.open(tmp_path / "events.db", node="node-1")
    yield made
    await made.close()


async def opened(
    store: SqliteEventStore, defaults: Defaults = DEFAULTS, every: int = 1_000
) -> Configuration:
    config = Configuration(
        store, defaults, wall_clock_us, structlog.get_logger(), snapshot_every=every
    )
    await config.recover()
    return config


@pytest.fixture
async def config(store: SqliteEventStore) -> AsyncIterator[Configuration]:
    made = await opened(store)
    yield made
    await made.close()


def new_id() -> UUID:
    return UUID(str(uuid_utils.uuid7()))


async def put(
    config: Configuration,
    path: str,
    value: object,
    expected: int | None = None,
    id: UUID | None = None,
) -> Change:
    asked = ConfigWrite(id=id or new_id(), value=value, expected_version=expected)
    async with asyncio.timeout(GUARD_S):
        return await config.put(path, asked, "correlation")


def entry(config: Configuration, path: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(config.reply(path))
    return found


def state(config: Configuration) -> list[dict[str, Any]]:
    return [orjson.loads(reply) for reply in config.values("")[1]]


async def test_the_first_change_has_version_one_and_the_next_two(config: Configuration) -> None:
    first = await put(config, "features/x", True)
    second = await put(config, "features/x", {"b": 1, "a": None})
    assert (first.version, second.version, second.value) == (1, 2, b'{"a":null,"b":1}')
    assert second.seq > first.seq
    assert entry(config, "features/x") == {
        "path": "features/x",
        "value": {"a": None, "b": 1},
        "version": 2,
        "changed_at": second.changed_at,
        "updatable": True,
    }
    assert config.values("")[0] == second.seq


async def test_a_retry_gets_its_original_also_after_later_changes(config: Configuration) -> None:
    id_ = new_id()
    first = await put(config, "features/x", "one", expected=0, id=id_)
    await put(config, "features/x", "two")
    again = await put(config, "features/x", "one", expected=0, id=id_)
    assert again == Change("features/x", b'"one"', 1, first.changed_at, first.seq, True)
    assert entry(config, "features/x")["value"] == "two"
    assert config.changes == 2


async def test_an_id_belongs_to_one_path_and_value(config: Configuration) -> None:
    id_ = new_id()
    await put(config, "features/x", 1, id=id_)
    for path, value in (("features/x", 2), ("features/y", 1), ("features/x", 1.0)):
        with pytest.raises(IdConflict):
            await put(config, path, value, id=id_)
    assert config.refused["id_conflict"] == 3


async def test_a_stale_version_is_refused_and_says_which_one_is_right(
    config: Configuration,
) -> None:
    await put(config, "features/x", 1, expected=0)
    with pytest.raises(VersionConflict, match="features/x is at version 1, not 0"):
        await put(config, "features/x", 2, expected=0)
    with pytest.raises(VersionConflict, match="features/new is at version 0, not 3"):
        await put(config, "features/new", 2, expected=3)
    assert (await put(config, "features/x", 2, expected=1)).version == 2
    with pytest.raises(ConfigNotFound):
        config.reply("features/new")


async def test_of_racing_changes_that_expect_a_version_one_wins(config: Configuration) -> None:
    for version in range(20):
        results = await asyncio.gather(
            *[put(config, "features/x", number, expected=version) for number in range(10)],
            return_exceptions=True,
        )
        won = [one for one in results if isinstance(one, Change)]
        assert len(won) == 1 and won[0].version == version + 1
        assert sum(isinstance(one, VersionConflict) for one in results) == 9
        assert entry(config, "features/x")["value"] == orjson.loads(won[0].value)


async def test_racing_changes_leave_the_newest_version(config: Configuration) -> None:
    changes = await asyncio.gather(*[put(config, "features/x", number) for number in range(200)])
    assert sorted(one.version for one in changes) == list(range(1, 201))
    newest = max(changes, key=lambda one: one.version)
    found = entry(config, "features/x")
    assert (found["version"], found["value"]) == (200, orjson.loads(newest.value))
    assert config.values("")[0] == newest.seq


async def test_what_is_acknowledged_is_read_by_everybody_at_once(config: Configuration) -> None:
    """No reader sees a path go back, and no acknowledged version is unseen."""
    acknowledged, ended = 0, False

    async def read() -> int:
        seen = reads = 0
        while not ended:
            at_least = acknowledged
            version = entry(config, "features/x")["version"]
            assert version >= max(seen, at_least)
            seen, reads = version, reads + 1
            await asyncio.sleep(0)
        return reads

    async def write() -> None:
        nonlocal acknowledged
        for _ in range(100):
            change = await put(config, "features/x", "v")
            acknowledged = max(acknowledged, change.version)

    readers = [asyncio.ensure_future(read()) for _ in range(3)]
    await asyncio.gather(*[write() for _ in range(5)])
    ended = True
    assert min(await asyncio.gather(*readers)) > 10


@pytest.mark.parametrize("path", ["fixed", "other", "features", "features/x/y"])
async def test_a_path_that_is_not_on_the_allowlist_cannot_be_changed(
    config: Configuration, path: str
) -> None:
    with pytest.raises(NotUpdatable, match=r"updatable is features/\*, limits/\*\*"):
        await put(config, path, 1)
    assert config.refused["not_updatable"] == 1 and config.last_seq() == 0


@pytest.mark.parametrize("path", ["", "updatable", "feed", "a//b", "features/x y"])
async def test_a_bad_path_is_refused(config: Configuration, path: str) -> None:
    with pytest.raises(InvalidInput):
        await put(config, path, 1)
    with pytest.raises(InvalidInput):
        config.reply(path)


async def test_a_value_of_64_kib_is_taken_and_one_byte_more_is_not(config: Configuration) -> None:
    await put(config, "features/x", "y" * (MAX_VALUE_BYTES - 2))
    with pytest.raises(PayloadTooLarge):
        await put(config, "features/x", "y" * (MAX_VALUE_BYTES - 1))


async def test_a_value_may_have_62_levels(store: SqliteEventStore, config: Configuration) -> None:
    nested: object = 1
    for _ in range(62):
        nested = [nested]
    await put(config, "features/x", nested)
    with pytest.raises(MalformedJson):
        await put(config, "features/x", [nested])
    assert state(await opened(store)) == state(config)


async def test_paths_are_bounded_and_those_that_exist_can_still_change(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logic, "MAX_PATHS", 10)
    config = await opened(store)
    results = await asyncio.gather(
        *[put(config, f"limits/{number}", number) for number in range(30)], return_exceptions=True
    )
    made = [one for one in results if isinstance(one, Change)]
    assert len(made) == 8 and config.size()[0] == 10
    assert all(isinstance(one, Change | ConfigFull) for one in results)
    assert (await put(config, made[0].path, "again")).version == 2
    with pytest.raises(ConfigFull, match="10 paths"):
        await put(config, "limits/more", 1)
    assert config.health().status == "degraded"


async def test_bytes_are_bounded_over_all_paths(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logic, "MAX_TABLE_BYTES", 10_000)
    config = await opened(store)
    results = await asyncio.gather(
        *[put(config, f"limits/{number}", "x" * 1_000) for number in range(30)],
        return_exceptions=True,
    )
    assert sum(isinstance(one, Change) for one in results) == 9
    assert config.size()[1] <= 10_000
    with pytest.raises(ConfigFull, match="10000 bytes"):
        await put(config, "limits/0", "x" * 3_000)
    assert (await put(config, "limits/0", "x")).version == 2


async def test_a_retry_is_answered_though_there_is_no_room_or_leave_any_more(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = await opened(store)
    id_ = new_id()
    first = await put(config, "limits/a", "x" * 500, id=id_)
    await put(config, "limits/a", "x")
    monkeypatch.setattr(logic, "MAX_TABLE_BYTES", config.size()[1])
    again = await put(config, "limits/a", "x" * 500, id=id_)
    assert (again.duplicate, again.seq) == (True, first.seq)
    stricter = await opened(store, Defaults({}, ()))
    assert (await put(stricter, "limits/a", "x" * 500, id=id_)).seq == first.seq
    with pytest.raises(NotUpdatable):
        await put(stricter, "limits/a", "x" * 500)


async def test_before_the_recovery_reads_are_refused_and_changes_wait_for_it(
    store: SqliteEventStore,
) -> None:
    config = Configuration(store, DEFAULTS, wall_clock_us, structlog.get_logger())
    for read in (
        lambda: config.reply("features/x"),
        lambda: config.values(""),
        config.updatable,
        config.last_seq,
    ):
        with pytest.raises(Overloaded):
            read()
    assert config.health().status == "degraded"
    change = asyncio.create_task(put(config, "features/x", 1))
    reader = asyncio.create_task(config.ready())
    await asyncio.sleep(0)
    assert not change.done() and not reader.done()
    await config.recover()
    async with asyncio.timeout(GUARD_S):
        await reader
    assert (await change).version == 1
    await config.close()


@pytest.mark.parametrize(
    "data", [{"path": "features/x"}, {"path": 5, "value": 1}, {"path": "no spaces", "value": 1}]
)
async def test_an_own_event_of_another_form_stops_the_recovery_with_a_remedy(
    store: SqliteEventStore, data: dict[str, object]
) -> None:
    await store.append(
        workload_write(
            id=new_id().bytes,
            type=CONFIG_CHANGED,
            data=data,
            client={},
            correlation_id="correlation",
            created_at=1,
            stream=config_stream("features/x"),
        )
    )
    with pytest.raises(StorageError, match="start the version that wrote it"):
        await opened(store)


@pytest.mark.parametrize("every", [7, 1_000])
async def test_a_restart_keeps_values_versions_and_times(
    store: SqliteEventStore, every: int
) -> None:
    config = await opened(store, every=every)
    values: list[object] = [None, True, 1, -(2**63), 2**63 - 1, 1.5e300, "é\0\u2028", [], {"": {}}]
    for number, value in enumerate(values * 3):
        await put(config, f"limits/{number % 5}", value)
        await put(config, "features/x", value)
    again = await opened(store, every=every)
    assert state(again) == state(config)
    assert again.values("")[0] == config.values("")[0] == again.last_seq()
    assert (await put(again, "features/x", 0)).version == len(values) * 3 + 1
    await config.close()


async def test_a_default_that_changes_in_the_file_does_not_undo_a_change(
    store: SqliteEventStore,
) -> None:
    config = await opened(store)
    await put(config, "features/x", "changed")
    again = await opened(store, Defaults({"features/x": b"1", "features/y": b"2"}, ()))
    assert entry(again, "features/x")["value"] == "changed"
    assert entry(again, "features/y")["value"] == 2
    assert entry(again, "features/x")["updatable"] is False


async def test_clients_cannot_forge_a_change(store: SqliteEventStore) -> None:
    """Own streams are closed to them, and the same type in another stream changes nothing."""
    forged: Mapping[str, object] = {"path": "features/x", "value": "forged"}
    await store.append(make_write(type="config_changed", data=dict(forged), stream="config/x"))
    await store.append(make_write(type="config_changed", data=dict(forged)))
    config = await opened(store)
    assert entry(config, "features/x")["version"] == 0


async def test_a_change_is_an_own_event_of_its_path(
    store: SqliteEventStore, config: Configuration
) -> None:
    change = await put(config, "features/x", [1])
    page = await store.query(EventQuery(type="config_changed", order_by="seq", own=True))
    [event] = page.events
    assert (event.seq, event.stream, event.stream_version) == (change.seq, "$config/features/x", 1)
    assert event.data == {"path": "features/x", "value": [1]}
    assert event.correlation_id == "correlation"


async def test_a_storage_error_changes_nothing(tmp_path: Path) -> None:
    store = await SqliteEventStore.open(tmp_path / "other.db", node="node-1")
    config = await opened(store)
    await store.close()
    with pytest.raises(FoundationError):
        await put(config, "features/x", 1)
    assert entry(config, "features/x")["version"] == 0
