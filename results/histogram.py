"""Latency histograms: what is kept of a second, an endpoint, a window.

HDR histograms from 1 us to 1 h with three significant digits: every bucket is narrower than 0.1 %
of its values, merging is adding, and the encoded form is HdrHistogram's own (V2, compressed,
base64), so that other tools read it. Count, sum and maximum are kept beside the buckets and stay
exact. This module must not know endpoints, seconds or files.

Never reset a histogram, drop it: resetting costs 0.78 ms, making one 0.11 ms (measured).
"""

from __future__ import annotations

import binascii
import math
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hdrh.codec import HdrCookieException, HdrHistogramEncoder, HdrLengthException
from hdrh.histogram import HdrHistogram

from results.errors import HistogramError

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3

_HALF_BITS = 10
"""Three digits need 2 * 10^3 steps in a bucket, so 2^11 sub-buckets, of which half are new."""

_LONGEST_DATA = 256 * 1024
"""Every bucket in use encodes to less; anything longer is not ours (and might be a zip bomb)."""


@dataclass(frozen=True, slots=True)
class EncodedHistogram:
    """A histogram at rest. `count`, `sum_us` and `max_us` are exact; `data` is base64 text.

    `clamped` of its values lay outside of 0 to 1 h and were counted at the nearer end.
    """

    count: int
    sum_us: int
    max_us: int
    clamped: int
    data: str


class Histogram:
    """A growing histogram of integer microseconds."""

    __slots__ = ("_hdr", "clamped", "count", "max_us", "sum_us")

    def __init__(self, buckets: HdrHistogram | None = None) -> None:
        """`buckets` is for `decode` alone: making empty ones first would double its cost."""
        self._hdr = buckets or HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
        self.count = 0
        self.sum_us = 0
        self.max_us = 0
        self.clamped = 0

    def __del__(self) -> None:
        # The library's histogram and its encoder hold each other and 0.2 MB, which a process that
        # collects garbage seldom would keep for minutes: 1.4 MB a second of P1 (measured).
        self._hdr.encoder = None

    def record(self, values_us: Sequence[int]) -> None:
        """Add values; those below 0 or above 1 h count at that end, and as clamped.

        The bucket's index is HdrHistogram's own formula written out: 0.13 us a value instead of
        0.86 us through `record_value` (measured). A test holds it to the library's.
        """
        if not values_us:
            return
        if min(values_us) < 0 or max(values_us) > HIGHEST_US:
            values_us = self._clamp(values_us)
        counts = self._hdr.counts
        for value in values_us:
            shift = value.bit_length() - _HALF_BITS - 1
            if shift < 0:
                shift = 0
            counts[(shift << _HALF_BITS) + (value >> shift)] += 1
        self._grow(len(values_us), sum(values_us), max(values_us))

    def repeat(self, value_us: int, count: int) -> None:
        """Add one value, which lies within 0 to 1 h, `count` times."""
        assert 0 <= value_us <= HIGHEST_US and count >= 0
        if count:
            self._hdr.record_value(value_us, count)
            self._grow(count, value_us * count, value_us)

    def _clamp(self, values_us: Sequence[int]) -> list[int]:
        inside = [min(max(value, 0), HIGHEST_US) for value in values_us]
        self.clamped += sum(a != b for a, b in zip(inside, values_us, strict=True))
        return inside

    def _grow(self, count: int, sum_us: int, max_us: int) -> None:
        self.count += count
        self.sum_us += sum_us
        self.max_us = max(self.max_us, max_us)
        # The library encodes as far as max_value and only when total_count says so.
        self._hdr.total_count = self.count
        self._hdr.max_value = self.max_us

    def merge(self, encoded: EncodedHistogram) -> None:
        """Add all values of a histogram at rest. Raises HistogramError when it is damaged."""
        if encoded.count:
            self.add(decode(encoded))

    def add(self, other: Histogram) -> None:
        """Add all values of another histogram; the order of additions does not matter."""
        if other.count:
            self._hdr.encoder.add(other._hdr.encoder)
            self.clamped += other.clamped
            self._grow(other.count, other.sum_us, other.max_us)

    def encode(self) -> EncodedHistogram:
        """About 0.1 ms (measured)."""
        data = self._hdr.encode().decode("ascii")
        return EncodedHistogram(self.count, self.sum_us, self.max_us, self.clamped, data)

    def quantiles_us(self, quantiles: Iterable[float]) -> list[int | None]:
        """Nearest rank: the value at position ceil(q * count) in order, None when empty.

        The answer is its bucket's upper end, at most 0.1 % above the true value and never above
        the exact maximum. Raises ValueError for a quantile that is not in 0 < q <= 1.
        """
        wanted = list(quantiles)
        for q in wanted:
            if not 0 < q <= 1:
                raise ValueError(f"a quantile lies above 0 and at most at 1, not at {q}")
        if self.count == 0:
            return [None] * len(wanted)
        used = self._hdr.get_counts_array_index(self.max_us) + 1
        reached = list(accumulate(self._hdr.counts[:used]))
        return [self._value_at_rank(reached, q) for q in wanted]

    def _value_at_rank(self, reached: list[int], quantile: float) -> int:
        # Rounding first: 0.07 * 100 is 7.000000000000001, whose ceiling would be 8.
        rank = max(1, math.ceil(round(quantile * self.count, 6)))
        index = bisect_left(reached, min(rank, self.count))
        bucket = self._hdr.get_value_from_index(index)
        return min(int(self._hdr.get_highest_equivalent_value(bucket)), self.max_us)

    @property
    def mean_us(self) -> float | None:
        """Exact, from the sum; None when empty."""
        return self.sum_us / self.count if self.count else None


def decode(encoded: EncodedHistogram) -> Histogram:
    """The histogram again, about 0.1 ms. Raises HistogramError when the data is damaged."""
    histogram = Histogram(_decoded_buckets(encoded))
    histogram.clamped = encoded.clamped
    histogram._grow(encoded.count, encoded.sum_us, encoded.max_us)
    return histogram


def _decoded_buckets(encoded: EncodedHistogram) -> HdrHistogram:
    if len(encoded.data) > _LONGEST_DATA:
        raise HistogramError(f"an encoded histogram of {len(encoded.data)} characters is not ours")
    try:
        payload = HdrHistogramEncoder.decode(encoded.data)
        header = payload.payload
        shape = (
            header.lowest_trackable_value,
            header.highest_trackable_value,
            header.significant_figures,
        )
        if shape != (LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS):
            raise HistogramError(
                f"the histogram covers {shape[0]} to {shape[1]} us with {shape[2]} digits, this "
                f"version reads {LOWEST_US} to {HIGHEST_US} us with {SIGNIFICANT_DIGITS}"
            )
        hdr = HdrHistogram(*shape, hdr_payload=payload)
    except (
        binascii.Error,
        zlib.error,
        HdrCookieException,
        HdrLengthException,
        ValueError,
        IndexError,
        TypeError,
    ) as error:
        raise HistogramError(f"the histogram is damaged: {error}") from error
    if hdr.get_total_count() != encoded.count:
        raise HistogramError(
            f"the histogram holds {hdr.get_total_count()} values, its line says {encoded.count}"
        )
    if hdr.get_max_value() != hdr.get_highest_equivalent_value(encoded.max_us):
        raise HistogramError(
            f"the histogram ends at {hdr.get_max_value()} us, its line says {encoded.max_us} us"
        )
    return hdr
