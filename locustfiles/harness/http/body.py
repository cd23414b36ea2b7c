"""Content codings of a response: gzip, deflate and, where its module is there, brotli.

The session does not ask for compression (it costs the generator CPU that it needs for load), but
a user may, and a server may send it unasked. Decoding is bounded: a few kilobytes can expand to
gigabytes. This module must not import Locust or gevent.
"""

from __future__ import annotations

import zlib

try:
    import brotli  # type: ignore[import-untyped]
except ImportError:
    brotli = None

MAX_CODINGS = 4
"""More codings on top of each other than this is an attack, not a response."""


class ContentError(ValueError):
    """The body is not what its Content-Encoding says."""


class ContentTooLarge(ContentError):
    """The decoded body is larger than the limit."""


def decode(encodings: str, data: bytes, limit_bytes: int) -> bytes:
    """Undo the codings that a Content-Encoding header lists. An unknown one ends the decoding.

    Raises ContentError for a body that is truncated or invalid and ContentTooLarge above
    `limit_bytes`. An empty body is empty in every coding.
    """
    codings = [coding.strip().lower() for coding in encodings.split(",")]
    codings = [coding for coding in codings if coding and coding != "identity"]
    if len(codings) > MAX_CODINGS:
        raise ContentError(f"its body is encoded {len(codings)} times, the limit is {MAX_CODINGS}")
    for coding in reversed(codings):
        if not data:
            return data
        if coding in ("gzip", "x-gzip"):
            data = _gunzip(data, limit_bytes)
        elif coding == "deflate":
            data = _inflate(data, limit_bytes)
        elif coding == "br" and brotli is not None:
            data = _unbrotli(data, limit_bytes)
        else:
            return data
    return data


def _gunzip(data: bytes, limit_bytes: int) -> bytes:
    """All members of a gzip file (RFC 1952, section 2.2), or as many as the limit allows."""
    parts: list[bytes] = []
    room = limit_bytes
    while data:
        part, data = _zlib(data, 31, room, "gzip")
        parts.append(part)
        room -= len(part)
        data = data.lstrip(b"\0")
    return b"".join(parts)


def _inflate(data: bytes, limit_bytes: int) -> bytes:
    """RFC 9110 means zlib by `deflate`; some servers send the raw stream, so both are taken."""
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _zlib(data, 15 if is_zlib else -15, limit_bytes, "deflate")[0]


def _zlib(data: bytes, window_bits: int, limit_bytes: int, coding: str) -> tuple[bytes, bytes]:
    """One stream: what it decodes to, and what follows it."""
    decoder = zlib.decompressobj(window_bits)
    try:
        content = decoder.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise ContentError(f"its body is not valid {coding}") from error
    if len(content) > limit_bytes:
        raise ContentTooLarge(f"its {coding} body decodes to more than the limit")
    if not decoder.eof:
        raise ContentError(f"its {coding} body is truncated")
    return content, decoder.unused_data


def _unbrotli(data: bytes, limit_bytes: int) -> bytes:
    decoder = brotli.Decompressor()
    parts: list[bytes] = []
    room = limit_bytes + 1
    try:
        while room > 0 and not decoder.is_finished():
            part = decoder.process(data, output_buffer_limit=room)
            if not part and decoder.can_accept_more_data():
                break
            data = b""
            parts.append(part)
            room -= len(part)
    except brotli.error as error:
        raise ContentError("its body is not valid br") from error
    if room <= 0:
        raise ContentTooLarge("its br body decodes to more than the limit")
    if not decoder.is_finished():
        raise ContentError("its br body is truncated")
    return b"".join(parts)
