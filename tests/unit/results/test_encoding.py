"""The frame around encoded counts: the library's own, and nothing else is taken for one."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from results.encoding import COUNTS_AT, HIGHEST_US, leading_zeros, packed, unpacked, zeros
from results.errors import HistogramError

COUNTS = b"\x02\x04"


def framed(payload: bytes, *, cookie: int = 0x1C849314, further: int = 0) -> str:
    return base64.b64encode(struct.pack(">II", cookie, len(payload) + further) + payload).decode()


def inner(**changed: int) -> bytes:
    fields = {"cookie": 0x1C849313, "length": 2, "digits": 3, "low": 1, "high": HIGHEST_US}
    fields.update(changed)
    return struct.pack(
        ">IIIIQQd", fields["cookie"], fields["length"], 0, fields["digits"], fields["low"],
        fields["high"], 1.0,
    )  # fmt: skip


@given(counts=st.binary(max_size=2_000))
def test_what_was_packed_is_unpacked(counts: bytes) -> None:
    assert unpacked(packed(counts))[COUNTS_AT:] == counts


def test_the_frame_that_the_cases_below_spoil_is_read() -> None:
    assert unpacked(framed(zlib.compress(inner() + COUNTS)))[COUNTS_AT:] == COUNTS


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (framed(zlib.compress(inner() + COUNTS), cookie=7), "header says"),
        (framed(zlib.compress(inner() + COUNTS), further=1), "header says"),
        (framed(zlib.compress(inner(cookie=7) + COUNTS)), "counts' header"),
        (framed(zlib.compress(inner(length=3) + COUNTS)), "counts' header"),
        (framed(zlib.compress(inner(digits=2) + COUNTS)), "with 2 digits"),
        (framed(zlib.compress(inner(low=2) + COUNTS)), "covers 2 to"),
        (framed(zlib.compress(inner(high=9) + COUNTS)), "covers 1 to 9 us"),
        (framed(zlib.compress(inner()[:20])), "damaged"),
        (framed(zlib.compress(inner() + COUNTS)[:-4]), "cut off"),
        (framed(b""), "cut off"),
        (framed(b"no zlib"), "damaged"),
        ("AAAA", "damaged"),
        ("AAA", "damaged"),
        ("", "damaged"),
        ("no base64!", "damaged"),
        (packed(COUNTS) + "\n", "damaged"),
        ("A" * 300_000, "300000 characters"),
    ],
)
def test_what_is_no_frame_of_ours_is_refused(data: str, said: str) -> None:
    with pytest.raises(HistogramError, match=said):
        unpacked(data)


def test_what_inflates_to_more_than_every_bucket_is_refused_before_it_takes_memory() -> None:
    data = framed(zlib.compress(b"\0" * 50_000_000))
    assert len(data) < 256 * 1024
    with pytest.raises(HistogramError, match="inflates to more"):
        unpacked(data)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 8_191, 8_192, 8_193, 23_220])
def test_the_zeros_before_the_first_count_are_written_as_the_library_writes_them(
    count: int,
) -> None:
    library = HdrHistogram(1, HIGHEST_US, 3)
    library.record_value(library.get_value_from_index(count))
    payload = unpacked(library.encode().decode())
    assert payload[COUNTS_AT:] == zeros(count) + b"\x02", "then one value, as zigzag"
    assert leading_zeros(payload) == (count, COUNTS_AT + len(zeros(count)))


@pytest.mark.parametrize("stream", [b"", b"\xff" * 9, b"\xff" * 100_000, b"\x02\x01"])
def test_a_stream_that_does_not_begin_with_zeros_is_left_to_the_library(stream: bytes) -> None:
    assert leading_zeros(inner() + stream) == (0, COUNTS_AT)
