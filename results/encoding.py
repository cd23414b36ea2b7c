"""HdrHistogram's transport form (V2, compressed, base64) around a stream of counts.

Base64 of: a cookie, the length of what follows, and zlib of: another cookie, the histogram's shape,
and the counts as zigzag LEB128 numbers, of which a negative one stands for so many zeros. The
stream itself is written and read by the library's compiled functions (results.histogram); this
module frames it. Written against HdrHistogram's V2 format, and a test holds it to the library's
classes. It must not know what the counts mean.
"""

from __future__ import annotations

import binascii
import struct
import zlib

from results.errors import HistogramError

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3

COUNTS_AT = 40
"""Where the stream of counts begins in what `unpacked` returns."""

_COOKIE = 0x1C849303 | 0x10
_COMPRESSED_COOKIE = 0x1C849304 | 0x10

_OUTER = struct.Struct(">II")
_INNER = struct.Struct(">IIIIQQd")
"""Cookie, length of the stream, index offset, digits, lowest, highest, ratio of integers."""

_LONGEST_DATA = 256 * 1024
"""Every bucket in use encodes to less; anything longer is not ours."""

_LONGEST_NUMBER = 9
"""Bytes of one; a longer one is damage, which the library finds."""

_LONGEST_PAYLOAD = COUNTS_AT + _LONGEST_NUMBER * 23_552
"""Every bucket in use. What inflates to more is a zip bomb."""


_WINDOW_BITS, _MEMORY_LEVEL = 12, 5
"""4 KB: a second's counts take half of one. With zlib's defaults, a load process asked for 268 KB
and gave them back for each histogram, which doubled the cost of encoding it (measured)."""


def packed(counts: bytes) -> str:
    """A stream of counts as text."""
    deflating = zlib.compressobj(wbits=_WINDOW_BITS, memLevel=_MEMORY_LEVEL)
    payload = deflating.compress(_inner(len(counts)) + counts) + deflating.flush()
    outer = _OUTER.pack(_COMPRESSED_COOKIE, len(payload))
    return binascii.b2a_base64(outer + payload, newline=False).decode("ascii")


def _inner(length: int) -> bytes:
    return _INNER.pack(_COOKIE, length, 0, SIGNIFICANT_DIGITS, LOWEST_US, HIGHEST_US, 1.0)


def zeros(count: int) -> bytes:
    """The beginning of a stream, for so many counts of zero: -count in zigzag LEB128."""
    number = 2 * count - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    if count:
        found.append(number)
    return bytes(found)


def leading_zeros(payload: bytes) -> tuple[int, int]:
    """How many counts of zero the stream begins with, and where in the payload it goes on."""
    number = shift = 0
    for at in range(COUNTS_AT, min(len(payload), COUNTS_AT + _LONGEST_NUMBER)):
        number |= (payload[at] & 0x7F) << shift
        shift += 7
        if not payload[at] & 0x80:
            # Odd are the negative ones.
            return ((number + 1) // 2, at + 1) if number & 1 else (0, COUNTS_AT)
    return 0, COUNTS_AT


def unpacked(data: str) -> bytes:
    """The payload, with its stream of counts from `COUNTS_AT` on.

    Raises HistogramError when the data is damaged, too large, or of another shape than ours.
    """
    if len(data) > _LONGEST_DATA:
        raise HistogramError(f"an encoded histogram of {len(data)} characters is not ours")
    try:
        compressed = binascii.a2b_base64(data, strict_mode=True)
        cookie, length = _OUTER.unpack_from(compressed)
        if cookie != _COMPRESSED_COOKIE or length != len(compressed) - _OUTER.size:
            raise HistogramError(f"the histogram is damaged: its header says {length} bytes")
        inflating = zlib.decompressobj()
        payload = inflating.decompress(compressed[_OUTER.size :], _LONGEST_PAYLOAD)
        if not inflating.eof:
            raise HistogramError(
                "the histogram is damaged: it is cut off, or inflates to more than every bucket"
            )
        _require_ours(payload)
    except (binascii.Error, zlib.error, struct.error, ValueError) as error:
        raise HistogramError(f"the histogram is damaged: {error}") from error
    return payload


def _require_ours(payload: bytes) -> None:
    if payload[:COUNTS_AT] == _inner(len(payload) - COUNTS_AT):
        return
    cookie, length, _, digits, lowest, highest, _ = _INNER.unpack_from(payload)
    if cookie != _COOKIE or length != len(payload) - COUNTS_AT:
        raise HistogramError(f"the histogram is damaged: its counts' header says {length} bytes")
    if (lowest, highest, digits) != (LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS):
        raise HistogramError(
            f"the histogram covers {lowest} to {highest} us with {digits} digits, this "
            f"version reads {LOWEST_US} to {HIGHEST_US} us with {SIGNIFICANT_DIGITS}"
        )
