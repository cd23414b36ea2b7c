"""From bytes to `Write`: decode, validate, canonicalise, hash; everything an append decides early.

The content hash (service.content) covers what the client supplied and nothing that the node filled
in (design D11), so that a retry is recognised on any node: type, stream, data and metadata always,
correlation_id and created_at only when the body holds them. It leaves out `id`, which it is
compared under, and `expected_version`, since a retry of an append that succeeded meets a stream
that has moved on. A correlation id from a header is not part of the content either: a retry may
carry another one.

This is the hot path of the node. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, TypeVar
from uuid import RFC_4122, UUID

import orjson
import uuid_utils
from pydantic import BaseModel, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from service.content import NOTHING, content_hash
from service.errors import FoundationError, InvalidInput, MalformedJson, PayloadTooLarge
from service.events import unique_key
from service.events.json_rule import CANONICAL, canonical, holds_nul, inspect, may_be_deep
from service.events.own import OWN_STREAM
from service.events.slices import SLICE_BYTES, cuts, in_turns, start_of
from service.events.store import Write
from service.schema import MAX_BATCH_EVENTS, MAX_JSON_DEPTH, NewEvent

ROW_OVERHEAD_BYTES = 256
"""What an event adds to the queue beside its JSON: names, hash, Python objects; rounded."""

_ERRORS_NAMED = 3

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """`event_bytes` bounds data and metadata of one event together, as canonical JSON."""

    events: int = MAX_BATCH_EVENTS
    event_bytes: int = 2**20
    depth: int = MAX_JSON_DEPTH


class Intake:
    """Turns bodies into writes for one node. `clock_us` gives microseconds since the epoch.

    `correlation_id` is what the request's headers say; the body's wins, and with neither the node
    makes one. Every method raises MalformedJson, InvalidInput or PayloadTooLarge.
    """

    def __init__(self, limits: IntakeLimits, clock_us: Callable[[], int]) -> None:
        self._limits = limits
        self._depth = limits.depth
        self._event_bytes = limits.event_bytes
        self._clock_us = clock_us
        self._event = TypeAdapter(NewEvent)
        # Fails fast and counts while it reads: a body of a million bad events costs one error.
        self._events: TypeAdapter[list[NewEvent]] = TypeAdapter(
            Annotated[list[NewEvent], FailFast(), Field(max_length=limits.events)]
        )

    def one(self, body: bytes, correlation_id: str | None = None) -> Write:
        """One event."""
        in_times = [0]
        try:
            event = self._event.validate_json(body, context=in_times)
        except ValidationError as error:
            raise _refusal(error, "") from None
        write = self._write(event, 1, correlation_id)
        unique_key.check(body, _colons(event, write), lambda: _in_names(event) + in_times[0])
        return write

    def array(self, body: bytes, correlation_id: str | None = None) -> list[Write]:
        """A JSON array of events; errors name the index, from 0."""
        in_times = [0]
        try:
            events = self._events.validate_json(body, context=in_times)
        except ValidationError as error:
            raise _refusal(error, "") from None
        writes: list[Write] = []
        try:
            for event in events:
                writes.append(self._write(event, 2, correlation_id))
        except FoundationError as error:
            raise type(error)(f"[{len(writes)}].{error}") from None
        _check_array(body, events, writes, in_times)
        return writes

    async def batch(
        self, body: bytes, correlation_id: str | None = None, *, lines: bool = False
    ) -> list[Write]:
        """`array` or `lines`; others run in between when the body is large."""
        if len(body) <= SLICE_BYTES:
            return (self.lines if lines else self.array)(body, correlation_id)
        sliced = self._lines if lines else self._sliced_array
        return await in_turns(sliced(body, correlation_id))

    def _sliced_array(
        self, body: bytes, correlation_id: str | None
    ) -> Generator[None, None, list[Write]]:
        """As `array`, which has the last word on what cannot be read in slices."""
        writes: list[Write] = []
        place = start_of(body)
        while place is not None:
            for cut in (*cuts(body, place), None):
                # Behind a comma there must be an event, and the last slice has its own bracket.
                part = body[place:] if cut is None else body[place:cut] + b"]"
                try:
                    found = self._slice(b"[" + part, correlation_id)
                except _Unreadable:
                    yield
                    continue
                if not found or len(writes) + len(found) > self._limits.events:
                    return self.array(body, correlation_id)
                break
            else:
                return self.array(body, correlation_id)
            writes += found
            if cut is None:
                return writes
            place = cut + 1
            yield
        return self.array(body, correlation_id)

    def _slice(self, part: bytes, correlation_id: str | None) -> list[Write]:
        """The events of one array. Raises _Unreadable, and MalformedJson for a member that is
        named twice."""
        in_times = [0]
        try:
            events = self._events.validate_json(part, context=in_times)
            writes = [self._write(event, 2, correlation_id) for event in events]
        except (ValidationError, FoundationError):
            raise _Unreadable from None
        _check_array(part, events, writes, in_times)
        return writes

    def lines(self, body: bytes, correlation_id: str | None = None) -> list[Write]:
        """NDJSON: one event a line, blank lines ignored; errors name the line, from 1."""
        work = self._lines(body, correlation_id)
        while True:
            try:
                next(work)
            except StopIteration as end:
                writes: list[Write] = end.value
                return writes

    def _lines(self, body: bytes, correlation_id: str | None) -> Generator[None, None, list[Write]]:
        writes: list[Write] = []
        for number, line in _numbered(body):
            if len(writes) == self._limits.events:
                raise PayloadTooLarge(
                    f"a batch holds at most {self._limits.events} events: send it in parts"
                )
            try:
                writes.append(self._line(line, correlation_id))
            except ValidationError as error:
                raise _refusal(error, f"line {number}") from None
            except FoundationError as error:
                raise type(error)(f"line {number}: {error}") from None
            yield
        return writes

    def _line(self, line: bytes, correlation_id: str | None) -> Write:
        in_times = [0]
        event = self._event.validate_json(line, context=in_times)
        write = self._write(event, 1, correlation_id)
        unique_key.check(line, _colons(event, write), lambda: _in_names(event) + in_times[0])
        return write

    def _write(self, event: NewEvent, level: int, correlation_id: str | None) -> Write:
        """`level` is the depth of the event's own braces in the body."""
        if event.expected_version is not None and event.stream is None:
            raise InvalidInput("expected_version needs a stream")
        if event.stream is not None and event.stream.startswith(OWN_STREAM):
            raise InvalidInput(
                f"stream: names that start with {OWN_STREAM} are the node's own: choose another"
            )
        deepest = self._depth - level
        data = canonical(event.data, deepest, "data")
        metadata = NOTHING
        if event.metadata:
            metadata = canonical(event.metadata, deepest, "metadata")
            if b"\\u0000" in metadata and holds_nul(event.metadata):
                raise InvalidInput("metadata: must not hold NUL characters")
        json_bytes = len(data) + len(metadata)
        if json_bytes > self._event_bytes:
            raise PayloadTooLarge(
                f"data and metadata have {json_bytes} bytes, the limit is {self._event_bytes}"
            )
        type_, stream, created_at = event.type, event.stream, event.created_at
        sent_correlation = event.correlation_id
        fields = (
            event.id.bytes if event.id is not None else uuid_utils.uuid7().bytes,
            type_,
            data,
            metadata,
            sent_correlation or correlation_id or make_correlation_id(),
            created_at if created_at is not None else self._clock_us(),
            content_hash(type_, stream, sent_correlation, created_at, data, metadata),
            json_bytes + ROW_OVERHEAD_BYTES,
            stream,
            event.expected_version,
        )
        # As Write(*fields), without the call that a NamedTuple makes of it: 0.1 against 0.4 us.
        return tuple.__new__(Write, fields)


class _Unreadable(Exception):
    """A slice that is no array of events: it was cut at a wrong place, or the body is wrong."""


def _colons(event: NewEvent, write: Write) -> int:
    """Of the members that were kept, without those of names and times."""
    fields = event.__pydantic_fields_set__
    return len(fields) + write.data.count(b":") + write.metadata.count(b":")


def _in_names(event: NewEvent) -> int:
    """Colons of a type, a stream and a correlation id."""
    names = (event.type, event.stream, event.correlation_id)
    return sum(name.count(":") for name in names if name is not None)


def _check_array(
    raw: bytes, events: Sequence[NewEvent], writes: Sequence[Write], in_times: list[int]
) -> None:
    kept = sum(map(_colons, events, writes))
    unique_key.check(raw, kept, lambda: sum(map(_in_names, events)) + in_times[0])


def make_correlation_id() -> str:
    """A UUIDv7 as text, for an event that came with no correlation id."""
    return str(uuid_utils.uuid7())


def derived_id(base: bytes, name: str) -> bytes:
    """The id of a second event that belongs to event `base`, the same on every retry and node.

    A UUIDv8 that keeps the 48-bit time of `base`, so that keys stay in order of time (D3).
    """
    assert len(base) == 16, base
    digest = blake2b(base + name.encode(), digest_size=10).digest()
    raw = bytearray(base[:6] + digest)
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    made = bytes(raw)
    assert UUID(bytes=made).variant == RFC_4122
    return made


def workload_write(
    *,
    id: bytes,
    type: str,
    data: dict[str, object],
    client: dict[str, object],
    correlation_id: str,
    created_at: int,
    metadata: dict[str, object] | None = None,
    stream: str | None = None,
    expected_version: int | None = None,
) -> Write:
    """A write whose `data` the node made from a client's request.

    `client` is what the client supplied: it alone decides whether a retry is the same write.
    Raises MalformedJson or InvalidInput for values that cannot be stored.
    """
    data_text = canonical(data, MAX_JSON_DEPTH - 1, "data")
    metadata_text = canonical(metadata or {}, MAX_JSON_DEPTH - 1, "metadata")
    client_text = canonical(client, MAX_JSON_DEPTH - 1, "client")
    return Write(
        id=id,
        type=type,
        data=data_text,
        metadata=metadata_text,
        correlation_id=correlation_id,
        created_at=created_at,
        content_hash=content_hash(type, stream, None, None, client_text, NOTHING),
        size_bytes=len(data_text) + len(metadata_text) + ROW_OVERHEAD_BYTES,
        stream=stream,
        expected_version=expected_version,
    )


def decode(adapter: TypeAdapter[M], raw: bytes) -> M:
    """Any other body, held to the same JSON rules as an event's. Raises as `Intake.one`."""
    try:
        model = adapter.validate_json(raw)
    except ValidationError as error:
        raise _refusal(error, "") from None
    unique_key.check_text(raw)
    content: object = model
    if isinstance(model, BaseModel):
        # Without the defaults, whose nulls would be taken for a sign of trouble.
        content = {name: model.__dict__[name] for name in model.__pydantic_fields_set__}
    try:
        text = orjson.dumps(content, option=CANONICAL)
    except orjson.JSONEncodeError:
        text = b"null"
    if b"null" in text or may_be_deep(text, MAX_JSON_DEPTH):
        inspect(from_json(raw), MAX_JSON_DEPTH, "body")
    return model


def _numbered(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank with their numbers, without a copy of the whole body at once."""
    start, number = 0, 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        number += 1
        line = body[start:end].strip()
        start = end + 1
        if line:
            yield number, line


def _at(place: str) -> str:
    return f"{place}: " if place else ""


def _refusal(error: ValidationError, place: str) -> InvalidInput | PayloadTooLarge:
    """Our error for pydantic's: where, and what is wrong, never the value itself."""
    found = error.errors(include_url=False, include_context=True, include_input=False)
    first = found[0]
    if first["type"] == "json_invalid":
        return MalformedJson(f"{_at(place)}{first['msg']}")
    if first["type"] == "too_long" and not first["loc"]:
        limit = first.get("ctx", {}).get("max_length")
        return PayloadTooLarge(f"a batch holds at most {limit} events: send it in parts")
    named = [f"{_at(_location(place, one['loc']))}{one['msg']}" for one in found[:_ERRORS_NAMED]]
    more = f" (and {len(found) - len(named)} more)" if len(found) > len(named) else ""
    return InvalidInput("; ".join(named) + more)


def _location(place: str, path: tuple[int | str, ...]) -> str:
    """`[3].data.x`, with `line 3` in front for NDJSON; cut, since keys are a client's."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return " ".join(part for part in (place, text[:200]) if part)
