"""The registry's events: what each says, and how it changes what is registered. Pure.

`service_registered`, `service_unregistered` and `service_lost` are own events in the stream
`$registry/<namespace>/<name>`, whose version is the fencing token of a registration. An end is told
once per registration: its id follows from that of the registration, and clients cannot store events
under such ids. A log of before may hold one; the end then takes the next id (`number`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from service.events.intake import derived_id, workload_write
from service.events.store import Write
from service.registry.model import Entry, Key, Registration
from service.schema import Event
from service.schema_registry import RegistryWrite

NAME: Final = "registry"
REGISTERED: Final = "service_registered"
UNREGISTERED: Final = "service_unregistered"
LOST: Final = "service_lost"
TYPES: Final = (REGISTERED, UNREGISTERED, LOST)

End = Literal["service_unregistered", "service_lost"]
Registrations = dict[Key, Registration]


class _Named(BaseModel):
    """What every event of the registry says."""

    model_config = ConfigDict(strict=True)

    namespace: str
    name: str


class _Registered(_Named):
    owner: str
    url: str | None
    metadata: dict[str, Any]
    lease_s: int


class _Saved(_Named):
    """A row of a snapshot; its metadata is JSON text."""

    owner: str
    url: str | None
    metadata: str
    lease_s: int
    version: int
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    registered_at: int


def stream_of(key: Key) -> str:
    return f"${NAME}/{key}"


def registered_write(key: Key, asked: RegistryWrite, correlation_id: str, created_at: int) -> Write:
    """The event of a new registration. Raises MalformedJson for metadata of too many levels."""
    content: dict[str, object] = {
        "namespace": key.namespace,
        "name": key.name,
        "owner": asked.owner,
        "url": asked.url,
        "lease_s": asked.lease_s,
        "metadata": asked.metadata,
    }
    return workload_write(
        id=asked.id.bytes,
        type=REGISTERED,
        data=content,
        client=content,
        correlation_id=correlation_id,
        created_at=created_at,
        stream=stream_of(key),
    )


def end_write(
    entry: Entry,
    type: End,
    correlation_id: str,
    created_at: int,
    number: int = 1,
) -> Write:
    """The event that ends a registration, under the id of this number."""
    registration = entry.registration
    content: dict[str, object] = {
        "namespace": registration.key.namespace,
        "name": registration.key.name,
        "owner": registration.owner,
        "version": registration.version,
    }
    return workload_write(
        id=derived_id(registration.id, type if number == 1 else f"{type} {number}"),
        type=type,
        data=content,
        client=content,
        correlation_id=correlation_id,
        created_at=created_at,
        stream=stream_of(registration.key),
    )


def apply(registrations: Registrations, event: Event) -> None:
    """One event read back from the log; one that is known already changes nothing.

    Raises pydantic's ValidationError for data of another form.
    """
    assert event.stream_version is not None, "every event of the registry is in a stream"
    named = _Named.model_validate(event.data)
    key = Key(named.namespace, named.name)
    current = registrations.get(key)
    if current is not None and current.version >= event.stream_version:
        return
    if event.type != REGISTERED:
        registrations.pop(key, None)
        return
    data = _Registered.model_validate(event.data)
    registrations[key] = Registration(
        key=key,
        owner=data.owner,
        url=data.url,
        metadata=orjson.dumps(data.metadata, option=orjson.OPT_SORT_KEYS),
        lease_s=data.lease_s,
        version=event.stream_version,
        id=event.id.bytes,
        registered_at=event.created_at,
    )


def row(registration: Registration) -> Mapping[str, object]:
    """One entry of a snapshot. The metadata is text: its levels and the snapshot's would add up."""
    return {
        "namespace": registration.key.namespace,
        "name": registration.key.name,
        "owner": registration.owner,
        "url": registration.url,
        "metadata": registration.metadata.decode("utf-8"),
        "lease_s": registration.lease_s,
        "version": registration.version,
        "id": registration.id.hex(),
        "registered_at": registration.registered_at,
    }


def restore(registrations: Registrations, saved: Mapping[str, object]) -> None:
    """One row of a snapshot. Raises pydantic's ValidationError for what is none."""
    kept = _Saved.model_validate(saved)
    key = Key(kept.namespace, kept.name)
    registrations[key] = Registration(
        key=key,
        owner=kept.owner,
        url=kept.url,
        metadata=kept.metadata.encode("utf-8"),
        lease_s=kept.lease_s,
        version=kept.version,
        id=bytes.fromhex(kept.id),
        registered_at=kept.registered_at,
    )
