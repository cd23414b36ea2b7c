"""The query string of `GET /v1/events` as an `EventQuery`. Pure.

Unknown and repeated parameters are refused, with the nearest valid word: a filter that silently
does not filter is worse than an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service import problem
from service.errors import InvalidInput
from service.events.store import EventQuery
from service.schema import MAX_INTEGER, Micros, Name, OrderBy

METADATA_PREFIX = "metadata."
MAX_LIMIT = 1_000
MAX_METADATA_FILTERS = 8
MAX_VALUE_CHARS = 1_000

POSITION: Final[dict[str, Any]] = {"pattern": "^[0-9]{1,18}$"}
"""How OpenAPI describes what `position` reads, but for the last digits below 2^63."""


def _number(value: object) -> object:
    """Query strings carry text; a run of digits is a number of microseconds."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return value


Moment = Annotated[Micros, BeforeValidator(_number)]


class EventFilter(BaseModel):
    """The fixed parameters; `metadata.<key>` come beside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Name | None = None
    correlation_id: Name | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    stream: Name | None = None
    order_by: OrderBy = "created_at"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 100
    cursor: Annotated[str, Field(min_length=1, max_length=MAX_VALUE_CHARS)] | None = None
    scope: Literal["local", "cluster"] = "local"


def parse(pairs: Iterable[tuple[str, str]]) -> EventQuery:
    """Raises InvalidInput. `scope=cluster` is this node's log: it knows no other node."""
    fixed: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in pairs:
        is_metadata = name.startswith(METADATA_PREFIX)
        key = name.removeprefix(METADATA_PREFIX)
        if is_metadata and not (0 < len(key) <= 200 and len(value) <= MAX_VALUE_CHARS):
            raise InvalidInput(
                f"metadata.<key>: a key of 1 to 200, a value of up to {MAX_VALUE_CHARS} characters"
            )
        if not is_metadata and name not in EventFilter.model_fields:
            raise InvalidInput(unknown(name, EventFilter.model_fields, METADATA_PREFIX + "<key>"))
        target = metadata if is_metadata else fixed
        if key in target:
            raise InvalidInput(f"{name}: given twice")
        target[key] = value
    if len(metadata) > MAX_METADATA_FILTERS:
        raise InvalidInput(f"at most {MAX_METADATA_FILTERS} metadata filters")
    try:
        given = EventFilter.model_validate(fixed)
    except ValidationError as error:
        raise problem.from_validation(error) from None
    return EventQuery(
        type=given.type,
        correlation_id=given.correlation_id,
        created_after=given.created_after,
        created_before=given.created_before,
        metadata=tuple(sorted(metadata.items())),
        stream=given.stream,
        order_by=given.order_by,
        limit=given.limit,
        cursor=given.cursor,
    )


def position(text: str | None, name: str) -> int | None:
    """A sequence number from text: 0 to 2^63 - 1. Raises InvalidInput."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_INTEGER:
        raise InvalidInput(f"{name}: a sequence number from 0 to 2^63 - 1")
    return int(text)


def feed_start(pairs: Iterable[tuple[str, str]], last_event_id: str | None) -> int | None:
    """Where a feed starts: `Last-Event-ID`, else `after`, else None. Raises InvalidInput.

    A reconnecting EventSource sends both.
    """
    given = only(pairs, "after")
    start = position(last_event_id, "Last-Event-ID")
    after = position(given.get("after"), "after")
    return after if start is None else start


def only(pairs: Iterable[tuple[str, str]], *known: str) -> dict[str, str]:
    """The parameters, if all are among `known` and none is given twice. Raises InvalidInput."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise InvalidInput(unknown(name, known))
        if name in given:
            raise InvalidInput(f"{name}: given twice")
        given[name] = value
    return given


def unknown(name: str, known: Iterable[str], *more: str) -> str:
    words = [*known, *more]
    near = difflib.get_close_matches(name, words, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"
    return f"{name[:100]} is not a parameter here: {hint}"
