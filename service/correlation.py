"""Correlation ids: which one a request runs under, and where it came from.

First of: the header X-Correlation-ID, the trace id of a valid W3C `traceparent`, a new one. An
event's own `correlation_id` in the body goes before all of these for that event, since it is
content. This module must not log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import uuid_utils

from service.errors import InvalidInput

HEADER = b"x-correlation-id"
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_PRINTABLE = re.compile(rb"[\x20-\x7e]{1,200}")


def given(headers: Mapping[bytes, bytes]) -> str | None:
    """The correlation id that the request's headers (lower-case names) carry, or None.

    A malformed traceparent is ignored, as W3C Trace Context section 3.2 asks. Raises InvalidInput
    for an X-Correlation-ID that could not be stored or echoed.
    """
    value = headers.get(HEADER)
    if value is not None:
        if not _PRINTABLE.fullmatch(value):
            raise InvalidInput("X-Correlation-ID takes 1 to 200 printable ASCII characters")
        return value.decode("ascii")
    trace = headers.get(b"traceparent")
    if trace is not None and (match := _TRACEPARENT.fullmatch(trace)):
        return match[1].decode("ascii")
    return None


def make() -> str:
    """A new id: a UUIDv7, so that ids sort by time."""
    return str(uuid_utils.uuid7())
