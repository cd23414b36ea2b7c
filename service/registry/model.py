"""What a registry is: names, registrations, their leases, and the directory of all of them.

Pure: the monotonic clock comes in as `now_s`. An entry whose lease has ended is still held, since
its loss has yet to be stored, but is found by nobody (X-23).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import orjson

from service.errors import InvalidInput

MAX_METADATA_BYTES: Final = 4 * 2**10
MAX_ENTRIES: Final = 10_000
MAX_DIRECTORY_BYTES: Final = 16 * 2**20
"""All entries together: what a node holds in memory, and writes now and then as a snapshot."""

RESERVED: Final = "feed"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


class Key(NamedTuple):
    """A name within its namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def check_namespace(namespace: str) -> str:
    """Raises InvalidInput."""
    return _checked("namespace", namespace)


def check_key(namespace: str, name: str) -> Key:
    """Raises InvalidInput."""
    if name == RESERVED:
        raise InvalidInput(f"name: {RESERVED} is reserved: choose another name")
    return Key(check_namespace(namespace), _checked("name", name))


def _checked(what: str, text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidInput(f"{what}: 1 to 64 letters, digits, dots, dashes and underscores")
    if text in (".", ".."):
        raise InvalidInput(
            f"{what}: clients would resolve {text} as a relative URL: choose another"
        )
    return text


@dataclass(frozen=True, slots=True)
class Registration:
    """What one `service_registered` says. `id` is its event's, `version` the fencing token.

    `metadata` is canonical JSON text, `registered_at` microseconds since the epoch.
    """

    key: Key
    owner: str
    url: str | None
    metadata: bytes
    lease_s: int
    version: int
    id: bytes
    registered_at: int

    def holds(self, owner: str, url: str | None, metadata: bytes, lease_s: int) -> bool:
        """Whether a request of this content renews it. Another length of the lease does not: it
        would be acknowledged in memory alone, and a restart would go back to the first."""
        mine = (self.owner, self.url, self.metadata, self.lease_s)
        return mine == (owner, url, metadata, lease_s)

    def size_bytes(self) -> int:
        return entry_bytes(self.key, self.owner, self.url, self.metadata)


def entry_bytes(key: Key, owner: str, url: str | None, metadata: bytes) -> int:
    """What an entry counts towards MAX_DIRECTORY_BYTES."""
    return len(key.namespace) + len(key.name) + 4 * len(owner) + len(url or "") + len(metadata)


@dataclass(frozen=True, slots=True)
class Lease:
    """How long an entry is found: until `deadline_s` of the monotonic clock.

    `expires_at` is the same moment of the wall clock in microseconds, to tell clients.
    """

    lease_s: int
    deadline_s: float
    expires_at: int

    @classmethod
    def granted(cls, lease_s: int, now_s: float, now_us: int) -> Lease:
        return cls(lease_s, now_s + lease_s, now_us + lease_s * 1_000_000)


@dataclass(frozen=True, slots=True)
class Entry:
    registration: Registration
    lease: Lease

    def ended(self, now_s: float) -> bool:
        return self.lease.deadline_s <= now_s


class Directory:
    """The entries that are held, by namespace and name."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._entries: dict[Key, Entry] = {}
        self._namespaces: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def held(self, key: Key) -> Entry | None:
        """The entry, also one whose lease has ended."""
        return self._entries.get(key)

    def find(self, key: Key, now_s: float) -> Entry | None:
        """The entry, if its lease has not ended."""
        entry = self._entries.get(key)
        return None if entry is None or entry.ended(now_s) else entry

    def under(self, namespace: str, now_s: float) -> Iterator[Entry]:
        """The entries of a namespace that are found, in order of name."""
        for name in sorted(self._namespaces.get(namespace, ())):
            entry = self.find(Key(namespace, name), now_s)
            if entry is not None:
                yield entry

    def expired(self, now_s: float) -> list[Entry]:
        """Those whose lease has ended."""
        return [entry for entry in self._entries.values() if entry.ended(now_s)]

    def registrations(self) -> Collection[Registration]:
        return [entry.registration for entry in self._entries.values()]

    def put(self, entry: Entry) -> None:
        """Hold `entry` in place of what its name had."""
        key = entry.registration.key
        self.remove(key)
        self._entries[key] = entry
        self._namespaces.setdefault(key.namespace, set()).add(key.name)
        self.size_bytes += entry.registration.size_bytes()

    def renew(self, key: Key, lease: Lease) -> Entry:
        entry = self._entries[key] = replace(self._entries[key], lease=lease)
        return entry

    def remove(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.size_bytes -= entry.registration.size_bytes()
        names = self._namespaces[key.namespace]
        names.discard(key.name)
        if not names:
            del self._namespaces[key.namespace]


def entry_reply(entry: Entry, *, renewed: bool | None = None) -> bytes:
    """A `schema_registry.RegistryEntry`, with `renewed` a `RegistryReply`."""
    registration, lease = entry.registration, entry.lease
    content: dict[str, object] = {
        "namespace": registration.key.namespace,
        "name": registration.key.name,
        "owner": registration.owner,
        "url": registration.url,
        "metadata": orjson.Fragment(registration.metadata),
        "version": registration.version,
        "lease_s": lease.lease_s,
        "registered_at": registration.registered_at,
        "expires_at": lease.expires_at,
    }
    if renewed is not None:
        content["renewed"] = renewed
    return orjson.dumps(content)
