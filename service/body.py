"""Reading a request's body in the fast lane: whole, as bytes, with its media type checked.

Sizes and deadlines are the protocol's (`protocol.py`); what the bytes mean is the handlers'.
"""

from __future__ import annotations

from starlette.types import Receive

from service.dispatch import Disconnected, HeaderMap
from service.errors import UnsupportedMediaType

JSON = b"application/json"
NDJSON = b"application/x-ndjson"


async def read(receive: Receive) -> bytes:
    """The whole body. Raises Disconnected when it will not be complete."""
    message = await receive()
    if message["type"] != "http.request":
        raise Disconnected
    body: bytes = message["body"]
    if not message["more_body"]:
        return body
    parts = [body]
    while message["more_body"]:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        parts.append(message["body"])
    return b"".join(parts)


def media_type(headers: HeaderMap, *allowed: bytes) -> bytes:
    """The body's media type, JSON where none is given. Raises UnsupportedMediaType."""
    given = headers.get(b"content-type")
    if given is None or given == JSON:
        return JSON
    kind, _, parameters = given.partition(b";")
    kind = kind.strip().lower()
    charset = parameters.strip().lower().removeprefix(b"charset=").strip(b'"')
    if kind in allowed and charset in (b"", b"utf-8", b"utf8"):
        return kind
    words = " or ".join(word.decode("ascii") for word in allowed)
    raise UnsupportedMediaType(f"send {words} in UTF-8, not {given[:100].decode('latin-1')!r}")
