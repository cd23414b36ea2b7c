"""Latency histograms: what is kept of a second, an endpoint, a window.

HDR histograms from 1 us to 1 h with three significant digits: every bucket is narrower than 0.1 %
of its values, merging is adding, and the encoded form is HdrHistogram's own (results.encoding), so
that other tools read it. Count, sum and maximum are kept beside the buckets and stay exact.

The buckets are an array of our own, on which the library's compiled functions work: through its
classes, making one cost 0.1 ms and so did encoding it (measured). Tests hold both to each other.
This module must not know endpoints, seconds or files.

Only the part of the buckets that is in use is held: of a second's latencies some 40 of 188 KB.
"""

from __future__ import annotations

import ctypes
import math
import struct
import sys
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from ctypes import addressof
from dataclasses import dataclass
from itertools import accumulate

from hdrh import codec

from results.encoding import HIGHEST_US, leading_zeros, packed, unpacked, zeros
from results.errors import HistogramError

_HALF_BITS = 10
"""Three digits need 2 * 10^3 steps in a bucket, so 2^11 sub-buckets, of which half are new."""

_HALF = 1 << _HALF_BITS

_BUCKETS = 23 << _HALF_BITS
"""HIGHEST_US has 32 bits: 11 of the first sub-buckets, 21 doublings, and one half more."""

_COUNT_BYTES = 8
_LONGEST_COUNT_BYTES = 9
"""Of an encoded count; the library asks for so much space."""

_NO_COUNTS = (ctypes.c_uint64 * 0)()

_BORROWED = int.from_bytes(struct.pack("=Q", 1 << 63) * _BUCKETS, sys.byteorder)
"""The top bit of every count: set where a subtraction went below zero."""


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

    __slots__ = ("_base", "_counts", "_first", "_origin", "clamped", "count", "max_us", "sum_us")

    def __init__(self) -> None:
        self._counts = _NO_COUNTS
        """Of the buckets from `_base` on, both multiples of half a doubling."""
        self._base = 0
        self._origin = addressof(_NO_COUNTS)
        """Where in memory bucket 0 would be."""
        self._first = _BUCKETS
        """No bucket below this one is in use."""
        self.count = 0
        self.sum_us = 0
        self.max_us = 0
        self.clamped = 0

    def record(self, values_us: Sequence[int]) -> None:
        """Add values; those below 0 or above 1 h count at that end, and as clamped.

        The bucket's index is `_index` written out: calling it would double the cost.
        """
        if not values_us:
            return
        least_us, most_us = min(values_us), max(values_us)
        if least_us < 0 or most_us > HIGHEST_US:
            values_us = self._clamp(values_us)
            least_us, most_us = min(values_us), max(values_us)
        first = _index(least_us)
        self._hold(first, _index(most_us) + 1)
        counts, base = self._counts, self._base
        for value in values_us:
            shift = value.bit_length() - _HALF_BITS - 1
            if shift < 0:
                shift = 0
            counts[(shift << _HALF_BITS) - base + (value >> shift)] += 1
        self._grow(len(values_us), sum(values_us), most_us, first)

    def repeat(self, value_us: int, count: int) -> None:
        """Add one value, which lies within 0 to 1 h, `count` times."""
        assert 0 <= value_us <= HIGHEST_US and count >= 0
        if count:
            index = _index(value_us)
            self._hold(index, index + 1)
            self._counts[index - self._base] += count
            self._grow(count, value_us * count, value_us, index)

    def _clamp(self, values_us: Sequence[int]) -> list[int]:
        inside = [min(max(value, 0), HIGHEST_US) for value in values_us]
        self.clamped += sum(a != b for a, b in zip(inside, values_us, strict=True))
        return inside

    def _grow(self, count: int, sum_us: int, max_us: int, first: int) -> None:
        self.count += count
        self.sum_us += sum_us
        if max_us > self.max_us:
            self.max_us = max_us
        if first < self._first:
            self._first = first

    def _hold(self, first: int, stop: int) -> None:
        """Make room for those buckets, in steps of half a doubling."""
        held = len(self._counts)
        if self._base <= first and stop <= self._base + held:
            return
        base = first >> _HALF_BITS << _HALF_BITS
        end = (stop + _HALF - 1) >> _HALF_BITS << _HALF_BITS
        if held:
            base, end = min(base, self._base), max(end, self._base + held)
        counts = (ctypes.c_uint64 * (end - base))()
        origin = addressof(counts) - base * _COUNT_BYTES
        if held:
            ctypes.memmove(origin + self._base * _COUNT_BYTES, self._counts, held * _COUNT_BYTES)
        self._counts, self._base, self._origin = counts, base, origin

    def _address(self, index: int) -> int:
        return self._origin + index * _COUNT_BYTES

    def _used(self) -> range:
        """The buckets that may be in use."""
        return range(self._first, _index(self.max_us) + 1) if self.count else range(0)

    def merge(self, encoded: EncodedHistogram) -> None:
        """Add all values of a histogram at rest. Raises HistogramError when it is damaged."""
        if encoded.count:
            self.add(decode(encoded))

    def add(self, other: Histogram) -> None:
        """Add all values of another histogram; the order of additions does not matter."""
        if not other.count:
            return
        first, stop = other._first, _index(other.max_us) + 1
        self._hold(first, stop)
        try:
            codec.add_array(self._address(first), other._address(first), stop - first, _COUNT_BYTES)
        except OverflowError as error:
            raise HistogramError(f"the histograms hold too many values: {error}") from error
        self.clamped += other.clamped
        self._grow(other.count, other.sum_us, other.max_us, first)

    def subtract(self, other: Histogram, *, max_us: int) -> None:
        """Take away all values of a histogram that was added before, as a sliding window does.

        `max_us` is the exact maximum of what is left, 0 when nothing is: buckets do not tell it.
        All counts of the part in use are seen as one long number, since Python subtracts those
        faster than it can loop: no count goes below zero, so none borrows from the next.
        """
        used = other._used()
        if not used:
            return
        assert used.stop <= self._used().stop, "what is taken away was added before"
        self._hold(used.start, used.stop)
        size = len(used) * _COUNT_BYTES
        ours, theirs = (
            int.from_bytes(ctypes.string_at(each._address(used.start), size), sys.byteorder)
            for each in (self, other)
        )
        left = ours - theirs
        assert left >= 0 and not left & _BORROWED, "what is taken away was added before"
        ctypes.memmove(self._address(used.start), left.to_bytes(size, sys.byteorder), size)
        self.count -= other.count
        self.sum_us -= other.sum_us
        self.clamped -= other.clamped
        assert max_us <= self.max_us and bool(self.count) >= bool(max_us)
        self.max_us = max_us

    def encode(self) -> EncodedHistogram:
        """About 30 us of 250 values (measured)."""
        used = self._used()
        leading = b""
        if used:
            used = range(self._first_in_use(), used.stop)
            leading = zeros(used.start)
        size = len(used) * _LONGEST_COUNT_BYTES
        stream = (ctypes.c_char * size)()
        address = self._address(used.start)
        length = codec.encode(address, len(used), _COUNT_BYTES, addressof(stream), size)
        data = packed(leading + ctypes.string_at(stream, length))
        return EncodedHistogram(self.count, self.sum_us, self.max_us, self.clamped, data)

    def _first_in_use(self) -> int:
        """Exactly: what was taken away may have been the first."""
        index = self._first
        while not self._counts[index - self._base]:
            index += 1
        return index

    def quantiles_us(self, quantiles: Iterable[float]) -> list[int | None]:
        """Nearest rank: the value at position ceil(q * count) in order, None when empty.

        The answer is its bucket's upper end, at most 0.1 % above the true value and never above
        the exact maximum. Raises ValueError for a quantile that is not in 0 < q <= 1.
        """
        wanted = list(quantiles)
        for q in wanted:
            if not 0 < q <= 1:
                raise ValueError(f"a quantile lies above 0 and at most at 1, not at {q}")
        used = self._used()
        if not used:
            return [None] * len(wanted)
        counts = self._counts[used.start - self._base : used.stop - self._base]
        reached = list(accumulate(counts))
        return [self._value_at_rank(reached, q) for q in wanted]

    def _value_at_rank(self, reached: list[int], quantile: float) -> int:
        # Rounding first: 0.07 * 100 is 7.000000000000001, whose ceiling would be 8.
        rank = max(1, math.ceil(round(quantile * self.count, 6)))
        index = self._first + bisect_left(reached, min(rank, self.count))
        return min(_highest_us(index), self.max_us)

    @property
    def mean_us(self) -> float | None:
        """Exact, from the sum; None when empty."""
        return self.sum_us / self.count if self.count else None


def decode(encoded: EncodedHistogram) -> Histogram:
    """The histogram again, about 8 us. Raises HistogramError when the data is damaged."""
    payload = unpacked(encoded.data)
    if not 0 <= encoded.max_us <= HIGHEST_US:
        raise HistogramError(f"a histogram ends between 0 and 1 h, not at {encoded.max_us} us")
    first, counts_at = leading_zeros(payload)
    last = _index(encoded.max_us)
    if first > last:
        raise _other_end(min(first, _BUCKETS - 1), encoded)
    histogram = Histogram()
    histogram._hold(first, last + 1)
    address = histogram._address(first)
    try:
        found = codec.decode(payload, counts_at, address, last + 1 - first, _COUNT_BYTES)
    except (ValueError, IndexError, OverflowError) as error:
        raise HistogramError(f"the histogram is damaged: {error}") from error
    if found["total"] != encoded.count:
        raise HistogramError(
            f"the histogram holds {found['total']} values, its line says {encoded.count}"
        )
    if encoded.count:
        if first + found["max_nonzero_index"] != last:
            raise _other_end(first + found["max_nonzero_index"], encoded)
        histogram.clamped = encoded.clamped
        histogram._grow(encoded.count, encoded.sum_us, encoded.max_us, first)
    return histogram


def _other_end(last: int, encoded: EncodedHistogram) -> HistogramError:
    return HistogramError(
        f"the histogram ends at {_highest_us(last)} us, its line says {encoded.max_us} us"
    )


def _index(value_us: int) -> int:
    """The bucket of a value from 0 to 1 h, by HdrHistogram's formula."""
    shift = value_us.bit_length() - _HALF_BITS - 1
    return (shift << _HALF_BITS) + (value_us >> shift) if shift > 0 else value_us


def _highest_us(index: int) -> int:
    """The largest value of a bucket."""
    shift = max(0, (index >> _HALF_BITS) - 1)
    return ((index - (shift << _HALF_BITS) + 1) << shift) - 1
