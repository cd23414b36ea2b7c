"""The registry's pure parts: names, leases, the directory, and what its events add up to."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from service.errors import InvalidInput
from service.registry import facts
from service.registry.model import (
    Directory,
    Entry,
    Key,
    Lease,
    Registration,
    check_key,
    check_namespace,
    entry_reply,
)
from service.schema import Event


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "x" * 64, "...", ".a", "-", "feeds"])
def test_a_name_of_the_grammar_is_taken(name: str) -> None:
    assert check_key(name, name) == Key(name, name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 65, "a b", "a/b", "é", "\u0663", "a\n", "*"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        check_key("ns", name)
    with pytest.raises(InvalidInput, match="namespace"):
        check_namespace(name)


def test_feed_is_reserved_as_a_name_only() -> None:
    check_namespace("feed")
    with pytest.raises(InvalidInput, match="reserved"):
        check_key("ns", "feed")


def test_the_longest_names_fit_a_stream() -> None:
    assert len(facts.stream_of(check_key("n" * 64, "m" * 64))) <= 200


def entry(name: str, deadline_s: float, namespace: str = "ns", version: int = 1) -> Entry:
    registration = Registration(
        Key(namespace, name), "owner", None, b'{"a":1}', 15, version, bytes(16), 7
    )
    return Entry(registration, Lease(15, deadline_s, 9))


def test_an_entry_is_found_until_its_lease_ends_and_held_until_it_is_removed() -> None:
    directory = Directory()
    directory.put(entry("a", 10.0))
    key = Key("ns", "a")
    assert directory.find(key, 9.999) == directory.held(key)
    assert directory.find(key, 10.0) is None and directory.held(key) is not None
    assert list(directory.under("ns", 10.0)) == []
    assert [one.registration.key for one in directory.expired(10.0)] == [key]
    directory.renew(key, Lease(15, 20.0, 9))
    assert directory.find(key, 19.0) is not None and directory.expired(19.0) == []
    directory.remove(key)
    assert (directory.held(key), len(directory), directory.size_bytes) == (None, 0, 0)


def test_a_namespace_lists_its_own_entries_in_order_of_name() -> None:
    directory = Directory()
    for name in ("b", "a", "c"):
        directory.put(entry(name, 10.0))
    directory.put(entry("z", 10.0, "other"))
    directory.remove(Key("ns", "c"))
    directory.remove(Key("ns", "c"))
    assert [one.registration.key.name for one in directory.under("ns", 1.0)] == ["a", "b"]
    assert list(directory.under("none", 1.0)) == []


def test_a_lease_ends_at_one_moment_of_both_clocks() -> None:
    assert Lease.granted(15, 100.0, 1_000_000) == Lease(15, 115.0, 16_000_000)


def test_a_reply_carries_the_metadata_as_json() -> None:
    found = json.loads(entry_reply(entry("a", 1.0), renewed=True))
    assert found["metadata"] == {"a": 1} and found["renewed"] is True
    assert "renewed" not in json.loads(entry_reply(entry("a", 1.0)))


def event(type: str, version: int, seq: int, owner: str = "o") -> Event:
    return Event(
        id=UUID(int=seq),
        seq=seq,
        type=type,
        data={
            "namespace": "ns",
            "name": "a",
            "owner": owner,
            "url": None,
            "metadata": {},
            "lease_s": 15,
        },
        metadata={},
        correlation_id="c",
        created_at=seq,
        stored_at=seq,
        stream="$registry/ns/a",
        stream_version=version,
        origin="n",
        incarnation=1,
    )


LIFE = [
    event(facts.REGISTERED, 1, 1, "first"),
    event(facts.LOST, 2, 2),
    event(facts.REGISTERED, 3, 3, "second"),
    event(facts.UNREGISTERED, 4, 4),
    event(facts.REGISTERED, 5, 5, "third"),
]


@pytest.mark.parametrize("snapshot_after", range(6))
@pytest.mark.parametrize("read_from", range(6))
def test_events_that_a_snapshot_knows_already_change_nothing(
    snapshot_after: int, read_from: int
) -> None:
    """Read from anywhere up to the snapshot's own place, the end is the same."""
    if read_from > snapshot_after:
        return
    saved: facts.Registrations = {}
    for one in LIFE[:snapshot_after]:
        facts.apply(saved, one)
    found: facts.Registrations = {}
    for registration in saved.values():
        facts.restore(found, json.loads(json.dumps(facts.row(registration))))
    assert found == saved
    for one in LIFE[read_from:]:
        facts.apply(found, one)
    assert [one.owner for one in found.values()] == ["third"]
    assert [one.version for one in found.values()] == [5]


def test_the_ends_of_a_registration_have_one_id_each() -> None:
    first, again = (facts.end_write(entry("a", 1.0), facts.LOST, "c", now) for now in (1, 2))
    other = facts.end_write(entry("a", 1.0), facts.UNREGISTERED, "c", 1)
    assert (first.id, first.content_hash) == (again.id, again.content_hash)
    assert other.id != first.id
